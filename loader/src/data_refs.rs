//! Words of data that hold addresses or distances.
//!
//! ```text
//!   table: .dword  handler           one term:   +handler
//!          .word   .L3 - table       two terms:  +.L3 −table     (ADD32, SUB32)
//!          .word   .L3 - .           one term:   +.L3 −here      (32_PCREL)
//! ```
//!
//! The value of a word is the sum of its terms, and as linked that sum must be what the word
//! holds. So a difference of which the assembler has folded a part is refused here. Code that a
//! term names can be jumped to, and becomes a block start.

use crate::code_refs::GotSlot;
use crate::elf::object::Role;
use crate::elf::reloc::{Action, Kind, Reloc, Term, Width};
use crate::error::{LinkError, Site};
use crate::program::{Program, Resolved, Target};
use crate::text::Spot;

/// One signed term of a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordTerm {
    pub(crate) minus: bool,
    pub(crate) target: Target,
    /// Value as linked.
    value: u64,
}

/// A word of data whose value depends on where things lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// Address as linked.
    pub(crate) address: u64,
    pub(crate) width: Width,
    /// Whether its own address is subtracted.
    pub(crate) from_here: bool,
    terms: (u32, u32),
}

/// All words that data relocations and the global offset table name, by address.
pub(crate) struct DataRefs {
    pub(crate) words: Vec<Word>,
    terms: Vec<WordTerm>,
}

impl DataRefs {
    /// Finds and checks every word.
    pub(crate) fn find(program: &Program<'_>, got: &[GotSlot]) -> Result<Self, LinkError> {
        let mut refs = Self {
            words: Vec::new(),
            terms: Vec::new(),
        };
        for (target, relocs) in &program.relocations {
            let role = program.object.sections[*target].role;
            if matches!(role, Role::Data | Role::Zero | Role::Code) {
                refs.read_table(program, *target, relocs)?;
            }
        }
        refs.add_got(program, got)?;
        refs.check_apart(program)?;
        Ok(refs)
    }

    pub(crate) fn terms(&self, word: &Word) -> &[WordTerm] {
        &self.terms[word.terms.0 as usize..word.terms.1 as usize]
    }

    /// Every target named by a word.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        self.terms.iter().map(|term| term.target)
    }

    /// The words that begin in an address range.
    pub(crate) fn in_range(&self, start: u64, end: u64) -> &[Word] {
        let first = self.words.partition_point(|word| word.address < start);
        let last = self.words.partition_point(|word| word.address < end);
        &self.words[first..last.max(first)]
    }

    fn read_table(
        &mut self,
        program: &Program<'_>,
        section: usize,
        relocs: &[Reloc],
    ) -> Result<(), LinkError> {
        let wanted = relocs
            .iter()
            .filter(|reloc| wanted(program, section, reloc));
        let mut relocs: Vec<Reloc> = wanted.copied().collect();
        relocs.sort_by_key(|reloc| reloc.address);
        for group in relocs.chunk_by(|a, b| a.address == b.address) {
            self.read_word(program, section, group)?;
        }
        Ok(())
    }

    /// One word from all relocations at its address.
    fn read_word(
        &mut self,
        program: &Program<'_>,
        section: usize,
        group: &[Reloc],
    ) -> Result<(), LinkError> {
        let first_reloc = &group[0];
        let site = || data_site(program, section, first_reloc.address);
        let first = self.terms.len() as u32;
        let mut shape: Option<(Width, bool)> = None;
        for reloc in group {
            let (width, from_here, minus) = match reloc.kind.action() {
                Action::Word(bytes) => (Width::Bytes(bytes), false, false),
                Action::Distance(bytes) => (Width::Bytes(bytes), true, false),
                Action::Sum(sum) => (sum.width, false, sum.term == Term::Sub),
                other => return Err(refuse(other, site(), reloc.kind)),
            };
            // Only the terms of a sum may share a word.
            let alone = !matches!(reloc.kind.action(), Action::Sum(_));
            if shape.is_some_and(|shape| alone || shape != (width, from_here)) {
                return Err(LinkError::RelocatedTwice {
                    at: Box::new(site()),
                });
            }
            shape = Some((width, from_here));
            let Resolved { target, value, .. } = program.resolve(reloc, site)?;
            self.terms.push(WordTerm {
                minus,
                target,
                value,
            });
        }
        let Some((width, from_here)) = shape else {
            return Ok(());
        };
        let terms = (first, self.terms.len() as u32);
        let word = Word {
            address: first_reloc.address,
            width,
            from_here,
            terms,
        };
        self.check_word(program, section, &word, first_reloc)?;
        self.words.push(word);
        Ok(())
    }

    /// As linked, the word must hold the sum of its terms.
    fn check_word(
        &self,
        program: &Program<'_>,
        section: usize,
        word: &Word,
        reloc: &Reloc,
    ) -> Result<(), LinkError> {
        let here = &program.object.sections[section];
        let offset = word.address.checked_sub(here.address);
        let at = || Box::new(data_site(program, section, word.address));
        let found = offset.and_then(|offset| here.bytes.get(offset as usize..));
        let Some(found) = found.and_then(|bytes| load(bytes, word.width)) else {
            return Err(LinkError::MisplacedRelocation {
                at: at(),
                kind: reloc.kind,
            });
        };
        let expected = mask(self.sum(word, word.address, |term| term.value), word.width);
        if expected == found {
            return Ok(());
        }
        let (kind, target) = (reloc.kind, program.target_name(reloc));
        Err(LinkError::RelocationMismatch {
            at: at(),
            kind,
            target,
            expected,
            found,
        })
    }

    /// The value of a word at `address` when targets have the values given.
    pub(crate) fn sum(&self, word: &Word, address: u64, value: impl Fn(&WordTerm) -> u64) -> u64 {
        let start = if word.from_here {
            0u64.wrapping_sub(address)
        } else {
            0
        };
        self.terms(word)
            .iter()
            .fold(start, |sum, term| match term.minus {
                true => sum.wrapping_sub(value(term)),
                false => sum.wrapping_add(value(term)),
            })
    }

    fn add_got(&mut self, program: &Program<'_>, got: &[GotSlot]) -> Result<(), LinkError> {
        self.words.sort_by_key(|word| word.address);
        let relocated = self.words.len();
        for slot in got {
            let first = self.terms.len() as u32;
            let Resolved { target, value, .. } = slot.content;
            self.terms.push(WordTerm {
                minus: false,
                target,
                value,
            });
            let terms = (first, first + 1);
            let width = Width::Bytes(8);
            let word = Word {
                address: slot.address,
                width,
                from_here: false,
                terms,
            };
            let Some(holder) = program.section_holding(slot.address) else {
                let at = Box::new(program.address_site(slot.address));
                return Err(LinkError::MisplacedRelocation {
                    at,
                    kind: Kind::GOT_HI20,
                });
            };
            let (address, kind) = (slot.address, Kind::GOT_HI20);
            let reloc = Reloc {
                address,
                kind,
                symbol: slot.symbol,
                addend: 0,
            };
            self.check_word(program, holder, &word, &reloc)?;
            // A linker may also have kept a relocation for the slot; that one is enough.
            let kept = self.words[..relocated].binary_search_by_key(&address, |word| word.address);
            if kept.is_err() {
                self.words.push(word);
            }
        }
        self.words.sort_by_key(|word| word.address);
        Ok(())
    }

    fn check_apart(&self, program: &Program<'_>) -> Result<(), LinkError> {
        for pair in self.words.windows(2) {
            let end = pair[0].address.saturating_add(match pair[0].width {
                Width::Bytes(bytes) => bytes.into(),
                Width::Six | Width::Uleb => 1,
            });
            if end > pair[1].address {
                let at = Box::new(program.address_site(pair[1].address));
                return Err(LinkError::RelocatedTwice { at });
            }
        }
        Ok(())
    }
}

