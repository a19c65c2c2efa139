//! Relocations behind alignment in code, put back where they belong.
//!
//! Aligned code is assembled with as many no-ops as could be needed, and the linker removes what
//! is too much, even with `--no-relax`. But lld then writes the relocations out with the offsets
//! of the object file, too high by the bytes removed before them in their section:
//!
//! ```text
//! object   jr  nop nop nop  table: …   call f        CALL_PLT at the call
//! linked   jr  nop nop      table: …   call f        CALL_PLT two bytes behind the call
//! ```
//!
//! With relaxation, and by other linkers, offsets are right. So for every group of relocations at
//! one address the possible corrections are tried, and the one under which the group reproduces
//! the linked bytes is taken. A group that fits nowhere stays, and is refused where it is used.

use rivet_isa::{Flow, Format, Len, Op};

use crate::data_refs::{load, mask};
use crate::elf::reloc::{Action, Kind, Reloc, Term, Width};
use crate::error::Site;
use crate::pair::{high_part, low_part};
use crate::program::Program;
use crate::text::Spot;

/// More possible corrections than this are not followed.
const MAX_CANDIDATES: usize = 16;

/// The relocations of a code section, corrected.
pub(crate) fn correct(program: &Program<'_>, ordinal: usize, relocs: Vec<Reloc>) -> Vec<Reloc> {
    if relocs.iter().all(|reloc| reloc.kind != Kind::ALIGN) {
        return relocs;
    }
    let fitter = Fitter { program, ordinal };
    let mut corrected = Vec::with_capacity(relocs.len());
    // What may have been removed before here in the input section that the group belongs to; a
    // new section begins with nothing.
    let mut candidates = vec![0];
    for group in relocs.chunk_by(|a, b| a.address == b.address) {
        let fitting: Vec<u64> = candidates
            .iter()
            .copied()
            .chain([0])
            .filter(|&removed| fitter.fits(group, removed))
            .collect();
        let removed = fitting.first().copied().unwrap_or(0);
        if !fitting.is_empty() {
            candidates = fitting;
        }
        for reloc in group {
            let address = reloc.address.wrapping_sub(removed);
            corrected.push(Reloc { address, ..*reloc });
            if reloc.kind == Kind::ALIGN {
                candidates = after_alignment(&candidates, reloc);
            }
        }
    }
    corrected
}

/// What may have been removed once the no-ops of an alignment are behind.
fn after_alignment(candidates: &[u64], reloc: &Reloc) -> Vec<u64> {
    let no_ops = u64::try_from(reloc.addend).unwrap_or(0).min(1 << 20);
    let align = (no_ops + 2).next_power_of_two();
    let mut next = Vec::new();
    for &removed in candidates.iter().chain(&[0]) {
        let at = reloc.address.wrapping_sub(removed);
        let needed = at.wrapping_neg() % align;
        let removed_here = no_ops.saturating_sub(needed);
        for candidate in [removed + removed_here, removed] {
            if !next.contains(&candidate) && next.len() < MAX_CANDIDATES {
                next.push(candidate);
            }
        }
    }
    next
}

struct Fitter<'p, 'a> {
    program: &'p Program<'a>,
    ordinal: usize,
}

impl Fitter<'_, '_> {
    /// Whether a group of relocations reproduces what is `removed` bytes before its address.
    fn fits(&self, group: &[Reloc], removed: u64) -> bool {
        let address = group[0].address.wrapping_sub(removed);
        match self.program.text.spot(self.ordinal, address) {
            Spot::Inst(inst) => group.iter().all(|reloc| self.fits_inst(inst, reloc)),
            Spot::Embedded(at) => self.fits_word(group, address, at),
            _ => group.iter().all(|reloc| is_remark(reloc.kind)),
        }
    }

    fn value(&self, reloc: &Reloc) -> Option<u64> {
        let resolved = self.program.resolve(reloc, Site::default).ok()?;
        (!resolved.missing).then_some(resolved.value)
    }

    fn fits_inst(&self, inst: u32, reloc: &Reloc) -> bool {
        let one = &self.program.text.insts[inst as usize];
        let address = self.program.text.address(inst);
        let (op, imm, four) = (one.inst.op(), one.inst.imm(), one.len == Len::Four);
        let value = || self.value(reloc);
        // What nothing defines has no value to compare with.
        let is = |expected: Option<i32>| expected.is_none_or(|expected| expected == imm);
        match reloc.kind.action() {
            Action::Call | Action::PcHigh => {
                let part = value().map(|value| high_part(value.wrapping_sub(address)));
                op == Op::Auipc && is(part)
            }
            Action::GotHigh => op == Op::Auipc,
            Action::AbsHigh => op == Op::Lui && four && is(value().map(high_part)),
            Action::PcLow => four && matches!(op.format(), Format::I | Format::S),
            Action::AbsLow => {
                let place = four && matches!(op.format(), Format::I | Format::S);
                place && is(value().map(low_part))
            }
            Action::Direct => {
                let target = address.wrapping_add_signed(imm.into());
                let branch = matches!(one.inst.flow(), Flow::Branch | Flow::Jump);
                branch && value().is_none_or(|value| value == target)
            }
            _ => is_remark(reloc.kind),
        }
    }

    /// Whether the terms of a group add up to the word of embedded data at linear offset `at`.
    fn fits_word(&self, group: &[Reloc], address: u64, at: u32) -> bool {
        let (mut sum, mut shape) = (0u64, None);
        for reloc in group.iter().filter(|reloc| !is_remark(reloc.kind)) {
            let Some(value) = self.value(reloc) else {
                return false;
            };
            let (width, term) = match reloc.kind.action() {
                Action::Word(bytes) => (Width::Bytes(bytes), value),
                Action::Distance(bytes) => (Width::Bytes(bytes), value.wrapping_sub(address)),
                Action::Sum(part) if part.term == Term::Sub => (part.width, value.wrapping_neg()),
                Action::Sum(part) => (part.width, value),
                _ => return false,
            };
            sum = sum.wrapping_add(term);
            shape = Some(width);
        }
        let Some(width) = shape else { return true };
        let bytes = self.program.text.bytes.get(at as usize..).unwrap_or(&[]);
        load(bytes, width) == Some(mask(sum, width))
    }
}

/// Whether a relocation only says something about relaxation.
fn is_remark(kind: Kind) -> bool {
    matches!(kind.action(), Action::Ignore | Action::Relax)
}
