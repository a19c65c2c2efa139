//! The memory of guests: 4 KiB pages, shared until written, charged exactly once, cheap to start,
//! fork, reset and stop.
//!
//! ```text
//!  Slab ── PageSource ── Region ── Layout          immutable, shared between machines
//!                                    │
//!   page ──▶ AddressSpace::access ◀──┘             the one access rule (ISA §10, gas §10)
//!              │
//!              ├─ software: frames                 interpreter, idle machines, forks
//!              └─ Window of a WindowPool           generated code, host page tables
//!                    ▲            │
//!  FaultScope ── signal handler   └─ Ledger: charged / open / closed
//! ```
//!
//! # Invariants
//!
//! * **INV-P1** A slab never changes: its file is sealed before anyone sees it.
//! * **INV-P2** From the guard below its context to the guard above its last byte a window's address
//!   range belongs to it alone, so no 32-bit guest address plus 8 bytes reaches anything else.
//! * **INV-P3** The private bitmap (*charged*) is the truth about gas. A page is in it exactly if its
//!   price has been returned to a caller as a charge.
//! * **INV-P4** A writable page is *charged* (host-writable), *closed* (host-read-only: its first
//!   store traps and is charged at once) or *open* (host-writable, not yet charged). The first and
//!   the last page of every contiguous writable run, and every base page, are never open.
//! * **INV-P5** [`AddressSpace::open_charge`] is the sum of the prices of open pages. With `gas` the
//!   gas left when all charged pages and no open page are paid, `gas - open_charge` never exceeds the
//!   true gas; after a [`settle`](AddressSpace::settle) `gas` is the true gas.
//!
//! # How generated code uses it
//!
//! A run of generated code is bracketed by [`begin_run`](AddressSpace::begin_run) and
//! [`end_run`](AddressSpace::end_run), whose charge is deducted before anyone looks at the gas.
//! With `R = Rsmall + open_charge`, the gas register holds `gas - R`. On a fault inside its
//! [`FaultScope`] it computes `gas = register + R`, calls
//! [`access_opening`](AddressSpace::access_opening), deducts the charge, and sets the register to
//! `gas - (Rsmall + open_charge)` with the new `open_charge`. When a gate's cheap check fails and
//! `open_charge` is not 0 it calls [`settle`](AddressSpace::settle) with [`Settle::Close`], deducts,
//! and decides exactly. A host call settles with [`Settle::Keep`] before the host sees gas or pages,
//! and [checks](AddressSpace::check_untouched) after it that only the guest writes open pages.
//! [`Change::Nothing`] for an access that faulted is a [`HostError::Unexplained`]: retrying it would
//! fault for ever.
//!
//! Two answers mean that the host can give the window no more mappings
//! ([`HostError::is_shortage`]): an access that fails so leaves everything as in front of it, and a
//! [`settle`](AddressSpace::settle) after which pages are [`stuck`](AddressSpace::stuck) open has
//! charged exactly. Either way the run ends, the machine
//! [leaves its window](AddressSpace::leave_window) and goes on in an interpreter, at the same
//! instruction or block.
#![deny(unsafe_code)]

// Tests inside the crate share the guest of those outside.
#[cfg(all(test, has_windows))]
extern crate self as rivet_paging;

mod access;
mod changed;
mod data_cap;
mod error;
mod frame;
mod layout;
mod ledger;
mod merkle;
mod page;
mod page_set;
mod pieces;
mod pool;
mod quota;
mod signal_check;
mod slab;
mod space;
mod sys;
#[cfg(test)]
mod testing;
mod window;

pub use access::{AccessLen, Change, Granted};
pub use changed::SharedPage;
pub use data_cap::{DataCap, OutOfRange};
pub use error::{Denied, Errno, HostError, PageFault, SysCall};
pub use layout::{Access, Layout, LayoutError, MAX_COW_COST, Region, RegionClass};
pub use ledger::{Settle, Tracker};
pub use merkle::{Hash, ZERO_HASH, data_root, page_root};
pub use page::{
    ADDRESS_SPACE, GuestAddr, HostAddr, PAGE_SHIFT, PAGE_SIZE, PAGES, PageCount, PageIndex,
    PageRange,
};
pub use page_set::PageSet;
pub use pool::WindowPool;
pub use quota::{EngineQuota, MemoryLimits};
pub use signal_check::SignalCheck;
pub use slab::{MAX_EXTENTS, PageSource, Slab};
pub use space::{AddressSpace, PageClass};
#[cfg(has_windows)]
pub use sys::signals::{FaultAction, FaultFrame, FaultHandler, FaultScope, FaultSignal, HostReg};
pub use window::{CONTEXT_SIZE, GUARD_SIZE, WindowView};
