//! Memory in software alone, on every target, against the rules as plain maps.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use random::Random;
use rivet_paging::*;

const START: u64 = 0x1000_0000;
const COST: u64 = 256;

fn layout() -> Arc<Layout> {
    let bytes = PAGE_SIZE as u64;
    let range =
        |page: u64, count: u64| PageRange::from_bytes(START + page * bytes, count * bytes).unwrap();
    let source = |len: usize| PageSource::from_bytes(&vec![7; len]).unwrap();
    let regions = vec![
        Region::read_only(range(0, 2), source(10)),
        Region::copy_on_write(range(2, 4), source(2 * PAGE_SIZE + 3), COST),
        Region::ephemeral(range(6, 3), 2 * COST),
        Region::ephemeral(range(10, 2), COST),
    ];
    Arc::new(Layout::new(regions).unwrap())
}

/// A machine as the rules describe it.
#[derive(Clone, Default)]
struct Model {
    bytes: BTreeMap<u64, u8>,
    base: BTreeMap<u64, u8>,
    private: BTreeSet<u64>,
}

impl Model {
    fn initial(at: u64) -> u8 {
        let offset = at - START;
        let page = PAGE_SIZE as u64;
        let is_seven = offset < 10 || (2 * page..4 * page + 3).contains(&offset);
        if is_seven { 7 } else { 0 }
    }

    fn byte(&self, at: u64) -> u8 {
        let stored = self.bytes.get(&at).or_else(|| self.base.get(&at));
        stored.copied().unwrap_or_else(|| Self::initial(at))
    }

    fn price(page: u64) -> Option<u64> {
        match page {
            2..=5 | 10..=11 => Some(COST),
            6..=8 => Some(2 * COST),
            _ => None,
        }
    }

    fn mapped(page: u64) -> bool {
        page < 9 || (10..12).contains(&page)
    }

