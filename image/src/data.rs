//! The content of a Data capability, kept sparse (kernel ABI §3.3).
//!
//! ```text
//! size = 4 pages      page 0    page 1    page 2    page 3
//! content             "Hello"   zeros     zeros     "x"
//! windows             {0,0,5}                       {3,5,1}
//! arena               H e l l o x
//! ```
//!
//! Only the prefix of a page up to its last non-zero byte is held, and pages of
//! zeros are not held at all. So a Data of gigabytes without content takes a few
//! words, two Data with equal content are equal values, and many pages may share
//! one range of the arena.

use std::fmt;
use std::sync::Arc;

use rivet_isa::PAGE_SIZE;

use crate::{Digest, merkle};

/// Level of the Merkle tree of one page: 128 chunks.
const PAGE_LEVEL: u32 = 7;

/// Sparse content of a Data capability: a size and the pages that are not zero.
#[derive(Clone)]
pub struct Data {
    size: u64,
    arena: Arc<[u8]>,
    windows: Arc<[Window]>,
}

/// One non-zero page: a range of the arena that ends in a non-zero byte.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) page: u32,
    pub(crate) start: u32,
    pub(crate) len: u16,
}

/// One page of a [`Data`] that is not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Index of the page within the Data.
    pub index: u32,
    /// The bytes up to the last non-zero one, 1 to 4096; the rest is zero.
    pub bytes: &'a [u8],
}

/// Why content cannot be a [`Data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// The size is not a whole number of pages.
    #[error("data size {size:#x} is not a multiple of 4096: round it up to a page")]
    Unaligned {
        /// The size given, in bytes.
        size: u64,
    },
    /// A page lies past the size.
    #[error("page {index} lies outside the data, which has {pages} pages")]
    PageOutside {
        /// Index of the page.
        index: u32,
        /// Pages the size allows.
        pages: u64,
    },
    /// Pages are not in strictly ascending order.
    #[error("page {index} follows page {previous}: pages go in strictly ascending order")]
    Disorder {
        /// Index of the page.
        index: u32,
        /// Index of the page before it.
        previous: u32,
    },
    /// More than a page of bytes was given for a page.
    #[error("page {index} was given {len} bytes: a page has 4096")]
    PageTooLong {
        /// Index of the page.
        index: u32,
        /// Bytes given.
        len: usize,
    },
    /// The non-zero content does not fit the 32-bit offsets of an arena.
    #[error("the non-zero content takes more than 4 GiB: split the data")]
    TooMuchContent,
}

impl Data {
    /// A Data of `size` zero bytes; takes no memory whatever the size.
    ///
    /// # Errors
    /// [`DataError::Unaligned`] unless `size` is a multiple of 4096.
    pub fn zeros(size: u64) -> Result<Self, DataError> {
        Self::from_pages(size, [])
    }

    /// A Data that starts with `bytes` and is zero up to `size`.
    ///
    /// # Errors
    /// [`DataError`] if `size` is not a multiple of 4096 or shorter than `bytes`.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, DataError> {
        let pages = bytes.chunks(PAGE_SIZE as usize);
        Self::from_pages(size, (0..).zip(pages))
    }

    /// A Data of `size` bytes from pages in ascending order, each with the bytes
    /// it starts with; what is not named is zero.
    ///
    /// # Errors
    /// [`DataError`] names the page and the rule it breaks.
    pub fn from_pages<'a>(
        size: u64,
        pages: impl IntoIterator<Item = (u32, &'a [u8])>,
    ) -> Result<Self, DataError> {
        if !size.is_multiple_of(PAGE_SIZE) {
            return Err(DataError::Unaligned { size });
        }
        let mut arena = Vec::new();
        let mut windows = Vec::new();
        let mut previous = None;
        for (index, bytes) in pages {
            check_page(size, previous, index, bytes.len())?;
            previous = Some(index);
            let Some(last) = bytes.iter().rposition(|&byte| byte != 0) else {
                continue;
            };
            let start = u32::try_from(arena.len()).map_err(|_| DataError::TooMuchContent)?;
            arena.extend_from_slice(&bytes[..=last]);
            let len = (last + 1) as u16;
            windows.push(Window {
                page: index,
                start,
                len,
            });
        }
        Ok(Self::from_windows(size, arena.into(), windows))
    }

    /// A Data over a shared arena. The caller has checked that windows ascend,
    /// lie inside size and arena, and end in a non-zero byte.
    pub(crate) fn from_windows(size: u64, arena: Arc<[u8]>, windows: Vec<Window>) -> Self {
        Self {
            size,
            arena,
            windows: windows.into(),
        }
    }

    /// Size in bytes, a multiple of 4096; trailing zero pages count.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Size in pages.
    #[must_use]
    pub fn page_count(&self) -> u64 {
        self.size / PAGE_SIZE
    }

    /// The pages that are not all zero, in ascending order.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = Page<'_>> {
        self.windows.iter().map(|window| {
            let start = window.start as usize;
            Page {
                index: window.page,
                bytes: &self.arena[start..start + usize::from(window.len)],
            }
        })
    }

    /// The bytes page `index` starts with, the rest being zero; empty for a page
    /// of zeros or past the end.
    #[must_use]
    pub fn page(&self, index: u32) -> &[u8] {
        let Ok(at) = self.windows.binary_search_by_key(&index, |w| w.page) else {
            return &[];
        };
        let window = self.windows[at];
        let start = window.start as usize;
        &self.arena[start..start + usize::from(window.len)]
    }

    /// Merkle root of the content: `H(le256(byte_size) ‖ pages_root)` of §3.3.
    ///
    /// Costs O(pages present × depth).
    #[must_use]
    pub fn root(&self) -> Digest {
        let present: Vec<_> = self
            .pages()
            .map(|page| (u64::from(page.index), page_root(page.bytes)))
            .collect();
        // A Data of no pages has the root of a tree of one zero leaf.
        let level = self.page_count().next_power_of_two().trailing_zeros();
        merkle::container(&[merkle::number(self.size), merkle::sparse(level, &present)])
    }
}

/// Merkle root of a page that starts with `prefix` and is zero after it.
///
/// `prefix` has at most 4096 bytes; a page of zeros has the root zero.
#[must_use]
pub fn page_root(prefix: &[u8]) -> Digest {
    match prefix.iter().rposition(|&byte| byte != 0) {
        None => Digest::ZERO,
        Some(last) => merkle::bytes_in(PAGE_LEVEL, &prefix[..=last]),
    }
}

/// The rules for one page of a Data of `size` bytes.
pub(crate) fn check_page(
    size: u64,
    previous: Option<u32>,
    index: u32,
    len: usize,
) -> Result<(), DataError> {
    let pages = size / PAGE_SIZE;
    if u64::from(index) >= pages {
        return Err(DataError::PageOutside { index, pages });
    }
    if let Some(previous) = previous.filter(|&previous| previous >= index) {
        return Err(DataError::Disorder { index, previous });
    }
    if len > PAGE_SIZE as usize {
        return Err(DataError::PageTooLong { index, len });
    }
    Ok(())
}

impl Default for Data {
    /// The Data of no bytes.
    fn default() -> Self {
        Self::from_windows(0, Arc::default(), Vec::new())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.pages().eq(other.pages())
    }
}

impl Eq for Data {}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("size", &self.size)
            .field("pages_present", &self.windows.len())
            .finish()
    }
}
