//! Conformance vectors: what a program must do, as text that any engine can read.
//!
//! ```text
//!  *.vec, *.vec.gz ──parse──▶ VectorFile ──▶ Vector ──check──▶ Report: nothing, or differences
//!        ▲                        │                    ▲
//!        └──────────write─────────┘                 Engines (one per cost model)
//! ```
//!
//! `conformance-vectors/README.md` is the definition of the format; the types of `model.rs` are
//! its fields. Reading is total: any bytes give a file or an error that names file, line and
//! field. A file says where its expectations come from ([`Origin`]), so that what this engine has
//! recorded is never taken for an independent answer.

mod check;
#[cfg(feature = "diff")]
mod claim;
#[cfg(feature = "diff")]
mod course;
mod error;
mod fields;
mod folder;
mod listen;
mod model;
mod parse;
mod record;
mod script;
mod start;
mod token;
mod write;

pub use check::{Engines, Mismatch, check, check_moving};
#[cfg(feature = "diff")]
pub use course::{Course, CourseError};
pub use error::{FolderError, ParseError, Problem};
pub use folder::{collect, read};
pub use listen::Listener;
pub use model::{
    Again, Answer, Begin, BlockLine, Bytes, Expect, Map, Origin, PageRun, RegSet, Stage, Statics,
    Vector, VectorFile,
};
pub use parse::parse;
pub use record::{RecordError, record};
pub use write::write;

/// First word of every vector file, followed by the version of the format.
pub const MAGIC: &str = "pvm2-vectors";
/// The version of the format this crate reads and writes.
pub const VERSION: u64 = 1;
/// Most bytes of code and memory that one file may list, counts expanded: 64 MiB.
pub const MAX_EXPANDED: usize = 64 << 20;
