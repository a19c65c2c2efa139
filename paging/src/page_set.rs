//! A set of pages with constant-time membership that never allocates after it is made.
//!
//! ```text
//!  top         4 words   bit i: word i of `summary` is not zero
//!  summary   256 words   bit i: word i of `words` is not zero
//!  words   16384 words   bit p: page p is in the set
//! ```
//!
//! The fault handler inserts into these sets, so all storage exists beforehand; `words` comes
//! zeroed from the host and is committed only where pages are touched. Clearing and iterating cost
//! what is in the set, by way of the upper levels.

use crate::page::{PAGES, PageIndex, PageRange};

const WORDS: usize = (PAGES / 64) as usize;
const SUMMARY: usize = WORDS / 64;
const TOP: usize = SUMMARY / 64;

/// A set of [`PageIndex`].
pub struct PageSet {
    words: Box<[u64]>,
    summary: Box<[u64]>,
    top: [u64; TOP],
    len: u32,
}

impl PageSet {
    /// The empty set.
    pub fn new() -> Self {
        Self {
            words: vec![0; WORDS].into_boxed_slice(),
            summary: vec![0; SUMMARY].into_boxed_slice(),
            top: [0; TOP],
            len: 0,
        }
    }

    /// How many pages it holds.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it holds `page`.
    pub fn contains(&self, page: PageIndex) -> bool {
        self.words[page.index() / 64] >> (page.index() % 64) & 1 != 0
    }

    /// Adds `page` and says whether it was missing.
    pub fn insert(&mut self, page: PageIndex) -> bool {
        let (word, bit) = (page.index() / 64, 1u64 << (page.index() % 64));
        let fresh = self.words[word] & bit == 0;
        if fresh {
            self.words[word] |= bit;
            self.summary[word / 64] |= 1 << (word % 64);
            self.top[word / 4096] |= 1 << (word / 64 % 64);
            self.len += 1;
        }
        fresh
    }

    /// Takes `page` out and says whether it was there.
    pub fn remove(&mut self, page: PageIndex) -> bool {
        let (word, bit) = (page.index() / 64, 1u64 << (page.index() % 64));
        let present = self.words[word] & bit != 0;
        if present {
            self.words[word] &= !bit;
            if self.words[word] == 0 {
                self.summary[word / 64] &= !(1 << (word % 64));
                if self.summary[word / 64] == 0 {
                    self.top[word / 4096] &= !(1 << (word / 64 % 64));
                }
            }
            self.len -= 1;
        }
        present
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        while let Some(group) = self.next_group(0) {
            let mut live = std::mem::take(&mut self.summary[group]);
            while live != 0 {
                self.words[group * 64 + live.trailing_zeros() as usize] = 0;
                live &= live - 1;
            }
            self.top[group / 64] &= !(1 << (group % 64));
        }
        self.len = 0;
    }

    /// The first member at or above `from`.
    pub fn next_member(&self, from: u32) -> Option<PageIndex> {
        if from >= PAGES || self.is_empty() {
            return None;
        }
        let word = from as usize / 64;
        let rest = self.words[word] & (u64::MAX << (from % 64));
        if rest != 0 {
            return Some(Self::page_at(word, rest));
        }
        let (group, above) = ((word + 1) / 64, u64::MAX << ((word + 1) % 64));
        let live = self.summary.get(group)? & above;
        let (group, live) = if live != 0 {
            (group, live)
        } else {
            let group = self.next_group(group + 1)?;
            (group, self.summary[group])
        };
        let word = group * 64 + live.trailing_zeros() as usize;
        Some(Self::page_at(word, self.words[word]))
    }

    /// The first word of the summary at or above `from` that is not zero.
    fn next_group(&self, from: usize) -> Option<usize> {
        let mut above = u64::MAX << (from % 64);
        for t in from / 64..TOP {
            let live = self.top[t] & above;
            if live != 0 {
                return Some(t * 64 + live.trailing_zeros() as usize);
            }
            above = u64::MAX;
        }
        None
    }

    /// The first page at or above `from`, below `end`, that is not a member; else `end`.
    pub fn next_gap(&self, from: u32, end: u32) -> u32 {
        let end = end.min(PAGES);
        let mut page = from;
        while page < end {
            let word = page as usize / 64;
            let holes = !self.words[word] & (u64::MAX << (page % 64));
            if holes != 0 {
                return Self::page_at(word, holes).value().min(end);
            }
            page = (word as u32 + 1) * 64;
        }
        end
    }

    /// The first maximal run of members in `range`, cut to `range`.
    pub fn next_run(&self, range: PageRange) -> Option<PageRange> {
        let start = self.next_member(range.start())?.value();
        if start >= range.end() {
            return None;
        }
        Some(PageRange::between(start, self.next_gap(start, range.end())))
    }

    /// The maximal runs of members, ascending.
    pub fn runs(&self) -> impl Iterator<Item = PageRange> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let run = self.next_run(PageRange::between(at, PAGES))?;
            at = run.end();
            Some(run)
        })
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PageIndex> + '_ {
        self.runs().flat_map(PageRange::iter)
    }

    fn page_at(word: usize, bits: u64) -> PageIndex {
        PageIndex::masked(word as u32 * 64 + bits.trailing_zeros())
    }
}

impl Default for PageSet {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use std::collections::BTreeSet;

    fn page(n: u32) -> PageIndex {
        PageIndex::new(n).unwrap()
    }

    #[test]
    fn random_histories_agree_with_a_tree_of_numbers() {
        let mut random = Random::new(0x5eed);
        let mut set = PageSet::new();
        let mut model = BTreeSet::new();
        for step in 0..200_000u32 {
            let clusters = [0, 60, 4090, (1 << 18) - 30, (1 << 19) + 5000, PAGES - 70];
            let cluster = clusters[random.below(6) as usize];
            let p = cluster + random.below(70) as u32;
            match random.below(20) {
                0..=9 => assert_eq!(set.insert(page(p)), model.insert(p)),
                10..=17 => assert_eq!(set.remove(page(p)), model.remove(&p)),
                18 => {
                    assert_eq!(
                        set.next_member(p).map(PageIndex::value),
                        model.range(p..).next().copied()
                    );
                    let gap = (p..PAGES).find(|n| !model.contains(n)).unwrap_or(PAGES);
                    assert_eq!(set.next_gap(p, PAGES), gap);
                }
                _ if step % 1000 == 0 => {
                    set.clear();
                    model.clear();
                }
                _ => assert_eq!(set.contains(page(p)), model.contains(&p)),
            }
            assert_eq!(set.len() as usize, model.len());
        }
        assert!(set.iter().map(PageIndex::value).eq(model.iter().copied()));
        assert!(set.runs().all(|run| !run.is_empty()));
    }

    #[test]
    fn a_run_is_cut_to_the_range_asked_for() {
        let mut set = PageSet::new();
        for p in 100..300 {
            set.insert(page(p));
        }
        let run = set.next_run(PageRange::between(150, 200));
        assert_eq!(run, Some(PageRange::between(150, 200)));
        assert_eq!(set.next_run(PageRange::between(0, 100)), None);
        assert_eq!(set.next_run(PageRange::between(300, PAGES)), None);
    }
}
