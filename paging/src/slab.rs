//! Immutable content, shared by reference, and the recipes that lay it out over a mapping.
//!
//! ```text
//!  PageSource   [ extent ][ zero ][ extent ] zero …        pages of a mapping
//!                   │                  │
//!  Slab          pages 0..n         pages k..m            sealed memory file
//! ```
//!
//! A slab never changes once it exists (INV-P1), so any number of machines, forks and data
//! capabilities map the same one. A source is a bounded list of extents ([`MAX_EXTENTS`]): each is
//! one host mapping, and a host allows only some 65,000 of them.

use std::sync::Arc;

use crate::error::HostError;
use crate::page::{PAGE_SIZE, PAGES, PageCount};
use crate::sys::SlabFile;

/// Extents a [`PageSource`] may have.
pub const MAX_EXTENTS: usize = 64;

/// Immutable pages in a memory file. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Slab {
    file: Arc<SlabFile>,
    pages: u32,
}

impl Slab {
    /// The pages of `bytes`, the last one padded with zeros; `None` if there are no bytes.
    ///
    /// # Errors
    /// [`HostError::Sys`] when the file cannot be made, [`HostError::TooLarge`] above 4 GiB.
    pub fn new(bytes: &[u8]) -> Result<Option<Self>, HostError> {
        let pages = PageCount::covering(bytes.len() as u64).ok_or(HostError::TooLarge)?;
        if pages.value() == 0 {
            return Ok(None);
        }
        Self::from_chunks(pages, std::iter::once((0, bytes))).map(Some)
    }

    /// `pages` pages, at least one, of zeros with every chunk laid over at its byte offset.
    pub(crate) fn from_chunks<'a>(
        pages: PageCount,
        chunks: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Self, HostError> {
        let file = SlabFile::create(pages.bytes() as usize, chunks)?;
        Ok(Self {
            file: Arc::new(file),
            pages: pages.value(),
        })
    }

    /// How many pages it has; never 0.
    pub fn pages(&self) -> PageCount {
        PageCount::new(self.pages).expect("a slab is at most an address space long")
    }

    /// The content of page `index` of the slab.
    pub fn page(&self, index: u32) -> Option<&[u8; PAGE_SIZE]> {
        let start = (index as usize).checked_mul(PAGE_SIZE)?;
        self.file.bytes().get(start..)?.first_chunk()
    }

    pub(crate) fn file(&self) -> &SlabFile {
        &self.file
    }

    /// Whether both are the same pages, not only equal ones.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}

/// A run of slab pages at a place of a source.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// First page of the source it supplies.
    pub(crate) at: u32,
    /// How many.
    pub(crate) count: u32,
    pub(crate) slab: Slab,
    /// First page of the slab it takes.
    pub(crate) from: u32,
}

/// The initial content of a mapping: slab pages at places, zeros elsewhere.
#[derive(Clone, Debug, Default)]
pub struct PageSource {
    extents: Vec<Extent>,
    pages: u32,
}

impl PageSource {
    /// No pages at all; a mapping of it reads as zeros.
    pub const fn empty() -> Self {
        Self {
            extents: Vec::new(),
            pages: 0,
        }
    }

