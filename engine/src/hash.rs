//! A hash of guest data memory, to compare executions by.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use rivet_isa::{PAGE_SIZE, PageIndex};
use std::fmt;

/// BLAKE2b-256 over every mapped data page that is not all zero, of any class, in address order:
/// the page's address as u64 little-endian, then its 4096 bytes. Code is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemoryHash([u8; 32]);

impl MemoryHash {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MemoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MemoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// BLAKE2b-256 of these pieces, one after the other.
pub(crate) fn blake2b_256(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().into()
}

/// Collects pages in ascending order.
pub(crate) struct Hasher(Blake2b<U32>);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Blake2b::new())
    }

    /// Takes the next page; a page of zeros does not count.
    pub(crate) fn page(&mut self, page: PageIndex, content: &[u8; PAGE_SIZE as usize]) {
        if content.iter().any(|byte| *byte != 0) {
            self.0.update(u64::from(page.base().value()).to_le_bytes());
            self.0.update(content);
        }
    }

    pub(crate) fn finish(self) -> MemoryHash {
        MemoryHash(self.0.finalize().into())
    }
}
