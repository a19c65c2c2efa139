//! The wire form: the bytes an image travels as (kernel ABI §3.4).
//!
//! ```text
//! │ code {arena_off, len} │ 8 offsets │ endpoints │ mappings │ … │ arena                │
//!        │                                 pages {page_index, arena_off, len}  ▲        ▲
//!        │                                            └─────────────────────────┘        │
//!        └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A `.pvm` file is exactly these bytes. Reading is total: any input gives an
//! image or an [`ImageError`](crate::ImageError), in time and memory proportional
//! to the input. Writing packs canonically, so equal images give equal bytes,
//! while a reader accepts any packing.

mod decode;
mod encode;
mod zeros;

pub use encode::EncodeError;