    /// The page of the first byte that breaks the rule, relative to START.
    fn bad(at: u64, len: u64, allowed: impl Fn(u64) -> bool) -> Option<u64> {
        let pages = (at..at + len).map(|a| (a - START) / PAGE_SIZE as u64);
        pages.into_iter().find(|&page| !allowed(page))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<u64, u64> {
        let len = bytes.len() as u64;
        if let Some(page) = Self::bad(at, len, |page| Self::price(page).is_some()) {
            return Err(page);
        }
        let mut charge = 0;
        for (a, &b) in (at..).zip(bytes) {
            let page = (a - START) / PAGE_SIZE as u64;
            if self.private.insert(page) {
                charge += Self::price(page).unwrap();
            }
            self.bytes.insert(a, b);
        }
        Ok(charge)
    }

    fn place(&mut self, at: u64, bytes: &[u8]) -> Result<(), u64> {
        if let Some(page) = Self::bad(at, bytes.len() as u64, Self::mapped) {
            return Err(page);
        }
        for (a, &b) in (at..).zip(bytes) {
            let page = (a - START) / PAGE_SIZE as u64;
            if self.private.contains(&page) {
                self.bytes.insert(a, b);
            } else {
                self.base.insert(a, b);
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.private.clear();
    }
}

fn outcome(result: Result<u64, Denied>) -> Result<u64, u64> {
    result.map_err(|denied| match denied {
        Denied::Fault(fault) => u64::from(fault.page.value()) - START / PAGE_SIZE as u64,
        Denied::Host(error) => panic!("{error}"),
    })
}

fn compare(space: &AddressSpace, model: &Model) {
    let private: Vec<u64> = space
        .private_pages()
        .map(|page| u64::from(page.value()) - START / PAGE_SIZE as u64)
        .collect();
    let expected: Vec<u64> = model.private.iter().copied().collect();
    assert_eq!(private, expected);
    assert_eq!(space.private_count() as usize, expected.len());
    let mut seen = BTreeMap::new();
    space.visit_stored(|page, class, bytes| {
        seen.insert(
            u64::from(page.value()) - START / PAGE_SIZE as u64,
            (class, *bytes),
        );
    });
    for page in (0..12).filter(|&page| Model::mapped(page)) {
        let start = START + page * PAGE_SIZE as u64;
        let expected: Vec<u8> = (start..).take(PAGE_SIZE).map(|a| model.byte(a)).collect();
        let mut read = vec![1; PAGE_SIZE];
        space.read(GuestAddr::wrapping(start), &mut read).unwrap();
        assert!(read == expected, "page {page}");
        match seen.remove(&page) {
            None => assert!(expected.iter().all(|&b| b == 0) && !model.private.contains(&page)),
            Some((class, bytes)) => {
                assert!(bytes[..] == expected, "page {page}");
                let is_private = model.private.contains(&page);
                assert_eq!(class == PageClass::Private, is_private);
                let touched = (start..)
                    .take(PAGE_SIZE)
                    .any(|a| model.base.contains_key(&a));
                if !is_private {
                    assert_eq!(class == PageClass::Base, touched);
                }
            }
        }
    }
    assert!(seen.is_empty(), "stored pages outside of every region");
}

#[test]
fn random_lives_agree_with_the_rules() {
    for seed in 0..60 {
        let mut random = Random(seed * 7919 + 1);
        let mut live = vec![(
            AddressSpace::new(layout(), MemoryLimits::default()),
            Model::default(),
        )];
        for _ in 0..80 {
            let i = random.below(live.len() as u64) as usize;
            let edge = random.below(13) * PAGE_SIZE as u64;
            let at = (START + edge + random.below(40)).max(START + 20) - 20;
            let addr = GuestAddr::wrapping(at);
            let (space, model) = &mut live[i];
            match random.below(16) {
                0 => {
                    let twin = (space.fork().unwrap(), model.clone());
                    live.push(twin);
                    live.truncate(4);
                }
                1 => {
                    space.reset().unwrap();
                    model.reset();
                }
                2 => {
                    let bytes = vec![random.below(256) as u8; random.below(6000) as usize];
                    let placed = outcome(space.place(addr, &bytes).map(|()| 0));
                    assert_eq!(placed, model.place(at, &bytes).map(|()| 0));
                }
                3..=5 => {
                    let bytes = vec![random.below(256) as u8; random.below(9000) as usize];
                    let quote = space.quote_write(addr, bytes.len()).map_err(Denied::Fault);
                    let expected = model.write(at, &bytes);
                    assert_eq!(outcome(quote), expected);
                    assert_eq!(outcome(space.write(addr, &bytes)), expected);
                }
                6 => compare(space, model),
                _ => {
                    let len = AccessLen::from_bytes(1 << random.below(4)).unwrap();
                    let value = random.below(u64::MAX);
                    let bytes = &value.to_le_bytes()[..len.bytes() as usize];
                    let expected = model.write(at, bytes);
                    assert_eq!(outcome(space.store(addr, len, value)), expected);
                    let mapped = Model::bad(at, bytes.len() as u64, Model::mapped);
                    let loaded = outcome(space.load(addr, len).map_err(Denied::Fault));
                    let expected = match mapped {
                        Some(page) => Err(page),
                        None => Ok((0..bytes.len() as u64)
                            .map(|i| u64::from(model.byte(at + i)) << (8 * i))
                            .sum()),
                    };
                    assert_eq!(loaded, expected);
                }
            }
        }
        for (space, model) in &live {
            compare(space, model);
        }
    }
}

#[test]
fn without_windows_attaching_says_so_and_changes_nothing() {
    if cfg!(has_windows) {
        return;
    }
    let mut space = AddressSpace::new(layout(), MemoryLimits::default());
    let pool = WindowPool::default();
    assert_eq!(pool.probe(), Err(HostError::Unsupported));
    let refused = space.attach(&pool, Tracker::Windows);
    assert_eq!(refused.err(), Some(HostError::Unsupported));
    assert_eq!(
        space.write(GuestAddr::wrapping(START + 0x2000), &[1]),
        Ok(COST)
    );
}
