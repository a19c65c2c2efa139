//! Neighbouring instructions that are cheaper together.
//!
//! A fusion writes everything that its parts would have written: whether a register is read
//! later is not known here. Its parts are computations, or computations before the transfer that
//! ends a block, so nothing in it can fault half-way; the exceptions are `Lowering::load_sum` and
//! `product::around`. Every shape has a filetest of its name. At most three instructions are
//! looked at, so that looking takes the same time for each instruction.

use rivet_isa::{CODE_BASE, Inst, J, Op, Reg};
use rivet_mutants::mutant;

use super::{Lower, Lowering, Step, Targets, carry, compare, product};
use crate::abi::hosts;
use crate::asm::{Cond, Host, Width};

/// What two neighbours may be together, by their operations alone.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    CallFar,
    ConstantPair,
    Product,
    ProductAround,
    Carry,
    LoadSum,
    Borrow,
    SetAndBranch,
    ResultAndBranch,
    Extension,
    Select,
    QuotientAndRemainder,
    LowHalf,
}

impl Shape {
    /// Whether the registers of two instructions let them be this, as far as can be said of all
    /// fusions of the shape: most neighbours of the right operations are ruled out here. Not a part
    /// of the loop that asks, because most neighbours have no shape at all.
    #[inline(never)]
    fn allows(self, first: Inst, second: Inst) -> bool {
        let reads = (second.rs1() == first.rd()) | (second.rs2() == first.rd());
        let overwrites = second.rd() == first.rd();
        let shares = second.rs2() == first.rs2();
        // No branch, as none of this can be predicted.
        (reads & self.needs_result())
            | (overwrites & matches!(self, Self::LowHalf))
            | (shares & matches!(self, Self::Select))
            | matches!(
                self,
                Self::Product | Self::ProductAround | Self::Borrow | Self::QuotientAndRemainder
            )
    }

    /// Whether the second instruction reads what the first one writes.
    #[inline(always)]
    fn needs_result(self) -> bool {
        matches!(
            self,
            Self::CallFar
                | Self::ConstantPair
                | Self::Carry
                | Self::LoadSum
                | Self::SetAndBranch
                | Self::ResultAndBranch
                | Self::Extension
        )
    }
}

const fn shape(first: Op, second: Op) -> Option<Shape> {
    Some(match (first, second) {
        (Op::Auipc, Op::Jalr) => Shape::CallFar,
        (Op::Auipc | Op::Lui, Op::Addi | Op::Addiw) => Shape::ConstantPair,
        (Op::Mulhu, Op::Mul) | (Op::Mul, Op::Mulhu) => Shape::Product,
        (Op::Mulhu | Op::Mul, _) => Shape::ProductAround,
        (Op::Add | Op::Addi, Op::Sltu) => Shape::Carry,
        (Op::Add | Op::Sh1add | Op::Sh2add | Op::Sh3add, second) if second.is_load() => {
            Shape::LoadSum
        }
        (Op::Sltu, Op::Sub) => Shape::Borrow,
        (Op::Sltu | Op::Slt | Op::Sltiu | Op::Slti, Op::Beq | Op::Bne) => Shape::SetAndBranch,
        (
            Op::Addi
            | Op::Add
            | Op::Sub
            | Op::And
            | Op::Or
            | Op::Xor
            | Op::Andi
            | Op::Slli
            | Op::Srli
            | Op::Srai,
            Op::Beq | Op::Bne | Op::Blt | Op::Bge,
        ) => Shape::ResultAndBranch,
        (Op::Slli, Op::Srli | Op::Srai) => Shape::Extension,
        (Op::CzeroEqz | Op::CzeroNez, Op::CzeroEqz | Op::CzeroNez) => Shape::Select,
        (Op::Div | Op::Divu | Op::Divw | Op::Divuw, Op::Rem | Op::Remu | Op::Remw | Op::Remuw) => {
            Shape::QuotientAndRemainder
        }
        (
            Op::Addw
            | Op::Addiw
            | Op::Subw
            | Op::Sllw
            | Op::Slliw
            | Op::Mulw
            | Op::Roriw
            | Op::Rolw
            | Op::Rorw,
            _,
        ) => Shape::LowHalf,
        _ => return None,
    })
}

