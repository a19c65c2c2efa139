//! Which writable pages of a window are charged, open or closed: a state machine without system
//! calls, exact about gas whatever the host's page tables do between two questions.
//!
//! ```text
//!            trap: charge, allow                  settle: found copied
//!   closed ─────────────────────────▶ charged ◀─────────────────────── open
//!     │  ▲                               ▲  trap beside it: charge         │
//!     │  └───────────────────────────────┼──────────── close ─────────────┤
//!     └──────────── trap nearby: allow ──┼────────────────────────────────▶
//! ```
//!
//! * *charged*: in the private bitmap, paid, host-writable. Never asked about again.
//! * *closed*: host-read-only. Its first store traps and is paid at once.
//! * *open*: host-writable and not yet paid. The kernel copies it without telling; a *settle* asks
//!   which ones it copied and charges those.
//!
//! Edge pages of contiguous writable runs and base pages are never open (INV-P4): the processor may
//! copy the lower page of a straddling store before it finds that the upper one faults, and a page
//! with content of its own looks copied from the start.

use rivet_mutants::mutant;
mod open;
mod settle;
#[cfg(test)]
mod tests;

use crate::error::HostError;
use crate::layout::{Layout, Region};
use crate::page::{PAGES, PageIndex, PageRange};
use crate::page_set::PageSet;
use crate::quota::Held;
use crate::sys::page_tables;

use open::Growth;

/// How first writes are found. The answer is the same; the time is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tracker {
    /// Every clean page is closed: one trap per first write, some three times as dear as the write.
    Trap,
    /// A trap also opens neighbours, which the kernel then copies without a trap. Where the kernel
    /// or the state of the process does not allow that, a machine goes on with traps.
    #[default]
    Windows,
}

impl Tracker {
    /// Whether this process can track so.
    ///
    /// # Errors
    /// The reason why not.
    pub fn available(self) -> Result<(), HostError> {
        match self {
            Self::Trap => Ok(()),
            Self::Windows => page_tables().map(|_| ()),
        }
    }
}

/// What a settle does with open pages that were not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settle {
    /// They stay open, unless settles of this kind keep finding nothing.
    Keep,
    /// They become closed: the open charge is 0 afterwards, unless mappings run short.
    Close,
}

/// What the ledger needs of the host. Implementations neither allocate nor lock.
pub(crate) trait HostPages {
    /// Lets the processor write a range; the host may need `mappings` more mappings for it.
    fn allow(&mut self, range: PageRange, mappings: u64) -> Result<(), HostError>;
    /// Stops the processor from writing a range; the host may need `mappings` more for it.
    fn forbid(&mut self, range: PageRange, mappings: u64) -> Result<(), HostError>;
    /// Whether page tables of `range` tell the truth: no huge pages, no merging, nothing locked.
    fn vouch(&mut self, range: PageRange) -> Result<(), HostError>;
    /// Calls `found` with runs that cover exactly the pages of `range` with a copy of their own.
    fn scan(&mut self, range: PageRange, found: &mut dyn FnMut(PageRange))
    -> Result<(), HostError>;
    /// Page faults this thread has taken so far.
    fn faults(&mut self) -> Result<Faults, HostError>;
}

/// A reading of a thread's fault counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Faults {
    /// Which process counted: a fork starts from 0.
    pub(crate) process: u32,
    pub(crate) count: u64,
}

/// What a change of states costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Charged {
    /// Gas of the pages that became private.
    pub(crate) charge: u64,
    /// How many did.
    pub(crate) pages: u32,
}

/// The page states of one window.
#[derive(Default)]
pub(crate) struct Ledger {
    charged: PageSet,
    open: PageSet,
    base: PageSet,
    open_charge: u64,
    tracker: Tracker,
    /// Why pages are no longer opened although the tracker would.
    broken: Option<HostError>,
    /// Why open pages could not be closed, if the last attempt failed.
    stuck: Option<HostError>,
    /// Whether a guest may be writing.
    running: bool,
    /// Whether it has been settled since the last trap.
    asked: bool,
    growth: Growth,
    /// Settles in a row that found nothing.
    fruitless: u8,
    /// Charges of a settle whose trap then failed; the next answer includes them.
    owed: u64,
    /// This thread's faults when it was last known that no open page had been written.
    faults: Faults,
}

fn price(layout: &Layout, page: PageIndex) -> u64 {
    layout.find(page).map_or(0, Region::cow_cost)
}

impl Ledger {
    /// Chooses how first writes are found from now on; `broken` says why it cannot be so.
    pub(crate) const fn set_tracker(&mut self, tracker: Tracker, broken: Option<HostError>) {
        self.tracker = tracker;
        self.broken = broken;
    }

    /// How first writes are found now; the reason if that is not how they should be.
    pub(crate) const fn tracker(&self) -> (Tracker, Option<HostError>) {
        match self.broken {
            Some(_) => (Tracker::Trap, self.broken),
            None => (self.tracker, None),
        }
    }

