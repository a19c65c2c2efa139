//! The executable as a whole: what addresses mean, and how to name places in it.

use crate::align;
use crate::elf::object::{Object, Role};
use crate::elf::reloc::Reloc;
use crate::elf::symbols::{Home, Symbol, SymbolKind};
use crate::error::{LinkError, Site};
use crate::text::{Spot, Text};

/// What a reference refers to, independent of where it ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The start of an instruction, by index.
    Inst(u32),
    /// The end of a code section, by ordinal.
    End(u32),
    /// Data between instructions, by linear offset.
    Embedded(u32),
    /// An address in data, as linked.
    Data(u64),
    /// A number that does not move.
    Number(u64),
}

/// A relocation's symbol and addend, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) target: Target,
    /// Its value as linked.
    pub(crate) value: u64,
    /// Whether nothing defines the symbol: a reference to it is zero and never followed.
    pub(crate) missing: bool,
}

/// An executable, decoded.
pub(crate) struct Program<'a> {
    pub(crate) object: Object<'a>,
    pub(crate) text: Text,
    /// Relocations by the index of the section they apply to.
    pub(crate) relocations: Vec<(usize, Vec<Reloc>)>,
    /// Sections in memory by address.
    memory: Vec<usize>,
}

impl<'a> Program<'a> {
    /// Reads and decodes an executable.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, LinkError> {
        let object = Object::read(bytes)?;
        for symbol in object.symbols.iter() {
            check_symbol(&object, symbol)?;
        }
        let text = Text::read(&object)?;
        let memory = object.by_role(&[Role::Code, Role::Data, Role::Zero, Role::Unwind]);
        let mut program = Self {
            object,
            text,
            relocations: Vec::new(),
            memory,
        };
        program.relocations = program.read_relocations();
        Ok(program)
    }

    fn read_relocations(&self) -> Vec<(usize, Vec<Reloc>)> {
        let tables = self.object.relocations.iter();
        tables
            .map(|table| {
                let relocs = table.iter().collect();
                let corrected = match self.text.ordinal(table.target) {
                    Some(ordinal) => align::correct(self, ordinal, relocs),
                    None => relocs,
                };
                (table.target, corrected)
            })
            .collect()
    }

    /// The section whose memory holds an address.
    pub(crate) fn section_holding(&self, address: u64) -> Option<usize> {
        let sections = &self.object.sections;
        let after = self
            .memory
            .partition_point(|&index| sections[index].address <= address);
        let last = self.memory[..after].last().copied();
        last.filter(|&index| address < sections[index].end())
    }

    /// Resolves a relocation's symbol and addend.
    pub(crate) fn resolve(
        &self,
        reloc: &Reloc,
        at: impl Fn() -> Site,
    ) -> Result<Resolved, LinkError> {
        let Some(symbol) = self.object.symbols.get(reloc.symbol) else {
            let (at, index) = (Box::new(at()), reloc.symbol.into());
            return Err(LinkError::BadIndex {
                at,
                what: "symbol",
                index,
            });
        };
        let value = symbol.value.wrapping_add_signed(reloc.addend);
        let number = |value| Resolved {
            target: Target::Number(value),
            value,
            missing: false,
        };
        let home = match symbol.home {
            // Index 0 is no symbol: the addend is the value.
            Home::Undefined if reloc.symbol == 0 => return Ok(number(value)),
            Home::Undefined if symbol.weak => {
                let value = reloc.addend as u64;
                return Ok(Resolved {
                    missing: true,
                    ..number(value)
                });
            }
            Home::Undefined | Home::Other(_) => {
                let name = self.object.symbols.name(symbol).to_owned();
                return Err(LinkError::Undefined {
                    at: Box::new(at()),
                    name,
                });
            }
            Home::Absolute => return Ok(number(value)),
            Home::Section(home) => home as usize,
        };
        let text = &self.text;
        let Some(ordinal) = text.section_at(symbol.value, Some(home)) else {
            return self.resolve_data(reloc, home, value, at);
        };
        let target = match text.spot(ordinal, value) {
            Spot::Inst(index) => Target::Inst(index),
            Spot::Embedded(offset) => Target::Embedded(offset),
            Spot::End(ordinal) => Target::End(ordinal),
            Spot::Inside => {
                let target = self.target_name(reloc);
                return Err(LinkError::InsideInstruction {
                    at: Box::new(at()),
                    target,
                });
            }
            Spot::Outside => {
                let target = self.target_name(reloc);
                return Err(LinkError::SymbolOutside {
                    at: Box::new(at()),
                    target,
                });
            }
        };
        Ok(Resolved {
            target,
            value,
            missing: false,
        })
    }

    fn resolve_data(
        &self,
        reloc: &Reloc,
        home: usize,
        value: u64,
        at: impl Fn() -> Site,
    ) -> Result<Resolved, LinkError> {
        let base = value.wrapping_sub(reloc.addend as u64);
        let unwind = |index: usize| {
            let section = &self.object.sections[index];
            let inside = section.address <= base && base <= section.end();
            section.role == Role::Unwind && inside
        };
        let by_home = self.object.sections.get(home).is_some_and(|_| unwind(home));
        if by_home {
            let table = self.object.sections[home].name.to_owned();
            return Err(LinkError::UnwindingUsed {
                at: Box::new(at()),
                table,
            });
        }
        if base >= rivet_isa::ADDRESS_SPACE {
            let target = self.target_name(reloc);
            return Err(LinkError::SymbolOutside {
                at: Box::new(at()),
                target,
            });
        }
        Ok(Resolved {
            target: Target::Data(value),
            value,
            missing: false,
        })
    }

    /// The address of a target as linked.
    pub(crate) fn old_address(&self, target: Target) -> u64 {
        let text = &self.text;
        match target {
            Target::Inst(index) => text.address(index),
            Target::End(ordinal) => {
                let code = &text.sections[ordinal as usize];
                code.address + u64::from(code.size)
            }
            Target::Embedded(at) => {
                let after = text.sections.partition_point(|code| code.base <= at);
                text.address_of(after.saturating_sub(1), at)
            }
            Target::Data(address) => address,
            Target::Number(value) => value,
        }
    }

    /// The instruction a symbol names, if it names one.
    pub(crate) fn inst_of(&self, symbol: &Symbol) -> Option<u32> {
        let Home::Section(home) = symbol.home else {
            return None;
        };
        let ordinal = self.text.ordinal(home as usize)?;
        match self.text.spot(ordinal, symbol.value) {
            Spot::Inst(inst) => Some(inst),
            _ => None,
        }
    }

    /// Symbol and addend of a relocation, as text.
    pub(crate) fn target_name(&self, reloc: &Reloc) -> String {
        let Some(symbol) = self.object.symbols.get(reloc.symbol) else {
            return format!("symbol {}", reloc.symbol);
        };
        let mut name = self.object.symbols.name(symbol).to_owned();
        if let (SymbolKind::Section, Home::Section(home)) = (symbol.kind, symbol.home)
            && let Some(section) = self.object.sections.get(home as usize)
        {
            section.name.clone_into(&mut name);
        }
        match reloc.addend {
            0 => format!("`{name}`"),
            addend if addend > 0 => format!("`{name}`+{addend:#x}"),
            addend => format!("`{name}`-{:#x}", addend.unsigned_abs()),
        }
    }

    /// The place of an instruction.
    pub(crate) fn inst_site(&self, index: u32) -> Site {
        let code = &self.text.sections[self.text.section_of(index)];
        let one = &self.text.insts[index as usize];
        let mut site = self.code_site(code.section, u64::from(one.at - code.base));
        site.instruction = Some(one.inst.to_string());
        site
    }

    /// The place of a byte in a section, with the function or object around it.
    pub(crate) fn code_site(&self, section: usize, offset: u64) -> Site {
        let mut site = self.object.sections[section].site(offset);
        site.symbol = site
            .address
            .and_then(|address| self.symbol_around(section, address));
        site
    }

    /// The place of an address in memory.
    pub(crate) fn address_site(&self, address: u64) -> Site {
        match self.section_holding(address) {
            Some(index) => self.code_site(index, address - self.object.sections[index].address),
            None => Site {
                section: "memory".into(),
                address: Some(address),
                ..Site::default()
            },
        }
    }

    /// The nearest named symbol at or before an address of a section.
    fn symbol_around(&self, section: usize, address: u64) -> Option<String> {
        let symbols = &self.object.symbols;
        let in_section = symbols.iter().filter(|symbol| {
            symbol.home == Home::Section(section as u32)
                && symbol.value <= address
                && is_name(symbols.name_start(symbol))
                && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File)
        });
        // Functions and objects win over bare labels at a greater address.
        let rank = |symbol: &&Symbol| {
            let real = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object);
            let covers = symbol.size != 0 && address - symbol.value < symbol.size;
            (real && covers, symbol.value, real, !symbol.local)
        };
        in_section
            .max_by_key(rank)
            .map(|symbol| symbols.name(symbol).to_owned())
    }
}

