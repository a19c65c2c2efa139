//! A machine of a few operations that runs code both as RISC-V and as PVM2, for comparing a
//! program with what it was linked into. It shares nothing with the engines.

use rivet_isa::{BlockStarts, Flow, Op, Pc, decode};

/// A run ends after so many instructions, for a program may loop without a marker.
const MAX_STEPS: u32 = 30_000;

/// Rules of control transfer.
pub(crate) enum Rules<'s> {
    /// Any address may be jumped to.
    RiscV,
    /// Only block starts may.
    Pvm2(&'s BlockStarts),
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At an `ecalli`, with its selector.
    Call(i32),
    /// So many markers were passed as were asked for.
    Fuel,
    /// Too many instructions without reaching one of the other ends.
    Endless,
    /// A transfer to a place that is not a block start, from this offset.
    BadTarget(u64),
    /// An instruction this machine does not know, or none.
    Stuck(u64),
}

/// Code at an address, and data at another.
pub(crate) struct Machine<'c> {
    pub(crate) code: &'c [u8],
    pub(crate) base: u64,
    /// Address and content of memory.
    pub(crate) memory: Vec<(u64, Vec<u8>)>,
    pub(crate) regs: [u64; 16],
    /// Immediates of all executed `slti x0, x0, n`.
    pub(crate) trace: Vec<i32>,
}

impl<'c> Machine<'c> {
    pub(crate) fn new(code: &'c [u8], base: u64) -> Self {
        Self {
            code,
            base,
            memory: Vec::new(),
            regs: [0; 16],
            trace: Vec::new(),
        }
    }

    fn load(&self, address: u64, bytes: usize) -> u64 {
        let byte = |address: u64| {
            let piece = self
                .memory
                .iter()
                .find_map(|(start, bytes)| bytes.get(address.checked_sub(*start)? as usize));
            piece.copied().unwrap_or(0)
        };
        (0..bytes as u64)
            .rev()
            .fold(0, |value, i| value << 8 | u64::from(byte(address + i)))
    }

    /// Runs from an offset until `fuel` markers (`slti x0, x0, n`) have been passed.
    pub(crate) fn run(&mut self, start: u64, mut fuel: u32, rules: &Rules<'_>) -> End {
        let mut pc = start;
        let mut steps = 0;
        while fuel > 0 {
            steps += 1;
            if steps > MAX_STEPS {
                return End::Endless;
            }
            let Some(one) = decode(self.code, pc as usize) else {
                return End::Stuck(pc);
            };
            let (inst, next) = (one.inst, pc + one.len.bytes());
            let reg = |reg: rivet_isa::Reg| self.regs[usize::from(reg.number())];
            let (a, b, imm) = (reg(inst.rs1()), reg(inst.rs2()), i64::from(inst.imm()));
            let sum = a.wrapping_add_signed(imm);
            let here = self.base + pc;
            let mut target = None;
            let value = match inst.op() {
                Op::Lui => imm as u64,
                Op::Auipc => here.wrapping_add_signed(imm),
                Op::Addi => sum,
                Op::Slti => {
                    if inst.rd().is_zero() {
                        self.trace.push(inst.imm());
                    }
                    u64::from((a as i64) < imm)
                }
                Op::Xori => a ^ imm as u64,
                Op::Andi => a & imm as u64,
                Op::Srli => a >> imm,
                Op::Slli => a << imm,
                Op::Add => a.wrapping_add(b),
                Op::Sub => a.wrapping_sub(b),
                Op::Xor => a ^ b,
                Op::Mul => a.wrapping_mul(b),
                Op::Sh2add => b.wrapping_add(a << 2),
                Op::Sh3add => b.wrapping_add(a << 3),
                Op::Lw => self.load(sum, 4) as i32 as u64,
                Op::Lwu => self.load(sum, 4),
                Op::Lbu => self.load(sum, 1),
                Op::Ld => self.load(sum, 8),
                Op::Jal => {
                    target = Some(pc.wrapping_add_signed(imm));
                    self.base + next
                }
                Op::Jalr => {
                    target = Some((sum & !1).wrapping_sub(self.base));
                    self.base + next
                }
                Op::Ecalli => return End::Call(inst.imm()),
                Op::Fallthrough => 0,
                _ if inst.flow() == Flow::Branch => {
                    let taken = match inst.op() {
                        Op::Beq => a == b,
                        Op::Bne => a != b,
                        Op::Blt => (a as i64) < b as i64,
                        Op::Bge => a as i64 >= b as i64,
                        Op::Bltu => a < b,
                        _ => a >= b,
                    };
                    target = taken.then(|| pc.wrapping_add_signed(imm));
                    0
                }
                _ => return End::Stuck(pc),
            };
            if let (Some(target), Rules::Pvm2(starts)) = (target, rules)
                && !starts.contains(Pc::new(target))
            {
                return End::BadTarget(pc);
            }
            if !inst.rd().is_zero() && inst.op().format().has_rd() {
                self.regs[usize::from(inst.rd().number())] = value;
            }
            fuel -= u32::from(inst.op() == Op::Slti && inst.rd().is_zero());
            pc = target.unwrap_or(next);
        }
        End::Fuel
    }
}