/// Operations and the reserved one, up to a power of two.
const OPS: usize = 128;

/// [`shape`] of every two operations: looking it up is cheaper than finding it arm by arm.
static SHAPES: [[Option<Shape>; OPS]; Op::ALL.len() + 1] = {
    let mut shapes = [[None; OPS]; Op::ALL.len() + 1];
    let mut first = 0;
    while first < Op::ALL.len() {
        let mut second = 0;
        while second < Op::ALL.len() {
            shapes[first][second] = shape(Op::ALL[first], Op::ALL[second]);
            second += 1;
        }
        first += 1;
    }
    shapes
};

/// What the first two of `steps` may be together by their operations and registers, whether or not
/// they are of one block: few that make a shape are not, and [`fuse_as`] looks.
#[inline(always)]
pub(crate) fn fusible(steps: &[Step]) -> Option<Shape> {
    let [first, second, ..] = steps else {
        return None;
    };
    let shape = SHAPES[first.inst.op() as usize][second.inst.op() as usize];
    shape.filter(|shape| shape.allows(first.inst, second.inst))
}

/// Lowers the fusion that `steps`, the rest of a block, begin with, if they are that `shape`; says
/// how many instructions it was, 0 for none.
#[inline(never)]
pub(crate) fn fuse_as<T: Targets>(
    shape: Shape,
    this: &mut Lowering,
    steps: &[Step],
    targets: &T,
) -> usize {
    let [first, second, ..] = steps else {
        return 0;
    };
    let (a, b) = (first.inst, second.inst);
    let done = match shape {
        Shape::CallFar => return call_far(this, *first, *second, targets),
        Shape::ConstantPair => constant_pair(this, *first, b),
        Shape::Product => product::adjacent(this, a, b),
        Shape::ProductAround => return product::around(this, steps, targets),
        Shape::Carry => return carry::carry(this, steps),
        Shape::LoadSum => this.load_sum(*first, *second),
        Shape::Borrow => return carry::borrow(this, steps),
        Shape::SetAndBranch => return compare::set_and_branch(this, *first, *second, targets),
        Shape::ResultAndBranch => return compare::result_and_branch(this, a, *second, targets),
        Shape::Extension => extension(this, a, b),
        Shape::Select => return steps.get(2).map_or(0, |or| select(this, a, b, or.inst)),
        Shape::QuotientAndRemainder => super::m::quotient_and_remainder(this, a, b),
        Shape::LowHalf => {
            this.low_half = overwrites_after_low_half(b, a.rd());
            false
        }
    };
    if done { 2 } else { 0 }
}

/// Whether `inst` overwrites `reg` and depends on no more than its low 32 bits, so that those
/// need not be extended before it. It is a computation, so nobody sees the register in between.
fn overwrites_after_low_half(inst: Inst, reg: Reg) -> bool {
    if inst.rd() != reg {
        return false;
    }
    match inst.op() {
        Op::Addw | Op::Subw | Op::Sllw | Op::Srlw | Op::Sraw | Op::Mulw | Op::Rolw | Op::Rorw => {
            true
        }
        Op::Addiw | Op::Slliw | Op::Srliw | Op::Sraiw | Op::Roriw => true,
        Op::SextB | Op::SextH | Op::ZextH | Op::SlliUw => true,
        Op::Andi => inst.imm() >= 0,
        Op::AddUw | Op::Sh1addUw | Op::Sh2addUw | Op::Sh3addUw => inst.rs2() != reg,
        _ => false,
    }
}

/// The value of `lui` or `auipc`.
fn upper(step: Step) -> u64 {
    let imm = i64::from(step.inst.imm()) as u64;
    match step.inst.op() {
        Op::Auipc => (CODE_BASE + u64::from(step.pc)).wrapping_add(imm),
        _ => imm,
    }
}

