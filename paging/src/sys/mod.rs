//! The one door to the host: memory mappings, memory files, signals.
//!
//! `linux` makes the calls and holds no policy; `signals` owns the fault handler. `fake` is the
//! twin for every other target and for tools that cannot map memory: its slabs are heap memory and
//! it has no windows, so all machines run in software. Nothing outside this folder is unsafe,
//! apart from the promises a caller of `fault::FaultScope` makes.

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
pub(crate) use linux::{Reservation, SlabFile};
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
pub(crate) mod signals;

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
mod page_tables;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
pub(crate) use page_tables::{page_tables, refuse_process_merging, thread_faults};

#[cfg(any(test, not(all(target_os = "linux", target_arch = "x86_64", not(miri)))))]
mod fake;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
pub(crate) use fake::{Reservation, SlabFile, page_tables, refuse_process_merging, thread_faults};

mod inject;
#[cfg(test)]
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

#[cfg(test)]
mod tests;
