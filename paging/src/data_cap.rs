//! Data as the kernel holds it: immutable backing, private overlay, a Merkle root.
//!
//! ```text
//!   overlay   page → frame       written since the last flush
//!   backing   PageSource         slabs, shared with every copy and every mapping
//!   tree      page roots         stale for pages written since the last root
//! ```
//!
//! A copy shares everything. Writing costs the pages written; [`flush`](DataCap::flush) moves the
//! overlay into a new slab and keeps sharing the rest; a root costs the stale pages and their paths.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::error::HostError;
use crate::frame::{Frame, PageBytes};
use crate::merkle::{Hash, PageTree, data_root, page_root};
use crate::page::{PAGE_SIZE, PageCount};
use crate::slab::{Extent, MAX_EXTENTS, PageSource, Slab};

/// A range that data does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bytes {range:?} lie outside data of {byte_size} bytes")]
pub struct OutOfRange {
    /// What was asked for.
    pub range: Range<u64>,
    /// What there is.
    pub byte_size: u64,
}

/// Page-granular data with copy-on-write sharing.
#[derive(Clone, Debug)]
pub struct DataCap {
    pages: PageCount,
    backing: PageSource,
    overlay: BTreeMap<u32, Frame>,
    tree: PageTree,
    stale: BTreeSet<u32>,
}

impl DataCap {
    /// `pages` pages with the content of `backing`, zeros beyond it; `None` if it is longer.
    pub fn new(pages: PageCount, backing: PageSource) -> Option<Self> {
        if backing.pages() > pages {
            return None;
        }
        let stored = backing.extents().iter();
        let stale = stored.flat_map(|e| e.at..e.at + e.count).collect();
        Some(Self {
            pages,
            backing,
            overlay: BTreeMap::new(),
            tree: PageTree::new(pages.value()),
            stale,
        })
    }

    /// The pages of `bytes`, the last one padded with zeros.
    ///
    /// # Errors
    /// As [`PageSource::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        let backing = PageSource::from_bytes(bytes)?;
        Self::new(backing.pages(), backing).ok_or(HostError::TooLarge)
    }

    /// How many pages it has.
    pub const fn pages(&self) -> PageCount {
        self.pages
    }

    /// How many bytes; a multiple of the page size.
    pub const fn byte_size(&self) -> u64 {
        self.pages.bytes()
    }

    /// The content of page `index`; `None` where it is zero or there is no such page.
    pub fn page(&self, index: u32) -> Option<&PageBytes> {
        match self.overlay.get(&index) {
            Some(frame) => Some(frame),
            None => self.backing.page(index),
        }
    }

    /// The pages written since the last flush, ascending.
    pub fn dirty(&self) -> impl Iterator<Item = u32> + '_ {
        self.overlay.keys().copied()
    }

    /// Copies bytes from `offset` on out.
    ///
    /// # Errors
    /// [`OutOfRange`]; `into` is untouched then.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), OutOfRange> {
        for (index, at, part) in self.pieces(offset, into.len())? {
            let into = &mut into[part];
            match self.page(index) {
                Some(page) => into.copy_from_slice(&page[at..at + into.len()]),
                None => into.fill(0),
            }
        }
        Ok(())
    }

    /// Writes bytes from `offset` on.
    ///
    /// # Errors
    /// [`OutOfRange`]; nothing is written then.
    pub fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), OutOfRange> {
        for (index, at, part) in self.pieces(offset, from.len())? {
            let from = &from[part];
            let backing = &self.backing;
            let frame = self.overlay.entry(index).or_insert_with(|| {
                Arc::new(backing.page(index).copied().unwrap_or([0; PAGE_SIZE]))
            });
            Arc::make_mut(frame)[at..at + from.len()].copy_from_slice(from);
            self.stale.insert(index);
        }
        Ok(())
    }

    fn pieces(
        &self,
        offset: u64,
        len: usize,
    ) -> Result<impl Iterator<Item = (u32, usize, Range<usize>)> + use<>, OutOfRange> {
        let end = offset.checked_add(len as u64);
        let Some(end) = end.filter(|&end| end <= self.byte_size()) else {
            return Err(OutOfRange {
                range: offset..offset.saturating_add(len as u64),
                byte_size: self.byte_size(),
            });
        };
        let mut at = offset;
        Ok(std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let page = at / PAGE_SIZE as u64;
            let stop = end.min((page + 1) * PAGE_SIZE as u64);
            let part = (at - offset) as usize..(stop - offset) as usize;
            let inside = (at % PAGE_SIZE as u64) as usize;
            at = stop;
            Some((page as u32, inside, part))
        }))
    }

    /// Pages `range` as data of their own, sharing their content.
    ///
    /// # Errors
    /// [`OutOfRange`], in bytes.
    pub fn slice(&self, range: Range<u32>) -> Result<Self, OutOfRange> {
        let count = range.end.checked_sub(range.start).and_then(PageCount::new);
        let Some(count) = count.filter(|_| range.end <= self.pages.value()) else {
            let bytes = |page| u64::from(page) * PAGE_SIZE as u64;
            return Err(OutOfRange {
                range: bytes(range.start)..bytes(range.end),
                byte_size: self.byte_size(),
            });
        };
        let extents = cut(self.backing.extents(), &range)
            .map(|e| Extent {
                at: e.at - range.start,
                ..e
            })
            .collect();
        let overlay = self.overlay.range(range.clone());
        let overlay = overlay.map(|(page, frame)| (page - range.start, Arc::clone(frame)));
        let stale = self.stale.range(range.clone());
        let stale: BTreeSet<u32> = stale.map(|page| page - range.start).collect();
        let mut tree = PageTree::new(count.value());
        let known = (0..count.value()).filter(|page| !stale.contains(page));
        let known = known.map(|page| (page, self.tree.leaf(page + range.start)));
        let known: Vec<(u32, Hash)> = known.filter(|leaf| leaf.1 != [0; 32]).collect();
        tree.update(&known);
        Ok(Self {
            pages: count,
            backing: PageSource::from_extents(extents, count.value()),
            overlay: overlay.collect(),
            tree,
            stale,
        })
    }

    /// Moves the overlay into a new slab; pages that were not written go on being shared.
    ///
    /// # Errors
    /// [`HostError::Sys`] when the slab cannot be made; nothing changes then.
    pub fn flush(&mut self) -> Result<(), HostError> {
        if self.overlay.is_empty() {
            return Ok(());
        }
        let zero = |frame: &Frame| frame.iter().all(|&b| b == 0);
        let kept: Vec<(u32, &Frame)> = self
            .overlay
            .iter()
            .filter(|(_, frame)| !zero(frame))
            .map(|(page, frame)| (*page, frame))
            .collect();
        let mut extents = Vec::new();
        let mut at = 0;
        for &page in self.overlay.keys() {
            extents.extend(cut(self.backing.extents(), &(at..page)));
            at = page + 1;
        }
        extents.extend(cut(self.backing.extents(), &(at..self.pages.value())));
        if let Some(count) = PageCount::new(kept.len() as u32).filter(|count| count.value() > 0) {
            let chunks = kept.iter().enumerate();
            let chunks = chunks.map(|(i, (_, frame))| (i * PAGE_SIZE, &frame[..]));
            let slab = Slab::from_chunks(count, chunks)?;
            extents.extend(runs(&kept).map(|(at, from, count)| Extent {
                at,
                count,
                slab: slab.clone(),
                from,
            }));
            extents.sort_by_key(|e| e.at);
        }
        let extents = compact(extents)?;
        self.backing = PageSource::from_extents(extents, self.pages.value());
        self.overlay.clear();
        Ok(())
    }

    /// The content for a mapping, after a flush.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn source(&mut self) -> Result<PageSource, HostError> {
        self.flush()?;
        Ok(self.backing.clone())
    }

    /// The root over the roots of all pages (`kernel-abi.md` §3.3).
    pub fn pages_root(&mut self) -> Hash {
        let stale = std::mem::take(&mut self.stale);
        let root_of = |&page: &u32| (page, self.page(page).map_or([0; 32], page_root));
        let leaves: Vec<(u32, Hash)> = stale.iter().map(root_of).collect();
        self.tree.update(&leaves);
        if self.pages.value() == 0 {
            return [0; 32];
        }
        self.tree.root()
    }

    /// The root of size and pages (`kernel-abi.md` §3.3).
    pub fn data_root(&mut self) -> Hash {
        let pages_root = self.pages_root();
        data_root(self.byte_size(), &pages_root)
    }
}