    /// Why open pages are left that should have been closed, if some are.
    pub(crate) const fn stuck(&self) -> Option<HostError> {
        self.stuck
    }

    /// The private pages, as of the last settle.
    pub(crate) const fn charged(&self) -> &PageSet {
        &self.charged
    }

    /// The pages that are writable without being private.
    pub(crate) const fn open(&self) -> &PageSet {
        &self.open
    }

    /// The pages whose clean content the embedder placed.
    pub(crate) const fn base(&self) -> &PageSet {
        &self.base
    }

    /// Sum of the prices of open pages (INV-P5).
    pub(crate) const fn open_charge(&self) -> u64 {
        self.open_charge
    }

    /// Whether states are exact, provided that whoever runs the guest settles each time it stops.
    pub(crate) const fn is_settled(&self) -> bool {
        let nothing_open = self.open.is_empty() && self.owed == 0;
        !self.running || self.asked || nothing_open
    }

    /// Whether a guest may be writing.
    pub(crate) const fn is_running(&self) -> bool {
        self.running
    }

    /// Notes that the clean content of `page`, which is closed, is not its source's.
    pub(crate) fn mark_base(&mut self, page: PageIndex) {
        self.base.insert(page);
    }

    /// Notes that `page` was private, and paid, before this window was attached.
    pub(crate) fn adopt(&mut self, page: PageIndex) {
        self.charged.insert(page);
    }

    /// Forgets everything; every page is closed and clean.
    pub(crate) fn clear(&mut self) {
        self.charged.clear();
        self.open.clear();
        self.base.clear();
        self.open_charge = 0;
        self.running = false;
        self.growth = Growth::default();
        self.stuck = None;
        self.fruitless = 0;
        self.owed = 0;
    }

    fn is_writable(&self, page: u32) -> bool {
        let page = PageIndex::masked(page);
        self.charged.contains(page) || self.open.contains(page)
    }

    /// How many mappings a change of protection of `range` can add, `beside` telling whether the
    /// pages next to it already have the new one. Mappings with the same protection need not merge,
    /// so nothing is ever counted as saved.
    fn cut(range: PageRange, beside: impl Fn(u32) -> bool) -> u64 {
        let below = range.start() > 0 && beside(range.start() - 1);
        let above = range.end() < PAGES && beside(range.end());
        if below || above { 0 } else { 2 }
    }

    /// The price of making every page of `range` private, all of which are writable.
    pub(crate) fn quote(&self, layout: &Layout, range: PageRange) -> Charged {
        let mut sum = Charged::default();
        for page in range.iter().filter(|&p| !self.charged.contains(p)) {
            sum.charge += price(layout, page);
            sum.pages += 1;
        }
        sum
    }

    /// Makes every page of `range`, all of which are writable, private and host-writable. Either
    /// all of it happens or, with an error, no page becomes private.
    pub(crate) fn charge(
        &mut self,
        layout: &Layout,
        range: PageRange,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<Charged, HostError> {
        let closed = self.closed_part(range);
        if !closed.is_empty() {
            let fresh = closed.iter().filter(|p| !self.is_writable(p.value()));
            let fresh = fresh.count() as u64;
            held.take(fresh)?;
            let cut = Self::cut(closed, |p| self.is_writable(p));
            if let Err(error) = host.allow(closed, cut) {
                held.give(fresh);
                // A range over two mappings may be half changed. The machine stops or leaves the
                // window after this error, so a second failure changes nothing.
                let _ = self.forbid_closed(closed, host);
                return Err(error);
            }
        }
        Ok(self.mark_charged(layout, range))
    }

    /// Moves the writable pages of `range` that are not charged yet to charged.
    fn mark_charged(&mut self, layout: &Layout, range: PageRange) -> Charged {
        let mut sum = Charged::default();
        for page in range.iter() {
            if !self.charged.insert(page) {
                continue;
            }
            let price = price(layout, page);
            sum.charge = mutant!(StraddleChargedOnce, sum.charge + price, price);
            sum.pages += 1;
            if self.open.remove(page) {
                self.open_charge -= mutant!(OpenChargeKept, price, 0);
            }
        }
        sum
    }

    /// The smallest range around the closed pages of `range`.
    fn closed_part(&self, range: PageRange) -> PageRange {
        let closed = |p: &PageIndex| !self.is_writable(p.value());
        let first = range.iter().find(closed);
        let last = range.iter().rev().find(closed);
        match (first, last) {
            (Some(first), Some(last)) => PageRange::between(first.value(), last.value() + 1),
            _ => PageRange::between(0, 0),
        }
    }

    /// Makes the host agree again that the closed pages of `range` are closed.
    fn forbid_closed(&self, range: PageRange, host: &mut impl HostPages) -> Result<(), HostError> {
        let mut at = range.start();
        while at < range.end() {
            let start = at;
            while at < range.end() && !self.is_writable(at) {
                at += 1;
            }
            if start < at {
                host.forbid(PageRange::between(start, at), 0)?;
            }
            at += 1;
        }
        Ok(())
    }
}