/// Whether a relocation concerns a word of data: in code sections only those in embedded data.
fn wanted(program: &Program<'_>, section: usize, reloc: &Reloc) -> bool {
    if matches!(reloc.kind.action(), Action::Ignore | Action::Relax) {
        return false;
    }
    match program.text.ordinal(section) {
        Some(ordinal) => {
            matches!(program.text.spot(ordinal, reloc.address), Spot::Embedded(_))
        }
        None => true,
    }
}

fn data_site(program: &Program<'_>, section: usize, address: u64) -> Site {
    let start = program.object.sections[section].address;
    program.code_site(section, address.wrapping_sub(start))
}

fn refuse(action: Action, at: Site, kind: Kind) -> LinkError {
    let at = Box::new(at);
    match action {
        Action::Tls => LinkError::Tls { at },
        Action::Ifunc => LinkError::Ifunc { at },
        Action::GpRelative => LinkError::GpRelaxed { at },
        Action::Dynamic | Action::Unsupported => LinkError::UnsupportedRelocation { at, kind },
        _ => LinkError::MisplacedRelocation { at, kind },
    }
}

/// The bytes of a number: how many a ULEB128 takes, if it ends.
pub(crate) fn uleb_len(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    Some(end + 1)
}

/// Reads a number of this width from the beginning of `bytes`.
pub(crate) fn load(bytes: &[u8], width: Width) -> Option<u64> {
    match width {
        Width::Six => bytes.first().map(|byte| u64::from(byte & 0x3F)),
        Width::Bytes(count) => {
            let bytes = bytes.get(..count.into())?;
            Some(
                bytes
                    .iter()
                    .rev()
                    .fold(0, |value, &byte| value << 8 | u64::from(byte)),
            )
        }
        Width::Uleb => {
            let bytes = &bytes[..uleb_len(bytes)?];
            Some(
                bytes
                    .iter()
                    .rev()
                    .fold(0, |value, &byte| value << 7 | u64::from(byte & 0x7F)),
            )
        }
    }
}

/// The part of a value that a number of this width can hold.
pub(crate) fn mask(value: u64, width: Width) -> u64 {
    match width {
        Width::Six => value & 0x3F,
        Width::Bytes(8) | Width::Uleb => value,
        Width::Bytes(count) => value & ((1 << (8 * u32::from(count))) - 1),
    }
}
