//! Guest memory that costs host memory only where it was written.
//!
//! ```text
//!  regions   start, pages, access, source        what is mapped; never changes contents
//!  table     page ─▶ record: frame + flags       only pages that were touched (two levels)
//!  frames    0: zeros │ view of a source │ shared page │ own page
//!  lookaside page ─▶ frame, direct mapped        only accessible pages; forgotten on fork, reset
//! ```
//!
//! A store goes through to a frame only if the frame is the machine's own, and a frame is made its
//! own in one place, which is also where a page becomes private and gets its price (gas §10). So
//! the common path needs no state check beyond the kind of frame.
//!
//! * `source.rs`: where initial contents come from.
//! * `region.rs`: what a mapping is and why one is refused.
//! * `frame.rs`, `table.rs`: the two stores of the picture.
//! * `host.rs`: reading and writing on behalf of a kernel (gas §12), placing pages.
//! * `contents.rs`: listing pages for hashes, snapshots and settlement.

use rivet_mutants::mutant;
mod contents;
mod frame;
mod host;
mod region;
mod source;
mod table;

pub use contents::PageClass;
pub use host::Placement;
pub use region::{Access, MapError, Region};
pub use source::{Page, Source};

use crate::memory::{AccessError, Memory, Width};
use core::fmt;
use frame::{FrameId, Frames};
use rivet_isa::{CODE_BASE, GuestAddr, PAGE_SHIFT, PAGE_SIZE, PageIndex};
use std::sync::Arc;
use table::Table;

/// Entries of the lookaside table.
const LOOKASIDE: usize = 256;

/// A page that was found accessible and the frame that holds it.
#[derive(Clone, Copy, Debug)]
struct Lookaside {
    page: u32,
    frame: FrameId,
}

impl Lookaside {
    /// Matches no page, because page numbers stay below 2^20.
    const NONE: Self = Self {
        page: u32::MAX,
        frame: FrameId::ZEROS,
    };
}

/// State of a page (gas §10).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PageState {
    /// Not touched by the guest.
    NotPresent,
    /// Read at least once, still shared.
    PresentRo,
    /// Written at least once, private.
    PresentRw,
}

/// More pages would have become private than the memory may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitReached {
    /// Most pages that may be private or placed.
    pub pages: u32,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the guest's {} pages of private memory are used up; raise the limit to go on",
            self.pages
        )
    }
}

impl std::error::Error for LimitReached {}

/// Sparse guest memory: regions, page states and prices.
#[derive(Debug)]
pub struct SparseMemory {
    /// In address order, not overlapping. The code, if any, is the first one.
    regions: Vec<Region>,
    table: Table,
    frames: Frames,
    lookaside: Box<[Lookaside; LOOKASIDE]>,
    /// Pages with a frame of their own.
    held: u32,
    limit: u32,
}

impl SparseMemory {
    /// Memory without any mapping, of which at most `limit` pages may ever be private or placed.
    /// Host memory is bounded by those pages and some 32 bytes for each page that was touched.
    pub fn new(limit: u32) -> Self {
        Self {
            regions: Vec::new(),
            table: Table::default(),
            frames: Frames::default(),
            lookaside: Box::new([Lookaside::NONE; LOOKASIDE]),
            held: 0,
            limit,
        }
    }

    /// Makes code readable at CODE_BASE, with zeros up to the end of its last page (ISA §4).
    pub fn map_code(&mut self, code: Arc<[u8]>) -> Result<(), MapError> {
        let pages = (code.len() as u64).div_ceil(PAGE_SIZE);
        if pages == 0 {
            return Ok(());
        }
        let start = GuestAddr::wrapping(CODE_BASE).page();
        self.insert(Region::code(start, pages, code)?)
    }

    /// Maps a data region (ISA §4, §12).
    pub fn map(&mut self, region: Region) -> Result<(), MapError> {
        region.check()?;
        self.insert(region)
    }

    fn insert(&mut self, region: Region) -> Result<(), MapError> {
        let at = self.regions.partition_point(|r| r.start < region.start);
        let before = at.checked_sub(1).map(|i| &self.regions[i]);
        for other in before.into_iter().chain(self.regions.get(at)) {
            if other.overlaps(&region) {
                return Err(MapError::Overlap {
                    start: region.start,
                    other: other.start,
                });
            }
        }
        self.regions.insert(at, region);
        Ok(())
    }

    /// The mappings in address order, the code included.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The region a page lies in.
    fn region(&self, page: PageIndex) -> Option<&Region> {
        let after = self.regions.partition_point(|r| r.start <= page);
        let region = self.regions.get(after.checked_sub(1)?)?;
        region.contains(page).then_some(region)
    }

