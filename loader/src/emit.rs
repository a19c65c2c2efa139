//! New code and new data bytes from a placement and a layout.

use rivet_isa::{Inst, Op, Pc, Reg, compress, encode};

use crate::code_refs::{Base, CodeRefs, Fix};
use crate::data_refs::{DataRefs, Word, mask};
use crate::elf::object::Role;
use crate::elf::reloc::Width;
use crate::error::LinkError;
use crate::layout::Layout;
use crate::map::{AddressMap, MapBuilder};
use crate::pair::{fits_pair, high_part, low_part};
use crate::place::{Form, Placed, Placement, inverted};
use crate::program::{Program, Target};

/// The word of `fallthrough`.
pub(crate) const FALLTHROUGH: u32 = 0x0000_400B;

/// Everything that decides where things are now.
pub(crate) struct Moved<'p, 'a> {
    pub(crate) program: &'p Program<'a>,
    pub(crate) refs: &'p CodeRefs,
    pub(crate) data: &'p DataRefs,
    pub(crate) placement: &'p Placement,
    pub(crate) layout: &'p Layout,
}

impl Moved<'_, '_> {
    /// New offset of an instruction.
    pub(crate) fn pc(&self, inst: u32) -> Pc {
        Pc::new(self.placement.pcs[inst as usize].into())
    }

    /// New address of a target.
    pub(crate) fn address(&self, target: Target) -> u64 {
        match target {
            Target::Inst(inst) => self.pc(inst).address(),
            Target::End(ordinal) => {
                let end = self.program.text.sections[ordinal as usize].insts.1;
                self.pc(end).address()
            }
            Target::Embedded(at) => {
                let text = &self.program.text;
                let piece = text.embedded_at(at).unwrap_or(0);
                self.layout.embedded[piece] + u64::from(at - text.embedded[piece].start)
            }
            Target::Data(address) => address.wrapping_add(self.layout.shift),
            Target::Number(value) => value,
        }
    }

    /// The code and the map from old addresses to it.
    pub(crate) fn code(&self) -> Result<(Vec<u8>, AddressMap), LinkError> {
        let text = &self.program.text;
        let mut code = Vec::with_capacity(self.placement.code_len() as usize);
        let mut map = MapBuilder::default();
        let mut fixes = self.refs.fixes.iter().peekable();
        let mut branches = self.placement.branches.iter().peekable();
        for section in &text.sections {
            for inst in section.insts.0..section.insts.1 {
                let one = &text.insts[inst as usize];
                let old = section.address + u64::from(one.at - section.base);
                if self.placement.inserted[inst as usize] {
                    map.push(old, 0, 4);
                    code.extend_from_slice(&FALLTHROUGH.to_le_bytes());
                }
                let before = code.len();
                if let Some(placed) = branches.next_if(|placed| placed.branch.inst == inst) {
                    self.branch(placed, text.source(inst), &mut code)?;
                } else if let Some((_, fix)) = fixes.next_if(|&&(at, _)| at == inst) {
                    let word = self.fixed(inst, fix)?;
                    code.extend_from_slice(&word.to_le_bytes());
                } else {
                    code.extend_from_slice(text.source(inst));
                }
                map.push(old, one.size(), (code.len() - before) as u32);
            }
        }
        Ok((code, map.finish()))
    }

    fn word(&self, inst: u32, new: Inst, target: Target, distance: i64) -> Result<u32, LinkError> {
        encode(new).map_err(|_| self.out_of_reach(inst, target, distance))
    }

    fn out_of_reach(&self, inst: u32, target: Target, distance: i64) -> LinkError {
        let at = Box::new(self.program.inst_site(inst));
        let target = format!("address {:#x}", self.program.old_address(target));
        LinkError::OutOfReach {
            at,
            target,
            distance,
        }
    }

