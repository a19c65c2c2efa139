//! A 4 GiB window: where it lies, what is mapped in it, and how it becomes clean again.
//!
//! ```text
//!   guard      context       guest addresses 0 .. 2^32                        guard
//!  ┌────────┬─────────────┬──────────────────────────────────────────────┬────────┐
//!  │ none   │ read-write  │ none │ code ro │ none │ data ro/rw … │ none    │ none   │
//!  └────────┴─────────────┴──────────────────────────────────────────────┴────────┘
//!                         ▲ base
//! ```
//!
//! INV-P2: from the lower guard to the upper one the whole range belongs to the window for as long
//! as it exists, so no 32-bit address plus 8 bytes reaches memory of anyone else. A window given
//! back keeps the layout of its last machine mapped with every private page dropped; the next
//! machine of the same layout finds it ready, any other maps what is different over it.

use rivet_mutants::mutant;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::HostError;
use crate::layout::Layout;
use crate::ledger::{Faults, HostPages, Ledger};
use crate::page::{ADDRESS_SPACE, HostAddr, PAGE_SIZE, PageIndex, PageRange};
use crate::page_set::PageSet;
use crate::pieces::{Change, pieces};
use crate::sys::{Protection, Reservation, page_tables, refuse_process_merging, thread_faults};

/// Bytes of context directly below the base.
pub const CONTEXT_SIZE: usize = 64 << 10;
/// Inaccessible bytes below the context and above the guest's last byte.
pub const GUARD_SIZE: usize = 64 << 10;

const BASE: usize = GUARD_SIZE + CONTEXT_SIZE;
const TOTAL: usize = BASE + ADDRESS_SPACE as usize + GUARD_SIZE;
/// Clean pages worth dropping along with private ones to save a system call.
const COALESCE: u32 = 32;
/// Mappings above which a window is mapped anew rather than cleaned.
const FRAGMENTED: u64 = 512;

/// A reserved window and the page states in it.
pub(crate) struct Window {
    memory: Reservation,
    pub(crate) ledger: Ledger,
    mapped: Option<Arc<Layout>>,
    /// For each region mapped, whether huge and merged pages are kept out of it.
    plain: Box<[bool]>,
    /// Whether a change of protection failed, so that what is writable is not known.
    suspect: bool,
    mappings: Mappings,
}

/// The host mappings one window is charged with in its pool's count.
struct Mappings {
    total: Arc<AtomicU64>,
    limit: u64,
    own: u64,
}

impl Mappings {
    fn add(&mut self, count: u64) -> Result<(), HostError> {
        let used = self.total.fetch_add(count, Ordering::Relaxed) + count;
        if used > self.limit {
            self.total.fetch_sub(count, Ordering::Relaxed);
            return Err(HostError::MappingsShort { used });
        }
        self.own += count;
        Ok(())
    }

    fn set(&mut self, count: u64) {
        self.total.fetch_add(count, Ordering::Relaxed);
        self.total.fetch_sub(self.own, Ordering::Relaxed);
        self.own = count;
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        self.total.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// The ledger's view of the host while it changes page states.
pub(crate) struct WindowPages<'a> {
    memory: &'a Reservation,
    mapped: Option<&'a Arc<Layout>>,
    plain: &'a mut [bool],
    suspect: &'a mut bool,
    mappings: &'a mut Mappings,
}

impl WindowPages<'_> {
    fn protect(
        &mut self,
        range: PageRange,
        to: Protection,
        mappings: u64,
    ) -> Result<(), HostError> {
        self.mappings.add(mappings)?;
        let (start, len) = place(range);
        let done = self.memory.protect(start, len, to);
        *self.suspect |= done.is_err();
        done
    }
}

impl HostPages for WindowPages<'_> {
    fn allow(&mut self, range: PageRange, mappings: u64) -> Result<(), HostError> {
        self.protect(range, Protection::ReadWrite, mappings)
    }

    fn forbid(&mut self, range: PageRange, mappings: u64) -> Result<(), HostError> {
        self.protect(range, Protection::Read, mappings)
    }

    fn vouch(&mut self, range: PageRange) -> Result<(), HostError> {
        refuse_process_merging()?;
        let regions = self.mapped.iter().flat_map(|layout| layout.regions());
        for (region, plain) in regions.zip(self.plain.iter_mut()) {
            let inside = !region.range().intersect(range).is_empty();
            if inside && !*plain {
                let (start, len) = place(region.range());
                self.memory.keep_plain(start, len)?;
                *plain = true;
            }
        }
        Ok(())
    }

    fn scan(
        &mut self,
        range: PageRange,
        found: &mut dyn FnMut(PageRange),
    ) -> Result<(), HostError> {
        let (start, len) = place(range);
        let base = self.memory.at(start).addr().get();
        page_tables()?.scan(base, len, &mut |offset, len| {
            let first = range.start() + (offset / PAGE_SIZE) as u32;
            found(PageRange::between(first, first + (len / PAGE_SIZE) as u32));
        })?;
        // Locking marks memory before it copies pages, so asking last misses nothing.
        self.memory.refuse_locked(start, len)
    }

    fn faults(&mut self) -> Result<Faults, HostError> {
        Ok(Faults {
            process: page_tables()?.process(),
            count: thread_faults()?,
        })
    }
}

