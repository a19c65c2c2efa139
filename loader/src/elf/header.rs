//! The 64 bytes at the start of the file: what kind of executable this is.

use goblin::elf::Elf;
use goblin::elf::header::{self, Header as Raw, header64};

use crate::error::{FlagFault, LinkError, Part};

const EM_RISCV: u16 = 243;
/// Compressed instructions are present.
const FLAG_RVC: u32 = 1;
/// Mask of the floating-point calling convention; 0 is none.
const FLAG_FLOAT_ABI: u32 = 6;
/// Only x0 to x15 are used.
const FLAG_RVE: u32 = 8;
/// Memory order is TSO, which one thread cannot tell.
const FLAG_TSO: u32 = 16;

const SEGMENT_SIZE: u64 = 56;
const SECTION_SIZE: u64 = 64;

/// What the header says about the rest of the file; both tables lie inside it.
pub(super) struct Header {
    pub(super) entry: u64,
    pub(super) segments: Table,
    pub(super) sections: Table,
    /// Index of the section that holds section names.
    pub(super) names: u64,
}

/// A table of headers.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) offset: usize,
    pub(super) count: usize,
}

/// Reads and judges the header.
pub(super) fn read(bytes: &[u8]) -> Result<Header, LinkError> {
    if !bytes.starts_with(header::ELFMAG) {
        let first = bytes.iter().take(4).copied().collect();
        return Err(LinkError::NotElf {
            len: bytes.len(),
            first,
        });
    }
    let truncated = LinkError::Truncated {
        part: Part::Header,
        offset: 0,
        size: header64::SIZEOF_EHDR as u64,
        file: bytes.len() as u64,
    };
    // The identification is judged before the rest is read, because class and byte order decide
    // where the other fields are.
    let ident = bytes
        .get(..header::SIZEOF_IDENT)
        .ok_or_else(|| truncated.clone())?;
    check_ident(ident)?;
    if bytes.len() < header64::SIZEOF_EHDR {
        return Err(truncated);
    }
    let raw = Elf::parse_header(bytes).map_err(|_| truncated)?;
    check_kind(&raw)?;
    tables(&raw, bytes)
}

fn check_ident(ident: &[u8]) -> Result<(), LinkError> {
    let class = ident[header::EI_CLASS];
    if class != header::ELFCLASS64 {
        return Err(LinkError::WrongClass { found: class });
    }
    let data = ident[header::EI_DATA];
    if data != header::ELFDATA2LSB {
        return Err(LinkError::WrongEndian { found: data });
    }
    let version = ident[header::EI_VERSION];
    if version != header::EV_CURRENT {
        return Err(LinkError::WrongVersion {
            found: version.into(),
        });
    }
    Ok(())
}

fn check_kind(raw: &Raw) -> Result<(), LinkError> {
    if raw.e_version != 1 {
        return Err(LinkError::WrongVersion {
            found: raw.e_version,
        });
    }
    if raw.e_machine != EM_RISCV {
        return Err(LinkError::WrongMachine {
            found: raw.e_machine,
        });
    }
    if raw.e_type != header::ET_EXEC {
        return Err(LinkError::WrongType { found: raw.e_type });
    }
    let flags = raw.e_flags;
    let fault = if flags & FLAG_RVE == 0 {
        Some(FlagFault::NotEmbedded)
    } else if flags & FLAG_FLOAT_ABI != 0 {
        Some(FlagFault::FloatAbi)
    } else if flags & !(FLAG_RVC | FLAG_FLOAT_ABI | FLAG_RVE | FLAG_TSO) != 0 {
        Some(FlagFault::Unknown)
    } else {
        None
    };
    match fault {
        Some(fault) => Err(LinkError::WrongFlags { flags, fault }),
        None => Ok(()),
    }
}

fn tables(raw: &Raw, bytes: &[u8]) -> Result<Header, LinkError> {
    if raw.e_shoff == 0 {
        return Err(LinkError::NoSections);
    }
    let sizes = [
        (
            Part::Segments,
            raw.e_phentsize,
            SEGMENT_SIZE,
            raw.e_phnum != 0,
        ),
        (Part::Sections, raw.e_shentsize, SECTION_SIZE, true),
    ];
    for (part, found, expected, used) in sizes {
        if used && u64::from(found) != expected {
            return Err(LinkError::EntrySize {
                part,
                found: found.into(),
                expected,
            });
        }
    }
    // Counts that do not fit the header are in the first section header.
    let first = table(bytes, Part::Sections, raw.e_shoff, 1, SECTION_SIZE)?;
    let first = &bytes[first.offset..];
    let field = |at: usize| {
        let bytes = first.get(at..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let sections = if raw.e_shnum == 0 {
        field(0x20)
    } else {
        raw.e_shnum.into()
    };
    let segments = if raw.e_phnum == 0xFFFF {
        field(0x2C) & 0xFFFF_FFFF
    } else {
        raw.e_phnum.into()
    };
    let names = if raw.e_shstrndx == 0xFFFF {
        field(0x28) & 0xFFFF_FFFF
    } else {
        raw.e_shstrndx.into()
    };
    Ok(Header {
        entry: raw.e_entry,
        segments: table(bytes, Part::Segments, raw.e_phoff, segments, SEGMENT_SIZE)?,
        sections: table(bytes, Part::Sections, raw.e_shoff, sections, SECTION_SIZE)?,
        names,
    })
}

/// A table that lies inside the file.
fn table(
    bytes: &[u8],
    part: Part,
    offset: u64,
    count: u64,
    entry: u64,
) -> Result<Table, LinkError> {
    let size = count.saturating_mul(entry);
    let file = bytes.len() as u64;
    if offset.checked_add(size).is_none_or(|end| end > file) {
        return Err(LinkError::Truncated {
            part,
            offset,
            size,
            file,
        });
    }
    Ok(Table {
        offset: offset as usize,
        count: count as usize,
    })
}
