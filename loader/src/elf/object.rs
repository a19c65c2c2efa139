//! An executable whose headers, sections and segments have been checked; goblin's types stop here.
//!
//! ```text
//! file ─▶ header ─▶ segments ──┐ agree: every section in memory lies in one loadable segment
//!              └──▶ sections ──┘
//!                     ├─ role Code    executable, content in the file
//!                     ├─ role Data    content in the file
//!                     ├─ role Zero    no content
//!                     ├─ role Unwind  exception tables, which nothing may use
//!                     └─ role None    not in memory: debug information, symbols, relocations
//! ```
//!
//! After [`Object::read`] these hold: every range of a section or table lies inside the file;
//! sections in memory do not overlap, end below 2^32, and are not both writable and executable;
//! there is nothing dynamic and nothing thread-local.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::RelocSection;
use goblin::elf::section_header::{self as sh, SectionHeader};

use super::header;
use super::reloc::{Kind, Reloc};
use super::segments::{check_loaded, segments};
use super::symbols::{Symbols, name_at};
use crate::error::{LinkError, Part, Site};

/// How ELF64 in little-endian is laid out, for goblin.
pub(super) const CTX: Ctx = Ctx {
    container: Container::Big,
    le: Endian::Little,
};
/// More sections than any real executable has.
const MAX_SECTIONS: u64 = 1 << 14;
const ADDRESS_SPACE: u64 = rivet_isa::ADDRESS_SPACE;

/// What a section is to the linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Instructions, possibly with data between them.
    Code,
    /// Bytes in memory.
    Data,
    /// Zeros in memory.
    Zero,
    /// Exception tables: in memory, but nothing reads them.
    Unwind,
    /// Not in memory.
    None,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) writable: bool,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// Content in the file; empty for zeros.
    pub(crate) bytes: &'a [u8],
    /// Whether the content is compressed, as debug information can be.
    pub(crate) compressed: bool,
    /// `sh_type`.
    kind: u32,
    /// `sh_info`: for relocations the section they apply to.
    info: u32,
    /// `sh_link`.
    link: u32,
}

impl Section<'_> {
    /// First address past the section.
    pub(crate) fn end(&self) -> u64 {
        self.address + self.size
    }

    /// Whether the section takes addresses in memory.
    pub(crate) fn in_memory(&self) -> bool {
        self.role != Role::None
    }

    /// A place in this section.
    pub(crate) fn site(&self, offset: u64) -> Site {
        Site {
            section: self.name.to_owned(),
            offset: Some(offset),
            address: self.in_memory().then(|| self.address.wrapping_add(offset)),
            ..Site::default()
        }
    }

    /// This section as a whole.
    pub(super) fn site_whole(&self) -> Box<Site> {
        Box::new(Site {
            section: self.name.to_owned(),
            address: Some(self.address),
            ..Site::default()
        })
    }
}

/// The relocation tables of one section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelocTable<'a> {
    /// Index of the section they apply to.
    pub(crate) target: usize,
    pub(crate) bytes: &'a [u8],
}

/// A checked executable.
pub(crate) struct Object<'a> {
    pub(crate) entry: u64,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) symbols: Symbols<'a>,
    pub(crate) relocations: Vec<RelocTable<'a>>,
}

impl<'a> Object<'a> {
    /// Reads and checks all but instructions and relocations.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, LinkError> {
        let header = header::read(bytes)?;
        let count = header.sections.count as u64;
        if count == 0 {
            return Err(LinkError::NoSections);
        }
        limit("sections", count, MAX_SECTIONS)?;
        limit("segments", header.segments.count as u64, MAX_SECTIONS)?;
        let raw = SectionHeader::parse(bytes, header.sections.offset, header.sections.count, CTX)
            .map_err(|_| {
            cut(
                Part::Sections,
                header.sections.offset as u64,
                count * 64,
                bytes,
            )
        })?;
        let segments = segments(bytes, header.segments)?;
        let mut sections = sections(bytes, &raw, header.names)?;
        check_overlaps(&sections)?;
        for section in sections.iter_mut().filter(|section| section.in_memory()) {
            // What the segment keeps read-only is read-only, whatever the section would allow.
            section.writable &= check_loaded(section, bytes, &segments)?;
        }
        let table = symbol_table(&sections, &raw)?;
        let (index, table) = table.map_or((0, None), |(index, table)| (index, Some(table)));
        let symbols = Symbols::read(table.as_ref(), bytes)?;
        let relocations = relocations(&sections, index)?;
        Ok(Self {
            entry: header.entry,
            sections,
            symbols,
            relocations,
        })
    }

    /// The sections of one role with their indices, by address.
    pub(crate) fn by_role(&self, roles: &[Role]) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.sections.len())
            .filter(|&index| roles.contains(&self.sections[index].role))
            .collect();
        found.sort_by_key(|&index| (self.sections[index].address, index));
        found
    }
}

