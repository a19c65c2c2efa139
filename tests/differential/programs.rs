//! Random programs that run for a while: loops on counters, calls and returns, computed
//! addresses, loads and stores that mostly hit.

use crate::compare::REGIONS;
use rivet_image::RegionKind;
use rivet_isa::arbitrary::Random;
use rivet_isa::{CODE_BASE, Flow, Inst, Op, Reg, SLOTS, compress, encode};

/// Pairs whose neighbourhood an engine may use.
const PAIRS: &[(Op, Op)] = &[
    (Op::Auipc, Op::Addi),
    (Op::Lui, Op::Addi),
    (Op::Lui, Op::Addiw),
    (Op::Auipc, Op::Addiw),
    (Op::Mulhu, Op::Mul),
    (Op::Mul, Op::Mulhu),
    (Op::Mulh, Op::Mul),
    (Op::Add, Op::Sltu),
    (Op::Addi, Op::Sltu),
    (Op::Sltu, Op::Sub),
    (Op::Slli, Op::Srli),
    (Op::Slli, Op::Srai),
    (Op::CzeroEqz, Op::CzeroNez),
    (Op::CzeroNez, Op::CzeroEqz),
    (Op::Div, Op::Rem),
    (Op::Divu, Op::Remu),
    (Op::Divw, Op::Remw),
    (Op::Divuw, Op::Remuw),
    (Op::Div, Op::Remu),
    (Op::Sll, Op::Srl),
];

/// `c.nop`
const NOP: [u8; 2] = [1, 0];

