//! Listing pages.

use super::SparseMemory;
use super::source::Page;
use rivet_isa::{DATA_BASE, GuestAddr, PageIndex};

/// How the contents of a page relate to its mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PageClass {
    /// As mapped.
    Unchanged,
    /// Placed by the embedder; neither charged nor private.
    Base,
    /// Private, and charged (gas §10).
    Private,
}

impl SparseMemory {
    /// The private pages in address order.
    pub fn private_pages(&self) -> impl Iterator<Item = PageIndex> + '_ {
        let records = self.table.iter();
        records.filter_map(|(page, record)| record.private.then_some(page))
    }

    /// Class of a mapped page; unmapped pages count as unchanged.
    pub fn class(&self, page: PageIndex) -> PageClass {
        let record = self.table.get(page);
        if record.private {
            PageClass::Private
        } else if record.placed {
            PageClass::Base
        } else {
            PageClass::Unchanged
        }
    }

    /// Contents of a page, or `None` if it is zeros by construction or not mapped.
    pub(super) fn content(&self, page: PageIndex) -> Option<&Page> {
        let record = self.table.get(page);
        if record.held() {
            return Some(self.frames.page(record.frame));
        }
        let region = self.region(page)?;
        region.source.page(page.index() - region.start.index())
    }

    /// The placed and private pages with their contents, in address order.
    pub fn changed(&self) -> impl Iterator<Item = (PageIndex, PageClass, &Page)> + '_ {
        let records = self.table.iter().filter(|(_, record)| record.held());
        records.map(|(page, record)| (page, self.class(page), self.frames.page(record.frame)))
    }

    /// Every mapped data page that may hold something else than zeros, in address order: with a
    /// source behind it, placed or private. Takes no time for untouched zeros.
    pub fn contents(&self) -> impl Iterator<Item = (PageIndex, PageClass, &Page)> + '_ {
        let data = GuestAddr::wrapping(DATA_BASE).page();
        let regions = self.regions.iter().filter(move |r| r.start >= data);
        regions.flat_map(move |region| {
            let first = region.start.index();
            let mut at = first;
            core::iter::from_fn(move || {
                loop {
                    let sourced = region.source.next_page(at - first).map(|i| first + i);
                    let touched = self.table.next_candidate(at);
                    let next = sourced.into_iter().chain(touched).min()?;
                    if next >= region.end() {
                        return None;
                    }
                    at = next + 1;
                    let page = PageIndex::new(next)?;
                    if let Some(contents) = self.content(page) {
                        return Some((page, self.class(page), contents));
                    }
                }
            })
        })
    }
}
