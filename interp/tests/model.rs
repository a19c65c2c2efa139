//! Sparse memory against a plain map of bytes, over random sequences of operations.

use proptest::prelude::*;
use rivet_interp::sparse::{Access, PageClass, Placement, Region, Source};
use rivet_interp::{AccessError, Memory, SparseMemory, Width};
use rivet_isa::{GuestAddr, PageIndex};
use std::collections::{BTreeMap, BTreeSet};

const FIRST: u32 = 0x1_0000;
const PAGES: u32 = 12;

#[derive(Clone, Debug)]
enum Operation {
    Load(u32, Width),
    Store(u32, Width, u64),
    Read(u32, usize),
    Write(u32, Vec<u8>),
    Place(u32, u8, Placement),
    Fork,
    /// Goes on with the other side of the last fork.
    Swap,
    Reset,
}

/// Near page borders more often than not.
fn address() -> impl Strategy<Value = u32> {
    let page = 0..PAGES + 1;
    let near = prop_oneof![0u32..16, 4080u32..4096, 0u32..4096];
    (page, near).prop_map(|(page, at)| ((FIRST + page - 1) << 12) + at)
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![
        Just(Width::One),
        Just(Width::Two),
        Just(Width::Four),
        Just(Width::Eight)
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..9000);
    let placement = prop_oneof![Just(Placement::Base), Just(Placement::Private)];
    prop_oneof![
        6 => (address(), width()).prop_map(|(a, w)| Operation::Load(a, w)),
        6 => (address(), width(), any::<u64>()).prop_map(|(a, w, v)| Operation::Store(a, w, v)),
        2 => (address(), 0usize..9000).prop_map(|(a, n)| Operation::Read(a, n)),
        1 => (address(), bytes).prop_map(|(a, b)| Operation::Write(a, b)),
        1 => (FIRST..FIRST + PAGES, any::<u8>(), placement)
            .prop_map(|(p, b, k)| Operation::Place(p, b, k)),
        1 => Just(Operation::Fork),
        1 => Just(Operation::Swap),
        1 => Just(Operation::Reset),
    ]
}

/// What every mapped byte holds, and which pages are what.
#[derive(Clone)]
struct Model {
    initial: BTreeMap<u32, u8>,
    bytes: BTreeMap<u32, u8>,
    prices: BTreeMap<u32, Option<u64>>,
    private: BTreeSet<u32>,
    base: BTreeSet<u32>,
}

impl Model {
    fn first_bad(&self, addr: u32, len: usize, write: bool) -> Option<u32> {
        (0..len as u32)
            .map(|i| addr.wrapping_add(i) >> 12)
            .find(|page| match self.prices.get(page) {
                None => true,
                Some(price) => write && price.is_none(),
            })
    }

    fn read(&self, addr: u32, len: usize) -> Result<Vec<u8>, u32> {
        match self.first_bad(addr, len, false) {
            Some(page) => Err(page),
            None => Ok((0..len as u32).map(|i| self.bytes[&(addr + i)]).collect()),
        }
    }

    fn write(&mut self, addr: u32, bytes: &[u8]) -> Result<u64, u32> {
        if let Some(page) = self.first_bad(addr, bytes.len(), true) {
            return Err(page);
        }
        let mut charge = 0;
        for (i, byte) in bytes.iter().enumerate() {
            let at = addr + i as u32;
            self.bytes.insert(at, *byte);
            if self.private.insert(at >> 12) {
                charge += self.prices[&(at >> 12)].unwrap();
            }
            self.base.remove(&(at >> 12));
        }
        Ok(charge)
    }

    fn place(&mut self, page: u32, byte: u8, placement: Placement) -> Result<(), u32> {
        if self.first_bad(page << 12, 1, true).is_some() {
            return Err(page);
        }
        for at in 0..4096 {
            self.bytes.insert((page << 12) + at, byte);
        }
        match placement {
            Placement::Private => {
                self.private.insert(page);
                self.base.remove(&page);
            }
            Placement::Base if !self.private.contains(&page) => {
                self.base.insert(page);
            }
            Placement::Base => {}
        }
        Ok(())
    }

    fn class(&self, page: u32) -> PageClass {
        if self.private.contains(&page) {
            PageClass::Private
        } else if self.base.contains(&page) {
            PageClass::Base
        } else {
            PageClass::Unchanged
        }
    }
}