    /// The pages of `bytes`, the last one padded with zeros.
    ///
    /// # Errors
    /// As [`Slab::new`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        Ok(Slab::new(bytes)?.map_or_else(Self::empty, Self::from))
    }

    /// Content given page by page: index of the page, ascending, and its bytes up to 4096, the rest
    /// of the page being zeros. Pages between them read as zeros; wide gaps take no memory even
    /// when they are read.
    ///
    /// # Errors
    /// As [`Slab::new`].
    ///
    /// # Panics
    /// If the indices do not ascend or a page has more than 4096 bytes.
    pub fn from_pages(pages: &[(u32, &[u8])]) -> Result<Self, HostError> {
        assert!(pages.is_sorted_by(|a, b| a.0 < b.0), "pages ascend");
        let runs = runs(pages);
        let total: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
        let Some(last) = runs.last().filter(|_| total > 0) else {
            return Ok(Self::empty());
        };
        let count = |n: u64| PageCount::covering(n * PAGE_SIZE as u64).ok_or(HostError::TooLarge);
        let end = count(u64::from(last.at) + u64::from(last.count))?;
        let chunks = runs.iter().flat_map(|run| {
            pages[run.pages.clone()].iter().map(move |(index, bytes)| {
                assert!(bytes.len() <= PAGE_SIZE, "a page has 4096 bytes");
                ((run.from + (index - run.at)) as usize * PAGE_SIZE, *bytes)
            })
        });
        let slab = Slab::from_chunks(count(total)?, chunks)?;
        let extent = |run: &Run| Extent {
            at: run.at,
            count: run.count,
            slab: slab.clone(),
            from: run.from,
        };
        Ok(Self {
            extents: runs.iter().map(extent).collect(),
            pages: end.value(),
        })
    }

    /// How many pages it has; what a mapping has beyond them reads as zeros.
    pub fn pages(&self) -> PageCount {
        PageCount::new(self.pages).expect("a source is at most an address space long")
    }

    /// The content of page `index`; `None` where it reads as zeros.
    pub fn page(&self, index: u32) -> Option<&[u8; PAGE_SIZE]> {
        let after = self.extents.partition_point(|e| e.at <= index);
        let extent = self.extents.get(after.checked_sub(1)?)?;
        let inside = index - extent.at;
        if inside < extent.count {
            extent.slab.page(extent.from + inside)
        } else {
            None
        }
    }

    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// How many pieces of slabs it consists of, each of which takes a host mapping.
    pub const fn extent_count(&self) -> usize {
        self.extents.len()
    }

    /// Builds from extents that are ascending, disjoint and inside `pages`.
    pub(crate) fn from_extents(extents: Vec<Extent>, pages: u32) -> Self {
        debug_assert!(pages <= PAGES);
        debug_assert!(extents.windows(2).all(|w| w[0].at + w[0].count <= w[1].at));
        debug_assert!(extents.last().is_none_or(|e| e.at + e.count <= pages));
        Self { extents, pages }
    }
}

/// Pages that become one extent, gaps between them included.
struct Run {
    /// First page of the source.
    at: u32,
    count: u32,
    /// First page in the slab.
    from: u32,
    /// Which of the given pages.
    pages: std::ops::Range<usize>,
}

/// Gaps below this many pages are not worth a mapping.
const NARROW_GAP: u32 = 16;

/// Cuts ascending pages into at most [`MAX_EXTENTS`] runs, at the widest gaps.
fn runs(pages: &[(u32, &[u8])]) -> Vec<Run> {
    let gap = |i: usize| pages[i].0 - pages[i - 1].0 - 1;
    let mut cuts: Vec<usize> = (1..pages.len()).filter(|&i| gap(i) >= NARROW_GAP).collect();
    cuts.sort_by_key(|&i| std::cmp::Reverse(gap(i)));
    cuts.truncate(MAX_EXTENTS - 1);
    cuts.sort_unstable();
    cuts.push(pages.len());
    let (mut first, mut from, mut runs) = (0, 0, Vec::new());
    for cut in cuts.into_iter().filter(|&cut| cut > 0) {
        let at = pages[first].0;
        let count = pages[cut - 1].0 - at + 1;
        runs.push(Run {
            at,
            count,
            from,
            pages: first..cut,
        });
        from += count;
        first = cut;
    }
    runs
}

impl From<Slab> for PageSource {
    fn from(slab: Slab) -> Self {
        let pages = slab.pages;
        let extent = Extent {
            at: 0,
            count: pages,
            slab,
            from: 0,
        };
        Self {
            extents: vec![extent],
            pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(index: u32) -> Vec<u8> {
        vec![index as u8 | 1; 1 + index as usize % PAGE_SIZE]
    }

    #[test]
    fn a_source_of_scattered_pages_has_each_in_its_place_and_zeros_between() {
        let layouts: [Vec<u32>; 4] = [
            vec![],
            vec![0, 1, 2, 5, 900_000],
            (0..40).map(|i| i * i * 400).collect(),
            (0..500).map(|i| i * 20 + i % 3).collect(),
        ];
        for indices in layouts {
            let content: Vec<Vec<u8>> = indices.iter().map(|&i| filled(i)).collect();
            let pages: Vec<(u32, &[u8])> = indices
                .iter()
                .zip(&content)
                .map(|(&index, bytes)| (index, bytes.as_slice()))
                .collect();
            let source = PageSource::from_pages(&pages).unwrap();
            assert!(source.extents().len() <= MAX_EXTENTS);
            assert_eq!(
                source.pages().value(),
                indices.last().map_or(0, |last| last + 1)
            );
            for (index, bytes) in &pages {
                let page = source.page(*index).unwrap();
                assert_eq!(&page[..bytes.len()], *bytes);
                assert!(page[bytes.len()..].iter().all(|byte| *byte == 0));
                let next = index + 1;
                if !indices.contains(&next) {
                    let page = source.page(next);
                    assert!(page.is_none_or(|page| page.iter().all(|byte| *byte == 0)));
                }
            }
        }
    }
}
