//! The ledger against immediate charging, on a model of the processor and the kernel's pages.

use std::collections::BTreeMap;

use super::*;
use crate::layout::RegionClass;
use crate::quota::MemoryLimits;
use crate::slab::PageSource;
use crate::testing::Random;

/// Pages of the model's address space.
const SPACE: u32 = 700;
/// What a gate's cost and reserve are covered by in the register.
const SMALL: u64 = 1 << 14;
const MAX_STORES: u64 = 6;

/// The kernel's side: what may be written, what has been copied.
struct Host {
    writable: Vec<bool>,
    copied: Vec<bool>,
    faults: u64,
    questions: u64,
    /// Fails one change of protection in so many; 0 for none.
    refuse: u64,
    random: Random,
}

impl Host {
    fn new(refuse: u64) -> Self {
        Self {
            writable: vec![false; SPACE as usize],
            copied: vec![false; SPACE as usize],
            faults: 0,
            questions: 0,
            refuse,
            random: Random::new(refuse + 99),
        }
    }

    /// A store to one page, as the processor and the kernel do it: a copy, or a trap.
    fn write(&mut self, page: u32) -> bool {
        let page = page as usize;
        if self.writable[page] && !self.copied[page] {
            self.copied[page] = true;
            self.faults += 1;
        }
        self.writable[page]
    }

    fn set(&mut self, range: PageRange, to: bool) -> Result<(), HostError> {
        if self.refuse != 0 && self.random.below(self.refuse) == 0 {
            return Err(HostError::MappingsShort { used: 0 });
        }
        self.writable[range.start() as usize..range.end() as usize].fill(to);
        Ok(())
    }
}

impl HostPages for Host {
    fn allow(&mut self, range: PageRange, _: u64) -> Result<(), HostError> {
        self.set(range, true)
    }

    fn forbid(&mut self, range: PageRange, _: u64) -> Result<(), HostError> {
        self.set(range, false)
    }

    fn vouch(&mut self, _: PageRange) -> Result<(), HostError> {
        Ok(())
    }

    fn scan(
        &mut self,
        range: PageRange,
        found: &mut dyn FnMut(PageRange),
    ) -> Result<(), HostError> {
        self.questions += 1;
        for page in range.iter().filter(|p| self.copied[p.index()]) {
            found(PageRange::single(page));
        }
        Ok(())
    }

    fn faults(&mut self) -> Result<Faults, HostError> {
        Ok(Faults {
            process: 1,
            count: self.faults,
        })
    }
}

fn pages(start: u32, count: u32) -> PageRange {
    PageRange::between(start, start + count)
}

fn layout() -> Layout {
    Layout::new(vec![
        Region::read_only(pages(1, 3), PageSource::empty()),
        Region::ephemeral(pages(4, 100), 256),
        Region::ephemeral(pages(104, 40), 700),
        Region::ephemeral(pages(150, 1), 256),
        Region::ephemeral(pages(160, 2), 256),
        Region::ephemeral(pages(170, 3), 0),
        Region::ephemeral(pages(200, 480), 256),
    ])
    .unwrap()
}

/// What the rules say, charged at once.
struct Reference {
    gas: u64,
    private: Vec<bool>,
}

/// One run of a random guest. Returns the gates it passed.
struct Run<'a> {
    layout: &'a Layout,
    random: Random,
    host: Host,
    ledger: Ledger,
    held: Held,
    /// Gas with no open page paid.
    gas: u64,
    reference: Reference,
    at: u32,
    gates: u64,
    colds: u64,
}

impl<'a> Run<'a> {
    fn new(layout: &'a Layout, seed: u64, gas: u64, refuse: u64) -> Self {
        let mut ledger = Ledger::default();
        ledger.set_tracker(Tracker::Windows, None);
        let mut host = Host::new(refuse);
        ledger.begin_run(&mut host).unwrap();
        Self {
            layout,
            random: Random::new(seed),
            host,
            ledger,
            held: Held::new(MemoryLimits::default()),
            gas,
            reference: Reference {
                gas,
                private: vec![false; SPACE as usize],
            },
            at: 200,
            gates: 0,
            colds: 0,
        }
    }

    fn settle(&mut self, how: Settle) {
        let settled = self
            .ledger
            .settle(self.layout, how, &mut self.host, &mut self.held);
        self.gas -= settled.unwrap();
        assert_eq!(self.gas, self.reference.gas, "exact after a settle");
    }

    /// INV-P5: what is set aside is the price of exactly the open pages.
    fn check_open_charge(&self) {
        let open = self.ledger.open().iter();
        let charge: u64 = open.map(|page| price(self.layout, page)).sum();
        assert_eq!(self.ledger.open_charge(), charge);
    }

    /// The gate of generated code; says whether the block may run.
    fn gate(&mut self, cost: u64, reserve: u64) -> bool {
        self.gates += 1;
        let allowed = self.reference.gas >= cost + reserve;
        let register = self.gas as i64 - (SMALL + self.ledger.open_charge()) as i64;
        if register >= cost as i64 {
            assert!(allowed, "a cheap check passed a gate that must fail");
        } else {
            self.colds += 1;
            self.settle(Settle::Close);
            assert_eq!(self.gas >= cost + reserve, allowed);
        }
        if allowed {
            self.gas -= cost;
            self.reference.gas -= cost;
        }
        allowed
    }

