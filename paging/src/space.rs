//! The memory of one machine: a layout, base pages, private pages, and where they are now.
//!
//! ```text
//!   Software                       Window
//!   frames: page → shared frame    page tables of a 4 GiB window + ledger
//!        ▲            attach ─────────▶      │
//!        └──────────── detach ◀──────────────┘
//! ```
//!
//! Both hold the same state and answer alike; a window is what generated code needs, frames are
//! what idle machines, forks and the interpreter use. Content of a page is, in this order: private,
//! base, the source of its region, zero. The access rule itself is in `access`.

use rivet_mutants::mutant;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{HostError, PageFault};
use crate::frame::{Frame, FrameTable, PageBytes};
use crate::layout::{Access, Layout};
use crate::ledger::{Ledger, Settle, Tracker};
use crate::page::{GuestAddr, PAGE_SIZE, PageIndex, PageRange};
use crate::pool::{Demand, WindowPool};
use crate::quota::{Held, MemoryLimits};
use crate::window::{Window, WindowPages, WindowView};

/// What a page holds compared with what its region's source holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PageClass {
    /// The same.
    Unchanged,
    /// Content the embedder placed; never charged.
    Base,
    /// Written during the run, and charged for.
    Private,
}

pub(crate) enum Store {
    Software(FrameTable),
    Window {
        window: Box<Window>,
        pool: WindowPool,
    },
}

/// Guest memory with exact first-write charging.
pub struct AddressSpace {
    pub(crate) layout: Arc<Layout>,
    pub(crate) base: BTreeMap<PageIndex, Frame>,
    pub(crate) store: Store,
    pub(crate) held: Held,
    /// Why it left its window for good, unless it is reset or mappings become plenty.
    outgrown: Option<HostError>,
}

/// A machine that left its window for want of mappings gets another one when this many times the
/// mappings it can need for its pages are free, so that moving in and out costs less than the
/// writes in between.
const PLENTY: u64 = 4;

impl AddressSpace {
    /// Memory laid out as `layout` with nothing written, in software.
    pub fn new(layout: Arc<Layout>, limits: MemoryLimits) -> Self {
        Self {
            layout,
            base: BTreeMap::new(),
            store: Store::Software(FrameTable::default()),
            held: Held::new(limits),
            outgrown: None,
        }
    }

    /// How it is laid out.
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Moves into a window of `pool`, if it is not in one already, and finds first writes there
    /// as `tracker` says.
    ///
    /// # Errors
    /// Any [`HostError`] of mapping, and what [`leave_window`](Self::leave_window) was told while
    /// that still holds; the space is then in software as before.
    pub fn attach(&mut self, pool: &WindowPool, tracker: Tracker) -> Result<WindowView, HostError> {
        let frames = match &self.store {
            Store::Window { window, .. } => return Ok(WindowView::of(window)),
            Store::Software(frames) => frames,
        };
        if let Some(reason) = self.outgrown {
            let runs = u64::from(frames.len()) + self.layout.regions().len() as u64;
            if pool.free_mappings() < PLENTY * 2 * runs {
                return Err(reason);
            }
        }
        let mut window = pool.acquire(&self.layout)?;
        // Asked here, because the fault handler must find the answer ready.
        window
            .ledger
            .set_tracker(tracker, tracker.available().err());
        if let Err(error) = move_in(&mut window, frames, &self.base) {
            pool.release(window);
            return Err(error);
        }
        let view = WindowView::of(&window);
        let pool = pool.clone();
        let window = Box::new(window);
        self.store = Store::Window { window, pool };
        self.outgrown = None;
        Ok(view)
    }

    /// Leaves the window as [`detach`](Self::detach) does, because its mappings ran short: the
    /// space stays in software until it is reset or mappings are plenty again.
    ///
    /// # Errors
    /// As [`detach`](Self::detach).
    pub fn leave_window(&mut self, reason: HostError) -> Result<(), HostError> {
        self.detach()?;
        self.outgrown = Some(reason);
        Ok(())
    }

    /// Declares that the guest will not run for a while: the window goes back to its pool if
    /// others may need it, unless moving the private pages would cost more than that is worth.
    ///
    /// # Errors
    /// As [`detach`](Self::detach).
    pub fn rest(&mut self) -> Result<(), HostError> {
        let Store::Window { pool, .. } = &self.store else {
            return Ok(());
        };
        let movable = match pool.demand() {
            Demand::Low => return Ok(()),
            Demand::High => 16,
            Demand::Scarce => 4096,
        };
        if self.private_count() <= movable {
            self.detach()?;
        }
        Ok(())
    }

