//! Dispatch tables: from code offsets to native addresses.
//!
//! Entry `pc / 2` holds the native address of the block at `pc`, or zero if none starts there or
//! it is not translated yet. The last entry stands for every offset outside the code and stays
//! zero. Untouched pages of a table are never allocated.

use std::sync::atomic::{AtomicU32, Ordering};

use super::sys::{LowMapping, MemoryError};

/// The table of one program.
#[derive(Debug)]
pub(crate) struct Table {
    mapping: LowMapping,
    limit: u32,
}

impl Table {
    /// A table for `code_len` bytes of code.
    pub(crate) fn new(code_len: u32) -> Result<Self, MemoryError> {
        let limit = code_len.next_multiple_of(2);
        let entries = limit as usize / 2 + 1;
        let mapping = LowMapping::zeroed((4 * entries).next_multiple_of(4096))?;
        Ok(Self { mapping, limit })
    }

    /// Address of entry 0.
    pub(crate) fn address(&self) -> u32 {
        self.mapping.address()
    }

    /// The first even offset past the code; its entry stays zero.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    fn entry(&self, pc: u32) -> Option<&AtomicU32> {
        if pc >= self.limit || !pc.is_multiple_of(2) {
            return None;
        }
        self.mapping.words().get(pc as usize / 2)
    }

    /// Native address of the block at `pc`.
    pub(crate) fn get(&self, pc: u32) -> Option<u32> {
        let address = self.entry(pc)?.load(Ordering::Acquire);
        (address != 0).then_some(address)
    }

    /// Publishes the native address of the block at `pc`, whose code is published already.
    pub(crate) fn set(&self, pc: u32, address: u32) {
        if let Some(entry) = self.entry(pc) {
            entry.store(address, Ordering::Release);
        }
    }
}
