//! Comparing engines: the same case on two sides, and the first thing that differs.
//!
//! ```text
//!  Case ─load─▶ Session of side a ─┐
//!      └─load─▶ Session of side b ─┴─ compare ──▶ Difference
//! ```
//!
//! A side is anything that can be advanced block by block and looked at ([`Subject`],
//! [`Session`]): an engine of this crate ([`Contender`]), a recorded trace, or, in tests, an engine
//! that is wrong on purpose. [`Volume`] compares many random cases on all cores, [`locate`] finds
//! the block and the instruction on which two sides part, [`shrink`] makes a case small, and
//! [`reduce`] chooses what to shrink: as little of the past as shows the difference.

mod compare;
mod journey;
mod locate;
mod parting;
mod program;
mod prologue;
mod recorded;
mod reduce;
mod restart;
mod script;
mod shrink;
mod sketch;
mod subject;
mod volume;

pub use compare::{Difference, Every, Field, Plan, Seen, Summary, compare};
pub use journey::{Act, Detour, JourneyError, Journeys, Move, Routine};
pub use locate::{Culprit, Evidence, LocateError, Located, locate, locate_watched};
pub use parting::{Parting, parting};
pub use program::case_of;
pub use recorded::{Keep, Mismatch, RecordError, Recorded, record};
pub use reduce::{Reduced, reduce};
pub use script::Script;
pub use shrink::{Effort, shrink};
pub use subject::{Calls, Contender, Session, Step, Subject, raw};
pub use volume::{Finding, Kind, Totals, Volume, Watch};

pub use rivet_isa::generate::{Access, Case, Mapping, Run};
