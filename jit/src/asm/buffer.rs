//! The buffer that native code is written into before it is published.
//!
//! Room is asked for once per guest instruction ([`CodeBuffer::reserve`]); the writes in between
//! store eight bytes at a time. The buffer has a fixed size, of which only the pages that are
//! written are ever allocated, so a place in it needs no check: it is a number below a power of
//! two, and behind the last one there is room for a store. A caller's limit is lower: past it,
//! `reserve` refuses and the caller gives the chunk to the interpreter.

use dynasmrt::{AssemblyOffset, DynasmApi};

/// Bytes that one guest instruction or one stub may take at most, with slack for the eight-byte
/// stores.
pub(crate) const INSTRUCTION_ROOM: usize = 512;

/// Bytes of a buffer.
pub(crate) const BUFFER: usize = 4 << 20;
/// Bytes that one store takes.
const STORE: usize = 8;

/// Native code under construction.
#[derive(Debug)]
pub(crate) struct CodeBuffer {
    bytes: Box<[u8; BUFFER + STORE]>,
    len: usize,
}

impl Default for CodeBuffer {
    fn default() -> Self {
        let bytes = vec![0; BUFFER + STORE].into_boxed_slice().try_into();
        Self {
            bytes: bytes.expect("invariant: the slice has the length of the array"),
            len: 0,
        }
    }
}

impl CodeBuffer {
    /// Forgets the content and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Bytes written.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is room for one more instruction: `false` past `limit` bytes, which must be
    /// less than [`BUFFER`] by [`INSTRUCTION_ROOM`].
    #[inline(always)]
    pub(crate) fn reserve(&mut self, limit: usize) -> bool {
        debug_assert!(limit + INSTRUCTION_ROOM <= BUFFER);
        self.len <= limit
    }

    /// Appends the low `count` (at most 8) bytes of `bits`.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: usize) {
        debug_assert!(count <= STORE && self.len < BUFFER);
        let at = self.len % BUFFER;
        self.bytes[at..at + STORE].copy_from_slice(&bits.to_le_bytes());
        self.len += count;
    }

    /// Overwrites the 32-bit field at `at`.
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        let at = at % BUFFER;
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Overwrites the byte at `at`.
    pub(crate) fn patch_u8(&mut self, at: usize, value: u8) {
        self.bytes[at % BUFFER] = value;
    }

    /// The code written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Extend<u8> for CodeBuffer {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, iter: T) {
        iter.into_iter()
            .for_each(|byte| self.put(u64::from(byte), 1));
    }
}

impl<'a> Extend<&'a u8> for CodeBuffer {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, iter: T) {
        iter.into_iter()
            .for_each(|byte| self.put(u64::from(*byte), 1));
    }
}

impl DynasmApi for CodeBuffer {
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.len)
    }

    fn push(&mut self, byte: u8) {
        self.put(u64::from(byte), 1);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.len.is_multiple_of(alignment) {
            self.push(with);
        }
    }
}
