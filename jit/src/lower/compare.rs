//! Branches on what the instruction before has just computed.
//!
//! ```text
//!   slt  t, a, b         cmp  a, b             addi t, t, -1      add  t, -1
//!   bnez t, target       set  t                bnez t, target     jne  target
//!                        jl   target
//! ```

use rivet_isa::{Inst, Op, Reg};

use super::alu::{logic, shift_imm_flags, sub};
use super::{Lower, Lowering, Step, Targets};
use crate::abi::hosts;
use crate::asm::{Alu, Cond, Shift, Width};

/// The condition on the sign and zero flags under which `jump` is taken, if it compares `tested`
/// with zero.
fn condition(jump: Inst, tested: Reg) -> Option<Cond> {
    let pair = (jump.rs1(), jump.rs2());
    match jump.op() {
        Op::Beq | Op::Bne if pair == (tested, Reg::ZERO) || pair == (Reg::ZERO, tested) => {
            Some(if jump.op() == Op::Beq {
                Cond::Equal
            } else {
                Cond::NotEqual
            })
        }
        Op::Blt if pair == (tested, Reg::ZERO) => Some(Cond::Sign),
        Op::Bge if pair == (tested, Reg::ZERO) => Some(Cond::NotSign),
        _ => None,
    }
}

/// Ends a fusion with the jump of `branch`, the flags being set.
fn jump<T: Targets>(this: &mut Lowering, branch: Step, cond: Cond, targets: &T) {
    this.step = branch;
    let target = i64::from(branch.pc) + i64::from(branch.inst.imm());
    Lower::new(this, targets).jump_if(cond, target);
}

/// `slt t, a, b; bnez t, target` and the like: one comparison.
pub(super) fn set_and_branch<T: Targets>(
    this: &mut Lowering,
    first: Step,
    branch: Step,
    targets: &T,
) -> usize {
    let set = first.inst;
    let Some(taken) = condition(branch.inst, set.rd()) else {
        return 0;
    };
    let immediate = matches!(set.op(), Op::Slti | Op::Sltiu);
    let second = if immediate { set.rs1() } else { set.rs2() };
    let Some([d, a, b]) = hosts([set.rd(), set.rs1(), second]) else {
        return 0;
    };
    let (less, not_less) = match set.op() {
        Op::Slt | Op::Slti => (Cond::Less, Cond::GreaterEqual),
        _ => (Cond::Below, Cond::AboveEqual),
    };
    let apart = d != a && d != b;
    if apart {
        this.asm.zero(d);
    }
    if immediate {
        this.asm.alu_imm(Width::W64, Alu::Cmp, a, set.imm());
    } else {
        this.asm.alu(Width::W64, Alu::Cmp, a, b);
    }
    if !apart {
        this.asm.mov_imm(d, 0);
    }
    this.asm.set(less, d);
    let cond = if taken == Cond::NotEqual {
        less
    } else {
        not_less
    };
    jump(this, branch, cond, targets);
    2
}

/// `addi t, t, n; bnez t, target` and the like: the flags of the result, without a test.
pub(super) fn result_and_branch<T: Targets>(
    this: &mut Lowering,
    first: Inst,
    branch: Step,
    targets: &T,
) -> usize {
    let Some(cond) = condition(branch.inst, first.rd()) else {
        return 0;
    };
    if !result_with_flags(this, first) {
        return 0;
    }
    jump(this, branch, cond, targets);
    2
}

/// Lowers `inst` so that the last host instruction sets the sign and zero flags by its 64-bit
/// result. Says whether there is such a form that is no longer than the usual one.
fn result_with_flags(this: &mut Lowering, inst: Inst) -> bool {
    let immediate = inst.op().format() != rivet_isa::Format::R;
    let second = if immediate { inst.rs1() } else { inst.rs2() };
    let Some([d, a, b]) = hosts([inst.rd(), inst.rs1(), second]) else {
        return false;
    };
    let (asm, imm) = (&mut this.asm, inst.imm());
    match inst.op() {
        Op::Addi if d == a && imm != 0 => asm.alu_imm(Width::W64, Alu::Add, d, imm),
        Op::Add if d == a => asm.alu(Width::W64, Alu::Add, d, b),
        Op::Add if d == b => asm.alu(Width::W64, Alu::Add, d, a),
        Op::Sub => sub(asm, Width::W64, d, a, b),
        Op::And => logic(asm, Alu::And, d, a, b),
        Op::Or => logic(asm, Alu::Or, d, a, b),
        Op::Xor => logic(asm, Alu::Xor, d, a, b),
        // A mask without sign: the result is not negative in either width.
        Op::Andi if imm >= 0 => {
            if d != a {
                asm.mov(Width::W32, d, a);
            }
            asm.alu_imm(Width::W32, Alu::And, d, imm);
        }
        Op::Andi => {
            asm.mov(Width::W64, d, a);
            asm.alu_imm(Width::W64, Alu::And, d, imm);
        }
        Op::Slli if imm != 0 => shift_imm_flags(asm, Width::W64, Shift::Shl, d, a, imm as u8),
        Op::Srli if imm != 0 => shift_imm_flags(asm, Width::W64, Shift::Shr, d, a, imm as u8),
        Op::Srai if imm != 0 => shift_imm_flags(asm, Width::W64, Shift::Sar, d, a, imm as u8),
        _ => return false,
    }
    true
}
