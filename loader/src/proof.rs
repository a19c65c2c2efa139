//! Proof on the output: what `emit` made is compared with the source through other means than
//! those that made it.
//!
//! The source bytes are decoded again and their targets computed as the machine would have at the
//! old addresses; the new bytes are decoded and theirs computed at the new ones; the address map
//! must lead from the one to the other. Block starts come from the walk over the new bytes alone.

use rivet_isa::{BlockStarts, Inst, Len, Op, Pc, decode};

use crate::code_refs::{Base, Fix};
use crate::data_refs::{load, mask};
use crate::elf::reloc::Width;
use crate::emit::Moved;
use crate::error::{LinkError, Rule, Site};
use crate::map::AddressMap;
use crate::pair::{high_part, low_part};
use crate::place::{Form, Placed, inverted};
use crate::program::Target;

/// The output to be proven.
pub(crate) struct Output<'o> {
    pub(crate) code: &'o [u8],
    pub(crate) map: &'o AddressMap,
    pub(crate) sections: &'o [Option<Vec<u8>>],
    pub(crate) embedded: &'o [Vec<u8>],
    /// Names and offsets of endpoints.
    pub(crate) endpoints: &'o [(String, Pc)],
}

/// Checks every rule; the first that does not hold is the error.
pub(crate) fn check(moved: &Moved<'_, '_>, output: &Output<'_>) -> Result<(), LinkError> {
    let proof = Proof {
        moved,
        output,
        starts: BlockStarts::scan(output.code),
    };
    proof.instructions()?;
    proof.references()?;
    proof.words()?;
    for (name, pc) in output.endpoints {
        if !proof.starts.contains(*pc) {
            let symbol = Some(name.clone());
            let site = Site {
                section: "endpoint".into(),
                symbol,
                ..Site::default()
            };
            return Err(failed(site, Rule::Start));
        }
    }
    Ok(())
}

struct Proof<'p, 'a, 'o> {
    moved: &'p Moved<'p, 'a>,
    output: &'p Output<'o>,
    starts: BlockStarts,
}

fn failed(at: Site, rule: Rule) -> LinkError {
    LinkError::Proof {
        at: Box::new(at),
        rule,
    }
}