/// The parts of `extents` inside `range`.
fn cut<'a>(extents: &'a [Extent], range: &Range<u32>) -> impl Iterator<Item = Extent> + 'a {
    let range = range.clone();
    extents.iter().filter_map(move |e| {
        let start = e.at.max(range.start);
        let end = (e.at + e.count).min(range.end);
        (start < end).then(|| Extent {
            at: start,
            count: end - start,
            slab: e.slab.clone(),
            from: e.from + (start - e.at),
        })
    })
}

/// Runs of consecutive pages: first page, place in the list, length.
fn runs(pages: &[(u32, &Frame)]) -> impl Iterator<Item = (u32, u32, u32)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = pages.get(at)?.0;
        let rest = pages[at..].iter().zip(first..);
        let count = rest
            .take_while(|((page, _), expected)| page == expected)
            .count();
        let run = (first, at as u32, count as u32);
        at += count;
        Some(run)
    })
}

/// Joins ascending extents across the smallest gaps until there are few enough, by copying.
fn compact(extents: Vec<Extent>) -> Result<Vec<Extent>, HostError> {
    if extents.len() <= MAX_EXTENTS {
        return Ok(extents);
    }
    let gap = |i: usize| extents[i].at - (extents[i - 1].at + extents[i - 1].count);
    let mut cuts: Vec<usize> = (1..extents.len()).collect();
    cuts.sort_by_key(|&i| std::cmp::Reverse(gap(i)));
    // Half of what is allowed, so that the next flushes find room.
    cuts.truncate(MAX_EXTENTS / 2 - 1);
    cuts.sort_unstable();
    cuts.push(extents.len());
    let mut joined = Vec::with_capacity(cuts.len());
    let mut from = 0;
    for to in cuts {
        joined.push(join(&extents[from..to])?);
        from = to;
    }
    Ok(joined)
}

/// One extent with the content of several, zeros in the gaps.
fn join(group: &[Extent]) -> Result<Extent, HostError> {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    if group.len() == 1 {
        return Ok(first.clone());
    }
    let count = last.at + last.count - first.at;
    let pages = PageCount::new(count).ok_or(HostError::TooLarge)?;
    let chunks = group.iter().flat_map(|e| {
        (0..e.count).filter_map(move |i| {
            let offset = (e.at - first.at + i) as usize * PAGE_SIZE;
            Some((offset, &e.slab.page(e.from + i)?[..]))
        })
    });
    Ok(Extent {
        at: first.at,
        count,
        slab: Slab::from_chunks(pages, chunks)?,
        from: 0,
    })
}