    /// Why the space left its window, if it did so for want of mappings.
    pub const fn outgrown(&self) -> Option<HostError> {
        self.outgrown
    }

    /// Why pages are still open after [`Settle::Close`](crate::Settle::Close), if some are. Gas is
    /// exact all the same, but every later gate would have to settle again: end the run and
    /// [leave the window](Self::leave_window).
    pub const fn stuck(&self) -> Option<HostError> {
        match &self.store {
            Store::Software(_) => None,
            Store::Window { window, .. } => window.ledger.stuck(),
        }
    }

    /// Leaves the window, keeping every page, and gives the window back to its pool.
    ///
    /// # Errors
    /// [`HostError::NotSettled`] during a run with open pages.
    pub fn detach(&mut self) -> Result<(), HostError> {
        self.settled()?;
        let Store::Window { window, .. } = &self.store else {
            return Ok(());
        };
        let frames = copy_frames(window);
        let left = std::mem::replace(&mut self.store, Store::Software(frames));
        give_back(left);
        // Open pages counted against the limits.
        self.held.keep(u64::from(self.private_count()));
        Ok(())
    }

    /// Where its window lies, if it is in one.
    pub fn window(&self) -> Option<WindowView> {
        match &self.store {
            Store::Window { window, .. } => Some(WindowView::of(window)),
            Store::Software(_) => None,
        }
    }

    /// Another machine's memory with the same content, base pages and private pages, in software.
    ///
    /// # Errors
    /// [`HostError::MachineMemory`] or [`HostError::EngineMemory`] when the copy would pass a limit;
    /// [`HostError::NotSettled`] during a run with open pages.
    pub fn fork(&self) -> Result<Self, HostError> {
        self.settled()?;
        let mut held = Held::new(self.held.limits().clone());
        held.take(u64::from(self.private_count()))?;
        let frames = match &self.store {
            Store::Software(frames) => frames.clone(),
            Store::Window { window, .. } => copy_frames(window),
        };
        let frames = mutant!(ForkForgets, frames, FrameTable::default());
        Ok(Self {
            layout: Arc::clone(&self.layout),
            base: mutant!(ForkForgetsPlaced, self.base.clone(), BTreeMap::new()),
            store: Store::Software(frames),
            held,
            outgrown: self.outgrown,
        })
    }

    /// Drops every private page: all pages are base or unchanged again and uncharged.
    ///
    /// # Errors
    /// Any [`HostError`] of mapping; the space has then left its window and is reset all the same.
    pub fn reset(&mut self) -> Result<(), HostError> {
        self.held.keep(0);
        self.outgrown = None;
        if let Store::Window { window, .. } = &mut self.store {
            let reset = window.wipe().and_then(|()| {
                let mut base = self.base.iter();
                base.try_for_each(|(&page, frame)| window.place_base(page, frame))
            });
            if reset.is_ok() {
                return Ok(());
            }
            give_back(std::mem::replace(&mut self.store, software()));
            return reset;
        }
        if mutant!(ResetKeeps, false, true) {
            return Ok(());
        }
        self.store = software();
        Ok(())
    }

