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
