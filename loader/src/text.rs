//! All code of the executable as one list of instructions.
//!
//! ```text
//! .text       │ i i i i │ d d d │ i i i │         sections by address
//! mapping      $x        $d      $x               symbols of the assembler
//! insts       │ 0 1 2 3 │         4 5 6 │         one list over all sections
//! embedded              │ 0     │                 data, moved out of the code
//! ```
//!
//! Code positions are *linear offsets*: sections follow each other in address order, each
//! beginning at an even offset. An instruction is named by its index in the list.
//!
//! PVM2 code has no room for data, because the walk of ISA §5 never skips. So data between
//! instructions is taken out and becomes read-only memory of its own. A `$d` region can also hold
//! instructions that were written as numbers (`.word 0x0000200b`): it is code if execution runs
//! into it or something jumps to its start, and it is data otherwise.

use rivet_isa::{Flow, Inst, Len, MAX_CODE_SIZE, Op, decode};

use crate::elf::object::{Object, Role};
use crate::error::{LinkError, Site};
use crate::regions::{Content, Region, Usage, mapping_symbols};

/// One instruction of the executable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    /// Linear offset.
    pub(crate) at: u32,
    pub(crate) inst: Inst,
    pub(crate) len: Len,
}

impl Instruction {
    pub(crate) fn size(&self) -> u32 {
        self.len.bytes() as u32
    }
}

/// One executable section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeSection {
    /// Index in the object.
    pub(crate) section: usize,
    pub(crate) address: u64,
    pub(crate) size: u32,
    /// Linear offset of its first byte.
    pub(crate) base: u32,
    /// Indices of its instructions: first, and one past the last.
    pub(crate) insts: (u32, u32),
}

/// Data between instructions, by linear offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Embedded {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What lies at an offset of a code section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The start of this instruction.
    Inst(u32),
    /// Embedded data at this linear offset.
    Embedded(u32),
    /// The end of this code section, by ordinal.
    End(u32),
    /// The middle of an instruction.
    Inside,
    /// No byte of the section.
    Outside,
}

const INSIDE: u32 = u32::MAX;
const EMBEDDED: u32 = u32::MAX - 1;

/// The code of an executable.
pub(crate) struct Text {
    pub(crate) sections: Vec<CodeSection>,
    pub(crate) insts: Vec<Instruction>,
    pub(crate) embedded: Vec<Embedded>,
    /// Bytes by linear offset.
    pub(crate) bytes: Vec<u8>,
    /// Instruction index by halfword of linear offset.
    index: Vec<u32>,
    /// Ordinal of a code section by index of the section in the object.
    ordinals: Vec<Option<u32>>,
}

impl Text {
    /// Decodes every executable section.
    pub(crate) fn read(object: &Object<'_>) -> Result<Self, LinkError> {
        let mut text = Self::empty(object)?;
        let maps = mapping_symbols(object, &text);
        let usage = Usage::collect(object, &maps);
        for (ordinal, map) in maps.iter().enumerate() {
            text.read_section(object, ordinal, map, &usage)?;
        }
        Ok(text)
    }

    fn empty(object: &Object<'_>) -> Result<Self, LinkError> {
        let mut sections = Vec::new();
        let mut base = 0u64;
        for section in object.by_role(&[Role::Code]) {
            let one = &object.sections[section];
            if one.address & 1 != 0 {
                return Err(LinkError::PartialInstruction {
                    at: Box::new(one.site(0)),
                });
            }
            let end = base.saturating_add(one.size);
            if end > MAX_CODE_SIZE {
                let code = object.sections.iter().filter(|one| one.role == Role::Code);
                let size = code.fold(0u64, |sum, one| sum.saturating_add(one.size));
                return Err(LinkError::CodeTooLarge {
                    size,
                    limit: MAX_CODE_SIZE,
                });
            }
            sections.push(CodeSection {
                section,
                address: one.address,
                size: one.size as u32,
                base: base as u32,
                insts: (0, 0),
            });
            base = end.next_multiple_of(2);
        }
        if sections.is_empty() {
            return Err(LinkError::NoCode);
        }
        let mut bytes = vec![0; base as usize];
        for code in &sections {
            let start = code.base as usize;
            let content = object.sections[code.section].bytes;
            bytes[start..start + content.len()].copy_from_slice(content);
        }
        let index = vec![INSIDE; bytes.len() / 2];
        let mut ordinals = vec![None; object.sections.len()];
        for (ordinal, code) in sections.iter().enumerate() {
            ordinals[code.section] = Some(ordinal as u32);
        }
        Ok(Self {
            sections,
            insts: Vec::new(),
            embedded: Vec::new(),
            bytes,
            index,
            ordinals,
        })
    }