/// Offset and length of a range inside the reservation.
fn place(range: PageRange) -> (usize, usize) {
    (BASE + range.byte_start(), range.byte_len())
}

impl Window {
    pub(crate) fn reserve(total: Arc<AtomicU64>, limit: u64) -> Result<Self, HostError> {
        let mut mappings = Mappings {
            total,
            limit,
            own: 0,
        };
        mappings.add(4)?;
        let memory = Reservation::reserve(TOTAL)?;
        memory.protect(GUARD_SIZE, CONTEXT_SIZE, Protection::ReadWrite)?;
        Ok(Self {
            memory,
            ledger: Ledger::default(),
            mapped: None,
            plain: Box::default(),
            suspect: false,
            mappings,
        })
    }

    /// Whether no layout is mapped.
    pub(crate) const fn is_bare(&self) -> bool {
        self.mapped.is_none()
    }

    /// Where guest address 0 lies.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.memory.at(BASE)
    }

    /// The lowest byte of the context.
    pub(crate) fn context(&self) -> NonNull<u8> {
        self.memory.at(GUARD_SIZE)
    }

    /// Whether exactly this layout is mapped.
    pub(crate) fn has(&self, layout: &Arc<Layout>) -> bool {
        self.mapped.as_ref().is_some_and(|m| Arc::ptr_eq(m, layout))
    }

    /// Maps `layout`, unless it is what is mapped already, over what the window was used for
    /// before. After an error the window is of no more use.
    pub(crate) fn map(&mut self, layout: &Arc<Layout>) -> Result<(), HostError> {
        if self.has(layout) {
            return Ok(());
        }
        match self.mapped.clone() {
            // What is mapped is known, closed and in few pieces.
            Some(now) if !self.suspect && self.mappings.own <= FRAGMENTED / 4 => {
                self.ledger.clear();
                let change = Change::between(&now, layout);
                self.mappings.add(change.mappings())?;
                self.apply(&change)?;
            }
            _ => {
                self.unmap()?;
                let change = Change {
                    unmap: Vec::new(),
                    map: pieces(layout).collect(),
                };
                // Between two regions may lie nothing.
                let gaps = layout.regions().len();
                self.mappings.add((change.map.len() + gaps) as u64)?;
                self.apply(&change)?;
            }
        }
        self.plain = vec![false; layout.regions().len()].into_boxed_slice();
        self.mapped = Some(Arc::clone(layout));
        Ok(())
    }

    fn apply(&mut self, change: &Change<'_>) -> Result<(), HostError> {
        for range in &change.unmap {
            let (start, len) = place(*range);
            self.memory.map_zero(start, len, Protection::None)?;
        }
        for piece in &change.map {
            let (start, len) = place(piece.range);
            match piece.file {
                Some((file, from)) => {
                    let offset = from as usize * PAGE_SIZE;
                    self.memory.map_slab(start, len, file, offset)?;
                }
                None => self.memory.map_zero(start, len, Protection::Read)?,
            }
        }
        Ok(())
    }

    /// Replaces all guest memory by nothing.
    fn unmap(&mut self) -> Result<(), HostError> {
        self.ledger.clear();
        if self.mapped.take().is_some() {
            let len = ADDRESS_SPACE as usize;
            self.memory.map_zero(BASE, len, Protection::None)?;
            self.suspect = false;
        }
        self.mappings.set(4);
        Ok(())
    }

    /// The ledger and the host it speaks to, at the same time.
    pub(crate) fn states(&mut self) -> (&mut Ledger, WindowPages<'_>) {
        let pages = WindowPages {
            memory: &self.memory,
            mapped: self.mapped.as_ref(),
            plain: &mut self.plain,
            suspect: &mut self.suspect,
            mappings: &mut self.mappings,
        };
        (&mut self.ledger, pages)
    }

    /// Gives `page` clean content of the embedder's; it stays closed.
    pub(crate) fn place_base(
        &mut self,
        page: PageIndex,
        bytes: &[u8; PAGE_SIZE],
    ) -> Result<(), HostError> {
        let range = PageRange::single(page);
        let (_, mut pages) = self.states();
        pages.allow(range, 2)?;
        self.write_at(page.base().value() as usize, bytes);
        let (ledger, mut pages) = self.states();
        pages.forbid(range, 0)?;
        ledger.mark_base(page);
        Ok(())
    }

    /// Makes a run of pages private with the content they had before, already paid for.
    pub(crate) fn adopt<'a>(
        &mut self,
        run: PageRange,
        mut content: impl FnMut(PageIndex) -> Option<&'a [u8; PAGE_SIZE]>,
    ) -> Result<(), HostError> {
        self.states().1.allow(run, 2)?;
        for page in run.iter() {
            if let Some(bytes) = content(page) {
                self.write_at(page.base().value() as usize, bytes);
            }
            if mutant!(AdoptedClean, true, false) {
                self.ledger.adopt(page);
            }
        }
        Ok(())
    }

    /// Copies bytes out of readable pages from guest offset `at` on.
    pub(crate) fn read_at(&self, at: usize, into: &mut [u8]) {
        self.memory.read(BASE + at, into);
    }

    /// Copies bytes into charged pages from guest offset `at` on.
    pub(crate) fn write_at(&mut self, at: usize, from: &[u8]) {
        self.memory.write(BASE + at, from);
    }

    /// Takes every page back to closed with the content of its source. Base pages are gone too.
    pub(crate) fn wipe(&mut self) -> Result<(), HostError> {
        if (self.suspect || self.mappings.own > FRAGMENTED)
            && let Some(layout) = self.mapped.clone()
        {
            // Closed again, pieces of a mapping need not merge: start from none.
            self.unmap()?;
            return self.map(&layout);
        }
        for dirty in [
            self.ledger.charged(),
            self.ledger.open(),
            mutant!(WipeKeepsPlaced, self.ledger.base(), self.ledger.charged()),
        ] {
            if mutant!(WindowNotWiped, true, false) {
                discard(&self.memory, dirty)?;
            }
        }
        if let Some(layout) = &self.mapped {
            for region in layout.regions() {
                let writable = [
                    self.ledger.charged(),
                    mutant!(WipeLeavesOpen, self.ledger.open(), self.ledger.charged()),
                ];
                close(&self.memory, region.range(), writable)?;
            }
        }
        self.ledger.clear();
        Ok(())
    }

    /// Zeroes what a machine may have left in the context.
    pub(crate) fn clear_context(&mut self) -> Result<(), HostError> {
        // The page next to the base is the one in use: zeroing it is cheaper than a new fault.
        let rest = CONTEXT_SIZE - PAGE_SIZE;
        self.memory.zero(GUARD_SIZE + rest, PAGE_SIZE);
        self.memory.discard(GUARD_SIZE, rest)
    }
}

