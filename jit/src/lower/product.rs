//! Both halves of a product from one multiplication.
//!
//! ```text
//!   mul   l, a, b            mov  rdx, a
//!   …                        mulx rdx, l, b        the other half waits in rdx
//!   mulhu h, a, b            …
//!                            mov  h, rdx
//! ```
//!
//! Between the halves one instruction may stand that leaves the factors and rdx alone. It may be
//! an access: where it faults, the first half is written and the second is not, and rdx survives
//! the fault for when the access is repeated.

use rivet_isa::{Inst, Op, Reg};
use rivet_mutants::mutant;

use super::{Lowering, Step, Targets};
use crate::abi::hosts;
use crate::asm::{Host, Width};

/// Whether `first` and `second` are the two halves of one product, and the second still finds
/// the factors of the first.
fn halves(first: Inst, second: Inst) -> bool {
    let ops = matches!(
        (first.op(), second.op()),
        (Op::Mulhu, Op::Mul) | (Op::Mul, Op::Mulhu)
    );
    let same = (first.rs1(), first.rs2()) == (second.rs1(), second.rs2())
        || (first.rs1(), first.rs2()) == (second.rs2(), second.rs1());
    let clobbers = factors(first).contains(&first.rd());
    ops && same && !mutant!(JitFusedClobber, clobbers, false)
}

fn factors(inst: Inst) -> [Reg; 2] {
    [inst.rs1(), inst.rs2()]
}

/// `mulhu h, a, b; mul l, a, b` in either order. Says whether it is that.
pub(super) fn adjacent(this: &mut Lowering, first: Inst, second: Inst) -> bool {
    if !halves(first, second) || first.rd() == second.rd() {
        return false;
    }
    let Some([x, y, a, b]) = hosts([first.rd(), second.rd(), first.rs1(), first.rs2()]) else {
        return false;
    };
    let (high, low) = if first.op() == Op::Mulhu {
        (x, y)
    } else {
        (y, x)
    };
    this.asm.mov(Width::W64, Host::RDX, a);
    this.asm.mulx(high, low, b);
    true
}

/// The same with an instruction in between. Says how many instructions it was.
pub(super) fn around<T: Targets>(this: &mut Lowering, steps: &[Step], targets: &T) -> usize {
    let [first, between, second, ..] = steps else {
        return 0;
    };
    let (one, two) = (first.inst, second.inst);
    if !halves(one, two) || !keeps(between.inst, factors(one)) {
        return 0;
    }
    let Some([x, y, a, b]) = hosts([one.rd(), two.rd(), one.rs1(), one.rs2()]) else {
        return 0;
    };
    this.asm.mov(Width::W64, Host::RDX, a);
    if one.op() == Op::Mul {
        this.asm.mulx(Host::RDX, x, b);
    } else {
        this.asm.mulx(x, Host::RDX, b);
    }
    this.lower(*between, targets);
    this.asm.mov(Width::W64, y, Host::RDX);
    3
}

/// Whether the template of `inst` leaves rdx alone, and its result is none of `factors`.
fn keeps(inst: Inst, factors: [Reg; 2]) -> bool {
    let (rd, rs1, rs2) = (inst.rd(), inst.rs1(), inst.rs2());
    let op = inst.op();
    if op.is_store() {
        // A zero is stored as an immediate.
        return mutant!(JitProductScratch, hosts([rs1]).is_some(), true)
            && (rs2.is_zero() || hosts([rs2]).is_some());
    }
    let operands = match op {
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor => hosts([rd, rs1, rs2]).is_some(),
        Op::Addi | Op::Slli | Op::Srli | Op::Srai => hosts([rd, rs1]).is_some(),
        op => op.is_load() && hosts([rd, rs1]).is_some(),
    };
    operands && !factors.contains(&rd)
}