    /// Back to the layout: a [`reset`](Self::reset) that drops base pages too.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    pub fn start_over(&mut self) -> Result<(), HostError> {
        self.base.clear();
        self.reset()
    }

    /// Puts `bytes` at `addr` as initial content: neither charged nor private (gas §12). A page
    /// that is private already keeps that state.
    ///
    /// # Errors
    /// The first page that nothing maps, as a fault, with nothing placed; or
    /// [`HostError::NotSettled`] during a run with open pages. A window that cannot take the
    /// content is left.
    pub fn place(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), crate::Denied> {
        for (page, _, _) in pieces(addr, bytes.len()) {
            self.layout.permit(page, Access::Read)?;
        }
        for (page, offset, part) in pieces(addr, bytes.len()) {
            self.place_piece(page, offset, &bytes[part])?;
        }
        Ok(())
    }

    fn place_piece(
        &mut self,
        page: PageIndex,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), HostError> {
        self.settled()?;
        if self.is_private(page) {
            self.write_private(page, offset, bytes);
            return Ok(());
        }
        let mut content = self.clean_content(page).copied().unwrap_or([0; PAGE_SIZE]);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        if let Store::Window { window, .. } = &self.store
            && window.ledger.open().contains(page)
        {
            if window.ledger.is_running() {
                return Err(HostError::NotSettled);
            }
            // Left open by a run that ended: a page with content of its own may not be.
            self.detach()?;
        }
        if let Store::Window { window, .. } = &mut self.store
            && let Err(error) = window.place_base(page, &content)
        {
            // The page may be left writable, so the window cannot stay.
            self.leave_window(error)?;
        }
        if mutant!(PlacedLost, true, self.window().is_none()) {
            self.base.insert(page, Arc::new(content));
        }
        Ok(())
    }

    /// What `page` reads as while it is not private; `None` for zeros.
    pub(crate) fn clean_content(&self, page: PageIndex) -> Option<&PageBytes> {
        if let Some(frame) = self.base.get(&page) {
            return Some(frame);
        }
        let region = self.layout.find(page)?;
        region.source().page(page.value() - region.range().start())
    }

    /// Whether `page` has been charged for.
    pub fn is_private(&self, page: PageIndex) -> bool {
        match &self.store {
            Store::Software(frames) => frames.get(page).is_some(),
            Store::Window { window, .. } => window.ledger.charged().contains(page),
        }
    }

    /// How many pages have been charged for.
    pub fn private_count(&self) -> u32 {
        match &self.store {
            Store::Software(frames) => frames.len(),
            Store::Window { window, .. } => window.ledger.charged().len(),
        }
    }

    /// Sum of the prices of open pages: what a holder of gas must set aside until
    /// [`settle`](Self::settle) says which of them were written. 0 in software and with
    /// [`Tracker::Trap`](crate::Tracker::Trap).
    pub const fn open_charge(&self) -> u64 {
        match &self.store {
            Store::Software(_) => 0,
            Store::Window { window, .. } => window.ledger.open_charge(),
        }
    }

    /// Finds out which open pages were written, makes them private, and returns their charge:
    /// right afterwards private pages and gas are exact. Async-signal-safe.
    ///
    /// # Errors
    /// [`HostError::Tripwire`] or [`HostError::Sys`]; the machine cannot go on then.
    pub fn settle(&mut self, open: Settle) -> Result<u64, HostError> {
        self.with_ledger(|ledger, layout, mut host, held| {
            ledger.settle(layout, open, &mut host, held)
        })
    }

    /// Declares that a guest is about to run on the calling thread. Pages are only opened between
    /// this and [`end_run`](Self::end_run).
    ///
    /// # Errors
    /// As [`check_untouched`](Self::check_untouched), for what happened since the last run.
    pub fn begin_run(&mut self) -> Result<(), HostError> {
        self.with_ledger(|ledger, _, mut host, _| ledger.begin_run(&mut host).map(|()| 0))?;
        Ok(())
    }

    /// Checks, before the guest goes on, that nobody made open pages look written while the host
    /// had the guest's thread, as locking and unlocking all memory does. To be called after the host
    /// did anything during a run; without open pages it costs nothing.
    ///
    /// # Errors
    /// [`HostError::Tripwire`], [`HostError::Locked`] or [`HostError::Sys`].
    pub fn check_untouched(&mut self) -> Result<(), HostError> {
        self.with_ledger(|ledger, _, mut host, _| ledger.check_untouched(&mut host).map(|()| 0))?;
        Ok(())
    }

    /// Declares that the guest stopped, settles, and returns the charge.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn end_run(&mut self) -> Result<u64, HostError> {
        self.with_ledger(|ledger, layout, mut host, held| ledger.end_run(layout, &mut host, held))
    }

    fn with_ledger(
        &mut self,
        body: impl FnOnce(&mut Ledger, &Layout, WindowPages<'_>, &mut Held) -> Result<u64, HostError>,
    ) -> Result<u64, HostError> {
        match &mut self.store {
            Store::Software(_) => Ok(0),
            Store::Window { window, .. } => {
                let (ledger, host) = window.states();
                body(ledger, &self.layout, host, &mut self.held)
            }
        }
    }

    pub(crate) fn settled(&self) -> Result<(), HostError> {
        match &self.store {
            Store::Window { window, .. } if !window.ledger.is_settled() => {
                Err(HostError::NotSettled)
            }
            _ => Ok(()),
        }
    }

    /// How first writes are found now, and why not otherwise if that was not asked for.
    pub fn tracker(&self) -> (Tracker, Option<HostError>) {
        match &self.store {
            Store::Software(_) => (Tracker::Trap, None),
            Store::Window { window, .. } => window.ledger.tracker(),
        }
    }

    /// The pages that have been charged for, ascending.
    pub fn private_pages(&self) -> impl Iterator<Item = PageIndex> + '_ {
        let (frames, set) = match &self.store {
            Store::Software(frames) => (Some(frames), None),
            Store::Window { window, .. } => (None, Some(window.ledger.charged())),
        };
        let in_frames = frames
            .into_iter()
            .flat_map(|f| f.iter().map(|(page, _)| page));
        in_frames.chain(set.into_iter().flat_map(|set| set.iter()))
    }

    /// Calls `see` with every page of a region that has stored content, ascending. All other
    /// mapped pages are unchanged and read as zeros.
    pub fn visit_stored(&self, mut see: impl FnMut(PageIndex, PageClass, &PageBytes)) {
        let mut copy = [0; PAGE_SIZE];
        for page in self.stored_pages() {
            if self.is_private(page) {
                self.read_private(page, 0, &mut copy);
                see(page, PageClass::Private, &copy);
            } else if let Some(frame) = self.base.get(&page) {
                see(page, PageClass::Base, frame);
            } else if let Some(bytes) = self.clean_content(page) {
                see(page, PageClass::Unchanged, bytes);
            }
        }
    }

    fn stored_pages(&self) -> impl Iterator<Item = PageIndex> + '_ {
        let sources = self.layout.regions().iter().flat_map(|region| {
            let start = region.range().start();
            let extents = region.source().extents().iter();
            extents
                .flat_map(move |e| PageRange::between(start + e.at, start + e.at + e.count).iter())
        });
        let own = merge(self.base.keys().copied(), self.private_pages());
        merge(sources, own)
    }

    pub(crate) fn read_private(&self, page: PageIndex, offset: usize, into: &mut [u8]) {
        match &self.store {
            Store::Software(frames) => {
                if let Some(frame) = frames.get(page) {
                    into.copy_from_slice(&frame[offset..offset + into.len()]);
                }
            }
            Store::Window { window, .. } => {
                window.read_at(page.base().value() as usize + offset, into);
            }
        }
    }

    pub(crate) fn write_private(&mut self, page: PageIndex, offset: usize, from: &[u8]) {
        match &mut self.store {
            Store::Software(frames) => {
                if let Some(frame) = frames.get_mut(page) {
                    frame[offset..offset + from.len()].copy_from_slice(from);
                }
            }
            Store::Window { window, .. } => {
                window.write_at(page.base().value() as usize + offset, from);
            }
        }
    }

    /// Checks that every page of an access of any length is mapped for it.
    pub(crate) fn permit_all(
        &self,
        addr: GuestAddr,
        len: usize,
        access: Access,
    ) -> Result<(), PageFault> {
        for (page, _, _) in pieces(addr, len) {
            self.layout.permit(page, access)?;
        }
        Ok(())
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        give_back(std::mem::replace(&mut self.store, software()));
    }
}

