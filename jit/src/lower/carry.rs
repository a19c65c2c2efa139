//! Carries and borrows: the comparison after an addition or before a subtraction that asks what
//! the hardware's carry flag knows already.
//!
//! ```text
//!   add  d, a, b        add  d, b             add  d, a, b       mov  d, a
//!   sltu c, d, a        set  c                sltu c, d, a       add  d, b
//!                                             add  c, c, x       mov  c, x
//!                                                                adc  c, 0
//! ```
//!
//! and the same with `sltu c, a, b; sub d, a, b; sub c, x, c`.

use rivet_isa::{Op, Reg};

use super::{Lowering, Step};
use crate::abi::hosts;
use crate::asm::{Alu, Asm, Cond, Host, Width};

/// Sets `c` to the carry of what `body` computes from `used` registers, all it reads or writes.
fn carry_of(asm: &mut Asm, c: Host, used: [Host; 3], body: impl FnOnce(&mut Asm)) {
    if used.contains(&c) {
        body(asm);
        asm.mov_imm(c, 0);
    } else {
        asm.zero(c);
        body(asm);
    }
    asm.set(Cond::Below, c);
}

/// The register that `third` adds to (with `Op::Add`) or takes from itself (`Op::Sub`: subtracts
/// `c` from) to make a new `c`, of which nothing else is left then.
fn absorbed(third: Option<&Step>, op: Op, c: Reg) -> Option<Host> {
    let inst = third?.inst;
    if inst.op() != op || inst.rd() != c {
        return None;
    }
    let other = match (inst.rs1() == c, inst.rs2() == c) {
        (true, false) if op == Op::Add => inst.rs2(),
        (false, true) => inst.rs1(),
        _ => return None,
    };
    hosts([other]).map(|[host]| host)
}

/// `add d, a, b` or `addi d, a, n`, then `sltu c, d, x` with x one of the summands. Says how many
/// instructions it was.
pub(super) fn carry(this: &mut Lowering, steps: &[Step]) -> usize {
    let (add, set) = (steps[0].inst, steps[1].inst);
    let immediate = add.op() == Op::Addi;
    let summand = set.rs2() == add.rs1() || !immediate && set.rs2() == add.rs2();
    if set.rs1() != add.rd() || !summand || set.rs2() == add.rd() {
        return 0;
    }
    let second = if immediate { add.rs1() } else { add.rs2() };
    let Some([c, d, a, b]) = hosts([set.rd(), add.rd(), add.rs1(), second]) else {
        return 0;
    };
    let sum = |asm: &mut Asm| {
        let (keep, other) = if d == b { (b, a) } else { (a, b) };
        asm.mov(Width::W64, d, keep);
        if immediate {
            asm.alu_imm(Width::W64, Alu::Add, d, add.imm());
        } else {
            asm.alu(Width::W64, Alu::Add, d, other);
        }
    };
    if let Some(x) = absorbed(steps.get(2), Op::Add, set.rd()) {
        sum(&mut this.asm);
        this.asm.mov(Width::W64, c, x);
        this.asm.alu_imm(Width::W64, Alu::Adc, c, 0);
        return 3;
    }
    carry_of(&mut this.asm, c, [d, a, b], sum);
    2
}

/// `sltu c, a, b; sub d, a, b`. Says how many instructions it was.
pub(super) fn borrow(this: &mut Lowering, steps: &[Step]) -> usize {
    let (set, sub) = (steps[0].inst, steps[1].inst);
    let same = (set.rs1(), set.rs2()) == (sub.rs1(), sub.rs2());
    let clobbers = set.rd() == set.rs1() || set.rd() == set.rs2() || set.rd() == sub.rd();
    let Some([c, d, a, b]) = hosts([set.rd(), sub.rd(), sub.rs1(), sub.rs2()]) else {
        return 0;
    };
    if !same || clobbers || d == b {
        return 0;
    }
    let difference = |asm: &mut Asm| {
        asm.mov(Width::W64, d, a);
        asm.alu(Width::W64, Alu::Sub, d, b);
    };
    if let Some(x) = absorbed(steps.get(2), Op::Sub, set.rd()) {
        difference(&mut this.asm);
        this.asm.mov(Width::W64, c, x);
        this.asm.alu_imm(Width::W64, Alu::Sbb, c, 0);
        return 3;
    }
    carry_of(&mut this.asm, c, [d, a, b], difference);
    2
}
