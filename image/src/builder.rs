//! Putting an image together: what a linker calls.

use std::sync::Arc;

use rivet_isa::{Pc, Slot};

use crate::admission;
use crate::error::ImageError;
use crate::image::{EndpointDef, Image, InitialReg, Mapping, Parts, Pinned};
use crate::{Data, Key};

/// The slot of the stack pointer, x2.
const STACK_POINTER: Slot = match Slot::new(1) {
    Some(slot) => slot,
    None => panic!("there are fifteen slots"),
};

/// Collects the parts of an image; [`build`](Self::build) checks them.
///
/// Slots and endpoints may be added in any order and are sorted by key; the
/// order of mappings, gas slots and quota slots is kept, for it has a meaning.
///
/// An image has no room for symbol names. A linker keeps those beside it and names
/// endpoints by this rule: the start symbol is the endpoint `[00]`, which a caller
/// reaches with the simplest selector; every further exported entry gets the key of
/// the next index, in the order of export ([`Key::endpoint`]). The stack pointer is
/// an initial register of the endpoint: slot 1 holds the top of the stack mapping.
///
/// ```
/// use rivet_image::{Data, EndpointDef, ImageBuilder, Key, Mapping, Source};
/// use rivet_isa::Pc;
///
/// let halt = [0x0b, 0x20, 0x00, 0x00];
/// let image = ImageBuilder::new(halt.as_slice())
///     .endpoint(Key::endpoint(0), EndpointDef::at(Pc::new(0)).with_stack_top(0x1080_0000))
///     .pinned(Key::byte(66), Data::from_bytes(0x1000, b"Hello")?)
///     .mapping(Mapping {
///         start: 0x1000_0000,
///         size: 0x1000,
///         source: Source::Persistent(Key::byte(66).into()),
///     })
///     .mapping(Mapping { start: 0x1000_1000, size: 0x7F_F000, source: Source::Ephemeral })
///     .build()?;
/// assert_eq!(image.code(), halt);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    parts: Parts,
}

impl ImageBuilder {
    /// An image of `code` and nothing else.
    #[must_use]
    pub fn new(code: impl Into<Arc<[u8]>>) -> Self {
        Self {
            parts: Parts {
                code: code.into(),
                endpoints: Vec::new(),
                mappings: Vec::new(),
                pinned: Vec::new(),
                initial: Vec::new(),
                yield_receiver_slot: None,
                gas_slots: Vec::new(),
                quota_slots: Vec::new(),
            },
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn endpoint(mut self, key: Key, def: EndpointDef) -> Self {
        self.parts.endpoints.push((key, def));
        self
    }

    /// Adds a memory mapping.
    #[must_use]
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.parts.mappings.push(mapping);
        self
    }

    /// Pins a Data or an image at `key`; mappings from there are read-only.
    #[must_use]
    pub fn pinned(mut self, key: Key, content: impl Into<Pinned>) -> Self {
        self.parts.pinned.push((key, content.into()));
        self
    }

    /// Fills `key` with `content` when an instance is constructed.
    #[must_use]
    pub fn initial(mut self, key: Key, content: Data) -> Self {
        self.parts.initial.push((key, content));
        self
    }

    /// Declares the slot of the yield receiver.
    #[must_use]
    pub fn yield_receiver_slot(mut self, key: Key) -> Self {
        self.parts.yield_receiver_slot = Some(key);
        self
    }

    /// Declares the next gas slot.
    #[must_use]
    pub fn gas_slot(mut self, key: Key) -> Self {
        self.parts.gas_slots.push(key);
        self
    }

    /// Declares the next quota slot.
    #[must_use]
    pub fn quota_slot(mut self, key: Key) -> Self {
        self.parts.quota_slots.push(key);
        self
    }

    /// The image, if it passes the structural checks of kernel ABI §3.4.
    ///
    /// Whether a pinned image can be resolved is for the reader to check.
    ///
    /// # Errors
    /// [`ImageError`] names the place and the rule it breaks. An index in it is
    /// that of the sorted list for endpoints and slots.
    pub fn build(self) -> Result<Image, ImageError> {
        let mut parts = self.parts;
        parts.endpoints.sort_by(|(a, _), (b, _)| a.cmp(b));
        parts.pinned.sort_by(|(a, _), (b, _)| a.cmp(b));
        parts.initial.sort_by(|(a, _), (b, _)| a.cmp(b));
        admission::check(&parts)?;
        Ok(Image::admitted(parts))
    }
}

impl EndpointDef {
    /// An endpoint that enters at the code offset `entry_pc` with all registers
    /// zero and documents no arguments.
    #[must_use]
    pub fn at(entry_pc: Pc) -> Self {
        Self {
            entry_pc,
            ..Self::default()
        }
    }

    /// The endpoint with `value` in `reg` at entry.
    #[must_use]
    pub fn with_reg(mut self, reg: Slot, value: u64) -> Self {
        match self.initial_regs.binary_search_by_key(&reg, |r| r.reg) {
            Ok(at) => self.initial_regs[at].value = value,
            Err(at) => self.initial_regs.insert(at, InitialReg { reg, value }),
        }
        self
    }

    /// The endpoint with the stack pointer, slot 1, at `top`.
    #[must_use]
    pub fn with_stack_top(self, top: u64) -> Self {
        self.with_reg(STACK_POINTER, top)
    }
}

impl Key {
    /// The key of the endpoint a linker exports as number `index`: the shortest
    /// big-endian form of the index, at least one byte. Index 0 is the start
    /// symbol.
    #[must_use]
    pub fn endpoint(index: u16) -> Self {
        match index.to_be_bytes() {
            [0, low] => Self::byte(low),
            bytes => Self::new(&bytes).expect("two bytes are within the limit of a key"),
        }
    }
}
