//! PVM2 program images: keys, slot paths, mappings, endpoints, wire form and
//! addresses (kernel ABI §3).
//!
//! ```text
//!  linker ── ImageBuilder ──┐                       ┌── layout() ── engine
//!                           ├── Image (admitted) ───┤
//!  .pvm ──── decode ────────┘     │                 └── encode ──── .pvm
//!                                 └── address() = hash(Cap::Image)
//! ```
//!
//! * An [`Image`] exists only if it passed every structural check of §3.4, so
//!   its readers need no checks of their own. Instruction bytes are never
//!   screened.
//! * Reading is total: no input makes it panic, and time and memory are
//!   proportional to the input. Declared sizes cost nothing: a [`Data`] holds
//!   the pages that are not zero and no more.
//! * The address is that of the logical form and does not depend on how a wire
//!   form was packed.
//! * A `.pvm` file is the wire form and nothing else. Symbols, address maps and
//!   debug information are no part of an image; a linker keeps them beside it.
//!   How a linker names endpoints is told at [`ImageBuilder`].
//!
//! Footprint, depth and frame cost are functions of the layout and belong to the
//! gas model.
#![forbid(unsafe_code)]

mod address;
mod admission;
mod builder;
mod data;
mod digest;
mod error;
mod image;
mod key;
mod layout;
pub mod limits;
pub mod lineage;
mod merkle;
mod ssz;
mod wire;

pub use address::{CapKind, cap_address};
pub use admission::{ImageResolver, NoImages};
pub use builder::ImageBuilder;
pub use data::{Data, DataError, Page, page_root};
pub use digest::Digest;
pub use error::{Field, ImageError, Part, Place, Rule};
pub use image::{EndpointDef, Image, InitialReg, Mapping, Pinned, Source};
pub use key::{Key, KeyTooLong, PathLength, SlotPath};
pub use layout::{Access, LayoutError, Region, RegionKind};
pub use ssz::Defect;
pub use wire::EncodeError;
