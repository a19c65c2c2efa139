//! The pages of a snapshot: numbers in ascending order, content shared with whoever else has it.

use crate::memory::PageBytes;
use rivet_isa::PageIndex;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Content of a page. Machines, forks and snapshots hold the same one until somebody writes; two
/// that are one page compare equal without a look at their bytes.
pub type SnapshotPage = Arc<PageBytes>;

/// Pages in ascending order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PageList(Vec<(PageIndex, SnapshotPage)>);

impl fmt::Debug for PageList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.0.iter().map(|(page, _)| page.index());
        f.debug_list().entries(numbers).finish()
    }
}

impl PageList {
    /// How many pages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pages, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PageIndex, &SnapshotPage)> {
        self.0.iter().map(|(page, content)| (*page, content))
    }

    /// The content of a page of the list.
    pub fn get(&self, page: PageIndex) -> Option<&SnapshotPage> {
        let at = self.0.binary_search_by_key(&page, |(page, _)| *page).ok()?;
        Some(&self.0[at].1)
    }

    pub(super) fn with_capacity(pages: usize) -> Self {
        Self(Vec::with_capacity(pages))
    }

    /// Appends a page above all others.
    pub(super) fn push(&mut self, page: PageIndex, content: SnapshotPage) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < page));
        self.0.push((page, content));
    }

    /// The numbers as maximal runs.
    pub(super) fn runs(&self) -> Vec<Range<u32>> {
        runs(self.0.iter().map(|(page, _)| *page))
    }
}

/// Ascending pages as maximal runs.
pub(super) fn runs(pages: impl Iterator<Item = PageIndex>) -> Vec<Range<u32>> {
    let mut out: Vec<Range<u32>> = Vec::new();
    for page in pages.map(PageIndex::index) {
        match out.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => out.push(page..page + 1),
        }
    }
    out
}

/// The pages of runs, which lie in the address space.
pub(super) fn pages_of(runs: &[Range<u32>]) -> impl Iterator<Item = PageIndex> {
    runs.iter().cloned().flatten().filter_map(PageIndex::new)
}
