//! Loadable segments, and that sections agree with them.

use goblin::elf::program_header::{self as ph, ProgramHeader};

use super::header::Table;
use super::object::{CTX, Role, Section, cut, range};
use crate::error::{LinkError, Part, Site};

/// The loadable segments by address; refuses everything dynamic.
pub(super) fn segments(bytes: &[u8], table: Table) -> Result<Vec<ProgramHeader>, LinkError> {
    let size = table.count as u64 * 56;
    let all = ProgramHeader::parse(bytes, table.offset, table.count, CTX)
        .map_err(|_| cut(Part::Segments, table.offset as u64, size, bytes))?;
    let mut loaded = Vec::new();
    for (index, segment) in all.into_iter().enumerate() {
        let site = || {
            Box::new(Site {
                section: format!("segment {index}"),
                address: Some(segment.p_vaddr),
                ..Site::default()
            })
        };
        match segment.p_type {
            ph::PT_DYNAMIC => {
                return Err(LinkError::Dynamic {
                    what: "a PT_DYNAMIC segment",
                });
            }
            ph::PT_INTERP => {
                return Err(LinkError::Dynamic {
                    what: "an interpreter (PT_INTERP)",
                });
            }
            ph::PT_TLS => return Err(LinkError::Tls { at: site() }),
            ph::PT_LOAD => {}
            _ => continue,
        }
        let (file, memory) = (segment.p_filesz, segment.p_memsz);
        if memory == 0 && file == 0 {
            continue;
        }
        range(bytes, Part::Segment, segment.p_offset, file)?;
        if file > memory {
            return Err(LinkError::SegmentSize {
                at: site(),
                file,
                memory,
            });
        }
        if segment
            .p_vaddr
            .checked_add(memory)
            .is_none_or(|end| end > rivet_isa::ADDRESS_SPACE)
        {
            return Err(LinkError::OutsideAddressSpace {
                at: site(),
                size: memory,
            });
        }
        if segment.p_flags & (ph::PF_W | ph::PF_X) == ph::PF_W | ph::PF_X {
            return Err(LinkError::WritableCode { at: site() });
        }
        loaded.push(segment);
    }
    loaded.sort_by_key(|segment| segment.p_vaddr);
    for pair in loaded.windows(2) {
        if pair[0].p_vaddr + pair[0].p_memsz > pair[1].p_vaddr {
            return Err(LinkError::Overlap {
                first: format!("the segment at {:#x}", pair[0].p_vaddr),
                second: format!("the segment at {:#x}", pair[1].p_vaddr),
                address: pair[1].p_vaddr,
            });
        }
    }
    Ok(loaded)
}

/// A section must lie in one segment, and its bytes must be the segment's. Returns whether the
/// segment is writable.
pub(super) fn check_loaded(
    section: &Section<'_>,
    file: &[u8],
    segments: &[ProgramHeader],
) -> Result<bool, LinkError> {
    let after = segments.partition_point(|segment| segment.p_vaddr <= section.address);
    let error = || {
        Err(LinkError::NotLoaded {
            at: section.site_whole(),
        })
    };
    let Some(segment) = after.checked_sub(1).map(|index| &segments[index]) else {
        return error();
    };
    let offset = section.address - segment.p_vaddr;
    if offset + section.size > segment.p_memsz {
        return error();
    }
    let writable = segment.p_flags & ph::PF_W != 0;
    let executable = segment.p_flags & ph::PF_X != 0;
    if section.role == Role::Code && !executable {
        return error();
    }
    if section.role == Role::Zero {
        // Zeros that the segment would load from the file are content in disguise.
        let loaded = segment.p_filesz.saturating_sub(offset).min(section.size);
        let start = segment.p_offset.saturating_add(offset);
        let bytes = range(file, Part::Segment, start, loaded)?;
        return if bytes.iter().all(|&byte| byte == 0) {
            Ok(writable)
        } else {
            error()
        };
    }
    let start = segment.p_offset.saturating_add(offset);
    let same = offset + section.size <= segment.p_filesz
        && range(file, Part::Segment, start, section.size)?.as_ptr() == section.bytes.as_ptr();
    if same { Ok(writable) } else { error() }
}
