//! Paused executions as values: taken from one machine, carried anywhere, resumed on any backend.
//!
//! ```text
//!  Machine ──snapshot──▶ Snapshot ──encode──▶ bytes ──▶ Parcel (bytes, their hashes, the image)
//!     ▲                   │    ▲                                      │  file, pipe, network
//!     └─────resume────────┘    └── decode ◀───────────────────────────┘
//!                      Delta = Snapshot against a base snapshot
//! ```
//!
//! A snapshot is architectural state and nothing else: the program by the address of its image,
//! pc, fifteen registers, gas, the cost parameters' identity, a pending call with whether it is
//! paid, and pages in three classes. *Unchanged* pages are not in it: the image has them. *Base*
//! pages were placed by the embedder; they were not charged. *Private* pages were written and
//! charged.
//!
//! * `value.rs`: the value. `pages.rs`: its pages, shared with machines and forks.
//! * `machine.rs`: from a machine, and what makes a snapshot one that a run could have reached.
//! * `wire.rs`, `bits.rs`, `encode.rs`, `decode.rs`: canonical bytes. Equal state, equal bytes; any
//!   other bytes are refused.
//! * `delta.rs`: only what changed since a base.
//! * `parcel.rs`: what is stored and sent: hashes that name the damaged part, and room for the image.
//!
//! Nothing here hashes unless asked: [`Snapshot::address`] and [`Parcel`] do.

mod bits;
mod decode;
mod delta;
mod encode;
mod error;
mod machine;
mod pages;
mod parcel;
mod value;
mod wire;

pub use delta::Delta;
pub use error::{DecodeError, DeltaError, ParcelError, ResumeError, SnapshotError};
pub use pages::{PageList, SnapshotPage};
pub use parcel::{Parcel, ParcelHeader, State as ParcelState};
pub use value::{Pending, Snapshot};
pub use wire::{FORMAT_VERSION, ISA_VERSION};