    fn read_section(
        &mut self,
        object: &Object<'_>,
        ordinal: usize,
        map: &[Region],
        usage: &Usage,
    ) -> Result<(), LinkError> {
        let code = self.sections[ordinal];
        let first = self.insts.len() as u32;
        for region in map {
            let fall = self.fall_into(first, code.base + region.start);
            let code_end = match region.content {
                Content::Code => region.end,
                Content::Data => {
                    let start = code.address + u64::from(region.start);
                    let called = usage.calls(start);
                    let read = usage.reads(start, code.address + u64::from(region.end));
                    let fall = if called { Fall::Certain } else { fall };
                    self.code_in_data(object, &code, region, fall, read)?
                }
            };
            self.decode_range(object, &code, region.start, code_end)?;
            self.embed(&code, code_end, region.end);
        }
        self.sections[ordinal].insts = (first, self.insts.len() as u32);
        Ok(())
    }

    /// How execution gets to linear offset `at` from the instruction before it.
    ///
    /// No-ops behind a jump may pad the data to its alignment, or be where a label stands.
    fn fall_into(&self, first: u32, at: u32) -> Fall {
        let mut end = at;
        let before = self.insts.get(first as usize..).unwrap_or(&[]);
        for one in before.iter().rev() {
            if one.at + one.size() != end {
                return Fall::Never;
            }
            match fall_past(one.inst) {
                Fall::Certain if is_no_op(one.inst) => end = one.at,
                Fall::Never if end != at => return Fall::Possible,
                fall => return fall,
            }
        }
        if end == at {
            Fall::Never
        } else {
            Fall::Possible
        }
    }

    /// How much of a `$d` region is code: its end offset within the section.
    fn code_in_data(
        &self,
        object: &Object<'_>,
        code: &CodeSection,
        region: &Region,
        fall: Fall,
        read: bool,
    ) -> Result<u32, LinkError> {
        if fall == Fall::Never || (fall == Fall::Possible && read) {
            return Ok(region.start);
        }
        let bytes = &self.bytes[code.base as usize..(code.base + region.end) as usize];
        let mut at = region.start;
        // The last offset that execution need not run past.
        let mut cut = (fall == Fall::Possible).then_some(at);
        while let Some(one) = decode(bytes, at as usize) {
            if one.inst.flow() == Flow::Reserved {
                break;
            }
            at += one.len.bytes() as u32;
            if fall_past(one.inst) != Fall::Certain {
                cut = Some(at);
            }
        }
        if at == region.end {
            return Ok(at);
        }
        cut.ok_or_else(|| LinkError::FallsIntoData {
            at: Box::new(self.site_in(object, code, region.start)),
            data: code.address + u64::from(at),
        })
    }

    fn site_in(&self, object: &Object<'_>, code: &CodeSection, offset: u32) -> Site {
        object.sections[code.section].site(offset.into())
    }

    fn decode_range(
        &mut self,
        object: &Object<'_>,
        code: &CodeSection,
        start: u32,
        end: u32,
    ) -> Result<(), LinkError> {
        let linear_end = (code.base + end) as usize;
        let mut at = code.base + start;
        if at & 1 != 0 {
            let site = self.site_in(object, code, start);
            return Err(LinkError::PartialInstruction { at: Box::new(site) });
        }
        while let Some(one) = decode(&self.bytes[..linear_end], at as usize) {
            self.index[at as usize / 2] = self.insts.len() as u32;
            self.insts.push(Instruction {
                at,
                inst: one.inst,
                len: one.len,
            });
            at += one.len.bytes() as u32;
        }
        let rest = &self.bytes[(at as usize).min(linear_end)..linear_end];
        // A single zero byte is padding of a section of odd size.
        if rest.is_empty() || rest == [0] {
            return Ok(());
        }
        let site = self.site_in(object, code, at - code.base);
        Err(LinkError::PartialInstruction { at: Box::new(site) })
    }