/// What the symbol reader needs to know of a section.
pub(super) struct SymbolTable {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) entry: u64,
    pub(super) strings: (u64, u64),
}

/// The symbol table: its index, and where it and its names are. Executables have at most one.
fn symbol_table(
    sections: &[Section<'_>],
    raw: &[SectionHeader],
) -> Result<Option<(usize, SymbolTable)>, LinkError> {
    let Some(index) = sections.iter().position(|one| one.kind == sh::SHT_SYMTAB) else {
        return Ok(None);
    };
    let (section, header) = (&sections[index], &raw[index]);
    let strings = raw
        .get(section.link as usize)
        .filter(|strings| strings.sh_type == sh::SHT_STRTAB)
        .ok_or_else(|| bad_index(section.name, "string table", section.link.into()))?;
    let table = SymbolTable {
        offset: header.sh_offset,
        size: header.sh_size,
        entry: header.sh_entsize,
        strings: (strings.sh_offset, strings.sh_size),
    };
    Ok(Some((index, table)))
}

fn bad_index(section: &str, what: &'static str, index: u64) -> LinkError {
    let at = Box::new(Site {
        section: section.to_owned(),
        ..Site::default()
    });
    LinkError::BadIndex { at, what, index }
}

fn limit(what: &'static str, found: u64, limit: u64) -> Result<(), LinkError> {
    if found > limit {
        Err(LinkError::TooMany { what, found, limit })
    } else {
        Ok(())
    }
}

/// The error for a part that does not lie in the file.
pub(super) fn cut(part: Part, offset: u64, size: u64, bytes: &[u8]) -> LinkError {
    LinkError::Truncated {
        part,
        offset,
        size,
        file: bytes.len() as u64,
    }
}

/// A range of the file.
pub(super) fn range(bytes: &[u8], part: Part, offset: u64, size: u64) -> Result<&[u8], LinkError> {
    let end = offset
        .checked_add(size)
        .filter(|&end| end <= bytes.len() as u64);
    match end {
        Some(end) => Ok(&bytes[offset as usize..end as usize]),
        None => Err(cut(part, offset, size, bytes)),
    }
}

fn sections<'a>(
    bytes: &'a [u8],
    raw: &[SectionHeader],
    names: u64,
) -> Result<Vec<Section<'a>>, LinkError> {
    let table = usize::try_from(names)
        .ok()
        .and_then(|index| raw.get(index))
        .filter(|table| table.sh_type == sh::SHT_STRTAB)
        .ok_or_else(|| bad_index("file header", "string table", names))?;
    let names = range(bytes, Part::Section, table.sh_offset, table.sh_size)?;
    raw.iter()
        .map(|header| section(bytes, header, name_at(names, header.sh_name)))
        .collect()
}