    /// State of a page, or `None` if it is not mapped.
    pub fn state(&self, page: PageIndex) -> Option<PageState> {
        self.region(page)?;
        let record = self.table.get(page);
        Some(if record.private {
            PageState::PresentRw
        } else if record.read {
            PageState::PresentRo
        } else {
            PageState::NotPresent
        })
    }

    /// A memory with equal regions and contents that shares every page until one side writes it.
    /// Takes time in proportion to the touched pages.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        self.lookaside.fill(Lookaside::NONE);
        Self {
            regions: self.regions.clone(),
            table: self.table.clone(),
            frames: self.frames.fork(),
            lookaside: self.lookaside.clone(),
            held: self.held,
            limit: self.limit,
        }
    }

    /// Back to the mappings' initial contents: no page is touched, placed or private.
    pub fn reset(&mut self) {
        self.table.forget();
        self.frames = Frames::default();
        if mutant!(InterpResetLookaside, true, false) {
            self.lookaside.fill(Lookaside::NONE);
        }
        self.held = 0;
    }

    fn remember(&mut self, page: PageIndex, frame: FrameId) {
        let page = page.index();
        self.lookaside[page as usize % LOOKASIDE] = Lookaside { page, frame };
    }

    /// The frame of a mapped page, which counts as read from now on.
    fn present(&mut self, page: PageIndex) -> FrameId {
        let mut record = self.table.get(page);
        if !record.read {
            record.frame = self.frame(page);
            record.read = true;
            self.table.set(page, record);
        }
        self.remember(page, record.frame);
        record.frame
    }

    /// The frame of a mapped page, shared with its source if this is the first use.
    fn frame(&mut self, page: PageIndex) -> FrameId {
        let record = self.table.get(page);
        if record.present() {
            return record.frame;
        }
        let source = self.region(page).and_then(|region| region.frame(page));
        source.map_or(FrameId::ZEROS, |frame| self.frames.push(frame))
    }

    /// Gives a writable page a frame that can be written in place. The caller marks the page
    /// private or shares the frame again, else guest stores would go unpaid.
    fn own(&mut self, page: PageIndex) -> Result<FrameId, LimitReached> {
        let mut record = self.table.get(page);
        if !record.held() {
            if self.held >= self.limit {
                return Err(LimitReached { pages: self.limit });
            }
            self.held += 1;
        }
        let frame = self.frame(page);
        record.frame = self.frames.own(frame);
        self.table.set(page, record);
        self.lookaside[page.index() as usize % LOOKASIDE] = Lookaside::NONE;
        Ok(record.frame)
    }

    /// Makes a writable page private and returns what that costs: nothing if it was already.
    fn make_private(&mut self, page: PageIndex, price: u64) -> Result<u64, LimitReached> {
        let frame = self.own(page)?;
        let mut record = self.table.get(page);
        let paid = mutant!(InterpChargedTwice, record.private, false);
        let charge = if paid { 0 } else { price };
        record.private = true;
        record.placed = false;
        self.table.set(page, record);
        self.remember(page, frame);
        Ok(charge)
    }

    /// Price of a private page if `page` is writable.
    fn price(&self, page: PageIndex) -> Option<u64> {
        match self.region(page)?.access {
            Access::ReadOnly => None,
            Access::CopyOnWrite { cow_cost } => Some(cow_cost),
        }
    }

    #[cold]
    #[inline(never)]
    fn load_slow(
        &mut self,
        addr: GuestAddr,
        width: Width,
    ) -> Result<u64, AccessError<LimitReached>> {
        let count = width.bytes();
        let page = addr.page();
        if self.table.get(page).read {
            let frame = self.present(page);
            if let Some(value) = read(self.frames.page(frame), offset(addr), width) {
                return Ok(value);
            }
        }
        for page in pages_of(addr, u64::from(count)) {
            if self.region(page).is_none() {
                return Err(AccessError::Fault(page));
            }
        }
        let mut bytes = [0; 8];
        for (page, at, range) in chunks(addr, count as usize) {
            let frame = self.present(page);
            let size = range.len();
            bytes[range].copy_from_slice(&self.frames.page(frame)[at..at + size]);
        }
        Ok(u64::from_le_bytes(bytes))
    }

    #[cold]
    #[inline(never)]
    fn store_slow(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, AccessError<LimitReached>> {
        let page = addr.page();
        let record = self.table.get(page);
        if record.private
            && let Some(bytes) = self.frames.own_page(record.frame)
            && write(bytes, offset(addr), width, value)
        {
            self.remember(page, record.frame);
            return Ok(0);
        }
        let bytes = value.to_le_bytes();
        self.write_private(addr, &bytes[..width.bytes() as usize])
    }

    /// The store rule of gas §10 for any number of bytes: all pages are checked, then all made
    /// private, then the bytes are written.
    fn write_private(
        &mut self,
        addr: GuestAddr,
        bytes: &[u8],
    ) -> Result<u64, AccessError<LimitReached>> {
        let checked = mutant!(InterpSecondPageUnchecked, bytes.len() as u64, 1);
        for page in pages_of(addr, checked) {
            if self.price(page).is_none() {
                return Err(AccessError::Fault(page));
            }
        }
        let mut charge = 0;
        for page in pages_of(addr, bytes.len() as u64) {
            let price = self.price(page).unwrap_or(0);
            charge += self.make_private(page, price).map_err(AccessError::Host)?;
        }
        for (page, at, chunk) in chunks(addr, bytes.len()) {
            let frame = self.table.get(page).frame;
            if let Some(own) = self.frames.own_page(frame) {
                own[at..at + chunk.len()].copy_from_slice(&bytes[chunk]);
            }
        }
        Ok(charge)
    }
}

