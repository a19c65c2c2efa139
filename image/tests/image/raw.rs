//! The wire form, declared field by field as §3.4 lists it, read and written by
//! `libssz`: an oracle for the reader, and a way to write invalid images.

use libssz::{SszDecode, SszEncode};
use libssz_derive::{SszDecode, SszEncode};

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawImage {
    pub(crate) code: RawRange,
    pub(crate) endpoints: Vec<Entry<RawEndpoint>>,
    pub(crate) memory_mappings: Vec<RawMapping>,
    pub(crate) pinned_slots: Vec<Entry<RawPinned>>,
    pub(crate) initial_slots: Vec<Entry<RawData>>,
    pub(crate) yield_receiver_slot: RawOptionalKey,
    pub(crate) gas_slots: Vec<Vec<u8>>,
    pub(crate) quota_slots: Vec<Vec<u8>>,
    pub(crate) arena: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawRange {
    pub(crate) arena_off: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct Entry<V: SszEncode + SszDecode> {
    pub(crate) key: Vec<u8>,
    pub(crate) value: V,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawEndpoint {
    pub(crate) entry_pc: u64,
    pub(crate) arg_registers: u8,
    pub(crate) arg_cnode_size: u8,
    pub(crate) initial_regs: Vec<RawReg>,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawReg {
    pub(crate) reg: u8,
    pub(crate) value: u64,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawMapping {
    pub(crate) start: u64,
    pub(crate) size: u64,
    pub(crate) source: RawSource,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
#[ssz(enum_behaviour = "union")]
pub(crate) enum RawSource {
    Persistent(Vec<Vec<u8>>),
    Ephemeral,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
#[ssz(enum_behaviour = "union")]
pub(crate) enum RawPinned {
    Data(RawData),
    Image([u8; 32]),
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawData {
    pub(crate) size: u64,
    pub(crate) pages: Vec<RawPage>,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
pub(crate) struct RawPage {
    pub(crate) page_index: u32,
    pub(crate) arena_off: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Debug, PartialEq, SszEncode, SszDecode)]
#[ssz(enum_behaviour = "union")]
pub(crate) enum RawOptionalKey {
    None,
    Some(Vec<u8>),
}

impl RawImage {
    /// Four bytes of code (`ecalli 0`) and nothing else.
    pub(crate) fn minimal() -> Self {
        Self {
            code: RawRange {
                arena_off: 0,
                len: 4,
            },
            endpoints: vec![],
            memory_mappings: vec![],
            pinned_slots: vec![],
            initial_slots: vec![],
            yield_receiver_slot: RawOptionalKey::None,
            gas_slots: vec![],
            quota_slots: vec![],
            arena: vec![0x0b, 0x20, 0x00, 0x00],
        }
    }

    /// Every Data of the image: pinned ones, then initial ones.
    pub(crate) fn data_mut(&mut self) -> impl Iterator<Item = &mut RawData> {
        let pinned = self.pinned_slots.iter_mut();
        let pinned = pinned.filter_map(|entry| match &mut entry.value {
            RawPinned::Data(data) => Some(data),
            RawPinned::Image(_) => None,
        });
        pinned.chain(self.initial_slots.iter_mut().map(|entry| &mut entry.value))
    }
}

pub(crate) fn entry<V: SszEncode + SszDecode>(key: &[u8], value: V) -> Entry<V> {
    Entry {
        key: key.to_vec(),
        value,
    }
}

pub(crate) fn endpoint(entry_pc: u64, regs: &[u8]) -> RawEndpoint {
    RawEndpoint {
        entry_pc,
        arg_registers: 0,
        arg_cnode_size: 0,
        initial_regs: regs.iter().map(|&reg| RawReg { reg, value: 7 }).collect(),
    }
}

pub(crate) fn ephemeral(start: u64, size: u64) -> RawMapping {
    RawMapping {
        start,
        size,
        source: RawSource::Ephemeral,
    }
}

pub(crate) fn data(size: u64, pages: &[(u32, u32, u32)]) -> RawData {
    let page = |&(page_index, arena_off, len)| RawPage {
        page_index,
        arena_off,
        len,
    };
    RawData {
        size,
        pages: pages.iter().map(page).collect(),
    }
}
