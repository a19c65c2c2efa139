//! Templates of two-operand arithmetic that several instructions share.

use crate::asm::{Alu, Asm, Cond, F7, Host, Shift, Width};
use rivet_mutants::mutant;

/// `d = a + b`, in 32-bit width with the upper half cleared.
pub(super) fn add(asm: &mut Asm, width: Width, d: Host, a: Host, b: Host) {
    if d == a {
        asm.alu(width, Alu::Add, d, b);
    } else if d == b {
        asm.alu(width, Alu::Add, d, a);
    } else if a == Host::RBP || a == Host::R13 {
        // As a base these two would cost a byte more.
        asm.lea_index(width, d, b, a, 0);
    } else {
        asm.lea_index(width, d, a, b, 0);
    }
}

/// `d = a - b`.
pub(super) fn sub(asm: &mut Asm, width: Width, d: Host, a: Host, b: Host) {
    if d == a {
        asm.alu(width, Alu::Sub, d, b);
    } else if d == b {
        if mutant!(JitSubAlias, true, false) {
            asm.unary(width, F7::Neg, d);
            asm.alu(width, Alu::Add, d, a);
        } else {
            asm.alu(width, Alu::Sub, d, a);
        }
    } else {
        asm.mov(width, d, a);
        asm.alu(width, Alu::Sub, d, b);
    }
}

/// `d = a + imm`.
pub(super) fn add_imm(asm: &mut Asm, width: Width, d: Host, a: Host, imm: i32) {
    if d == a {
        asm.alu_imm(width, Alu::Add, d, imm);
    } else {
        asm.lea(width, d, a, imm);
    }
}

/// `d = a op b` for a commutative operation.
pub(super) fn logic(asm: &mut Asm, op: Alu, d: Host, a: Host, b: Host) {
    if d == b {
        asm.alu(Width::W64, op, d, a);
    } else {
        asm.mov(Width::W64, d, a);
        asm.alu(Width::W64, op, d, b);
    }
}

/// `d = a shifted by amount`, in 32-bit width with the upper half cleared.
pub(super) fn shift_imm(asm: &mut Asm, width: Width, op: Shift, d: Host, a: Host, amount: u8) {
    if op == Shift::Shl && amount == 1 {
        add(asm, width, d, a, a);
    } else if amount == 0 {
        asm.mov(width, d, a);
    } else {
        shift_imm_flags(asm, width, op, d, a, amount);
    }
}

/// The same for an amount other than zero, with sign and zero flags set by the result.
pub(super) fn shift_imm_flags(
    asm: &mut Asm,
    width: Width,
    op: Shift,
    d: Host,
    a: Host,
    amount: u8,
) {
    if d != a {
        asm.mov(width, d, a);
    }
    asm.shift_imm(width, op, d, amount);
}

/// `d = cond after compare ? 1 : 0`, where `compare` reads `sources`.
pub(super) fn set_after(
    asm: &mut Asm,
    cond: Cond,
    d: Host,
    sources: [Host; 2],
    compare: impl FnOnce(&mut Asm),
) {
    if sources.contains(&d) {
        compare(asm);
        asm.set(cond, d);
        asm.movzx8(d, d);
    } else {
        asm.zero(d);
        compare(asm);
        asm.set(cond, d);
    }
}

pub(super) fn set_if_imm(asm: &mut Asm, cond: Cond, d: Host, a: Host, imm: i32) {
    if imm == 1 && cond == Cond::Below {
        return set_after(asm, Cond::Equal, d, [a, a], |asm| {
            asm.test(Width::W64, a, a)
        });
    }
    set_after(asm, cond, d, [a, a], |asm| {
        asm.alu_imm(Width::W64, Alu::Cmp, a, imm)
    });
}
