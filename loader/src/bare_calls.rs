//! Calls that the assembler resolved by itself: `auipc` and `jalr` without relocation.
//!
//! With `-mno-relax`, which is what Rust does by default, a function that calls itself has no
//! relocation for it. Of all unrelocated `auipc`s this is the one whose meaning the code alone
//! tells: the pair is a jump to a place in the same section, provided that nothing enters between
//! the two and that nothing reads the register afterwards. The link register of a call is written
//! by the call; t1 is what tail calls are made through, and no calling convention passes it.

use rivet_isa::{Inst, Len, Op, Reg};

use crate::code_refs::{Base, Fix};
use crate::program::{Program, Target};
use crate::text::Spot;

/// The fixes of every such call: the `auipc`, then the `jalr`. `fixes` are those made by
/// relocations, by instruction.
pub(crate) fn find(program: &Program<'_>, fixes: &[(u32, Fix)]) -> Vec<(u32, Fix)> {
    let text = &program.text;
    let mut found = Vec::new();
    if program.object.relocations.is_empty() {
        // Whatever was relocated has been lost, so nothing can be concluded.
        return found;
    }
    let mut fixes = fixes.iter().map(|&(inst, _)| inst).peekable();
    for (ordinal, code) in text.sections.iter().enumerate() {
        for inst in code.insts.0..code.insts.1 {
            let has_fix = fixes.next_if_eq(&inst).is_some();
            let next = inst + 1;
            let auipc = &text.insts[inst as usize];
            if has_fix || auipc.inst.op() != Op::Auipc || next >= code.insts.1 {
                continue;
            }
            let jump = &text.insts[next as usize];
            let adjacent = jump.at == auipc.at + auipc.size() && jump.len == Len::Four;
            if !adjacent || fixes.peek() == Some(&next) || !is_call(auipc.inst, jump.inst) {
                continue;
            }
            let distance = i64::from(auipc.inst.imm()) + i64::from(jump.inst.imm());
            let address = text.address_of(ordinal, auipc.at);
            let address = address.wrapping_add_signed(distance);
            if let Spot::Inst(target) = text.spot(ordinal, address) {
                let (base, target) = (Base::Pc, Target::Inst(target));
                let missing = false;
                found.push((
                    inst,
                    Fix::High {
                        base,
                        target,
                        missing,
                    },
                ));
                found.push((next, Fix::Low { high: inst }));
            }
        }
    }
    found
}

fn is_call(auipc: Inst, jump: Inst) -> bool {
    let register = auipc.rd();
    let through = jump.op() == Op::Jalr && jump.rs1() == register && !register.is_zero();
    let call = jump.rd() == register;
    let tail_call = jump.rd().is_zero() && register == Reg::T1;
    through && (call || tail_call)
}
