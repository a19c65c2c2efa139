//! The one door to the host: memory mappings, memory files, signals.
//!
//! `linux` makes the calls and holds no policy; `signals` owns the fault handler. `fake` is the
//! twin for every other target and for tools that cannot map memory: its slabs are heap memory and
//! it has no windows, so all machines run in software. Nothing outside this folder is unsafe,
//! apart from the promises a caller of `fault::FaultScope` makes.

#[cfg(has_windows)]
mod linux;
#[cfg(has_windows)]
pub(crate) use linux::{Reservation, SlabFile};
#[cfg(has_windows)]
pub(crate) mod signals;

#[cfg(has_windows)]
mod page_tables;
#[cfg(has_windows)]
pub(crate) use page_tables::{page_tables, refuse_process_merging, thread_faults};

#[cfg(any(test, not(has_windows)))]
mod fake;
#[cfg(not(has_windows))]
pub(crate) use fake::{Reservation, SlabFile, page_tables, refuse_process_merging, thread_faults};

mod inject;
#[cfg(all(test, has_windows))]
pub(crate) use inject::fail_at;
pub(crate) use inject::gate;

/// What the processor may do with mapped pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protection {
    /// Nothing.
    None,
    /// Load.
    Read,
    /// Load and store.
    ReadWrite,
}

#[cfg(all(test, has_windows))]
mod tests;