/// Drops the content of `pages` and of clean pages in small gaps between them.
fn discard(memory: &Reservation, pages: &PageSet) -> Result<(), HostError> {
    let mut runs = pages.runs().peekable();
    while let Some(first) = runs.next() {
        let mut end = first.end();
        while let Some(next) = runs.next_if(|next| next.start() - end <= COALESCE) {
            end = next.end();
        }
        let range = PageRange::between(first.start(), end);
        memory.discard(BASE + range.byte_start(), range.byte_len())?;
    }
    Ok(())
}

/// Closes whatever is writable in `range`, given that only pages of `writable` are.
fn close(memory: &Reservation, range: PageRange, writable: [&PageSet; 2]) -> Result<(), HostError> {
    let hulls = writable.into_iter().filter_map(|set| hull(set, range));
    let dirty =
        hulls.reduce(|a, b| PageRange::between(a.start().min(b.start()), a.end().max(b.end())));
    let Some(dirty) = dirty else {
        return Ok(());
    };
    let (start, len) = place(dirty);
    memory.protect(start, len, Protection::Read)
}

/// The smallest range that holds every page of `set` in `range`.
fn hull(set: &PageSet, range: PageRange) -> Option<PageRange> {
    let first = set.next_run(range)?;
    let mut end = first.end();
    while let Some(run) = set.next_run(PageRange::between(end, range.end())) {
        end = run.end();
    }
    Some(PageRange::between(first.start(), end))
}

/// Where the parts of an attached window lie in the host.
#[derive(Clone, Copy, Debug)]
pub struct WindowView {
    base: NonNull<u8>,
    context: NonNull<u8>,
}

impl WindowView {
    pub(crate) fn of(window: &Window) -> Self {
        Self {
            base: window.base(),
            context: window.context(),
        }
    }

    /// The host address of guest address 0. Addresses up to 2^32 + [`GUARD_SIZE`] further on belong
    /// to the window; the guest's pages among them may be read, and written where charged or open.
    pub const fn base(self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The lowest byte of the context: [`CONTEXT_SIZE`] zeroed, readable and writable bytes that
    /// end at [`base`](Self::base).
    pub const fn context(self) -> NonNull<u8> {
        self.context
    }

    /// Every host address that a guest access can fault at: the guest's memory and the guard above.
    pub fn fault_range(self) -> Range<HostAddr> {
        let base = HostAddr::of(self.base().cast_const());
        let span = ADDRESS_SPACE as usize + GUARD_SIZE;
        base..HostAddr::new(base.value() + span)
    }
}