fn section<'a>(
    bytes: &'a [u8],
    raw: &SectionHeader,
    name: &'a str,
) -> Result<Section<'a>, LinkError> {
    let flag = |flag: u32| raw.sh_flags & u64::from(flag) != 0;
    let content = match raw.sh_type {
        sh::SHT_NOBITS | sh::SHT_NULL => &[],
        _ => range(bytes, Part::Section, raw.sh_offset, raw.sh_size)?,
    };
    let mut section = Section {
        name,
        role: Role::None,
        writable: flag(sh::SHF_WRITE),
        address: raw.sh_addr,
        size: raw.sh_size,
        align: raw.sh_addralign,
        bytes: content,
        compressed: flag(sh::SHF_COMPRESSED),
        kind: raw.sh_type,
        info: raw.sh_info,
        link: raw.sh_link,
    };
    if raw.sh_type == sh::SHT_DYNAMIC || raw.sh_type == sh::SHT_DYNSYM {
        return Err(LinkError::Dynamic {
            what: "a section of dynamic linking",
        });
    }
    if raw.sh_type == sh::SHT_NULL || !flag(sh::SHF_ALLOC) || raw.sh_size == 0 {
        return Ok(section);
    }
    if flag(sh::SHF_TLS) {
        return Err(LinkError::Tls {
            at: section.site_whole(),
        });
    }
    if flag(sh::SHF_WRITE) && flag(sh::SHF_EXECINSTR) {
        return Err(LinkError::WritableCode {
            at: section.site_whole(),
        });
    }
    if raw
        .sh_addr
        .checked_add(raw.sh_size)
        .is_none_or(|end| end > ADDRESS_SPACE)
    {
        return Err(LinkError::OutsideAddressSpace {
            at: section.site_whole(),
            size: raw.sh_size,
        });
    }
    section.role = match (flag(sh::SHF_EXECINSTR), raw.sh_type) {
        (true, sh::SHT_NOBITS) => {
            return Err(LinkError::EmptyCode {
                at: section.site_whole(),
            });
        }
        (true, _) => Role::Code,
        (false, sh::SHT_NOBITS) => Role::Zero,
        (false, _) if is_unwind(name) => Role::Unwind,
        (false, _) => Role::Data,
    };
    Ok(section)
}

/// Sections that only an unwinder reads.
fn is_unwind(name: &str) -> bool {
    let base = [".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];
    base.contains(&name) || name.starts_with(".gcc_except_table.")
}

fn check_overlaps(sections: &[Section<'_>]) -> Result<(), LinkError> {
    let mut used: Vec<&Section<'_>> = sections.iter().filter(|one| one.in_memory()).collect();
    used.sort_by_key(|section| section.address);
    for pair in used.windows(2) {
        if pair[0].end() > pair[1].address {
            return Err(LinkError::Overlap {
                first: pair[0].name.to_owned(),
                second: pair[1].name.to_owned(),
                address: pair[1].address,
            });
        }
    }
    Ok(())
}

fn relocations<'a>(
    sections: &[Section<'a>],
    symbols: usize,
) -> Result<Vec<RelocTable<'a>>, LinkError> {
    let mut tables = Vec::new();
    for section in sections
        .iter()
        .filter(|one| matches!(one.kind, sh::SHT_RELA | sh::SHT_REL))
    {
        if section.size == 0 {
            continue;
        }
        let target = section.info as usize;
        let Some(applies_to) = sections.get(target).filter(|_| target != 0) else {
            if section.name.contains("iplt") {
                return Err(LinkError::Ifunc {
                    at: section.site_whole(),
                });
            }
            return Err(LinkError::BadIndex {
                at: section.site_whole(),
                what: "section",
                index: target as u64,
            });
        };
        if !applies_to.in_memory() {
            continue;
        }
        let part = Part::Relocations;
        if section.kind == sh::SHT_REL {
            return Err(LinkError::EntrySize {
                part,
                found: 16,
                expected: 24,
            });
        }
        if section.size % 24 != 0 {
            return Err(LinkError::EntrySize {
                part,
                found: section.size % 24,
                expected: 24,
            });
        }
        if section.link as usize != symbols || symbols == 0 {
            let (name, index) = (section.name, section.link.into());
            return Err(bad_index(name, "symbol table", index));
        }
        tables.push(RelocTable {
            target,
            bytes: section.bytes,
        });
    }
    Ok(tables)
}

impl<'a> RelocTable<'a> {
    /// The relocations in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Reloc> + use<'a> {
        let table = RelocSection::parse(self.bytes, 0, self.bytes.len(), true, CTX);
        // The size was checked when the table was found, so there is no error to lose here.
        table.unwrap_or_default().iter().map(|raw| Reloc {
            address: raw.r_offset,
            kind: Kind(raw.r_type),
            symbol: u32::try_from(raw.r_sym).unwrap_or(u32::MAX),
            addend: raw.r_addend.unwrap_or(0),
        })
    }
}
