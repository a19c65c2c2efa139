//! Pages of a machine that holds no window: reference-counted frames in a two-level table.
//!
//! A fork shares frames; whoever writes a shared one copies it first. The table costs 8 KiB once
//! anything is in it and 8 KiB for every 4 MiB of address space that holds a frame.

use std::sync::Arc;

use crate::page::{PAGE_SIZE, PageIndex};

const LEAF: usize = 1024;
const ROOTS: usize = 1024;

/// The bytes of a page.
pub(crate) type PageBytes = [u8; PAGE_SIZE];

/// A page that several machines may share.
pub(crate) type Frame = Arc<PageBytes>;

type Leaf = Box<[Option<Frame>]>;

/// Private pages by number.
#[derive(Clone, Default)]
pub(crate) struct FrameTable {
    roots: Box<[Option<Leaf>]>,
    len: u32,
}

impl FrameTable {
    /// How many frames it holds.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// The frame of `page`.
    pub(crate) fn get(&self, page: PageIndex) -> Option<&Frame> {
        let leaf = self.roots.get(page.index() / LEAF)?.as_ref()?;
        leaf[page.index() % LEAF].as_ref()
    }

    /// The bytes of `page` for writing, copied first if another table shares them.
    pub(crate) fn get_mut(&mut self, page: PageIndex) -> Option<&mut PageBytes> {
        let leaf = self.roots.get_mut(page.index() / LEAF)?.as_mut()?;
        leaf[page.index() % LEAF].as_mut().map(Arc::make_mut)
    }

    /// Puts `frame` at `page`.
    pub(crate) fn insert(&mut self, page: PageIndex, frame: Frame) {
        if self.roots.is_empty() {
            self.roots = empty(ROOTS);
        }
        let leaf = self.roots[page.index() / LEAF].get_or_insert_with(|| empty(LEAF));
        if leaf[page.index() % LEAF].replace(frame).is_none() {
            self.len += 1;
        }
    }

    /// The frames in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PageIndex, &Frame)> {
        let leaves = self.roots.iter().enumerate();
        leaves.flat_map(|(root, leaf)| {
            let slots = leaf.iter().flat_map(|leaf| leaf.iter().enumerate());
            slots.filter_map(move |(slot, frame)| {
                let page = PageIndex::masked((root * LEAF + slot) as u32);
                Some((page, frame.as_ref()?))
            })
        })
    }
}

fn empty<T>(len: usize) -> Box<[Option<T>]> {
    std::iter::repeat_with(|| None).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_a_shared_frame_leaves_the_other_table_alone() {
        let page = PageIndex::new(0xf_ffff).unwrap();
        let mut one = FrameTable::default();
        one.insert(page, Arc::new([7; PAGE_SIZE]));
        let two = one.clone();
        one.get_mut(page).unwrap()[5] = 9;
        assert_eq!(two.get(page).unwrap()[5], 7);
        assert_eq!(one.get(page).unwrap()[5], 9);
    }

    #[test]
    fn frames_come_out_in_ascending_order() {
        let mut table = FrameTable::default();
        for n in [0xf_ffff, 3, 1024, 1023, 3] {
            table.insert(PageIndex::new(n).unwrap(), Arc::new([0; PAGE_SIZE]));
        }
        assert_eq!(table.len(), 4);
        let order: Vec<u32> = table.iter().map(|(p, _)| p.value()).collect();
        assert_eq!(order, [3, 1023, 1024, 0xf_ffff]);
    }
}