    fn writable(&self, page: u32) -> bool {
        let region = self.layout.find(PageIndex::masked(page));
        region.is_some_and(|r| r.class() == RegionClass::ReadWrite)
    }

    /// A store to one page or two; says whether the rules allow it.
    fn store(&mut self, first: u32, last: u32) -> bool {
        let allowed = self.writable(first) && self.writable(last);
        // The lower page is copied even if the upper one then faults.
        while !(self.host.write(first) && (first == last || self.host.write(last))) {
            if !allowed {
                return false;
            }
            let range = PageRange::between(first, last + 1);
            let (ledger, held) = (&mut self.ledger, &mut self.held);
            match ledger.trap(self.layout, range, self.gas, &mut self.host, held) {
                Ok(done) => self.gas -= done.charge,
                Err(error) => assert_ne!(self.host.refuse, 0, "{error}"),
            }
        }
        assert!(allowed, "a store went through that must fault");
        for page in [first, last] {
            if !std::mem::replace(&mut self.reference.private[page as usize], true) {
                self.reference.gas -= price(self.layout, PageIndex::masked(page));
            }
        }
        true
    }

    fn next_page(&mut self) -> u32 {
        match self.random.below(40) {
            0 => self.at = self.random.below(u64::from(SPACE - 4)) as u32,
            1..=4 => self.at = self.at.saturating_sub(1),
            5..=14 => {}
            15..=30 => self.at += 1,
            _ => self.at += 2,
        }
        if !self.writable(self.at) && self.random.below(8) != 0 {
            self.at = [4, 110, 160, 171, 200, 300][self.random.below(6) as usize];
        }
        self.at
    }

    /// Blocks until the guest faults, runs out of gas or has passed `most` gates.
    fn go(&mut self, most: u64) {
        while self.gates < most {
            let stores = self.random.below(MAX_STORES + 1);
            let cost = 1 + self.random.below(60);
            if !self.gate(cost, stores * 2 * 700) {
                break;
            }
            for _ in 0..stores {
                let first = self.next_page();
                let last = first + u32::from(self.random.below(10) == 0);
                if !self.store(first, last) {
                    return;
                }
            }
            if self.random.below(200) == 0 {
                self.check_open_charge();
                self.settle(Settle::Keep);
                self.check_open_charge();
            }
        }
    }

    fn finish(mut self) -> (u64, u64) {
        let layout = self.layout;
        let done = self.ledger.end_run(layout, &mut self.host, &mut self.held);
        self.gas -= done.unwrap();
        assert_eq!(self.gas, self.reference.gas);
        for page in 0..SPACE {
            let index = PageIndex::masked(page);
            let private = self.reference.private[page as usize];
            assert_eq!(self.ledger.charged().contains(index), private);
            if self.host.refuse == 0 {
                let writable = private || self.ledger.open().contains(index);
                assert_eq!(self.host.writable[page as usize], writable);
            }
        }
        (self.gates, self.colds)
    }
}

fn gates_of(runs: u64, seed: u64, refuse: u64) -> u64 {
    let layout = layout();
    let mut random = Random::new(seed);
    let mut gates = 0;
    for _ in 0..runs {
        let open = 256 * random.below(700);
        let gas = match random.below(4) {
            0 => random.below(3 * SMALL),
            1 => (SMALL + open + random.below(5)).saturating_sub(2),
            2 => random.below(1 << 19),
            _ => (1 << 40) + random.below(1 << 20),
        };
        let mut run = Run::new(&layout, random.next(), gas, refuse);
        run.go(3000);
        gates += run.finish().0;
    }
    gates
}

#[test]
fn opening_and_settling_equals_immediate_charging() {
    assert!(gates_of(1500, 0x00c0_ffee, 0) > 100_000);
}

#[test]
fn opening_and_settling_equals_immediate_charging_while_the_host_refuses_changes() {
    for refuse in [2, 3, 7, 50] {
        assert!(gates_of(150, refuse, refuse) > 5_000);
    }
}

#[test]
#[ignore = "minutes: a hundred million gates, to be run with --release"]
fn a_hundred_million_gates_equal_immediate_charging() {
    let (mut gates, mut seed) = (0, 1);
    while gates < 100_000_000 {
        gates += gates_of(2000, seed, 0);
        seed += 1;
    }
}

#[test]
fn questions_are_few_whatever_the_budget() {
    let layout = layout();
    let mut worst = BTreeMap::new();
    for gas in (0..400_000).step_by(997) {
        let mut run = Run::new(&layout, gas + 1, gas, 0);
        run.go(u64::MAX);
        let questions = run.host.questions;
        let pages = run.ledger.charged().len();
        worst.insert(questions.saturating_sub(u64::from(pages) * 2), gas);
        run.finish();
    }
    let (&most, gas) = worst.last_key_value().unwrap();
    assert!(
        most < 60,
        "{most} questions beyond two a page with {gas} gas"
    );
}