impl Memory for SparseMemory {
    type Error = LimitReached;

    #[inline(always)]
    fn load(&mut self, addr: GuestAddr, width: Width) -> Result<u64, AccessError<LimitReached>> {
        let page = addr.value() >> PAGE_SHIFT;
        let entry = &self.lookaside[page as usize % LOOKASIDE];
        if entry.page == page
            && let Some(bytes) = self.frames.get(entry.frame)
            && let Some(value) = read(bytes, offset(addr), width)
        {
            return Ok(value);
        }
        self.load_slow(addr, width)
    }

    #[inline(always)]
    fn store(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, AccessError<LimitReached>> {
        let page = addr.value() >> PAGE_SHIFT;
        let entry = &self.lookaside[page as usize % LOOKASIDE];
        if entry.page == page
            && let Some(bytes) = self.frames.own_page(entry.frame)
            && write(bytes, offset(addr), width, value)
        {
            return Ok(0);
        }
        self.store_slow(addr, width, value)
    }
}

/// Reads from inside one page; `None` if the access goes past its end.
#[inline(always)]
fn read(page: &Page, at: usize, width: Width) -> Option<u64> {
    Some(match width {
        Width::One => u64::from(page[at]),
        Width::Two => u64::from(u16::from_le_bytes(*page[at..].first_chunk()?)),
        Width::Four => u64::from(u32::from_le_bytes(*page[at..].first_chunk()?)),
        Width::Eight => u64::from_le_bytes(*page[at..].first_chunk()?),
    })
}

/// Writes inside one page; `false`, and nothing written, if the access goes past its end.
#[inline(always)]
fn write(page: &mut Page, at: usize, width: Width, value: u64) -> bool {
    fn put<const N: usize>(page: &mut Page, at: usize, bytes: [u8; N]) -> bool {
        match page[at..].first_chunk_mut() {
            Some(place) => {
                *place = bytes;
                true
            }
            None => false,
        }
    }
    match width {
        Width::One => put(page, at, (value as u8).to_le_bytes()),
        Width::Two => put(page, at, (value as u16).to_le_bytes()),
        Width::Four => put(page, at, (value as u32).to_le_bytes()),
        Width::Eight => put(page, at, value.to_le_bytes()),
    }
}

/// Offset of an address in its page.
#[inline(always)]
fn offset(addr: GuestAddr) -> usize {
    addr.value() as usize % PAGE_SIZE as usize
}

/// Pages of `len` bytes at `addr` in access order; each once, unless the range laps itself.
fn pages_of(addr: GuestAddr, len: u64) -> impl Iterator<Item = PageIndex> {
    let count = match len {
        0 => 0,
        _ => (len.saturating_add(offset(addr) as u64) - 1) / PAGE_SIZE + 1,
    };
    let mut page = addr.page();
    (0..count.min(u64::from(PageIndex::COUNT))).map(move |_| {
        let this = page;
        page = page.next();
        this
    })
}

/// Cuts `len` bytes at `addr` at page boundaries: page, offset in it, range of the bytes.
fn chunks(
    addr: GuestAddr,
    len: usize,
) -> impl Iterator<Item = (PageIndex, usize, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let here = GuestAddr::wrapping(u64::from(addr.value()) + done as u64);
        let at = offset(here);
        let size = (PAGE_SIZE as usize - at).min(len - done);
        let range = done..done + size;
        done += size;
        Some((here.page(), at, range))
    })
}
