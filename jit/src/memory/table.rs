//! Dispatch tables: from code offsets to native addresses.
//!
//! Entry `pc / 2` holds the native address of the block at `pc`, or zero if none starts there or
//! it is not translated yet. The entry at the limit stands for every offset outside the code and
//! stays zero. Every offset cut by the mask has an entry, so the mapping's size is a power of two;
//! its untouched pages are never allocated.
//!
//! A short program pays more for a mapping than for its translation, so those of small tables go
//! back to the pool, all zero again, and serve the next program.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};

use super::code::Pool;
use super::sys::{LowMapping, MemoryError};
use crate::process;

/// Smallest mapping of a table, and largest that is kept for another program.
const LEAST: usize = 64 << 10;
const LARGEST_KEPT: usize = 1 << 20;
/// Mappings kept for later.
const IDLE: usize = 8;

/// The table of one program.
#[derive(Debug)]
pub(crate) struct Table {
    pool: Arc<Pool>,
    /// There until it is given back.
    mapping: Option<LowMapping>,
    address: u32,
    limit: u32,
}

impl Table {
    /// A table for `code_len` bytes of code.
    pub(crate) fn new(pool: &Arc<Pool>, code_len: u32) -> Result<Self, MemoryError> {
        let limit = code_len.next_multiple_of(2);
        let bytes = 4 * (limit as usize / 2 + 1);
        let len = bytes.next_power_of_two().max(LEAST);
        let mut idle = pool.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.iter().position(|mapping| mapping.len() == len);
        let kept = kept.map(|at| idle.swap_remove(at));
        drop(idle);
        let mapping = kept.map_or_else(|| LowMapping::zeroed(len), Ok)?;
        Ok(Self {
            pool: Arc::clone(pool),
            address: mapping.address(),
            mapping: Some(mapping),
            limit,
        })
    }

    /// Address of entry 0.
    pub(crate) fn address(&self) -> u32 {
        self.address
    }

    /// The first even offset past the code; its entry stays zero.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// The bits of even offsets up to the largest one of the code. Offsets cut by it have an entry.
    pub(crate) fn mask(&self) -> u32 {
        (self.limit.max(2).next_power_of_two() - 1) & !1
    }

    fn entry(&self, pc: u32) -> Option<&AtomicU32> {
        if pc >= self.limit || !pc.is_multiple_of(2) {
            return None;
        }
        self.mapping.as_ref()?.words().get(pc as usize / 2)
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

    /// Clears the entries that were set, all of them within `extents` of the code, and keeps the
    /// mapping for another program if it is small. Nothing that uses the table runs any more.
    ///
    /// In a forked child the pool serves nobody, and a thread that does not exist there may have
    /// held its lock.
    pub(crate) fn give_back(&mut self, extents: impl Iterator<Item = Range<u32>>) {
        let small = |mapping: &mut LowMapping| mapping.len() <= LARGEST_KEPT;
        if self.pool.process != process::id() || !self.mapping.as_mut().is_some_and(small) {
            return;
        }
        for Range { start, end } in extents {
            let places = start as usize / 2..end.min(self.limit) as usize / 2;
            let words = self.mapping.as_ref().map_or(&[][..], LowMapping::words);
            let words = words.get(places).unwrap_or(&[]);
            words
                .iter()
                .for_each(|entry| entry.store(0, Ordering::Relaxed));
        }
        let tables = &self.pool.tables;
        let mut idle = tables.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.extend(self.mapping.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{CodeCache, CodeCacheConfig};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_table_given_back_serves_the_next_program_all_zero() {
        let cache = CodeCache::new(CodeCacheConfig::default());
        let mut first = Table::new(cache.pool(), 1000).unwrap();
        first.set(0, 7);
        first.set(998, 8);
        let address = first.address();
        first.give_back([0..500, 500..2000].into_iter());
        drop(first);
        let second = Table::new(cache.pool(), 20_000).unwrap();
        assert_eq!(second.address(), address);
        let all = second.mapping.as_ref().unwrap().words();
        assert!(all.iter().all(|entry| entry.load(Ordering::Relaxed) == 0));
        assert_eq!((second.get(0), second.get(998)), (None, None));
        // In use, it serves nobody else.
        assert_ne!(Table::new(cache.pool(), 1000).unwrap().address(), address);
    }

    #[test]
    fn every_offset_that_the_mask_lets_through_has_an_entry() {
        let cache = CodeCache::new(CodeCacheConfig::default());
        for code_len in [
            0, 1, 2, 3, 4, 0x3FFE, 0x4000, 0x8000, 0x8001, 0x3_FFFE, 0x10_0001,
        ] {
            let table = Table::new(cache.pool(), code_len).unwrap();
            let words = table.mapping.as_ref().unwrap().words().len();
            assert!((table.mask() as usize / 2) < words, "{code_len:#x}");
            assert!((table.limit() as usize / 2) < words, "{code_len:#x}");
            assert_eq!(table.mask() & 1, 0);
            for pc in (0..table.limit()).step_by(2) {
                assert_eq!(pc & table.mask(), pc, "{code_len:#x}");
            }
        }
    }

    #[test]
    fn a_table_dropped_in_a_forked_child_does_not_wait_for_the_lock_of_a_thread_left_behind() {
        let mut pool = Pool::new(1 << 20);
        Arc::get_mut(&mut pool).unwrap().process = process::id().wrapping_add(1);
        let mut table = Table::new(&pool, 1000).unwrap();
        let held = pool.tables.lock().unwrap();
        let (done, waiting) = channel();
        std::thread::spawn(move || {
            table.give_back(std::iter::once(0..2));
            drop(table);
            let _ = done.send(());
        });
        assert_eq!(waiting.recv_timeout(Duration::from_secs(20)), Ok(()));
        assert!(held.is_empty());
    }
}