#[derive(Clone, Copy)]
enum Item {
    Plain(Inst, Size),
    /// A branch or `jal` to a label; its own offset does not count.
    To(Inst, Size, usize),
    /// `auipc` and a second instruction that adds the rest of the distance.
    Far(Reg, Inst, usize),
    Label(usize),
    Halfword(u16),
    /// This many no-ops of two bytes, to put what follows far away.
    Gap(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Size {
    Word,
    Least,
}

/// A program under construction.
pub(crate) struct Author {
    pub(crate) random: Random,
    items: Vec<Item>,
    labels: usize,
    /// Registers that ordinary instructions leave alone: link, stack, two counters.
    kept: [Reg; 4],
    few: [Reg; 4],
}

/// A finished program and the slots it starts with.
pub(crate) struct Written {
    pub(crate) code: Vec<u8>,
    pub(crate) slots: [u64; SLOTS],
}

/// The program of a seed.
pub(crate) fn program(seed: u64) -> Written {
    let mut random = Random::new(seed);
    let counters = [random.pick(&[3, 5, 8, 9, 15]), random.pick(&[4, 6, 7, 14])];
    let counters = counters.map(|n| Reg::new(n).expect("below 16"));
    let few = [0; 4].map(|_| random.reg());
    let mut author = Author {
        random,
        items: Vec::new(),
        labels: 0,
        kept: [Reg::RA, Reg::SP, counters[0], counters[1]],
        few,
    };
    author.whole();
    let code = author.layout();
    let mut slots = [0; SLOTS];
    for slot in &mut slots {
        *slot = author.random.value();
    }
    let dirty = author.random.pick(&[0, 0xFFFF_FFFF, 0x8000_0001]) << 32;
    slots[1] = dirty | 0x1001_2F00;
    Written { code, slots }
}

impl Author {
    fn label(&mut self) -> usize {
        self.labels += 1;
        self.labels - 1
    }

    fn push(&mut self, inst: Inst) {
        let size = self.random.pick(&[Size::Word, Size::Least, Size::Least]);
        self.items.push(Item::Plain(inst, size));
    }

    fn op(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) {
        self.push(Inst::from_parts(op, rd, rs1, rs2, imm));
    }

    fn to(&mut self, inst: Inst, label: usize) {
        let size = self.random.pick(&[Size::Word, Size::Least]);
        self.items.push(Item::To(inst, size, label));
    }

    /// A place that jumps can reach; once in a while one that they cannot.
    fn place(&mut self, label: usize) {
        if !self.random.once_in(150) {
            self.op(Op::Fallthrough, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
        }
        self.items.push(Item::Label(label));
    }

    fn source(&mut self) -> Reg {
        if self.random.once_in(2) {
            self.random.pick(&self.few)
        } else {
            self.random.reg()
        }
    }

    fn target(&mut self) -> Reg {
        loop {
            let reg = self.source();
            if !self.kept.contains(&reg) || self.random.once_in(400) {
                return reg;
            }
        }
    }

    /// A register to hold an address.
    fn pointer(&mut self, other: Reg) -> Reg {
        loop {
            let reg = self.target();
            if reg != Reg::ZERO && reg != other {
                return reg;
            }
        }
    }

    fn compute(&mut self, op: Op) {
        let (rd, rs1, rs2) = (self.target(), self.source(), self.source());
        let imm = self.random.immediate(op.format());
        self.op(op, rd, rs1, rs2, imm);
    }

    /// Two neighbours that share registers.
    fn pair(&mut self) {
        let (first, second) = self.random.pick(PAIRS);
        let (rd, rs1, rs2) = (self.target(), self.source(), self.source());
        let shift = [32, 48, 56, 0, 63, 1];
        let mut imm = self.random.immediate(first.format());
        let mut next = self.random.immediate(second.format());
        if first == Op::Slli {
            imm = self.random.pick(&shift);
            next = self
                .random
                .pick(&[imm, imm, self.random.clone().pick(&shift)]);
        }
        self.op(first, rd, rs1, rs2, imm);
        let rd2 = if self.random.once_in(2) {
            rd
        } else {
            self.target()
        };
        let [a, b] = match self.random.below(5) {
            0 => [rd, rs1],
            1 => [rd, rs2],
            2 => [rs1, rs2],
            3 => [rs2, rd],
            _ => [rd, rd],
        };
        self.op(second, rd2, a, b, next);
        if matches!(first, Op::CzeroEqz | Op::CzeroNez) {
            let rd3 = self.target();
            let [a, b] = self.random.pick(&[[rd, rd2], [rd2, rd], [rd, rd]]);
            let op = self.random.pick(&[Op::Or, Op::Or, Op::Add, Op::Xor]);
            self.op(op, rd3, a, b, 0);
        }
    }

    /// An address that an access of this kind may use, or just not.
    fn spot(&mut self, store: bool) -> u64 {
        if !store && self.random.once_in(12) {
            return CODE_BASE + self.random.below(300);
        }
        let (start, size) = loop {
            let (start, size, kind, _) = self.random.pick(&REGIONS);
            if !store || kind != RegionKind::Pinned || self.random.once_in(60) {
                break (start, size);
            }
        };
        if self.random.once_in(50) {
            let edge = self
                .random
                .pick(&[start, start + size, CODE_BASE, 1 << 31, 0]);
            return edge.wrapping_add(self.random.below(17)).wrapping_sub(8);
        }
        match self.random.below(3) {
            0 => start + self.random.below(size - 7),
            1 => start + 0x1000 - self.random.below(9),
            _ => start + self.random.pick(&[0, size - 8, 8, 0x800]),
        }
    }

    /// A constant whose low 32 bits are these; the upper half is whatever comes out.
    fn constant(&mut self, reg: Reg, value: u64) {
        let low = ((value as i32) << 20) >> 20;
        let high = (value as i32).wrapping_sub(low);
        let add = self.random.pick(&[Op::Addi, Op::Addiw]);
        self.op(Op::Lui, reg, Reg::ZERO, Reg::ZERO, high);
        self.op(add, reg, reg, Reg::ZERO, low);
        if self.random.once_in(4) {
            let bit = 32 + self.random.below(32) as i32;
            self.op(Op::Binvi, reg, reg, Reg::ZERO, bit);
        }
    }

    fn access(&mut self) {
        const LOADS: [Op; 7] = [Op::Lb, Op::Lh, Op::Lw, Op::Ld, Op::Lbu, Op::Lhu, Op::Lwu];
        const STORES: [Op; 4] = [Op::Sb, Op::Sh, Op::Sw, Op::Sd];
        let store = self.random.once_in(3);
        let op = if store {
            self.random.pick(&STORES)
        } else {
            self.random.pick(&LOADS)
        };
        if self.random.once_in(5) {
            let (rd, value) = (self.target(), self.source());
            let imm = 8 * self.random.below(16) as i32;
            return self.op(op, rd, Reg::SP, value, imm);
        }
        let imm = self.random.immediate(Op::Lb.format());
        let imm = if self.random.once_in(3) { 0 } else { imm };
        let address = self.spot(store).wrapping_sub(i64::from(imm) as u64);
        let base = self.pointer(Reg::ZERO);
        let (rd, value) = (self.target(), self.source());
        if self.random.once_in(2) {
            self.constant(base, address);
            return self.op(op, rd, base, value, imm);
        }
        let index = self.pointer(base);
        let step = self.random.immediate(Op::Addi.format());
        let (sum, shift) = self.random.pick(&[
            (Op::Add, 0),
            (Op::Add, 0),
            (Op::AddUw, 0),
            (Op::Sh1add, 1),
            (Op::Sh2add, 2),
            (Op::Sh3add, 3),
            (Op::Sh3addUw, 3),
        ]);
        self.constant(
            base,
            address.wrapping_sub((i64::from(step) as u64) << shift),
        );
        self.op(Op::Addi, index, Reg::ZERO, Reg::ZERO, step);
        let to = self.random.pick(&[base, index, base, self.pointer_now()]);
        let [a, b] = if sum == Op::Add && self.random.once_in(2) {
            [base, index]
        } else {
            [index, base]
        };
        let rd = if self.random.once_in(2) { to } else { rd };
        self.op(sum, to, a, b, 0);
        self.op(op, rd, to, value, imm);
    }

    fn pointer_now(&self) -> Reg {
        let free = self
            .few
            .iter()
            .find(|reg| **reg != Reg::ZERO && !self.kept.contains(reg));
        *free.unwrap_or(&Reg::A5)
    }

    fn straight(&mut self) {
        for _ in 0..self.random.below(9) {
            match self.random.below(20) {
                0..8 => {
                    let op = loop {
                        let op = self.random.pick(Op::ALL);
                        if op.flow() == Flow::Next && !op.is_load() && !op.is_store() {
                            break op;
                        }
                    };
                    self.compute(op);
                }
                8..12 => self.pair(),
                12..18 => self.access(),
                18 => {
                    let imm = self
                        .random
                        .pick(&[1, 2, 3, 4, 5, 6, 7, -2, 0x7FB, -2048 + 3]);
                    self.op(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, imm);
                }
                _ => self.compute(Op::Fence),
            }
        }
        if self.random.once_in(40) {
            self.op(Op::EcallJar, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
        }
        if self.random.once_in(600) {
            let bits = self.random.bits() as u16;
            self.items.push(Item::Halfword(bits & !3 | 1));
        }
    }

    fn branch(&mut self, label: usize) {
        const BRANCHES: [Op; 6] = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
        let op = self.random.pick(&BRANCHES);
        let (mut a, mut b) = (self.source(), self.source());
        if self.random.once_in(3) {
            let set = self.random.pick(&[Op::Slt, Op::Sltu, Op::Slti, Op::Sltiu]);
            let rd = self.target();
            let imm = self.random.immediate(set.format());
            self.op(set, rd, a, b, imm);
            (a, b) = (rd, Reg::ZERO);
        }
        self.to(Inst::from_parts(op, Reg::ZERO, a, b, 0), label);
    }

    /// Straight code with forward branches over parts of it.
    fn body(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            self.straight();
            let over = self.label();
            self.branch(over);
            self.straight();
            self.place(over);
            if self.random.once_in(12) {
                self.return_to_next();
            }
        }
    }

    /// A return that nothing called for, to the code behind it.
    fn return_to_next(&mut self) {
        let next = self.label();
        let add = Inst::from_parts(Op::Addi, Reg::RA, Reg::RA, Reg::ZERO, 0);
        self.items.push(Item::Far(Reg::RA, add, next));
        self.op(Op::Jalr, Reg::ZERO, Reg::RA, Reg::ZERO, 0);
        self.items.push(Item::Label(next));
    }

    fn call(&mut self, label: usize) {
        let link = if self.random.once_in(20) {
            self.target()
        } else {
            Reg::RA
        };
        match self.random.below(4) {
            0 | 1 => self.to(
                Inst::from_parts(Op::Jal, link, Reg::ZERO, Reg::ZERO, 0),
                label,
            ),
            2 => {
                let via = self.random.pick(&[link, Reg::RA, Reg::T1]);
                let via = if via == Reg::ZERO { Reg::RA } else { via };
                let jump = Inst::from_parts(Op::Jalr, link, via, Reg::ZERO, 0);
                self.items.push(Item::Far(via, jump, label));
            }
            _ => {
                let via = self.pointer(Reg::ZERO);
                let add = Inst::from_parts(Op::Addi, via, via, Reg::ZERO, 0);
                self.items.push(Item::Far(via, add, label));
                let imm = self.random.pick(&[0, 0, 0, 1, 2]);
                let imm = if imm == 2 && !self.random.once_in(20) {
                    0
                } else {
                    imm
                };
                self.op(Op::Jalr, link, via, Reg::ZERO, imm);
            }
        }
    }

    fn counted(&mut self, counter: Reg, inner: impl FnOnce(&mut Self)) {
        let times = 1 + self.random.below(12) as i32;
        self.op(Op::Addi, counter, Reg::ZERO, Reg::ZERO, times);
        let again = self.label();
        self.place(again);
        inner(self);
        self.op(Op::Addi, counter, counter, Reg::ZERO, -1);
        self.to(
            Inst::from_parts(Op::Bne, Reg::ZERO, counter, Reg::ZERO, 0),
            again,
        );
    }

    fn function(&mut self, label: usize, rest: &[usize]) {
        self.place(label);
        self.op(Op::Addi, Reg::SP, Reg::SP, Reg::ZERO, -16);
        self.op(Op::Sd, Reg::ZERO, Reg::SP, Reg::RA, 8);
        self.body();
        if !rest.is_empty() && !self.random.once_in(3) {
            let callee = self.random.pick(rest);
            self.call(callee);
        }
        if self.random.once_in(2) {
            let counter = self.kept[3];
            self.counted(counter, Self::straight);
        } else if self.random.once_in(3) {
            // Calls itself until the second counter is used up.
            let (counter, out) = (self.kept[3], self.label());
            let depth = self.random.pick(&[31, 31, 255, 1023]);
            self.op(Op::Andi, counter, counter, Reg::ZERO, depth);
            self.to(
                Inst::from_parts(Op::Beq, Reg::ZERO, counter, Reg::ZERO, 0),
                out,
            );
            self.op(Op::Addi, counter, counter, Reg::ZERO, -1);
            self.call(label);
            self.place(out);
        }
        let back = self.random.pick(&[Reg::RA, Reg::RA, Reg::RA, Reg::T0]);
        self.op(Op::Ld, back, Reg::SP, Reg::ZERO, 8);
        self.op(Op::Addi, Reg::SP, Reg::SP, Reg::ZERO, 16);
        self.op(Op::Jalr, Reg::ZERO, back, Reg::ZERO, 0);
    }

    fn whole(&mut self) {
        let functions: Vec<usize> = (0..self.random.below(5)).map(|_| self.label()).collect();
        for _ in 0..1 + self.random.below(3) {
            self.body();
            let callee = (!functions.is_empty()).then(|| self.random.pick(&functions));
            let counter = self.kept[2];
            self.counted(counter, |this| {
                this.straight();
                if let Some(callee) = callee {
                    this.call(callee);
                }
                this.straight();
            });
        }
        match self.random.below(4) {
            0 => self.op(Op::Trap, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0),
            _ => self.op(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0),
        }
        let wide = self.random.once_in(20);
        for (i, label) in functions.iter().enumerate() {
            if wide {
                let count = self.random.pick(&[100, 3000, 30_000, 33_000]);
                self.items.push(Item::Gap(count));
            }
            self.function(*label, &functions[i + 1..]);
        }
    }

    /// Byte offsets of items and labels when each item has this many bytes.
    fn offsets(&self, bytes: &[usize]) -> (Vec<i64>, Vec<i64>) {
        let (mut at, mut items, mut labels) = (0, Vec::new(), vec![0; self.labels]);
        for (item, bytes) in self.items.iter().zip(bytes) {
            items.push(at);
            if let Item::Label(label) = item {
                labels[*label] = at;
            }
            at += *bytes as i64;
        }
        (items, labels)
    }

    /// The item at `at` as bytes.
    fn bytes(&self, item: Item, at: i64, labels: &[i64]) -> Vec<u8> {
        let sized = |inst: Inst, size| match (size, compress(inst)) {
            (Size::Least, Some(half)) => half.to_le_bytes().to_vec(),
            _ => encode(inst).expect("legal operands").to_le_bytes().to_vec(),
        };
        let with = |inst: Inst, imm: i64| {
            Inst::from_parts(inst.op(), inst.rd(), inst.rs1(), inst.rs2(), imm as i32)
        };
        match item {
            Item::Label(_) => Vec::new(),
            Item::Halfword(bits) => bits.to_le_bytes().to_vec(),
            Item::Gap(count) => NOP.repeat(count),
            Item::Plain(inst, size) => sized(inst, size),
            Item::To(inst, size, label) => sized(with(inst, labels[label] - at), size),
            Item::Far(via, inst, label) => {
                let distance = labels[label] - at;
                let high = (distance + 0x800) & !0xFFF;
                let upper = Inst::from_parts(Op::Auipc, via, Reg::ZERO, Reg::ZERO, high as i32);
                let mut out = sized(upper, Size::Word);
                out.extend(sized(with(inst, distance - high), Size::Word));
                out
            }
        }
    }

    /// Distances only shrink when instructions do, so one pass over full sizes finds which fit.
    fn layout(&self) -> Vec<u8> {
        let full = |item: &Item| match item {
            Item::Label(_) => 0,
            Item::Far(..) => 8,
            Item::Halfword(_) => 2,
            Item::Gap(count) => 2 * count,
            Item::Plain(..) | Item::To(..) => 4,
        };
        let mut sizes: Vec<usize> = self.items.iter().map(full).collect();
        let (items, labels) = self.offsets(&sizes);
        for (i, item) in self.items.iter().enumerate() {
            sizes[i] = self.bytes(*item, items[i], &labels).len();
        }
        let (items, labels) = self.offsets(&sizes);
        let mut code = Vec::new();
        for (i, item) in self.items.iter().enumerate() {
            let mut bytes = self.bytes(*item, items[i], &labels);
            if bytes.len() < sizes[i] {
                // Only now short enough: keep the size that was laid out.
                if let Item::To(inst, _, label) = *item {
                    bytes = self.bytes(Item::To(inst, Size::Word, label), items[i], &labels);
                }
            }
            assert_eq!(bytes.len(), sizes[i], "the layout is settled");
            code.extend(bytes);
        }
        code
    }
}
