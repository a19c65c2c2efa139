//! Comparing engines: the same case on two sides, and the first thing that differs.
//!
//! ```text
//!  Case ─load─▶ Session of side a ─┐
//!      └─load─▶ Session of side b ─┴─ compare ──▶ Difference
//! ```
//!
//! A side is anything that can be advanced block by block and looked at ([`Subject`],
//! [`Session`]): an engine of this crate ([`Contender`]), a recorded trace, or, in tests, an engine
//! that is wrong on purpose. [`Volume`] compares many random cases on all cores.

mod compare;
mod script;
mod subject;
mod volume;

pub use compare::{Difference, Every, Plan, Seen, Summary, compare};
pub use script::Script;
pub use subject::{Calls, Contender, Session, Step, Subject, raw};
pub use volume::{Finding, Kind, Totals, Volume, Watch};

pub use rivet_isa::generate::{Access, Case, Mapping, Run};
