//! Which chunk a native address belongs to, found without waiting for anybody.
//!
//! ```text
//!   log      in the order of translation; only ever grows
//!   sorted   the same by address; rewritten while `version` is odd
//! ```
//!
//! A fault may come while another thread stands still in the middle of an insertion. A reader that
//! finds the version odd, or changed afterwards, reads the log instead.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Native addresses of the chunks of a program.
#[derive(Debug)]
pub(crate) struct Places {
    log: Box<[AtomicU64]>,
    sorted: Box<[AtomicU64]>,
    count: AtomicUsize,
    version: AtomicU32,
}

/// An entry: the address above the chunk's number, so that entries sort by address. No code is at
/// address 0, so no entry is 0.
const fn entry(address: u32, number: u32) -> u64 {
    (address as u64) << 32 | number as u64
}

impl Places {
    /// Room for `chunks` chunks, each inserted at most once.
    pub(crate) fn new(chunks: usize) -> Self {
        let zeros = || (0..chunks).map(|_| AtomicU64::new(0)).collect();
        Self {
            log: zeros(),
            sorted: zeros(),
            count: AtomicUsize::new(0),
            version: AtomicU32::new(0),
        }
    }

    /// Adds the chunk `number` at `address`. Insertions exclude one another by a lock of the
    /// caller's.
    pub(crate) fn insert(&self, address: u32, number: u32) {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.log.get(count) else {
            return;
        };
        let new = entry(address, number);
        place.store(new, Ordering::Release);
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let mut at = count;
        while at > 0 {
            let before = self.sorted[at - 1].load(Ordering::Relaxed);
            if before < new {
                break;
            }
            self.sorted[at].store(before, Ordering::Relaxed);
            at -= 1;
        }
        self.sorted[at].store(new, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// The number of the chunk with the highest address up to `address`.
    pub(crate) fn find(&self, address: u64) -> Option<u32> {
        let limit = entry(u32::try_from(address).ok()?, u32::MAX);
        let found = self.search(limit).unwrap_or_else(|| self.scan(limit));
        (found != 0).then_some(found as u32)
    }

    /// The largest entry up to `limit`, 0 if there is none; `None` if somebody interfered.
    fn search(&self, limit: u64) -> Option<u64> {
        let version = self.version.load(Ordering::Acquire);
        if version % 2 == 1 {
            return None;
        }
        let count = self.count.load(Ordering::Relaxed);
        let sorted = &self.sorted[..count];
        let after = sorted.partition_point(|e| e.load(Ordering::Relaxed) <= limit);
        let found = after
            .checked_sub(1)
            .map_or(0, |at| sorted[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(found)
    }

    /// The same by looking at all.
    fn scan(&self, limit: u64) -> u64 {
        let entries = self.log.iter().map(|e| e.load(Ordering::Acquire));
        let made = entries.take_while(|entry| *entry != 0);
        made.filter(|entry| *entry <= limit).max().unwrap_or(0)
    }

    /// The numbers of all chunks inserted.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let entries = self.log.iter().map(|e| e.load(Ordering::Acquire));
        entries
            .take_while(|entry| *entry != 0)
            .map(|entry| entry as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_isa::arbitrary::Random;

    #[test]
    fn an_address_is_found_in_the_chunk_that_starts_last_before_it() {
        let mut random = Random::new(0x5EED_0003);
        let places = Places::new(500);
        let mut plain = std::collections::BTreeMap::new();
        assert_eq!(places.find(u64::from(u32::MAX)), None);
        for number in 0..500 {
            let address = 1 + random.below(1 << 31) as u32;
            if plain.insert(address, number).is_none() {
                places.insert(address, number);
            }
            let asked = random.below(1 << 31);
            let expected = plain.range(..=asked as u32).next_back();
            let expected = expected.map(|(_, number)| *number);
            assert_eq!(places.find(asked), expected);
            assert_eq!(places.find(u64::from(address)), Some(number));
            // Whoever comes while an insertion stands still finds the same.
            places.version.fetch_add(1, Ordering::Relaxed);
            assert_eq!(places.find(asked), expected);
            places.version.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(places.find(1 << 32), None);
        let mut numbers: Vec<u32> = plain.into_values().collect();
        numbers.sort_unstable();
        assert!(places.numbers().eq(numbers));
    }
}
