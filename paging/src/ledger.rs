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

use crate::error::HostError;
use crate::layout::Layout;
use crate::page::{PageIndex, PageRange};
use crate::page_set::PageSet;
use crate::quota::Held;

/// How first writes are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tracker {
    /// Every clean page is closed: one trap per first write.
    #[default]
    Trap,
    /// A trap also opens neighbours; see the module documentation of `ledger`.
    Windows,
}

/// What a settle does with open pages that were not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settle {
    /// They stay open, unless settles of this kind keep finding nothing.
    Keep,
    /// They become closed: `open_charge` is 0 afterwards.
    Close,
}

/// What the ledger needs of the host. Implementations neither allocate nor lock.
pub(crate) trait HostPages {
    /// Lets the processor write a range.
    fn allow(&mut self, range: PageRange) -> Result<(), HostError>;
    /// Stops the processor from writing a range.
    fn forbid(&mut self, range: PageRange) -> Result<(), HostError>;
}

/// What a store changed.
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
    base: PageSet,
    tracker: Tracker,
}

impl Ledger {
    /// Chooses how first writes are found from now on; nothing may be open.
    pub(crate) const fn set_tracker(&mut self, tracker: Tracker) {
        self.tracker = tracker;
    }

    /// The private pages.
    pub(crate) const fn charged(&self) -> &PageSet {
        &self.charged
    }

    /// The pages whose clean content the embedder placed.
    pub(crate) const fn base(&self) -> &PageSet {
        &self.base
    }

    /// Sum of the prices of open pages (INV-P4).
    pub(crate) const fn open_charge(&self) -> u64 {
        0
    }

    /// Notes that the clean content of `page` is not its source's.
    pub(crate) fn mark_base(&mut self, page: PageIndex) {
        self.base.insert(page);
    }

    /// Notes that `page` was private, and paid, before this window was attached.
    pub(crate) fn adopt(&mut self, page: PageIndex) {
        self.charged.insert(page);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.charged.clear();
        self.base.clear();
    }

    /// The price of making every page of `range` private, all of which are writable.
    pub(crate) fn quote(&self, layout: &Layout, range: PageRange) -> Charged {
        let mut sum = Charged::default();
        for page in range.iter().filter(|&p| !self.charged.contains(p)) {
            sum.charge += layout.find(page).map_or(0, crate::layout::Region::cow_cost);
            sum.pages += 1;
        }
        sum
    }

    /// Makes every page of `range`, all of which are writable, private and host-writable. Either
    /// all of it happens or, with an error, nothing.
    pub(crate) fn charge(
        &mut self,
        layout: &Layout,
        range: PageRange,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<Charged, HostError> {
        let sum = self.quote(layout, range);
        if sum.pages == 0 {
            return Ok(sum);
        }
        held.take(u64::from(sum.pages))?;
        let closed = self.closed_part(range);
        if let Err(error) = host.allow(closed) {
            held.give(u64::from(sum.pages));
            // A range over two mappings may be half changed; the caller gives up the window in
            // any case, so a second failure here changes nothing.
            let _ = self.forbid_clean(closed, host);
            return Err(error);
        }
        for page in range.iter() {
            self.charged.insert(page);
        }
        Ok(sum)
    }

    /// The smallest range around the pages of `range` that are not charged.
    fn closed_part(&self, range: PageRange) -> PageRange {
        let clean = |p: &PageIndex| !self.charged.contains(*p);
        let first = range.iter().find(clean);
        let last = range.iter().rev().find(clean);
        match (first, last) {
            (Some(first), Some(last)) => PageRange::between(first.value(), last.value() + 1),
            _ => PageRange::between(0, 0),
        }
    }

    fn forbid_clean(&self, range: PageRange, host: &mut impl HostPages) -> Result<(), HostError> {
        let mut at = range.start();
        while at < range.end() {
            let gap = self.charged.next_gap(at, range.end());
            let end = self
                .charged
                .next_member(gap)
                .map_or(range.end(), |p| p.value().min(range.end()));
            if gap < end {
                host.forbid(PageRange::between(gap, end))?;
            }
            at = end.max(gap + 1);
        }
        Ok(())
    }
}
