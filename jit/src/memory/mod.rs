//! Memory for native code and dispatch tables, shared by the programs of an engine.
//!
//! ```text
//!   segment:  memfd ──pwrite──▶ pages ◀──execute── one read-execute mapping below 2 GiB
//!   table:    anonymous read-write mapping below 2 GiB, one u32 per halfword of code
//! ```
//!
//! * No page is ever writable and executable, and executable memory has no writable mapping:
//!   code is published by writing to the file descriptor.
//! * Both lie below 2 GiB, so that an address fits a table entry and a displacement.
//! * Freed code waits in quarantine until its segment runs short; then one barrier makes every
//!   thread drop instructions it may have fetched ahead, and the space is reused.

mod code;
mod ranges;
#[expect(unsafe_code, reason = "door: code memory")]
mod sys;
mod table;

pub(crate) use code::{Code, Pool};
pub use code::{CodeCache, CodeCacheConfig};
pub use sys::MemoryError;
pub(crate) use table::Table;
