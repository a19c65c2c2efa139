//! The two-phase interface through which a host answers guest calls (gas §9).
//!
//! ```text
//! ecalli / ecall.jar
//!    │ quote(call, view)            reads only; Quote = work + ranges that will be written
//!    ▼
//! one check-and-deduct of floor + work + page charges ──refused──▶ OutOfGas, pc = the call
//!    │ paid
//!    ▼
//! perform(call, context) ─▶ Flow::{Continue, Suspend, Halt}
//! ```
//!
//! A range that a call writes must be quoted: its pages become private and are charged like a
//! guest store's (gas §12), and [`CallContext::write`] refuses any other range.

use crate::memory::GuestMemory;
use rivet_isa::{Gas, GuestAddr, PageIndex, Reg, Regs};
use rivet_mutants::mutant;
use std::ops::Range;

/// Which call the guest makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Call {
    /// `ecalli` with its selector as the host sees it.
    Host {
        /// The 12-bit selector, sign-extended to 32 bits.
        selector: u32,
    },
    /// `ecall.jar`; its operation is in the registers.
    Kernel,
}

/// What the host does after a call was performed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Flow {
    /// The guest goes on at next_pc.
    Continue,
    /// The run exits with the call as its reason, marked as paid; it resumes at next_pc.
    Suspend,
    /// The run ends with [`Exit::Halt`](rivet_isa::Exit::Halt).
    Halt,
}

/// A host's answer to "what would this call cost?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Work and ranges to write; `None` if the call is not answered.
    priced: Option<(u64, Vec<Range<u64>>)>,
}

impl Quote {
    /// Nobody here answers this call: it surfaces as an unpaid exit and costs nothing yet.
    pub const fn unanswered() -> Self {
        Self { priced: None }
    }

    /// The floor alone: the price of a cheap operation and of one rejected for its arguments
    /// (gas §9.6).
    pub const fn floor() -> Self {
        Self::extra(0)
    }

    /// The floor and `work` gas on top of it.
    pub const fn extra(work: u64) -> Self {
        Self {
            priced: Some((work, Vec::new())),
        }
    }

    /// Adds a range of guest memory that the call will write, `len` bytes from `addr`. Pages it
    /// makes private are charged on top. Check with [`View::check_write`] first: a range with a
    /// page that is not writable costs nothing here and refuses the write later.
    #[must_use]
    pub fn writing(mut self, addr: GuestAddr, len: u64) -> Self {
        if let Some((_, writes)) = &mut self.priced {
            let start = u64::from(addr.value());
            writes.push(start..start.saturating_add(len));
        }
        self
    }

    /// Gas on top of the floor and the ranges to write, or `None` if the call is not answered.
    pub fn terms(&self) -> Option<(u64, &[Range<u64>])> {
        let (work, ranges) = self.priced.as_ref()?;
        Some((*work, ranges))
    }

    /// Work and ranges, or `None` if the call is not answered.
    #[inline]
    pub(crate) fn priced(&self) -> Option<(u64, &[Range<u64>])> {
        let (work, writes) = self.priced.as_ref()?;
        Some((*work, writes))
    }

    /// The ranges that will be written.
    #[inline]
    pub(crate) fn writes(&self) -> &[Range<u64>] {
        self.priced().map_or(&[], |(_, writes)| writes)
    }
}

/// Why a host could not touch guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccessError {
    /// A page of the range is not accessible in this way; nothing was read or written.
    #[error("page {page} is not accessible")]
    Inaccessible {
        /// First such page in address order.
        page: PageIndex,
    },
    /// The range was not part of the quote, so its pages have not been paid for.
    #[error("writing {len} bytes at {addr} was not quoted")]
    NotQuoted {
        /// Start of the range.
        addr: GuestAddr,
        /// Its length in bytes.
        len: usize,
    },
    /// The host has no memory left for the pages; the run will end with a host error.
    #[error("guest memory is exhausted")]
    Exhausted,
}

/// What a host may look at before a call is paid.
pub struct View<'a> {
    pub(crate) regs: &'a Regs,
    pub(crate) gas: Gas,
    pub(crate) memory: &'a dyn GuestMemory,
}

impl View<'_> {
    /// The guest's registers.
    pub fn regs(&self) -> &Regs {
        self.regs
    }

    /// Gas before the charge.
    pub fn gas(&self) -> Gas {
        self.gas
    }

    /// Copies guest memory from `addr` on, addresses modulo 2^32. Free of charge; fails without
    /// having copied anything if a page is not readable.
    pub fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        self.memory.read(addr, out)
    }

    /// Whether `len` bytes from `addr` on can be read.
    pub fn check_read(&self, addr: GuestAddr, len: u64) -> Result<(), AccessError> {
        self.memory.check_read(addr, len)
    }

    /// Whether `len` bytes from `addr` on can be written.
    pub fn check_write(&self, addr: GuestAddr, len: u64) -> Result<(), AccessError> {
        self.memory.check_write(addr, len)
    }
}

/// What a host works on once a call is paid.
pub struct CallContext<'a> {
    pub(crate) regs: &'a mut Regs,
    pub(crate) gas: &'a mut Gas,
    pub(crate) memory: &'a mut dyn GuestMemory,
    pub(crate) writes: &'a [Range<u64>],
}

impl CallContext<'_> {
    /// The guest's registers.
    pub fn regs(&self) -> &Regs {
        self.regs
    }

    /// Sets a register, usually a result.
    pub fn set_reg(&mut self, reg: Reg, value: u64) {
        self.regs.set(reg, value);
    }

    /// Gas after the charge.
    pub fn gas(&self) -> Gas {
        *self.gas
    }

    /// Gives the guest other gas, as a kernel does that moves gas between accounts.
    pub fn set_gas(&mut self, gas: Gas) {
        *self.gas = gas;
    }

    /// Copies guest memory from `addr` on, addresses modulo 2^32.
    pub fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        self.memory.read(addr, out)
    }

    /// Writes guest memory from `addr` on, addresses modulo 2^32. The range must lie in one that
    /// was quoted; its pages are private afterwards (gas §12).
    pub fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        let start = u64::from(addr.value());
        let end = start + bytes.len() as u64;
        let quoted = |range: &Range<u64>| {
            range.start <= start && mutant!(CallUnquoted, end <= range.end, true)
        };
        if !bytes.is_empty() && !self.writes.iter().any(quoted) {
            return Err(AccessError::NotQuoted {
                addr,
                len: bytes.len(),
            });
        }
        self.memory.write(addr, bytes)
    }
}

/// Answers guest calls.
pub trait Host {
    /// What the call costs. Must depend on arguments and committed state only, and may be asked
    /// more than once for one call: after OutOfGas the call is tried again from scratch.
    fn quote(&self, call: Call, view: &View<'_>) -> Quote;

    /// Performs a call that has been paid.
    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow;
}

/// Answers nothing: every call surfaces as an exit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::unanswered()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        Flow::Suspend
    }
}