/// `auipc t, hi; jalr l, lo(t)`: a direct transfer.
fn call_far<T: Targets>(this: &mut Lowering, first: Step, jump: Step, targets: &T) -> usize {
    let base = first.inst.rd();
    if base.is_zero() || jump.inst.rs1() != base {
        return 0;
    }
    let address =
        upper(first).wrapping_add(i64::from(jump.inst.imm()) as u64) & mutant!(JitFarOdd, !1, !0);
    // Only the low half of the target counts (ISA §8.2).
    let target = i64::from(address as u32) - CODE_BASE as i64;
    if jump.inst.rd() != base {
        this.constant(base, upper(first));
    }
    this.step = jump;
    let offset = target - i64::from(jump.pc);
    let mut lower = Lower::new(this, targets);
    match i32::try_from(offset) {
        Ok(imm) => lower.jump_and_link(J {
            rd: jump.inst.rd(),
            imm,
        }),
        // Further away than any offset of code.
        Err(_) => lower.jump_and_link(J {
            rd: jump.inst.rd(),
            imm: i32::MIN,
        }),
    }
    2
}

/// `lui` or `auipc`, then `addi` or `addiw` of its result: constants.
fn constant_pair(this: &mut Lowering, first: Step, add: Inst) -> bool {
    let base = first.inst.rd();
    if base.is_zero() || add.rs1() != base {
        return false;
    }
    let sum = upper(first).wrapping_add(i64::from(add.imm()) as u64);
    let sum = if add.op() == Op::Addiw {
        i64::from(sum as i32) as u64
    } else {
        sum
    };
    if mutant!(JitFusedFirstLost, add.rd() != base, false) {
        this.constant(base, upper(first));
    }
    this.constant(add.rd(), sum);
    true
}

/// `slli t, a, n; srli d, t, n` where t = d: the low bits of a register.
fn extension(this: &mut Lowering, left: Inst, right: Inst) -> bool {
    let amount = left.imm();
    if left.rd() != right.rd() || right.rs1() != left.rd() || right.imm() != amount {
        return false;
    }
    let Some([d, a]) = hosts([right.rd(), left.rs1()]) else {
        return false;
    };
    match (right.op(), amount) {
        (Op::Srli, 32) => this.asm.mov(Width::W32, d, a),
        (Op::Srli, 48) if mutant!(JitFusedExtension, true, false) => this.asm.movzx16(d, a),
        (Op::Srli, 48) => this.asm.movsx16(d, a),
        (Op::Srli, 56) => this.asm.movzx8(d, a),
        (Op::Srai, 32) => this.asm.movsxd(d, a),
        (Op::Srai, 48) => this.asm.movsx16(d, a),
        (Op::Srai, 56) => this.asm.movsx8(d, a),
        _ => return false,
    }
    true
}

/// `czero.eqz x, a, c; czero.nez y, b, c; or d, x, y` where d is x or y: a conditional move.
fn select(this: &mut Lowering, first: Inst, second: Inst, or: Inst) -> usize {
    let (x, y, c) = (first.rd(), second.rd(), first.rs2());
    let joins = or.op() == Op::Or
        && ((or.rs1(), or.rs2()) == (x, y) || (or.rs1(), or.rs2()) == (y, x))
        && (or.rd() == x || or.rd() == y);
    let opposite = first.op() != second.op() && second.rs2() == c;
    // The second half must read what the first one has not written.
    if !joins || !opposite || x == y || x == c || x == second.rs1() {
        return 0;
    }
    let Some([x, y, a, b, c]) = hosts([x, y, first.rs1(), second.rs1(), c]) else {
        return 0;
    };
    let (keeps_a, keeps_b) = match first.op() {
        Op::CzeroEqz => (Cond::NotEqual, Cond::Equal),
        _ => (Cond::Equal, Cond::NotEqual),
    };
    let asm = &mut this.asm;
    asm.zero(Host::RDX);
    asm.test(Width::W64, c, c);
    asm.mov(Width::W64, x, a);
    asm.mov(Width::W64, y, b);
    if or.rd() == second.rd() {
        asm.cmov(keeps_a, y, x);
        asm.cmov(keeps_b, x, Host::RDX);
    } else {
        asm.cmov(keeps_b, x, y);
        asm.cmov(keeps_a, y, Host::RDX);
    }
    3
}