impl Proof<'_, '_, '_> {
    fn fail<T>(&self, inst: u32, rule: Rule) -> Result<T, LinkError> {
        Err(failed(self.moved.program.inst_site(inst), rule))
    }

    /// Walks source and output side by side.
    fn instructions(&self) -> Result<(), LinkError> {
        let text = &self.moved.program.text;
        let placement = self.moved.placement;
        let mut branches = placement.branches.iter().peekable();
        let mut fixes = self.moved.refs.fixes.iter().peekable();
        let mut at = 0usize;
        for (index, one) in text.insts.iter().enumerate() {
            let inst = index as u32;
            if placement.inserted[index] {
                let new = self.next(inst, &mut at)?;
                if new.0.op() != Op::Fallthrough {
                    return self.fail(inst, Rule::Walk);
                }
            }
            if at as u64 != self.moved.pc(inst).value() {
                return self.fail(inst, Rule::Walk);
            }
            if let Some(placed) = branches.next_if(|placed| placed.branch.inst == inst) {
                self.branch(placed, &mut at)?;
                continue;
            }
            let from = at;
            let (new, len) = self.next(inst, &mut at)?;
            if fixes.next_if(|&&(fixed, _)| fixed == inst).is_some() {
                let same = new.op() == one.inst.op()
                    && new.rd() == one.inst.rd()
                    && new.rs1() == one.inst.rs1()
                    && new.rs2() == one.inst.rs2();
                if !same || len != one.len {
                    return self.fail(inst, Rule::Moved);
                }
            } else if self.output.code.get(from..at) != Some(text.source(inst)) {
                return self.fail(inst, Rule::Unmoved);
            }
        }
        if at != self.output.code.len() || self.starts.end().value() != at as u64 {
            return self.fail(text.insts.len().saturating_sub(1) as u32, Rule::Walk);
        }
        Ok(())
    }

    fn next(&self, inst: u32, at: &mut usize) -> Result<(Inst, Len), LinkError> {
        let Some(new) = decode(self.output.code, *at) else {
            return self.fail(inst, Rule::Walk);
        };
        *at += new.len.bytes() as usize;
        Ok((new.inst, new.len))
    }

    /// A branch in any form goes where its source went, under the same condition, and leaves the
    /// same link behind.
    fn branch(&self, placed: &Placed, at: &mut usize) -> Result<(), LinkError> {
        let inst = placed.branch.inst;
        let program = self.moved.program;
        let source = program.text.insts[inst as usize].inst;
        let old_target = program
            .text
            .address(inst)
            .wrapping_add_signed(source.imm().into());
        let from = *at as i64;
        let (first, len) = self.next(inst, at)?;
        let same_operands = first.rs1() == source.rs1() && first.rs2() == source.rs2();
        let (target, same) = match placed.form {
            Form::Short | Form::Word => {
                let same = first.op() == source.op() && first.rd() == source.rd();
                let len_fits = (len == Len::Two) == (placed.form == Form::Short);
                (
                    from + i64::from(first.imm()),
                    same && same_operands && len_fits,
                )
            }
            Form::Around => {
                let (second, _) = self.next(inst, at)?;
                let same = inverted(source.op()) == Some(first.op())
                    && first.imm() == 8
                    && second.op() == Op::Jal
                    && second.rd().is_zero();
                (
                    from + 4 + i64::from(second.imm()),
                    same && same_operands && len == Len::Four,
                )
            }
            Form::Far => {
                let (second, _) = self.next(inst, at)?;
                let same = source.op() == Op::Jal
                    && first.op() == Op::Auipc
                    && second.op() == Op::Jalr
                    && [first.rd(), second.rs1(), second.rd()] == [source.rd(); 3]
                    && !source.rd().is_zero();
                (
                    from + i64::from(first.imm()) + i64::from(second.imm()),
                    same,
                )
            }
        };
        if !same {
            return self.fail(inst, Rule::Moved);
        }
        let new = self.output.map.to_new(old_target);
        if new.and_then(|pc| i64::try_from(pc.value()).ok()) != Some(target) {
            return self.fail(inst, Rule::Moved);
        }
        if self.starts.contains(Pc::new(target as u64)) {
            Ok(())
        } else {
            self.fail(inst, Rule::Start)
        }
    }

    /// Where a target must be now, by the address map where it covers it.
    fn expected(&self, target: Target) -> Option<u64> {
        let program = self.moved.program;
        match target {
            Target::Inst(inst) => self
                .output
                .map
                .to_new(program.text.address(inst))
                .map(Pc::address),
            _ => Some(self.moved.address(target)),
        }
    }

    fn immediate(&self, inst: u32) -> i64 {
        let at = self.moved.pc(inst).value() as usize;
        decode(self.output.code, at).map_or(0, |new| new.inst.imm().into())
    }

    /// Address pairs add up to the moved address, and code they name is a start.
    fn references(&self) -> Result<(), LinkError> {
        let refs = self.moved.refs;
        for &(inst, fix) in &refs.fixes {
            let (target, value) = match fix {
                Fix::High { target, .. } | Fix::AbsLow { target } => (target, None),
                Fix::Low { high } => match refs.fix(high) {
                    Some(&Fix::High { target, .. }) => (target, Some(high)),
                    _ => return self.fail(inst, Rule::Moved),
                },
            };
            let Some(expected) = self.expected(target) else {
                return self.fail(inst, Rule::Moved);
            };
            let found = self.immediate(inst);
            let holds = match (fix, value) {
                (_, Some(high)) => {
                    let from = self.moved.pc(high).address();
                    from.wrapping_add_signed(self.immediate(high) + found) == expected
                }
                (Fix::High { base, .. }, _) => {
                    let from = match base {
                        Base::Pc => self.moved.pc(inst).address(),
                        Base::Zero => 0,
                    };
                    i64::from(high_part(expected.wrapping_sub(from))) == found
                }
                _ => i64::from(low_part(expected)) == found,
            };
            if !holds {
                return self.fail(inst, Rule::Moved);
            }
            if !self.is_start(target) {
                return self.fail(inst, Rule::Start);
            }
        }
        Ok(())
    }

    fn is_start(&self, target: Target) -> bool {
        match target {
            Target::Inst(inst) => self.starts.contains(self.moved.pc(inst)),
            _ => true,
        }
    }

    /// Words hold moved addresses, and code they name is a start.
    fn words(&self) -> Result<(), LinkError> {
        let program = self.moved.program;
        for word in &self.moved.data.words {
            let fail = |rule| Err(failed(program.address_site(word.address), rule));
            let Some((bytes, here)) = self.word_bytes(word.address) else {
                return fail(Rule::Pointer);
            };
            let Some(found) = load(bytes, word.width) else {
                return fail(Rule::Pointer);
            };
            let mut terms = self.moved.data.terms(word).iter();
            if terms.any(|term| self.expected(term.target).is_none()) {
                return fail(Rule::Pointer);
            }
            let expected = self.moved.data.sum(word, here, |term| {
                self.expected(term.target).unwrap_or_default()
            });
            let width = word.width;
            if found != mask(expected, width) && width != Width::Uleb {
                return fail(Rule::Pointer);
            }
            if !self
                .moved
                .data
                .terms(word)
                .iter()
                .all(|term| self.is_start(term.target))
            {
                return fail(Rule::Start);
            }
        }
        Ok(())
    }

    /// The bytes of the output at an old address of data, and where they are now.
    fn word_bytes(&self, address: u64) -> Option<(&[u8], u64)> {
        let program = self.moved.program;
        let index = program.section_holding(address)?;
        if let Some(content) = &self.output.sections[index] {
            let offset = address - program.object.sections[index].address;
            let here = address.wrapping_add(self.moved.layout.shift);
            return Some((content.get(offset as usize..)?, here));
        }
        let code = &program.text.sections[program.text.ordinal(index)?];
        let at = code.base + (address - code.address) as u32;
        let piece = program.text.embedded_at(at)?;
        let offset = at - program.text.embedded[piece].start;
        let bytes = self.output.embedded[piece].get(offset as usize..)?;
        Some((bytes, self.moved.layout.embedded[piece] + u64::from(offset)))
    }
}
