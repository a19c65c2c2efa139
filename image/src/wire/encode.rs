//! Image to wire form, canonically packed.
//!
//! The structs declare the wire form field by field; `libssz` writes them.

use std::collections::HashMap;

use libssz::SszEncode;
use libssz_derive::SszEncode;

use crate::image::{EndpointDef, Image, Mapping, Pinned, Source};
use crate::{Data, Key};

/// An image whose wire form does not fit 32-bit offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the wire form takes {len} bytes, more than its 32-bit offsets reach: carry less content")]
pub struct EncodeError {
    /// Bytes needed; a lower bound.
    pub len: u64,
}

impl Image {
    /// The canonical wire form: pages in the order pinned then initial, each up
    /// to its last non-zero byte, equal pages once, the code last.
    ///
    /// # Errors
    /// [`EncodeError`] if the content does not fit 32-bit offsets.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut arena = Packer::default();
        let pinned = entries(self.pinned_slots(), |pinned| match pinned {
            Pinned::Data(data) => Ok(WirePinned::Data(arena.data(data)?)),
            Pinned::Image(address) => Ok(WirePinned::Image(*address.as_bytes())),
        })?;
        let initial = entries(self.initial_slots(), |data| arena.data(data))?;
        let code = arena.append(self.code())?;
        let wire = WireImage {
            code,
            endpoints: entries(self.endpoints(), |def| Ok(WireEndpoint::from(def)))?,
            memory_mappings: self.mappings().iter().map(WireMapping::from).collect(),
            pinned_slots: pinned,
            initial_slots: initial,
            yield_receiver_slot: match self.yield_receiver_slot() {
                None => WireOptionalKey::None,
                Some(key) => WireOptionalKey::Some(wire_key(key)),
            },
            gas_slots: self.gas_slots().iter().map(wire_key).collect(),
            quota_slots: self.quota_slots().iter().map(wire_key).collect(),
            arena: arena.bytes,
        };
        let len = wire.encoded_len() as u64;
        if u32::try_from(len).is_err() {
            return Err(EncodeError { len });
        }
        Ok(wire.to_ssz())
    }
}

#[derive(SszEncode)]
struct WireImage {
    code: WireRange,
    endpoints: Vec<WireEntry<WireEndpoint>>,
    memory_mappings: Vec<WireMapping>,
    pinned_slots: Vec<WireEntry<WirePinned>>,
    initial_slots: Vec<WireEntry<WireData>>,
    yield_receiver_slot: WireOptionalKey,
    gas_slots: Vec<Vec<u8>>,
    quota_slots: Vec<Vec<u8>>,
    arena: Vec<u8>,
}

#[derive(Clone, Copy, SszEncode)]
struct WireRange {
    arena_off: u32,
    len: u32,
}

#[derive(SszEncode)]
struct WireEntry<V: SszEncode> {
    key: Vec<u8>,
    value: V,
}

#[derive(SszEncode)]
struct WireEndpoint {
    entry_pc: u64,
    arg_registers: u8,
    arg_cnode_size: u8,
    initial_regs: Vec<WireReg>,
}

#[derive(SszEncode)]
struct WireReg {
    reg: u8,
    value: u64,
}

#[derive(SszEncode)]
struct WireMapping {
    start: u64,
    size: u64,
    source: WireSource,
}

#[derive(SszEncode)]
#[ssz(enum_behaviour = "union")]
enum WireSource {
    Persistent(Vec<Vec<u8>>),
    Ephemeral,
}

#[derive(SszEncode)]
#[ssz(enum_behaviour = "union")]
enum WirePinned {
    Data(WireData),
    Image([u8; 32]),
}

#[derive(SszEncode)]
struct WireData {
    size: u64,
    pages: Vec<WirePage>,
}

#[derive(SszEncode)]
struct WirePage {
    page_index: u32,
    arena_off: u32,
    len: u32,
}

#[derive(SszEncode)]
#[ssz(enum_behaviour = "union")]
enum WireOptionalKey {
    None,
    Some(Vec<u8>),
}

/// Fills the arena; equal pages share a range.
#[derive(Default)]
struct Packer<'a> {
    bytes: Vec<u8>,
    pages: HashMap<&'a [u8], WireRange>,
}

impl<'a> Packer<'a> {
    fn data(&mut self, data: &'a Data) -> Result<WireData, EncodeError> {
        let mut pages = Vec::with_capacity(data.pages().len());
        for page in data.pages() {
            let range = self.page(page.bytes)?;
            pages.push(WirePage {
                page_index: page.index,
                arena_off: range.arena_off,
                len: range.len,
            });
        }
        Ok(WireData {
            size: data.size(),
            pages,
        })
    }

    fn page(&mut self, bytes: &'a [u8]) -> Result<WireRange, EncodeError> {
        if let Some(range) = self.pages.get(bytes) {
            return Ok(*range);
        }
        let range = self.append(bytes)?;
        self.pages.insert(bytes, range);
        Ok(range)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<WireRange, EncodeError> {
        let len = (self.bytes.len() + bytes.len()) as u64;
        if u32::try_from(len).is_err() {
            return Err(EncodeError { len });
        }
        let range = WireRange {
            arena_off: self.bytes.len() as u32,
            len: bytes.len() as u32,
        };
        self.bytes.extend_from_slice(bytes);
        Ok(range)
    }
}

/// The entries of a map in wire form.
fn entries<'a, V, W: SszEncode>(
    map: &'a [(Key, V)],
    mut value: impl FnMut(&'a V) -> Result<W, EncodeError>,
) -> Result<Vec<WireEntry<W>>, EncodeError> {
    let entry = |(key, v): &'a (Key, V)| {
        Ok(WireEntry {
            key: wire_key(key),
            value: value(v)?,
        })
    };
    map.iter().map(entry).collect()
}

fn wire_key(key: &Key) -> Vec<u8> {
    key.as_bytes().to_vec()
}

impl From<&EndpointDef> for WireEndpoint {
    fn from(def: &EndpointDef) -> Self {
        let regs = def.initial_regs.iter().map(|r| WireReg {
            reg: r.reg.index() as u8,
            value: r.value,
        });
        Self {
            entry_pc: def.entry_pc.value(),
            arg_registers: def.arg_registers,
            arg_cnode_size: def.arg_cnode_size,
            initial_regs: regs.collect(),
        }
    }
}

impl From<&Mapping> for WireMapping {
    fn from(mapping: &Mapping) -> Self {
        let source = match &mapping.source {
            Source::Persistent(path) => {
                WireSource::Persistent(path.steps().iter().map(wire_key).collect())
            }
            Source::Ephemeral => WireSource::Ephemeral,
        };
        Self {
            start: mapping.start,
            size: mapping.size,
            source,
        }
    }
}
