//! The logical form of an image: what is hashed and what an engine runs
//! (kernel ABI §3.4).

use std::fmt;
use std::sync::{Arc, OnceLock};

use rivet_isa::{Pc, Slot};

use crate::{Data, Digest, Key, SlotPath, address};

/// An admitted program image. Cloning shares it.
///
/// Every value of this type has passed the structural admission checks of §3.4;
/// the bytes of the code are never screened.
#[derive(Clone)]
pub struct Image(Arc<Inner>);

struct Inner {
    parts: Parts,
    address: OnceLock<Digest>,
}

/// The fields of an image in the order of §3.4, admitted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) code: Arc<[u8]>,
    pub(crate) endpoints: Vec<(Key, EndpointDef)>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) pinned: Vec<(Key, Pinned)>,
    pub(crate) initial: Vec<(Key, Data)>,
    pub(crate) yield_receiver_slot: Option<Key>,
    pub(crate) gas_slots: Vec<Key>,
    pub(crate) quota_slots: Vec<Key>,
}

/// Where and how a call of the image begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointDef {
    /// Code offset of the first instruction; inside the code, but not
    /// necessarily a block start.
    pub entry_pc: Pc,
    /// How many arguments the endpoint reads, 0 to 4; documentation only.
    pub arg_registers: u8,
    /// Kept by the format and without meaning.
    pub arg_cnode_size: u8,
    /// Register slots that do not start at zero, by strictly ascending slot.
    pub initial_regs: Vec<InitialReg>,
}

/// One register slot an endpoint sets before the arguments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialReg {
    /// The slot; slot 1 is the stack pointer.
    pub reg: Slot,
    /// Value of the slot.
    pub value: u64,
}

/// A range of guest addresses and what backs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address, page-aligned.
    pub start: u64,
    /// Bytes, a positive number of pages.
    pub size: u64,
    /// What the range shows when a frame starts.
    pub source: Source,
}

impl Mapping {
    /// First address past the mapping; saturates on values no image admits.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// The slot path of a persistent mapping.
    #[must_use]
    pub fn path(&self) -> Option<&SlotPath> {
        match &self.source {
            Source::Persistent(path) => Some(path),
            Source::Ephemeral => None,
        }
    }
}

/// What backs a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Data in a slot: read-only if the first step is a pinned key, else
    /// copy-on-write and stored back on a normal end.
    Persistent(SlotPath),
    /// Zeros at the start of every frame, never stored.
    Ephemeral,
}

/// What an image pins at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// Constant content.
    Data(Data),
    /// Another image, by its capability address.
    Image(Digest),
}

impl From<Data> for Pinned {
    fn from(data: Data) -> Self {
        Self::Data(data)
    }
}

impl Image {
    /// Wraps parts that have passed admission.
    pub(crate) fn admitted(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            address: OnceLock::new(),
        }))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The program text; code offset 0 is guest address `CODE_BASE`.
    #[must_use]
    pub fn code(&self) -> &[u8] {
        &self.parts().code
    }

    /// The program text, to be kept alive apart from the image.
    #[must_use]
    pub fn code_shared(&self) -> Arc<[u8]> {
        Arc::clone(&self.parts().code)
    }

    /// All endpoints by ascending key.
    #[must_use]
    pub fn endpoints(&self) -> &[(Key, EndpointDef)] {
        &self.parts().endpoints
    }

    /// The endpoint at `key`.
    #[must_use]
    pub fn endpoint(&self, key: &Key) -> Option<&EndpointDef> {
        find(self.endpoints(), key)
    }

    /// All memory mappings in declared order; they never overlap.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.parts().mappings
    }

    /// All pinned slots by ascending key.
    #[must_use]
    pub fn pinned_slots(&self) -> &[(Key, Pinned)] {
        &self.parts().pinned
    }

    /// What is pinned at `key`.
    #[must_use]
    pub fn pinned(&self, key: &Key) -> Option<&Pinned> {
        find(self.pinned_slots(), key)
    }

    /// Whether writes to `mapping` are refused: its path starts at a pinned key.
    #[must_use]
    pub fn is_pinned(&self, mapping: &Mapping) -> bool {
        mapping
            .path()
            .is_some_and(|path| self.pinned(path.first()).is_some())
    }

    /// Content that fills empty slots once, when an instance is constructed, by
    /// ascending key.
    #[must_use]
    pub fn initial_slots(&self) -> &[(Key, Data)] {
        &self.parts().initial
    }

    /// The initial content at `key`.
    #[must_use]
    pub fn initial(&self, key: &Key) -> Option<&Data> {
        find(self.initial_slots(), key)
    }

    /// The slot that says which yields are caught.
    #[must_use]
    pub fn yield_receiver_slot(&self) -> Option<&Key> {
        self.parts().yield_receiver_slot.as_ref()
    }

    /// Slots that hold gas handles; the first usable one is the primary.
    #[must_use]
    pub fn gas_slots(&self) -> &[Key] {
        &self.parts().gas_slots
    }

    /// Slots that hold storage quota handles; the first usable one is the primary.
    #[must_use]
    pub fn quota_slots(&self) -> &[Key] {
        &self.parts().quota_slots
    }

    /// The capability address `hash(Cap::Image)`, which is also the `image_id`.
    ///
    /// Depends on the logical form only, not on how a wire form was packed. The
    /// first call costs O(code + pages present × depth); the result is kept.
    #[must_use]
    pub fn address(&self) -> Digest {
        *self.0.address.get_or_init(|| address::image(&self.0.parts))
    }
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.parts() == other.parts()
    }
}

impl Eq for Image {}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        f.debug_struct("Image")
            .field("code_len", &parts.code.len())
            .field("endpoints", &parts.endpoints)
            .field("mappings", &parts.mappings)
            .field("pinned", &parts.pinned)
            .field("initial", &parts.initial)
            .field("yield_receiver_slot", &parts.yield_receiver_slot)
            .field("gas_slots", &parts.gas_slots)
            .field("quota_slots", &parts.quota_slots)
            .finish()
    }
}

/// Looks `key` up in a list sorted by key.
fn find<'a, V>(entries: &'a [(Key, V)], key: &Key) -> Option<&'a V> {
    let at = entries.binary_search_by(|(found, _)| found.cmp(key)).ok()?;
    Some(&entries[at].1)
}
