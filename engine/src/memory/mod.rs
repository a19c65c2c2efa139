//! Guest memory of a machine, whichever backend runs it.
//!
//! `sparse.rs` and `paged.rs` say how the interpreter's memory and the page manager do what
//! [`GuestMemory`] asks for; the rules about ranges are here, once.

pub(crate) mod paged;
pub(crate) mod sparse;

use crate::call::AccessError;
use crate::error::HostError;
use crate::hash::{Hasher, MemoryHash};
use rivet_isa::{ADDRESS_SPACE, GuestAddr, PAGE_SIZE, PageIndex};
use rivet_mutants::mutant;
use std::collections::BTreeSet;
use std::ops::Range;

/// Content of one page.
pub(crate) type PageBytes = [u8; PAGE_SIZE as usize];

/// What the engine needs of guest memory between instructions.
pub(crate) trait GuestMemory {
    /// Copies bytes, addresses modulo 2^32; fails whole on a page that is not mapped.
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError>;

    /// Whether a page is mapped, whatever its class.
    fn is_mapped(&self, page: PageIndex) -> bool;

    /// Gas for making a page private, 0 if it is; `None` if it is not writable.
    fn write_price(&self, page: PageIndex) -> Option<u64>;

    /// Writes bytes and makes their pages private; the caller has charged for them.
    fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError>;

    /// Makes a writable page private with its content unchanged; the caller has charged for it.
    fn own(&mut self, page: PageIndex) -> Result<(), HostError>;

    /// The pages that have become private, in ascending order.
    fn private_pages(&self) -> Vec<PageIndex>;

    /// Shows every data page that may hold something else than zeros, in ascending order.
    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes));
}

impl dyn GuestMemory + '_ {
    pub(crate) fn check_read(&self, addr: GuestAddr, len: u64) -> Result<(), AccessError> {
        self.check(addr, len, |page| self.is_mapped(page))
    }

    pub(crate) fn check_write(&self, addr: GuestAddr, len: u64) -> Result<(), AccessError> {
        self.check(addr, len, |page| self.write_price(page).is_some())
    }

    fn check(
        &self,
        addr: GuestAddr,
        len: u64,
        allowed: impl Fn(PageIndex) -> bool,
    ) -> Result<(), AccessError> {
        let start = u64::from(addr.value());
        // A range that laps the address space touches every page of it, page 0 included.
        let len = len - mutant!(CallCheckShort, 0, u64::from(len > 1));
        let end = start.saturating_add(len).min(start + ADDRESS_SPACE);
        for page in pages(start..end) {
            let page = GuestAddr::wrapping(page * PAGE_SIZE).page();
            if !allowed(page) {
                return Err(AccessError::Inaccessible { page });
            }
        }
        Ok(())
    }

    /// Gas for making every page of these ranges private, each page once. A range with a page
    /// that is not writable costs nothing: the write will be refused as a whole.
    pub(crate) fn quote_writes(&self, ranges: &[Range<u64>]) -> u64 {
        let pages = self.writable_pages(ranges);
        pages
            .into_iter()
            .filter_map(|page| self.write_price(page))
            .sum()
    }

    fn writable_pages(&self, ranges: &[Range<u64>]) -> BTreeSet<PageIndex> {
        let mut out = BTreeSet::new();
        for range in ranges {
            let writable = |page: u64| {
                let page = u32::try_from(page).ok().and_then(PageIndex::new)?;
                self.write_price(page).map(|_| page)
            };
            // The pages of a range that runs past 2^32 continue at page 0, which is never writable.
            let pages: Option<Vec<PageIndex>> = pages(range.clone()).map(writable).collect();
            if let Some(pages) = pages {
                out.extend(pages)
            } else if mutant!(CallRefusedPaid, false, true) {
                out.extend(self::pages(range.clone()).filter_map(writable))
            }
        }
        out
    }

    /// Makes the pages that `quote_writes` priced private; the caller has charged them. After an
    /// error some of them are, and asking again makes the rest so.
    pub(crate) fn make_private(&mut self, ranges: &[Range<u64>]) -> Result<(), HostError> {
        for page in self.writable_pages(ranges) {
            self.own(page)?;
        }
        Ok(())
    }

    pub(crate) fn hash(&self) -> MemoryHash {
        let mut hasher = Hasher::new();
        self.visit(&mut |page, content| hasher.page(page, content));
        hasher.finish()
    }
}

/// Numbers of the pages of a byte range, not reduced modulo anything.
fn pages(range: Range<u64>) -> Range<u64> {
    if range.is_empty() {
        0..0
    } else {
        range.start / PAGE_SIZE..(range.end - 1) / PAGE_SIZE + 1
    }
}
