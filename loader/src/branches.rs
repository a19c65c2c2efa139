//! Branches and direct jumps, found by decoding.

use rivet_isa::Flow;

use crate::code_refs::misplaced;
use crate::elf::reloc::Reloc;
use crate::error::LinkError;
use crate::program::Program;
use crate::text::Spot;

/// A pc-relative jump or branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch {
    pub(crate) inst: u32,
    /// Index of the instruction it goes to.
    pub(crate) target: u32,
}

/// Every branch and direct jump, its target found in its own bits and checked against its
/// relocation if it has one.
pub(crate) fn branches(
    program: &Program<'_>,
    relocated: &mut [(u32, u64, Reloc)],
) -> Result<Vec<Branch>, LinkError> {
    relocated.sort_by_key(|&(inst, ..)| inst);
    let mut relocated = relocated.iter().peekable();
    let mut branches = Vec::new();
    for (ordinal, code) in program.text.sections.iter().enumerate() {
        for inst in code.insts.0..code.insts.1 {
            let one = &program.text.insts[inst as usize];
            if !matches!(one.inst.flow(), Flow::Branch | Flow::Jump) {
                if let Some((_, _, reloc)) = relocated.next_if(|&&(at, ..)| at == inst) {
                    return Err(misplaced(program.inst_site(inst), reloc));
                }
                continue;
            }
            let address = program.text.address_of(ordinal, one.at);
            let target = address.wrapping_add_signed(one.inst.imm().into());
            while let Some(&(_, value, reloc)) = relocated.next_if(|&&(at, ..)| at == inst) {
                if value != target {
                    return Err(LinkError::RelocationMismatch {
                        at: Box::new(program.inst_site(inst)),
                        kind: reloc.kind,
                        target: program.target_name(&reloc),
                        expected: value,
                        found: target,
                    });
                }
            }
            branches.push(Branch {
                inst,
                target: branch_target(program, inst, target)?,
            });
        }
    }
    Ok(branches)
}

fn branch_target(program: &Program<'_>, inst: u32, address: u64) -> Result<u32, LinkError> {
    let text = &program.text;
    let spot = text
        .section_at(address, None)
        .map(|ordinal| text.spot(ordinal, address));
    let site = || Box::new(program.inst_site(inst));
    let target = || format!("address {address:#x}");
    match spot {
        Some(Spot::Inst(index)) => Ok(index),
        Some(Spot::Inside) => Err(LinkError::InsideInstruction {
            at: site(),
            target: target(),
        }),
        _ => Err(LinkError::TargetNotCode {
            at: site(),
            target: target(),
        }),
    }
}
