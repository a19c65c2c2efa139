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

/// Most leaves that stay allocated when everything is forgotten.
const KEPT: usize = 16;

/// The records of [`LEAF`] neighbours, and which of them were ever set: most walks would otherwise
/// read a thousand records to find one.
#[derive(Clone, Debug)]
struct Leaf {
    touched: [u64; LEAF / 64],
    records: [Record; LEAF],
}

impl Leaf {
    fn new() -> Box<Self> {
        Box::new(Self {
            touched: [0; LEAF / 64],
            records: [Record::default(); LEAF],
        })
    }

    /// Numbers of the records that were set, ascending, from `first` on.
    fn touched_from(&self, first: usize) -> impl Iterator<Item = usize> + '_ {
        let words = self.touched.iter().enumerate().skip(first / 64);
        words.flat_map(move |(i, word)| {
            let below = if i == first / 64 { first % 64 } else { 0 };
            let mut left = word & (u64::MAX << below);
            core::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(i * 64 + bit)
            })
        })
    }

    fn forget(&mut self) {
        for (i, word) in self.touched.iter_mut().enumerate() {
            while *word != 0 {
                self.records[i * 64 + word.trailing_zeros() as usize] = Record::default();
                *word &= *word - 1;
            }
        }
    }
}

/// Records by page number. A page without one is untouched.
#[derive(Clone, Debug)]
pub(super) struct Table {
    leaves: Box<[Option<Box<Leaf>>; LEAF]>,
    /// Numbers of the leaves there are, ascending: walks over all places would cost more than what
    /// most programs touch.
    there: Vec<u16>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            leaves: Box::new([const { None }; LEAF]),
            there: Vec::new(),
        }
    }
}

impl Table {
    pub(super) fn get(&self, page: PageIndex) -> Record {
        let page = page.index() as usize;
        match &self.leaves[page / LEAF] {
            Some(leaf) => leaf.records[page % LEAF],
            None => Record::default(),
        }
    }

    pub(super) fn set(&mut self, page: PageIndex, record: Record) {
        let page = page.index() as usize;
        let number = page / LEAF;
        let leaf = self.leaves[number].get_or_insert_with(|| {
            let before = self.there.partition_point(|i| usize::from(*i) < number);
            self.there.insert(before, number as u16);
            Leaf::new()
        });
        let place = page % LEAF;
        leaf.touched[place / 64] |= 1 << (place % 64);
        leaf.records[place] = record;
    }

    /// Every page is untouched again.
    pub(super) fn forget(&mut self) {
        for number in self.there.drain(KEPT.min(self.there.len())..) {
            self.leaves[usize::from(number)] = None;
        }
        for number in &self.there {
            if let Some(leaf) = &mut self.leaves[usize::from(*number)] {
                leaf.forget();
            }
        }
    }

    /// The leaves from the one of this number on, with their numbers.
    fn leaves_from(&self, first: usize) -> impl Iterator<Item = (usize, &Leaf)> + '_ {
        let before = self.there.partition_point(|i| usize::from(*i) < first);
        let numbers = self.there[before..].iter().map(|i| usize::from(*i));
        numbers.filter_map(|i| Some((i, &**self.leaves[i].as_ref()?)))
    }

    /// The first page at or after `page` with a record; it may be untouched itself.
    pub(super) fn next_candidate(&self, page: u32) -> Option<u32> {
        let page = page as usize;
        self.leaves_from(page / LEAF).find_map(|(i, leaf)| {
            let from = if i == page / LEAF { page % LEAF } else { 0 };
            let place = leaf.touched_from(from).next()?;
            Some((i * LEAF + place) as u32)
        })
    }

    /// Every record of a touched page, in address order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PageIndex, Record)> + '_ {
        self.leaves_from(0).flat_map(|(i, leaf)| {
            leaf.touched_from(0).filter_map(move |j| {
                let record = leaf.records[j];
                let page = PageIndex::new((i * LEAF + j) as u32)?;
                record.present().then_some((page, record))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32) -> PageIndex {
        PageIndex::new(number).expect("a page of the address space")
    }

    fn private() -> Record {
        Record {
            private: true,
            ..Record::default()
        }
    }

    /// Both ends of a leaf, of a word of bits, and of the address space.
    const PAGES: [u32; 9] = [0, 1, 63, 64, 1023, 1024, 70_000, 1_048_512, 1_048_575];

    #[test]
    fn records_are_listed_in_address_order_whatever_the_order_they_were_set_in() {
        let mut table = Table::default();
        for number in PAGES.iter().rev() {
            table.set(page(*number), private());
        }
        let listed: Vec<u32> = table.iter().map(|(page, _)| page.index()).collect();
        assert_eq!(listed, PAGES);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(next) = table.next_candidate(at) {
            found.push(next);
            at = next + 1;
        }
        assert_eq!(found, PAGES);
    }

    #[test]
    fn what_was_forgotten_is_neither_listed_nor_known() {
        let mut table = Table::default();
        let many = (0..40).map(|i| i * 2000).chain(PAGES);
        for number in many.clone() {
            table.set(page(number), private());
        }
        table.forget();
        assert_eq!(table.iter().count(), 0);
        assert_eq!(table.next_candidate(0), None);
        for number in many {
            assert_eq!(table.get(page(number)), Record::default());
        }
        table.set(page(64), private());
        let listed: Vec<u32> = table.iter().map(|(page, _)| page.index()).collect();
        assert_eq!(listed, [64]);
    }
}
