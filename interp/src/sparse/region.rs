//! Mappings.

use super::frame::Frame;
use super::source::Source;
use core::fmt;
use rivet_isa::{DATA_BASE, GuestAddr, MAX_CODE_SIZE, PAGE_SIZE, PageIndex};
use std::sync::Arc;

/// What the guest may do with a region (ISA §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Access {
    /// Read: code and pinned mappings.
    ReadOnly,
    /// Read, and write to private copies.
    CopyOnWrite {
        /// Price in gas of each page that becomes private (gas §10).
        cow_cost: u64,
    },
}

/// A mapping: a run of pages with one access and one source.
#[derive(Clone, Debug)]
pub struct Region {
    /// First page.
    pub start: PageIndex,
    /// Number of pages, at least 1.
    pub pages: u32,
    /// What the guest may do.
    pub access: Access,
    /// Initial contents; may be shorter than the region.
    pub source: Source,
}

impl Region {
    pub(super) fn code(start: PageIndex, pages: u64, code: Arc<[u8]>) -> Result<Self, MapError> {
        if code.len() as u64 > MAX_CODE_SIZE {
            return Err(MapError::CodeSize { len: code.len() });
        }
        Ok(Self {
            start,
            pages: pages as u32,
            access: Access::ReadOnly,
            source: Source::bytes(code),
        })
    }

    pub(super) fn check(&self) -> Result<(), MapError> {
        let (start, pages) = (self.start, self.pages);
        let data = GuestAddr::wrapping(DATA_BASE).page();
        let room = u64::from(PageIndex::COUNT - start.index());
        if start < data || pages == 0 || u64::from(pages) > room {
            return Err(MapError::Range { start, pages });
        }
        let source = self.source.len_pages();
        if source > u64::from(pages) {
            return Err(MapError::SourceSize {
                start,
                pages,
                source,
            });
        }
        Ok(())
    }

    /// Page number after the last page; up to 2^20.
    pub(super) fn end(&self) -> u32 {
        self.start.index() + self.pages
    }

    pub(super) fn contains(&self, page: PageIndex) -> bool {
        (self.start.index()..self.end()).contains(&page.index())
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.start.index() < other.end() && other.start.index() < self.end()
    }

    /// A frame that shares this page of the source, or `None` for zeros.
    pub(super) fn frame(&self, page: PageIndex) -> Option<Frame> {
        self.source.frame(page.index() - self.start.index())
    }
}

/// Why a mapping is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// The pages are not inside `[DATA_BASE, 2^32)`, or there are none.
    Range {
        /// First page.
        start: PageIndex,
        /// Number of pages.
        pages: u32,
    },
    /// The source is longer than the region.
    SourceSize {
        /// First page of the region.
        start: PageIndex,
        /// Pages of the region.
        pages: u32,
        /// Pages of the source.
        source: u64,
    },
    /// Another region has some of the pages.
    Overlap {
        /// First page of the refused region.
        start: PageIndex,
        /// First page of the other.
        other: PageIndex,
    },
    /// The code is longer than MAX_CODE_SIZE.
    CodeSize {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { start, pages } => write!(
                f,
                "the region of {pages} pages at {start} is not inside {DATA_BASE:#x}..2^32; map \
                 at least one page there"
            ),
            Self::SourceSize {
                start,
                pages,
                source,
            } => write!(
                f,
                "the region at {start} has {pages} pages and its source {source}; enlarge the \
                 region"
            ),
            Self::Overlap { start, other } => {
                write!(
                    f,
                    "the region at {start} overlaps the one at {other}; move one"
                )
            }
            Self::CodeSize { len } => write!(
                f,
                "the code has {len} bytes, more than the {MAX_CODE_SIZE} that fit below \
                 {DATA_BASE:#x} in pages of {PAGE_SIZE}"
            ),
        }
    }
}

impl std::error::Error for MapError {}
