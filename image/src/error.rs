//! What is wrong with an image, and where.

use std::fmt;

use rivet_isa::{DATA_BASE, MAX_CODE_SIZE, Pc, SLOTS, Slot};

use crate::limits::MAX_ARG_REGISTERS;
use crate::ssz::Defect;
use crate::{DataError, Digest, Key, KeyTooLong, PathLength};

/// An image that is not admitted: the place and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {rule}")]
pub struct ImageError {
    /// Where in the image.
    pub at: Place,
    /// Which rule, with the offending value.
    pub rule: Rule,
}

/// A place in an image, shown like `endpoints[3].value.entry_pc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Field of the image.
    pub field: Field,
    /// Element of the field, if the field is a list.
    pub index: Option<usize>,
    /// Part of the element.
    pub part: Option<Part>,
}

impl Place {
    /// The whole of `field`.
    #[must_use]
    pub const fn field(field: Field) -> Self {
        Self {
            field,
            index: None,
            part: None,
        }
    }

    /// Element `index` of `field`.
    #[must_use]
    pub const fn item(field: Field, index: usize) -> Self {
        Self {
            field,
            index: Some(index),
            part: None,
        }
    }

    /// `part` of the same element.
    #[must_use]
    pub const fn part(self, part: Part) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        match self.part {
            Some(part) => write!(f, ".{part}"),
            None => Ok(()),
        }
    }
}

/// A field of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The container of all fields.
    Image,
    /// `code`.
    Code,
    /// `endpoints`.
    Endpoints,
    /// `memory_mappings`.
    MemoryMappings,
    /// `pinned_slots`.
    PinnedSlots,
    /// `initial_slots`.
    InitialSlots,
    /// `yield_receiver_slot`.
    YieldReceiverSlot,
    /// `gas_slots`.
    GasSlots,
    /// `quota_slots`.
    QuotaSlots,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Code => "code",
            Self::Endpoints => "endpoints",
            Self::MemoryMappings => "memory_mappings",
            Self::PinnedSlots => "pinned_slots",
            Self::InitialSlots => "initial_slots",
            Self::YieldReceiverSlot => "yield_receiver_slot",
            Self::GasSlots => "gas_slots",
            Self::QuotaSlots => "quota_slots",
        })
    }
}

/// A part of an element of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key of a map entry.
    Key,
    /// The value of a map entry.
    Value,
    /// `entry_pc` of an endpoint.
    EntryPc,
    /// `arg_registers` of an endpoint.
    ArgRegisters,
    /// `initial_regs` of an endpoint.
    InitialRegs,
    /// One entry of `initial_regs`.
    InitialReg(usize),
    /// `start` of a mapping.
    Start,
    /// `size` of a mapping.
    Size,
    /// `source` of a mapping.
    Source,
    /// One step of the slot path of a mapping.
    Step(usize),
    /// The page list of a Data.
    Pages,
    /// One page of a Data.
    Page(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("key"),
            Self::Value => f.write_str("value"),
            Self::EntryPc => f.write_str("value.entry_pc"),
            Self::ArgRegisters => f.write_str("value.arg_registers"),
            Self::InitialRegs => f.write_str("value.initial_regs"),
            Self::InitialReg(index) => write!(f, "value.initial_regs[{index}]"),
            Self::Start => f.write_str("start"),
            Self::Size => f.write_str("size"),
            Self::Source => f.write_str("source"),
            Self::Step(index) => write!(f, "source.path[{index}]"),
            Self::Pages => f.write_str("value.pages"),
            Self::Page(index) => write!(f, "value.pages[{index}]"),
        }
    }
}

