//! Programs that execute one operation with every choice of registers.
//!
//! ```text
//! per choice:  ld rs2, B   ld rs1, A   op rd, rs1, rs2   fold rd into a running sum
//! ```
//!
//! Operands and sum lie just below 2^32, where x0 is base enough, so all sixteen registers are
//! free for the operation. No other register is reset: one that is clobbered shows in what follows.

use rivet_isa::{Format, Inst, Op, Reg, encode};

const A: i32 = -16;
const B: i32 = -24;
const SUM: i32 = -32;
/// Three words that loads and stores under test use, and where they begin to.
const CELL: i32 = -64;

/// Choices between two block starts.
const PER_BLOCK: usize = 16;

struct Code(Vec<u8>);

impl Code {
    fn put(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) {
        let inst = Inst::from_parts(op, rd, rs1, rs2, imm);
        let word = encode(inst).expect("legal operands");
        self.0.extend(word.to_le_bytes());
    }

    fn plain(&mut self, op: Op) {
        self.put(op, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
    }

    fn load(&mut self, reg: Reg, from: i32) {
        if !reg.is_zero() {
            self.put(Op::Ld, reg, Reg::ZERO, Reg::ZERO, from);
        }
    }

    fn store(&mut self, reg: Reg, to: i32) {
        self.put(Op::Sd, Reg::ZERO, Reg::ZERO, reg, to);
    }

    /// `sum = rotate(sum) ^ reg`, through a register that changes from choice to choice.
    fn fold(&mut self, reg: Reg, turn: usize) {
        let through = other(reg, turn);
        self.load(through, SUM);
        self.put(Op::Rori, through, through, Reg::ZERO, 7);
        self.put(Op::Xor, through, through, reg, 0);
        self.store(through, SUM);
    }

    /// The operation where it transfers control: over code that must not run, or changes the sum.
    fn transfer(&mut self, op: Op, [rd, rs1, rs2]: [Reg; 3], turn: usize) {
        match op {
            Op::Jal => self.put(op, rd, rs1, rs2, 8),
            Op::Jalr if rs1.is_zero() => return,
            Op::Jalr => {
                self.put(Op::Auipc, rs1, Reg::ZERO, Reg::ZERO, 0);
                let apart = turn % 2 == 1;
                if apart {
                    self.plain(Op::Fence);
                }
                self.put(op, rd, rs1, rs2, if apart { 16 } else { 12 });
            }
            _ => {
                self.put(op, rd, rs1, rs2, 20);
                let through = other(Reg::ZERO, turn);
                self.load(through, SUM);
                self.put(Op::Xori, through, through, Reg::ZERO, 1);
                self.store(through, SUM);
                self.plain(Op::Fallthrough);
                return;
            }
        }
        self.plain(Op::Trap);
    }
}

/// A register that is neither x0 nor `reg`.
fn other(reg: Reg, turn: usize) -> Reg {
    let mut all = Reg::all().cycle().skip(turn % 16);
    all.find(|r| !r.is_zero() && *r != reg)
        .expect("there are fifteen")
}

fn immediates(format: Format) -> &'static [i32] {
    match format {
        Format::I => &[0, 1, -1, 2047, -2048],
        Format::I6 => &[0, 1, 31, 32, 63],
        Format::I5 => &[0, 1, 15, 31],
        Format::U => &[0, 0x1000, i32::MIN, 0x7FFF_F000, -0x1000],
        _ => &[0],
    }
}

/// Every choice of the registers that this format has; the others stay x0.
fn choices(format: Format) -> Vec<[Reg; 3]> {
    let (rd, rs1, rs2) = match format {
        Format::R => (true, true, true),
        Format::I | Format::I6 | Format::I5 | Format::I1 => (true, true, false),
        Format::S | Format::B => (false, true, true),
        Format::U | Format::J => (true, false, false),
        Format::Sel | Format::N => (false, false, false),
    };
    let some = |has: bool| Reg::all().take(if has { 16 } else { 1 });
    let pairs = some(rd).flat_map(|d| some(rs1).map(move |a| (d, a)));
    pairs
        .flat_map(|(d, a)| some(rs2).map(move |b| [d, a, b]))
        .collect()
}

/// The operation with every choice of registers and a handful of immediates. It takes its operands
/// from t0 and t1 and halts.
pub(crate) fn every_choice(op: Op) -> Vec<u8> {
    let mut code = Code(Vec::new());
    for (reg, at) in [
        (Reg::T0, A),
        (Reg::T1, B),
        (Reg::T1, CELL),
        (Reg::T0, CELL + 8),
    ] {
        code.store(reg, at);
    }
    let memory = op.is_load() || op.is_store();
    let imms = if memory {
        &[0, 3, 8, -5][..]
    } else {
        immediates(op.format())
    };
    for (turn, [rd, rs1, rs2]) in choices(op.format()).into_iter().enumerate() {
        for &imm in imms {
            // In this order, so that one register for both is an address where one is needed.
            code.load(rs2, B);
            code.load(rs1, A);
            if memory {
                let from = if rs1.is_zero() { CELL } else { 0 };
                code.put(op, rd, rs1, rs2, from + imm);
            } else if op.flow().is_terminator() {
                code.transfer(op, [rd, rs1, rs2], turn);
            } else {
                code.put(op, rd, rs1, rs2, imm);
            }
            let result = if op.is_store() {
                let seen = other(rs2, turn + 3);
                code.load(seen, CELL);
                seen
            } else {
                rd
            };
            code.fold(result, turn);
        }
        if turn % PER_BLOCK == 0 {
            code.plain(Op::Fallthrough);
        }
    }
    code.put(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
    code.0
}

/// Addresses of the cell, clean and dirty, for operations that access memory.
pub(crate) fn addresses() -> [u64; 4] {
    let cell = CELL as u32;
    [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0001].map(|high: u64| high << 32 | u64::from(cell))
}
