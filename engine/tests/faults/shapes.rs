//! Random straight code made of neighbourhoods that a recompiler may fuse, dense in accesses.
//!
//! A few registers are pointers and stay so; everything else is overwritten at will.

use rivet_isa::arbitrary::Random;
use rivet_isa::{Inst, Op, Reg, Regs, SLOTS, compress, encode};

use crate::closed::{DATA_LEN, DATA_START};

const LOADS: [Op; 7] = [Op::Lb, Op::Lh, Op::Lw, Op::Ld, Op::Lbu, Op::Lhu, Op::Lwu];
const STORES: [Op; 4] = [Op::Sb, Op::Sh, Op::Sw, Op::Sd];
/// x2, x4, x9 and x14 point into memory: homes of every kind.
const POINTERS: [u8; 4] = [2, 4, 9, 14];
/// x7 and x12 are small.
const SMALL: [u8; 2] = [7, 12];

fn register(number: u8) -> Reg {
    Reg::new(number).unwrap()
}

/// Registers to start with.
pub(crate) fn registers(random: &mut Random) -> Regs {
    let mut regs = Regs::new([0; SLOTS].map(|_| random.value()));
    for number in POINTERS {
        let dirty = random.pick(&[0, 0, 0xFFFF_FFFF, 0x8000_0001]) << 32;
        let inside = DATA_START + 4096 + random.below(DATA_LEN - 8192);
        regs.set(register(number), inside | dirty);
    }
    for number in SMALL {
        regs.set(register(number), random.below(32));
    }
    regs
}

struct Author<'a> {
    random: &'a mut Random,
    code: Vec<u8>,
}

/// A program.
pub(crate) fn program(random: &mut Random) -> Vec<u8> {
    let count = 4 + random.below(24);
    let code = Vec::new();
    let mut author = Author { random, code };
    for _ in 0..count {
        author.shape();
    }
    author.code
}

