//! Addresses and pages as types, aligned and in range by construction.
//!
//! A guest address is a number modulo 2^32 and a page is 4096 bytes of it, whatever the host
//! uses (ISA §4), so there are exactly 2^20 pages and every sum of pages fits a `u32`.

use std::fmt;

/// Bytes in a page (ISA §4, `PAGE`).
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Pages in the address space of a guest.
pub const PAGES: u32 = 1 << 20;
/// Bytes in the address space of a guest.
pub const ADDRESS_SPACE: u64 = 1 << 32;

/// An address of a guest, modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestAddr(u32);

impl GuestAddr {
    /// The address `value`.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The address `value` modulo 2^32 (ISA §4, aliasing).
    pub const fn wrapping(value: u64) -> Self {
        Self(value as u32)
    }

    /// The address as a number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The page that holds the byte at this address.
    pub const fn page(self) -> PageIndex {
        PageIndex(self.0 >> PAGE_SHIFT)
    }

    /// The distance from the start of that page.
    pub const fn offset(self) -> usize {
        (self.0 & (PAGE_SIZE as u32 - 1)) as usize
    }

    /// The address `bytes` further on, modulo 2^32.
    pub const fn advance(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl fmt::Debug for GuestAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// The number of a page, below [`PAGES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(u32);

impl PageIndex {
    /// Page number `index`, if there is one.
    pub const fn new(index: u32) -> Option<Self> {
        if index < PAGES {
            Some(Self(index))
        } else {
            None
        }
    }

    /// The page's number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The address of its first byte.
    pub const fn base(self) -> GuestAddr {
        GuestAddr(self.0 << PAGE_SHIFT)
    }

    /// The number as an index into tables.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Page `value` modulo the number of pages.
    pub(crate) const fn masked(value: u32) -> Self {
        Self(value & (PAGES - 1))
    }
}

impl fmt::Debug for PageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {:#x}", self.0)
    }
}

/// A number of pages, at most [`PAGES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PageCount(u32);

impl PageCount {
    /// `count` pages, if the address space holds as many.
    pub const fn new(count: u32) -> Option<Self> {
        if count <= PAGES {
            Some(Self(count))
        } else {
            None
        }
    }

    /// The pages needed for `bytes` bytes, if the address space holds as many.
    pub const fn covering(bytes: u64) -> Option<Self> {
        let pages = bytes.div_ceil(PAGE_SIZE as u64);
        if pages <= PAGES as u64 {
            Some(Self(pages as u32))
        } else {
            None
        }
    }

    /// The count as a number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The bytes in that many pages.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << PAGE_SHIFT
    }
}

/// A run of pages that does not wrap; it may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRange {
    start: u32,
    end: u32,
}

impl PageRange {
    /// `count` pages from `start` on, if they do not pass 2^32.
    pub const fn new(start: PageIndex, count: PageCount) -> Option<Self> {
        let end = start.0 + count.0;
        if end <= PAGES {
            Some(Self {
                start: start.0,
                end,
            })
        } else {
            None
        }
    }

    /// The pages of `[start, start + bytes)`; `None` unless both are multiples of a page and the
    /// end does not pass 2^32.
    pub const fn from_bytes(start: u64, bytes: u64) -> Option<Self> {
        let Some(end) = start.checked_add(bytes) else {
            return None;
        };
        let aligned =
            start.is_multiple_of(PAGE_SIZE as u64) && bytes.is_multiple_of(PAGE_SIZE as u64);
        if aligned && end <= ADDRESS_SPACE {
            Some(Self {
                start: (start >> PAGE_SHIFT) as u32,
                end: (end >> PAGE_SHIFT) as u32,
            })
        } else {
            None
        }
    }

    /// The one page `page`.
    pub const fn single(page: PageIndex) -> Self {
        Self {
            start: page.0,
            end: page.0 + 1,
        }
    }

    /// Every page of the address space.
    pub const ALL: Self = Self {
        start: 0,
        end: PAGES,
    };

    /// Pages `start..end`; empty when `end <= start`, cut at the end of the address space.
    pub(crate) const fn between(start: u32, end: u32) -> Self {
        let end = if end > PAGES { PAGES } else { end };
        if start < end {
            Self { start, end }
        } else {
            Self { start: 0, end: 0 }
        }
    }

    /// Number of the first page; meaningless when empty.
    pub const fn start(self) -> u32 {
        self.start
    }

    /// One more than the number of the last page.
    pub const fn end(self) -> u32 {
        self.end
    }

    /// How many pages.
    pub const fn count(self) -> PageCount {
        PageCount(self.end - self.start)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `page` is one of them.
    pub const fn contains(self, page: PageIndex) -> bool {
        self.start <= page.0 && page.0 < self.end
    }

    /// The pages in both.
    pub const fn intersect(self, other: Self) -> Self {
        let start = if self.start > other.start {
            self.start
        } else {
            other.start
        };
        let end = if self.end < other.end {
            self.end
        } else {
            other.end
        };
        Self::between(start, end)
    }

    /// The pages in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PageIndex> + ExactSizeIterator {
        (self.start..self.end).map(PageIndex)
    }

    /// The offset of the first byte from the start of the address space.
    pub(crate) const fn byte_start(self) -> usize {
        (self.start as usize) << PAGE_SHIFT
    }

    /// The length in bytes.
    pub(crate) const fn byte_len(self) -> usize {
        ((self.end - self.start) as usize) << PAGE_SHIFT
    }
}

impl fmt::Debug for PageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pages {:#x}..{:#x}", self.start, self.end)
    }
}

/// An address in the host process, kept as a number: nothing here follows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostAddr(usize);

impl HostAddr {
    /// The address `value`.
    pub const fn new(value: usize) -> Self {
        Self(value)
    }

    /// The address of what `pointer` points to.
    pub fn of<T>(pointer: *const T) -> Self {
        Self(pointer.addr())
    }

    /// The address as a number.
    pub const fn value(self) -> usize {
        self.0
    }
}

impl fmt::Debug for HostAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