    fn embed(&mut self, code: &CodeSection, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let (start, end) = (code.base + start, code.base + end);
        // Only halfwords that begin inside the data are marked, so that an odd start leaves the
        // instruction before it alone.
        for half in start.div_ceil(2)..end.div_ceil(2) {
            self.index[half as usize] = EMBEDDED;
        }
        self.embedded.push(Embedded { start, end });
    }

    /// The code section, by ordinal, that holds or ends at an address; `home` decides where one
    /// ends and the next begins.
    pub(crate) fn section_at(&self, address: u64, home: Option<usize>) -> Option<usize> {
        let holds = |ordinal: usize, end: u64| {
            let code = &self.sections[ordinal];
            (code.address..code.address + u64::from(code.size) + end).contains(&address)
        };
        let after = self
            .sections
            .partition_point(|code| code.address <= address);
        let own = home.and_then(|home| self.ordinal(home));
        own.filter(|&own| holds(own, 1))
            .or(after.checked_sub(1).filter(|&one| holds(one, 0)))
    }

    /// The ordinal of a section of the object, if it is code.
    pub(crate) fn ordinal(&self, section: usize) -> Option<usize> {
        self.ordinals
            .get(section)
            .copied()
            .flatten()
            .map(|ordinal| ordinal as usize)
    }

    /// What lies at an address of this code section.
    pub(crate) fn spot(&self, ordinal: usize, address: u64) -> Spot {
        let code = &self.sections[ordinal];
        let Some(offset) = address.checked_sub(code.address) else {
            return Spot::Outside;
        };
        let size = u64::from(code.size);
        if offset >= size {
            return if offset == size {
                Spot::End(ordinal as u32)
            } else {
                Spot::Outside
            };
        }
        let at = code.base + offset as u32;
        match self.index[at as usize / 2] {
            EMBEDDED => Spot::Embedded(at),
            INSIDE => match self.embedded_at(at) {
                Some(_) => Spot::Embedded(at),
                None => Spot::Inside,
            },
            _ if at & 1 != 0 => Spot::Inside,
            index => Spot::Inst(index),
        }
    }

    /// The embedded data that holds a linear offset.
    pub(crate) fn embedded_at(&self, at: u32) -> Option<usize> {
        let after = self.embedded.partition_point(|one| one.start <= at);
        after
            .checked_sub(1)
            .filter(|&index| at < self.embedded[index].end)
    }

    /// The ordinal of the code section that holds an instruction.
    pub(crate) fn section_of(&self, index: u32) -> usize {
        self.sections
            .partition_point(|code| code.insts.1 <= index)
            .min(self.sections.len() - 1)
    }

    /// Address of an instruction as linked.
    pub(crate) fn address(&self, index: u32) -> u64 {
        let at = self.insts[index as usize].at;
        self.address_of(self.section_of(index), at)
    }

    /// Address of a linear offset in a code section.
    pub(crate) fn address_of(&self, ordinal: usize, at: u32) -> u64 {
        let code = &self.sections[ordinal];
        code.address + u64::from(at - code.base)
    }

    /// Bytes of an instruction.
    pub(crate) fn source(&self, index: u32) -> &[u8] {
        let one = &self.insts[index as usize];
        &self.bytes[one.at as usize..(one.at + one.size()) as usize]
    }
}

/// Whether execution goes on behind an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fall {
    Never,
    /// A call or host call, which may not return.
    Possible,
    Certain,
}

fn is_no_op(inst: Inst) -> bool {
    inst.op() == Op::Addi && inst.rd().is_zero() && inst.rs1().is_zero() && inst.imm() == 0
}

fn fall_past(inst: Inst) -> Fall {
    match inst.flow() {
        Flow::Next | Flow::Branch | Flow::Fallthrough => Fall::Certain,
        Flow::HostCall | Flow::KernelCall => Fall::Possible,
        Flow::Jump | Flow::JumpIndirect if !inst.rd().is_zero() => Fall::Possible,
        Flow::Jump | Flow::JumpIndirect | Flow::Trap | Flow::Reserved => Fall::Never,
    }
}