impl Author<'_> {
    fn push(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) {
        let inst = Inst::from_parts(op, rd, rs1, rs2, imm);
        match compress(inst).filter(|_| self.random.once_in(2)) {
            Some(half) => self.code.extend(half.to_le_bytes()),
            None => self.code.extend(encode(inst).unwrap().to_le_bytes()),
        }
    }

    fn pointer(&mut self) -> Reg {
        register(self.random.pick(&POINTERS))
    }

    fn small(&mut self) -> Reg {
        register(self.random.pick(&SMALL))
    }

    /// A register that may be overwritten.
    fn free(&mut self) -> Reg {
        loop {
            let reg = self.random.reg();
            if !POINTERS.contains(&reg.number()) && !SMALL.contains(&reg.number()) {
                return reg;
            }
        }
    }

    fn near(&mut self) -> i32 {
        let any = self.random.below(1024) as i32 - 512;
        self.random.pick(&[0, 8, 16, -8, 1, 7, any])
    }

    /// A load or a store of any width through `base`.
    fn access(&mut self, base: Reg, imm: i32) {
        if self.random.once_in(3) {
            let (op, value) = (self.random.pick(&STORES), self.random.reg());
            self.push(op, Reg::ZERO, base, value, imm);
        } else {
            let op = self.random.pick(&LOADS);
            let to = if self.random.once_in(2) && self.free_to_write(base) {
                base
            } else {
                self.free()
            };
            self.push(op, to, base, Reg::ZERO, imm);
        }
    }

    fn free_to_write(&self, reg: Reg) -> bool {
        !POINTERS.contains(&reg.number()) && !SMALL.contains(&reg.number())
    }

    fn shape(&mut self) {
        match self.random.below(12) {
            0 => self.plain(),
            1..3 => self.sum(),
            3 => self.constant_address(),
            4 => self.read_code(),
            5 => self.neighbours(),
            6 => self.update(),
            7 => self.extended(),
            8 => self.scaled_by_shift(),
            9 => self.branch(),
            10 => self.stepped(),
            _ => self.compute(),
        }
    }

    fn plain(&mut self) {
        let (base, imm) = (self.pointer(), self.near());
        self.access(base, imm);
    }

    /// An addition whose result is the address.
    fn sum(&mut self) {
        let op = self.random.pick(&[
            Op::Add,
            Op::Add,
            Op::Sh1add,
            Op::Sh2add,
            Op::Sh3add,
            Op::AddUw,
            Op::Sh2addUw,
        ]);
        let (t, p, i, imm) = (self.free(), self.pointer(), self.small(), self.near());
        if op == Op::Add && self.random.once_in(2) {
            self.push(op, t, p, i, 0);
        } else {
            self.push(op, t, i, p, 0);
        }
        if !t.is_zero() || self.random.once_in(10) {
            self.access(t, imm);
        }
    }

    fn constant_address(&mut self) {
        let t = self.free();
        if t.is_zero() {
            return;
        }
        let page = 4096 * self.random.below(7) as i32;
        self.push(Op::Lui, t, Reg::ZERO, Reg::ZERO, DATA_START as i32 + page);
        let imm = self.near();
        if self.random.once_in(2) {
            let add = self.random.pick(&[Op::Addi, Op::Addiw]);
            self.push(add, t, t, Reg::ZERO, 520);
            self.access(t, 0);
        } else {
            self.access(t, imm.abs());
        }
    }

    fn read_code(&mut self) {
        let t = self.free();
        if t.is_zero() {
            return;
        }
        self.push(Op::Auipc, t, Reg::ZERO, Reg::ZERO, 0);
        let op = self.random.pick(&LOADS);
        let to = if self.random.once_in(2) {
            t
        } else {
            self.free()
        };
        self.push(op, to, t, Reg::ZERO, 8);
    }

    /// Accesses of the same kind next to each other.
    fn neighbours(&mut self) {
        let (base, imm) = (self.pointer(), self.near());
        let (a, b) = (self.free(), self.free());
        if self.random.once_in(2) {
            self.push(Op::Ld, a, base, Reg::ZERO, imm);
            self.push(Op::Ld, b, base, Reg::ZERO, imm + 8);
        } else {
            self.push(Op::Sd, Reg::ZERO, base, a, imm);
            self.push(Op::Sd, Reg::ZERO, base, b, imm + 8);
        }
    }

    /// Load, change, store back.
    fn update(&mut self) {
        let (t, base, imm) = (self.free(), self.pointer(), self.near());
        let [load, store] = self.random.pick(&[
            [Op::Ld, Op::Sd],
            [Op::Lw, Op::Sw],
            [Op::Lwu, Op::Sw],
            [Op::Lbu, Op::Sb],
        ]);
        self.push(load, t, base, Reg::ZERO, imm);
        let op = self
            .random
            .pick(&[Op::Add, Op::Xor, Op::Or, Op::And, Op::Sub, Op::Addw]);
        let other = self.random.reg();
        if self.random.once_in(3) {
            self.push(Op::Addi, t, t, Reg::ZERO, 1);
        } else if self.random.once_in(2) {
            self.push(op, t, t, other, 0);
        } else {
            self.push(op, t, other, t, 0);
        }
        self.push(store, Reg::ZERO, base, t, imm);
    }

    /// A load and an extension of its result.
    fn extended(&mut self) {
        let (t, base, imm) = (self.free(), self.pointer(), self.near());
        let load = self.random.pick(&LOADS);
        self.push(load, t, base, Reg::ZERO, imm);
        let to = if self.random.once_in(2) {
            t
        } else {
            self.free()
        };
        match self.random.below(4) {
            0 => self.push(Op::Addiw, to, t, Reg::ZERO, 0),
            1 => {
                let op = self.random.pick(&[Op::SextB, Op::SextH, Op::ZextH]);
                self.push(op, to, t, Reg::ZERO, 0);
            }
            2 => self.push(Op::Andi, to, t, Reg::ZERO, 255),
            _ => {
                let by = self.random.pick(&[32, 48, 56]);
                self.push(Op::Slli, to, t, Reg::ZERO, by);
                let op = self.random.pick(&[Op::Srli, Op::Srai]);
                self.push(op, to, to, Reg::ZERO, by);
            }
        }
    }

    fn scaled_by_shift(&mut self) {
        let (t, p, i, imm) = (self.free(), self.pointer(), self.small(), self.near());
        let by = self.random.below(4) as i32;
        let shift = self.random.pick(&[Op::Slli, Op::Slli, Op::SlliUw]);
        self.push(shift, t, i, Reg::ZERO, by);
        let u = if self.random.once_in(2) {
            t
        } else {
            self.free()
        };
        self.push(Op::Add, u, t, p, 0);
        if !u.is_zero() && !t.is_zero() {
            self.access(u, imm);
        }
    }

    /// A load whose result decides a branch to what follows either way.
    fn branch(&mut self) {
        let (t, base, imm) = (self.free(), self.pointer(), self.near());
        let load = self.random.pick(&LOADS);
        self.push(load, t, base, Reg::ZERO, imm);
        let other = self.random.pick(&[Reg::ZERO, Reg::A0, Reg::T0]);
        let op = self.random.pick(&[Op::Beq, Op::Bne, Op::Blt, Op::Bgeu]);
        // The offset is that of a word: the compressed forms would not reach the next one.
        let branch = Inst::from_parts(op, Reg::ZERO, t, other, 4);
        self.code.extend(encode(branch).unwrap().to_le_bytes());
    }

    /// An access and a step of its pointer, in either order.
    fn stepped(&mut self) {
        let (t, base, imm) = (self.free(), self.pointer(), self.near());
        if t.is_zero() {
            return;
        }
        let by = self.random.pick(&[8, -8, 1, 4]);
        self.push(Op::Addi, t, base, Reg::ZERO, by);
        self.access(t, imm);
        self.push(Op::Addi, t, base, Reg::ZERO, 0);
        self.access(t, imm);
        let other = self.free();
        self.push(Op::Addi, other, base, Reg::ZERO, by);
    }

    fn compute(&mut self) {
        let op = loop {
            let op = self.random.pick(Op::ALL);
            let plain = op.flow() == rivet_isa::Flow::Next;
            if plain && !op.is_load() && !op.is_store() {
                break op;
            }
        };
        let (rd, a, b) = (self.free(), self.random.reg(), self.random.reg());
        let imm = self.random.immediate(op.format());
        self.push(op, rd, a, b, imm);
    }
}