/// Whether a symbol's name is one that people gave: not empty, no mapping symbol, no local label.
pub(crate) fn is_name(start: &[u8]) -> bool {
    !matches!(start, [] | [0, ..] | [b'$', ..] | [b'.', b'L', ..])
}

fn check_symbol(object: &Object<'_>, symbol: &Symbol) -> Result<(), LinkError> {
    let site = |section: &str| {
        Box::new(Site {
            section: section.to_owned(),
            address: Some(symbol.value),
            symbol: Some(object.symbols.name(symbol).to_owned()),
            ..Site::default()
        })
    };
    let Home::Section(home) = symbol.home else {
        return Ok(());
    };
    let Some(section) = object.sections.get(home as usize) else {
        let (at, index) = (site("symbol table"), home.into());
        return Err(LinkError::BadIndex {
            at,
            what: "section",
            index,
        });
    };
    match symbol.kind {
        SymbolKind::Tls => {
            return Err(LinkError::Tls {
                at: site(section.name),
            });
        }
        SymbolKind::Ifunc => {
            return Err(LinkError::Ifunc {
                at: site(section.name),
            });
        }
        _ => {}
    }
    let inside = (section.address..=section.end()).contains(&symbol.value);
    if section.in_memory() && symbol.kind == SymbolKind::Function && !inside {
        let target = format!("`{}`", object.symbols.name(symbol));
        return Err(LinkError::SymbolOutside {
            at: site("symbol table"),
            target,
        });
    }
    Ok(())
}
