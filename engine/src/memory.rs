//! Guest memory of a machine, whichever backend runs it.

use crate::call::AccessError;
use crate::config::Config;
use crate::error::HostError;
use crate::hash::{Hasher, MemoryHash};
use rivet_image::{Region, RegionKind};
use rivet_interp::sparse::{Access, MapError, Source, SparseMemory};
use rivet_isa::gas::depth;
use rivet_isa::{ADDRESS_SPACE, GuestAddr, PAGE_SIZE, PageIndex};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Guest memory.
#[derive(Debug)]
pub(crate) enum Memory {
    /// The interpreter's own.
    Sparse(SparseMemory),
}

impl Memory {
    pub(crate) fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        match self {
            Self::Sparse(memory) => memory.read(addr, out).map_err(inaccessible),
        }
    }

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
        let end = start.saturating_add(len).min(start + ADDRESS_SPACE);
        for page in pages(start..end) {
            let page = GuestAddr::wrapping(page << 12).page();
            if !allowed(page) {
                return Err(AccessError::Inaccessible { page });
            }
        }
        Ok(())
    }

    fn is_mapped(&self, page: PageIndex) -> bool {
        match self {
            Self::Sparse(memory) => memory.state(page).is_some(),
        }
    }

    /// Gas for making a page private, 0 if it is; `None` if it is not writable.
    fn write_price(&self, page: PageIndex) -> Option<u64> {
        match self {
            Self::Sparse(memory) => memory.quote(page.base(), 1).ok(),
        }
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
            out.extend(pages.into_iter().flatten());
        }
        out
    }

    /// Makes the pages that [`Memory::quote_writes`] priced private; the caller has charged them.
    pub(crate) fn make_private(&mut self, ranges: &[Range<u64>]) -> Result<(), HostError> {
        for page in self.writable_pages(ranges) {
            let mut byte = [0];
            self.read(page.base(), &mut byte)
                .map_err(|_| HostError::Memory)?;
            self.write(page.base(), &byte)
                .map_err(|_| HostError::Memory)?;
        }
        Ok(())
    }

    /// Writes bytes whose pages have been charged.
    pub(crate) fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        match self {
            Self::Sparse(memory) => memory.write(addr, bytes).map(drop).map_err(inaccessible),
        }
    }

    /// Puts initial contents in place: not charged, not private.
    pub(crate) fn place(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        match self {
            Self::Sparse(memory) => memory.place_bytes(addr, bytes).map_err(inaccessible),
        }
    }

    pub(crate) fn private_pages(&self) -> Vec<PageIndex> {
        match self {
            Self::Sparse(memory) => memory.private_pages().collect(),
        }
    }

    pub(crate) fn hash(&self) -> MemoryHash {
        let mut hasher = Hasher::new();
        match self {
            Self::Sparse(memory) => {
                for (page, _, content) in memory.contents() {
                    hasher.page(page, content);
                }
            }
        }
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

/// Untouched software memory of a program, for machines to start from.
pub(crate) fn template(
    config: &Config,
    code: &Arc<[u8]>,
    regions: &[Region],
) -> Result<SparseMemory, MapError> {
    let mut memory = SparseMemory::new(PageIndex::COUNT);
    memory.map_code(Arc::clone(code))?;
    for region in regions {
        let cow_cost = config.cost_model.cow_cost(depth(u64::from(region.pages)));
        memory.map(sparse_region(region, cow_cost))?;
    }
    Ok(memory)
}

fn inaccessible<E>(error: rivet_interp::AccessError<E>) -> AccessError {
    match error {
        rivet_interp::AccessError::Fault(page) => AccessError::Inaccessible { page },
        // The limit of a software memory is the whole address space, so it cannot be reached.
        rivet_interp::AccessError::Host(_) => AccessError::Exhausted,
    }
}

fn sparse_region(region: &Region, cow_cost: u64) -> rivet_interp::sparse::Region {
    let page = |bytes: &[u8]| {
        let mut page = [0; PAGE_SIZE as usize];
        page[..bytes.len()].copy_from_slice(bytes);
        page
    };
    let access = match region.kind {
        RegionKind::Pinned => Access::ReadOnly,
        RegionKind::CopyOnWrite | RegionKind::Ephemeral => Access::CopyOnWrite { cow_cost },
    };
    rivet_interp::sparse::Region {
        start: region.first,
        pages: region.pages,
        access,
        source: Source::pages(region.source.pages().map(|p| (p.index, page(p.bytes)))),
    }
}
