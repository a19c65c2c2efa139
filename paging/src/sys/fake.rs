//! The twin without system calls: slabs on the heap, no windows.

use crate::error::{HostError, SysCall};

/// Immutable page-aligned content on the heap.
#[derive(Debug)]
pub(crate) struct SlabFile {
    bytes: Box<[u8]>,
}

impl SlabFile {
    /// `len` zero bytes with every chunk laid over at its offset.
    pub(crate) fn create<'a>(
        len: usize,
        chunks: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Self, HostError> {
        super::gate(SysCall::MemfdCreate)?;
        let mut bytes = vec![0; len].into_boxed_slice();
        for (offset, chunk) in chunks {
            bytes[offset..offset + chunk.len()].copy_from_slice(chunk);
        }
        Ok(Self { bytes })
    }

    /// The content.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(not(has_windows))]
pub(crate) use absent::{Reservation, page_tables, refuse_process_merging, thread_faults};

#[cfg(not(has_windows))]
mod absent {
    use std::ptr::NonNull;

    use super::{HostError, SlabFile};
    use crate::sys::Protection;

    /// Page tables that this target has no questions for; there are no values of this type.
    pub(crate) enum PageTables {}

    impl PageTables {
        pub(crate) fn process(&self) -> u32 {
            match *self {}
        }

        pub(crate) fn scan(
            &self,
            _base: usize,
            _len: usize,
            _found: &mut dyn FnMut(usize, usize),
        ) -> Result<(), HostError> {
            match *self {}
        }
    }

    pub(crate) fn page_tables() -> Result<&'static PageTables, HostError> {
        Err(HostError::Unsupported)
    }

    pub(crate) fn thread_faults() -> Result<u64, HostError> {
        Err(HostError::Unsupported)
    }

    pub(crate) fn refuse_process_merging() -> Result<(), HostError> {
        Err(HostError::Unsupported)
    }

    /// Address space that this target cannot reserve; there are no values of this type.
    #[derive(Debug)]
    pub(crate) enum Reservation {}

    impl Reservation {
        pub(crate) fn reserve(_len: usize) -> Result<Self, HostError> {
            Err(HostError::Unsupported)
        }
        pub(crate) fn at(&self, _offset: usize) -> NonNull<u8> {
            match *self {}
        }
        pub(crate) fn map_zero(
            &self,
            _offset: usize,
            _len: usize,
            _protection: Protection,
        ) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn map_slab(
            &self,
            _offset: usize,
            _len: usize,
            _file: &SlabFile,
            _file_offset: usize,
        ) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn protect(
            &self,
            _offset: usize,
            _len: usize,
            _protection: Protection,
        ) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn keep_plain(&self, _offset: usize, _len: usize) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn refuse_locked(&self, _offset: usize, _len: usize) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn discard(&self, _offset: usize, _len: usize) -> Result<(), HostError> {
            match *self {}
        }
        pub(crate) fn read(&self, _offset: usize, _into: &mut [u8]) {
            match *self {}
        }
        pub(crate) fn write(&self, _offset: usize, _from: &[u8]) {
            match *self {}
        }
        pub(crate) fn zero(&self, _offset: usize, _len: usize) {
            match *self {}
        }
    }
}
