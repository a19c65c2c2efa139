//! Source lines of code offsets, from the debug information beside a program.

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian};
use flate2::read::ZlibDecoder;
use rivet::isa::Pc;
use rivet::loader::{AddressMap, DebugSection, Sidecar};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

/// Most bytes that one section may unpack to.
const MAX_SECTION: u64 = 512 << 20;
/// `ELFCOMPRESS_ZLIB`, and the bytes of the header in front of compressed data.
const ZLIB: u32 = 1;
const HEADER: usize = 24;

/// The debug sections of a program, unpacked.
pub(crate) struct Sections<'a> {
    sections: BTreeMap<&'a str, Cow<'a, [u8]>>,
    map: &'a AddressMap,
}

/// The content of a section. `None` if it is packed in a way that cannot be read.
fn content(section: &DebugSection) -> Option<Cow<'_, [u8]>> {
    if !section.compressed {
        return Some(Cow::Borrowed(&section.bytes));
    }
    let (header, packed) = section.bytes.split_at_checked(HEADER)?;
    let kind = header.first_chunk::<4>()?;
    if u32::from_le_bytes(*kind) != ZLIB {
        return None;
    }
    let mut out = Vec::new();
    let unpacked = ZlibDecoder::new(packed).take(MAX_SECTION);
    { unpacked }.read_to_end(&mut out).ok()?;
    Some(Cow::Owned(out))
}

impl<'a> Sections<'a> {
    pub(crate) fn of(sidecar: &'a Sidecar) -> Self {
        let named = |section: &'a DebugSection| Some((section.name.as_str(), content(section)?));
        Self {
            sections: sidecar.debug.iter().filter_map(named).collect(),
            map: &sidecar.map,
        }
    }

    /// The lines these sections tell of; `None` without any.
    pub(crate) fn lines(&self) -> Option<Lines<'_>> {
        self.sections.get(".debug_line")?;
        let load = |name: &str| -> Result<_, Error> {
            let bytes = self.sections.get(name).map_or(&[][..], |bytes| bytes);
            Ok(EndianSlice::new(bytes, LittleEndian))
        };
        let dwarf = Dwarf::load(|id| load(id.name())).ok()?;
        Some(Lines {
            context: Context::from_dwarf(dwarf).ok()?,
            map: self.map,
        })
    }
}

/// Where code comes from.
pub(crate) struct Lines<'a> {
    context: Context<EndianSlice<'a, LittleEndian>>,
    map: &'a AddressMap,
}

impl Lines<'_> {
    /// `file:line` of an offset.
    pub(crate) fn at(&self, pc: u64) -> Option<String> {
        let address = self.map.to_old(Pc::new(pc))?;
        let location = self.context.find_location(address).ok()??;
        Some(format!("{}:{}", location.file?, location.line?))
    }
}