/// Four regions: short source, pinned, sparse pages, ephemeral; a gap of one page before the last.
fn start() -> (SparseMemory, Model) {
    let cow = |cow_cost| Access::CopyOnWrite { cow_cost };
    let bytes: Vec<u8> = (0..6000).map(|i| (i * 7 + 3) as u8).collect();
    let regions = [
        (0, 3, cow(256), Source::bytes(bytes.as_slice().into())),
        (
            3,
            2,
            Access::ReadOnly,
            Source::bytes(bytes.as_slice().into()),
        ),
        (
            5,
            4,
            cow(300),
            Source::pages([(1, [0x5A; 4096]), (3, [0xA5; 4096])]),
        ),
        (10, 2, cow(7), Source::zeros()),
    ];
    let mut memory = SparseMemory::new(100);
    let mut prices = BTreeMap::new();
    let mut initial = BTreeMap::new();
    for (start, pages, access, source) in regions {
        for page in start..start + pages {
            let price = match access {
                Access::ReadOnly => None,
                Access::CopyOnWrite { cow_cost } => Some(cow_cost),
            };
            prices.insert(FIRST + page, price);
            for at in 0..4096u32 {
                let offset = (page - start) * 4096 + at;
                let byte = match start {
                    0 | 3 => bytes.get(offset as usize).copied().unwrap_or(0),
                    5 if page == 6 => 0x5A,
                    5 if page == 8 => 0xA5,
                    _ => 0,
                };
                initial.insert(((FIRST + page) << 12) + at, byte);
            }
        }
        let start = PageIndex::new(FIRST + start).unwrap();
        let region = Region {
            start,
            pages,
            access,
            source,
        };
        memory.map(region).unwrap();
    }
    let model = Model {
        bytes: initial.clone(),
        initial,
        prices,
        private: BTreeSet::new(),
        base: BTreeSet::new(),
    };
    (memory, model)
}

fn page_of<T, E>(result: Result<T, AccessError<E>>) -> Result<T, u32> {
    result.map_err(|error| match error {
        AccessError::Fault(page) => page.index(),
        AccessError::Host(_) => panic!("the limit is out of reach"),
    })
}

fn step(memory: &mut SparseMemory, model: &mut Model, operation: Operation) {
    let at = GuestAddr::new;
    match operation {
        Operation::Load(addr, width) => {
            let expected = model.read(addr, width.bytes() as usize).map(|bytes| {
                bytes
                    .iter()
                    .rev()
                    .fold(0, |v, byte| v << 8 | u64::from(*byte))
            });
            assert_eq!(page_of(memory.load(at(addr), width)), expected);
        }
        Operation::Store(addr, width, value) => {
            let bytes = &value.to_le_bytes()[..width.bytes() as usize];
            let expected = model.write(addr, bytes);
            assert_eq!(page_of(memory.store(at(addr), width, value)), expected);
        }
        Operation::Read(addr, len) => {
            let mut bytes = vec![0; len];
            let actual = page_of(memory.read(at(addr), &mut bytes)).map(|()| bytes);
            assert!(actual == model.read(addr, len), "read {addr:#x} {len}");
        }
        Operation::Write(addr, bytes) => {
            let quoted = page_of(memory.quote(at(addr), bytes.len() as u64));
            let expected = model.write(addr, &bytes);
            assert_eq!(quoted, expected);
            assert_eq!(page_of(memory.write(at(addr), &bytes)), expected);
        }
        Operation::Place(page, byte, placement) => {
            let index = PageIndex::new(page).unwrap();
            let actual = page_of(memory.place(index, &[byte; 4096], placement));
            assert_eq!(actual, model.place(page, byte, placement));
        }
        Operation::Fork | Operation::Swap => {}
        Operation::Reset => {
            memory.reset();
            model.bytes = model.initial.clone();
            model.private.clear();
            model.base.clear();
        }
    }
}

fn compare(memory: &SparseMemory, model: &Model) {
    let private: Vec<u32> = memory.private_pages().map(PageIndex::index).collect();
    assert_eq!(private, model.private.iter().copied().collect::<Vec<_>>());
    let listed: BTreeMap<u32, _> = memory
        .contents()
        .map(|(page, class, bytes)| (page.index(), (class, bytes)))
        .collect();
    for page in model.prices.keys() {
        let expected: Vec<u8> = (0..4096)
            .map(|i| model.bytes[&((page << 12) + i)])
            .collect();
        match listed.get(page) {
            Some((class, bytes)) => {
                assert!(bytes[..] == expected, "page {page:#x}");
                assert_eq!(*class, model.class(*page));
            }
            None => {
                assert!(expected.iter().all(|byte| *byte == 0), "page {page:#x}");
                assert_eq!(model.class(*page), PageClass::Unchanged);
            }
        }
    }
    assert!(listed.keys().all(|page| model.prices.contains_key(page)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn memory_behaves_as_a_map_of_bytes(
        operations in proptest::collection::vec(operation(), 1..60)
    ) {
        let mut current = start();
        let mut other = None;
        for operation in operations {
            match operation {
                Operation::Fork => other = Some((current.0.fork(), current.1.clone())),
                Operation::Swap => {
                    if let Some(other) = &mut other {
                        std::mem::swap(&mut current, other);
                    }
                }
                operation => step(&mut current.0, &mut current.1, operation),
            }
        }
        compare(&current.0, &current.1);
        if let Some((memory, model)) = &other {
            compare(memory, model);
        }
    }
}
