//! What is known of each touched page.

use super::frame::FrameId;
use rivet_isa::PageIndex;

/// Pages of one leaf; 1024 leaves cover the address space.
const LEAF: usize = 1024;

/// One page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Record {
    pub(super) frame: FrameId,
    /// The guest read it.
    pub(super) read: bool,
    /// The embedder placed its contents, and the guest did not write it since.
    pub(super) placed: bool,
    /// Written by the guest or for it, and charged.
    pub(super) private: bool,
}

impl Record {
    /// Whether the frame is known.
    pub(super) fn present(self) -> bool {
        self.read || self.held()
    }

    /// Whether the contents may differ from the mapping's, which takes a page of host memory.
    pub(super) fn held(self) -> bool {
        self.placed || self.private
    }
}

/// Records by page number. A page without one is untouched.
#[derive(Clone, Debug)]
pub(super) struct Table(Box<[Option<Box<[Record; LEAF]>>; LEAF]>);

impl Default for Table {
    fn default() -> Self {
        Self(Box::new([const { None }; LEAF]))
    }
}

impl Table {
    pub(super) fn get(&self, page: PageIndex) -> Record {
        let page = page.index() as usize;
        match &self.0[page / LEAF] {
            Some(leaf) => leaf[page % LEAF],
            None => Record::default(),
        }
    }

    pub(super) fn set(&mut self, page: PageIndex, record: Record) {
        let page = page.index() as usize;
        let leaf = self.0[page / LEAF].get_or_insert_with(|| Box::new([Record::default(); LEAF]));
        leaf[page % LEAF] = record;
    }

    /// The first page at or after `page` in a leaf that exists; it may be untouched itself.
    pub(super) fn next_candidate(&self, page: u32) -> Option<u32> {
        let first = page as usize / LEAF;
        let leaf = first + self.0.get(first..)?.iter().position(Option::is_some)?;
        Some(page.max((leaf * LEAF) as u32))
    }

    /// Every record of a touched page, in address order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PageIndex, Record)> + '_ {
        let leaves = self.0.iter().enumerate();
        leaves
            .filter_map(|(i, leaf)| Some((i, leaf.as_ref()?)))
            .flat_map(|(i, leaf)| {
                let pages = leaf.iter().enumerate();
                pages.filter_map(move |(j, record)| {
                    let page = PageIndex::new((i * LEAF + j) as u32)?;
                    record.present().then_some((page, *record))
                })
            })
    }
}