fn software() -> Store {
    Store::Software(FrameTable::default())
}

/// Brings base pages and private ones into an empty window.
fn move_in(
    window: &mut Window,
    frames: &FrameTable,
    base: &BTreeMap<PageIndex, Frame>,
) -> Result<(), HostError> {
    for (&page, frame) in base {
        if frames.get(page).is_none() {
            window.place_base(page, frame)?;
        } else {
            window.ledger.mark_base(page);
        }
    }
    for run in runs(frames.iter().map(|(page, _)| page)) {
        window.adopt(run, |page| frames.get(page).map(|frame| &**frame))?;
    }
    Ok(())
}

fn give_back(store: Store) {
    if let Store::Window { window, pool } = store {
        pool.release(*window);
    }
}

fn copy_frames(window: &Window) -> FrameTable {
    let mut frames = FrameTable::default();
    let mut copy = [0; PAGE_SIZE];
    for page in window.ledger.charged().iter() {
        window.read_at(page.base().value() as usize, &mut copy);
        frames.insert(page, Arc::new(copy));
    }
    frames
}

/// Maximal runs of ascending pages.
fn runs(pages: impl Iterator<Item = PageIndex>) -> impl Iterator<Item = PageRange> {
    let mut pages = pages.peekable();
    std::iter::from_fn(move || {
        let first = pages.next()?.value();
        let mut end = first + 1;
        while pages.next_if(|page| page.value() == end).is_some() {
            end += 1;
        }
        Some(PageRange::between(first, end))
    })
}

/// Two ascending sequences as one, equal items once.
fn merge(
    a: impl Iterator<Item = PageIndex>,
    b: impl Iterator<Item = PageIndex>,
) -> impl Iterator<Item = PageIndex> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x == y => {
            b.next();
            a.next()
        }
        (Some(x), Some(y)) if x > y => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

/// The parts of `len` bytes from `addr` on, page by page: page, offset in it, bytes of the whole.
/// Addresses wrap at 2^32.
pub(crate) fn pieces(
    addr: GuestAddr,
    len: usize,
) -> impl Iterator<Item = (PageIndex, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = GuestAddr::wrapping(u64::from(addr.value()) + done as u64);
        let part = done..len.min(done + PAGE_SIZE - at.offset());
        done = part.end;
        Some((at.page(), at.offset(), part))
    })
}
