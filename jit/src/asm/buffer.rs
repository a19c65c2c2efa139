//! The growing buffer that native code is written into before it is published.
//!
//! Room is asked for once per guest instruction ([`CodeBuffer::reserve`]); the writes in between
//! store eight bytes at a time without looking at the length again. A buffer has a hard limit:
//! past it, `reserve` refuses and the caller gives the chunk to the interpreter.

use dynasmrt::{AssemblyOffset, DynasmApi};

/// Bytes that one guest instruction or one stub may take at most, with slack for the eight-byte
/// stores.
pub(crate) const INSTRUCTION_ROOM: usize = 512;

/// Native code under construction.
#[derive(Debug, Default)]
pub(crate) struct CodeBuffer {
    bytes: Vec<u8>,
    len: usize,
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

    /// Makes room for one more instruction; `false` when that would pass `limit` bytes.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, limit: usize) -> bool {
        if self.bytes.len() - self.len >= INSTRUCTION_ROOM {
            return self.len <= limit;
        }
        self.grow(limit)
    }

    #[cold]
    fn grow(&mut self, limit: usize) -> bool {
        if self.len > limit {
            return false;
        }
        let wanted = (self.bytes.len() * 2)
            .max(16 * 1024)
            .min(limit + 2 * INSTRUCTION_ROOM);
        self.bytes
            .resize(wanted.max(self.len + INSTRUCTION_ROOM), 0);
        true
    }

    /// Appends the low `count` (at most 8) bytes of `bits`.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: usize) {
        debug_assert!(count <= 8);
        if let Some(place) = self
            .bytes
            .get_mut(self.len..)
            .and_then(|b| b.first_chunk_mut::<8>())
        {
            *place = bits.to_le_bytes();
        }
        self.len += count;
    }

    /// Overwrites the 32-bit field at `at`.
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Overwrites the byte at `at`.
    pub(crate) fn patch_u8(&mut self, at: usize, value: u8) {
        self.bytes[at] = value;
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