/// The rule of kernel ABI §3.4 that is broken, with the value that breaks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Check 1: the bytes are not the serialization of a value.
    #[error(transparent)]
    Malformed(#[from] Defect),
    /// Check 1: a list has more elements than its limit.
    #[error("{count} entries are more than the limit of {limit}")]
    TooMany {
        /// Elements found.
        count: usize,
        /// Elements allowed.
        limit: usize,
    },
    /// Check 1: a key is longer than 64 bytes.
    #[error(transparent)]
    Key(#[from] KeyTooLong),
    /// Check 1: keys of a map are not strictly ascending.
    #[error("key {key} follows key {previous}: keys of a map are distinct and in ascending order")]
    KeyOrder {
        /// The key out of order.
        key: Key,
        /// The key before it.
        previous: Key,
    },
    /// Check 2: the code is longer than the code area.
    #[error("code of {len} bytes is longer than the limit of {MAX_CODE_SIZE} bytes")]
    CodeTooLong {
        /// Length of the code.
        len: u64,
    },
    /// Check 2: a range leaves the arena.
    #[error("arena range {offset:#x} + {len:#x} ends outside the arena of {arena:#x} bytes")]
    OutsideArena {
        /// First byte of the range.
        offset: u32,
        /// Bytes in the range.
        len: u32,
        /// Bytes in the arena.
        arena: usize,
    },
    /// Check 3: a Data or its page list.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Check 3: a page range is empty or longer than a page.
    #[error("a page range of {len} bytes: it needs 1 to 4096, and a zero page is left out")]
    PageLength {
        /// Bytes in the range.
        len: u32,
    },
    /// Check 4: a mapping does not start or end on a page.
    #[error("{value:#x} is not a multiple of 4096: mappings are made of whole pages")]
    Unaligned {
        /// The start or size.
        value: u64,
    },
    /// Check 4: a mapping of no bytes.
    #[error("the mapping is empty: it needs at least one page")]
    EmptyMapping,
    /// Check 4: a mapping leaves the data range.
    #[error("range {start:#x} + {size:#x} is not inside the data range {DATA_BASE:#x} to 2^32")]
    OutsideDataRange {
        /// First address of the mapping.
        start: u64,
        /// Bytes of the mapping.
        size: u64,
    },
    /// Check 4: two mappings share a page.
    #[error("range {start:#x} + {size:#x} overlaps memory_mappings[{other}]")]
    Overlap {
        /// First address of the mapping.
        start: u64,
        /// Bytes of the mapping.
        size: u64,
        /// Index of the mapping it overlaps.
        other: usize,
    },
    /// Check 5: a slot path is empty or too long.
    #[error(transparent)]
    Path(#[from] PathLength),
    /// Check 6: a register slot that does not exist.
    #[error("register slot {reg} does not exist: slots go from 0 to {}", SLOTS - 1)]
    NoSuchRegister {
        /// The slot index.
        reg: u8,
    },
    /// Check 6: initial registers are not strictly ascending.
    #[error("register slot {} follows slot {}: slots go in strictly ascending order", reg.index(), previous.index())]
    RegisterOrder {
        /// The slot out of order.
        reg: Slot,
        /// The slot before it.
        previous: Slot,
    },
    /// Check 6: an entry point outside the code.
    #[error("entry {entry_pc} is outside the code of {code_len:#x} bytes")]
    EntryOutsideCode {
        /// The code offset.
        entry_pc: Pc,
        /// Length of the code.
        code_len: u64,
    },
    /// Check 6: more arguments than a call passes.
    #[error("{arg_registers} argument registers: a call passes at most {MAX_ARG_REGISTERS}")]
    TooManyArguments {
        /// Arguments documented.
        arg_registers: u8,
    },
    /// Check 7: the scratchpad slot is declared.
    #[error("key [00] is the scratchpad and cannot be declared here: choose another key")]
    Scratchpad,
    /// Check 7: a key is both pinned and initial.
    #[error("key {key} is pinned and initial: keep one of the two")]
    PinnedAndInitial {
        /// The key in both lists.
        key: Key,
    },
    /// Check 8: a pinned image is not known.
    #[error("pinned image {address} is not known: admit that image first")]
    UnknownImage {
        /// The capability address of the image.
        address: Digest,
    },
}

/// Adds the place to a broken rule.
pub(crate) trait At<T> {
    /// The value, or the error with its place.
    fn at(self, place: Place) -> Result<T, ImageError>;
}

impl<T, E: Into<Rule>> At<T> for Result<T, E> {
    fn at(self, place: Place) -> Result<T, ImageError> {
        self.map_err(|rule| ImageError {
            at: place,
            rule: rule.into(),
        })
    }
}