    fn branch(&self, placed: &Placed, bytes: &[u8], code: &mut Vec<u8>) -> Result<(), LinkError> {
        let inst = placed.branch.inst;
        let source = self.program.text.insts[inst as usize].inst;
        let target = Target::Inst(placed.branch.target);
        let distance = self.address(target).wrapping_sub(self.pc(inst).address()) as i64;
        let with =
            |op, rd, imm: i64| Inst::from_parts(op, rd, source.rs1(), source.rs2(), imm as i32);
        let jump = |op, rd, rs1, imm: i64| Inst::from_parts(op, rd, rs1, Reg::ZERO, imm as i32);
        if bytes.len() == placed.form.size() as usize && distance == i64::from(source.imm()) {
            code.extend_from_slice(bytes);
            return Ok(());
        }
        let mut words = [None, None];
        match placed.form {
            Form::Short => {
                let half = compress(with(source.op(), source.rd(), distance));
                let half = half.ok_or_else(|| self.out_of_reach(inst, target, distance))?;
                code.extend_from_slice(&half.to_le_bytes());
            }
            Form::Word => words[0] = Some(with(source.op(), source.rd(), distance)),
            Form::Around => {
                let opposite = inverted(source.op());
                let opposite = opposite.ok_or_else(|| self.out_of_reach(inst, target, distance))?;
                words[0] = Some(with(opposite, Reg::ZERO, 8));
                words[1] = Some(jump(Op::Jal, Reg::ZERO, Reg::ZERO, distance - 4));
            }
            Form::Far => {
                let (rd, value) = (source.rd(), distance as u64);
                words[0] = Some(jump(Op::Auipc, rd, Reg::ZERO, high_part(value).into()));
                words[1] = Some(jump(Op::Jalr, rd, rd, low_part(value).into()));
            }
        }
        for new in words.into_iter().flatten() {
            let word = self.word(inst, new, target, distance)?;
            code.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn fixed(&self, inst: u32, fix: &Fix) -> Result<u32, LinkError> {
        let source = self.program.text.insts[inst as usize].inst;
        let (target, imm, value) = match *fix {
            Fix::High { base, target, .. } => {
                let value = self.value(inst, base, target)?;
                (target, high_part(value), value)
            }
            Fix::Low { high } => {
                let Some(&Fix::High { base, target, .. }) = self.refs.fix(high) else {
                    return Err(self.out_of_reach(inst, Target::Number(0), 0));
                };
                let value = self.value(high, base, target)?;
                (target, low_part(value), value)
            }
            Fix::AbsLow { target } => {
                let value = self.value(inst, Base::Zero, target)?;
                (target, low_part(value), value)
            }
        };
        let new = Inst::from_parts(source.op(), source.rd(), source.rs1(), source.rs2(), imm);
        self.word(inst, new, target, value as i64)
    }

    /// What an address pair at `inst` has to add up to.
    fn value(&self, inst: u32, base: Base, target: Target) -> Result<u64, LinkError> {
        let address = self.address(target);
        let value = match base {
            Base::Pc => address.wrapping_sub(self.pc(inst).address()),
            Base::Zero => address,
        };
        // `lui` sign-extends, so an absolute address must not cross into the upper half.
        let was_low = fits_pair(self.program.old_address(target));
        if (base == Base::Pc || was_low) && !fits_pair(value) {
            return Err(self.out_of_reach(inst, target, value as i64));
        }
        Ok(value)
    }

    /// The new content of every section of data, by index; none for other sections.
    pub(crate) fn sections(&self) -> Result<Vec<Option<Vec<u8>>>, LinkError> {
        let sections = &self.program.object.sections;
        let content = |role, bytes: &[u8]| (role == Role::Data).then(|| bytes.to_vec());
        let mut content: Vec<_> = sections
            .iter()
            .map(|section| content(section.role, section.bytes))
            .collect();
        for word in &self.data.words {
            let Some(index) = self.program.section_holding(word.address) else {
                continue;
            };
            let Some(bytes) = &mut content[index] else {
                continue;
            };
            let offset = (word.address - sections[index].address) as usize;
            self.store(
                word,
                word.address.wrapping_add(self.layout.shift),
                &mut bytes[offset..],
            )?;
        }
        Ok(content)
    }

    /// The new content of each embedded piece.
    pub(crate) fn embedded(&self) -> Result<Vec<Vec<u8>>, LinkError> {
        let text = &self.program.text;
        let mut pieces = Vec::new();
        for (piece, &new) in text.embedded.iter().zip(&self.layout.embedded) {
            let mut bytes = text.bytes[piece.start as usize..piece.end as usize].to_vec();
            let old = self.program.old_address(Target::Embedded(piece.start));
            for word in self.data.in_range(old, old + bytes.len() as u64) {
                let offset = word.address - old;
                self.store(word, new + offset, &mut bytes[offset as usize..])?;
            }
            pieces.push(bytes);
        }
        Ok(pieces)
    }

    /// Writes the moved value of a word to the beginning of `bytes`.
    fn store(&self, word: &Word, here: u64, bytes: &mut [u8]) -> Result<(), LinkError> {
        let program = self.program;
        let old = self
            .data
            .sum(word, word.address, |term| program.old_address(term.target));
        let new = self.data.sum(word, here, |term| self.address(term.target));
        if old == new {
            return Ok(());
        }
        let at = || Box::new(program.address_site(word.address));
        if !keeps_meaning(old, new, word.width) {
            let target = self.data.terms(word).first().map(|term| term.target);
            let target = target.map_or(0, |target| program.old_address(target));
            let target = format!("address {target:#x}");
            return Err(LinkError::OutOfReach {
                at: at(),
                target,
                distance: new as i64,
            });
        }
        store(bytes, word.width, mask(new, word.width)).ok_or_else(|| LinkError::OutOfReach {
            at: at(),
            target: "the end of a ULEB128".into(),
            distance: new as i64,
        })
    }
}

/// Whether a reader that understood the old number understands the new one.
///
/// Four bytes are enough for any distance, read as signed or unsigned, because jumps and memory
/// accesses take addresses modulo 2^32 (ISA §4, §8). In fewer bytes both must fit the signed or
/// both the unsigned reading, and a number that fits both must still do so.
fn keeps_meaning(old: u64, new: u64, width: Width) -> bool {
    let bits = match width {
        Width::Six => 6,
        Width::Bytes(8) | Width::Uleb => return true,
        Width::Bytes(4) => return (new as i64).unsigned_abs() >> 32 == 0,
        Width::Bytes(bytes) => 8 * u32::from(bytes),
    };
    let signed = |value: u64| {
        let half = 1i64 << (bits - 1);
        (-half..half).contains(&(value as i64))
    };
    let unsigned = |value: u64| value >> bits == 0;
    (!signed(old) || signed(new)) && (!unsigned(old) || unsigned(new))
}

fn store(bytes: &mut [u8], width: Width, value: u64) -> Option<()> {
    match width {
        Width::Six => {
            let byte = bytes.first_mut()?;
            *byte = *byte & 0xC0 | value as u8;
        }
        Width::Bytes(count) => {
            let count = usize::from(count);
            bytes
                .get_mut(..count)?
                .copy_from_slice(&value.to_le_bytes()[..count]);
        }
        Width::Uleb => {
            let len = crate::data_refs::uleb_len(bytes)?;
            if len < 10 && value >> (7 * len) != 0 {
                return None;
            }
            for (index, byte) in bytes[..len].iter_mut().enumerate() {
                let more = if index + 1 < len { 0x80 } else { 0 };
                *byte = (value >> (7 * index)) as u8 & 0x7F | more;
            }
        }
    }
    Some(())
}
