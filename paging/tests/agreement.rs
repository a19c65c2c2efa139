//! Software tracking, traps, windows and the rules of the specification agree on everything.
#![cfg(has_windows)]

mod common;

use std::sync::{Arc, OnceLock};

use common::*;
use rivet_paging::*;

const PLENTY: u64 = 1 << 40;
/// Most that one access of a program can cost.
const RESERVE: u64 = 10 * COST;

/// How a program ended: after how many steps, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Finished,
    OutOfGas { step: u32 },
    Fault { step: u32, page: u32 },
}

/// Whether a program goes on after an access that faulted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFault {
    Stop,
    GoOn,
}

#[derive(Clone, Copy)]
enum Step {
    Load(u32, AccessLen),
    Store(u32, AccessLen, u64),
    Settle,
}

struct Program {
    layout: Arc<Layout>,
    steps: Vec<Step>,
    on_fault: OnFault,
    cost: u64,
}

impl Program {
    fn random(seed: u64, layout: &Arc<Layout>, steps: u32) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let dense = random.below(3);
        let mut cursor = 0x2000_0000u32;
        let steps = (0..steps)
            .map(|_| {
                let at = if dense > 0 && random.below(6) > 0 {
                    cursor = cursor.wrapping_add([8, 2048, 8184, 4096][random.below(4) as usize]);
                    cursor
                } else {
                    let at = interesting_address(&mut random, layout);
                    cursor = if random.below(4) == 0 { at } else { cursor };
                    at
                };
                match random.below(16) {
                    0..=3 => Step::Load(at, any_len(&mut random)),
                    4 => Step::Settle,
                    _ => Step::Store(at, any_len(&mut random), random.next()),
                }
            })
            .collect();
        let on_fault = if random.below(2) == 0 {
            OnFault::Stop
        } else {
            OnFault::GoOn
        };
        Self {
            layout: Arc::clone(layout),
            steps,
            on_fault,
            cost: 1 + random.below(100),
        }
    }

    fn run(
        &self,
        mut gate: impl FnMut(u64, u64) -> bool,
        mut step: impl FnMut(Step) -> Result<(), u32>,
    ) -> End {
        for (n, s) in self.steps.iter().enumerate() {
            let n = n as u32;
            // Alternate blocks that may store with blocks that may not.
            let reserve = if matches!(s, Step::Store(..)) {
                RESERVE
            } else {
                0
            };
            if !gate(self.cost, reserve) {
                return End::OutOfGas { step: n };
            }
            if let Err(page) = step(*s)
                && self.on_fault == OnFault::Stop
            {
                return End::Fault { step: n, page };
            }
        }
        End::Finished
    }

    fn oracle(&self, gas: u64) -> (End, Oracle) {
        static FRESH: OnceLock<Oracle> = OnceLock::new();
        let fresh = FRESH.get_or_init(|| Oracle::new(&self.layout, 0));
        let oracle = std::cell::RefCell::new(fresh.afresh(gas));
        let end = self.run(
            |cost, reserve| {
                let mut oracle = oracle.borrow_mut();
                let passes = oracle.gas >= cost + reserve;
                oracle.gas -= if passes { cost } else { 0 };
                passes
            },
            |step| match step {
                Step::Load(at, len) => oracle.borrow().load(at, len.bytes()).map(|_| ()),
                Step::Store(at, len, value) => oracle.borrow_mut().store(at, len.bytes(), value),
                Step::Settle => Ok(()),
            },
        );
        (end, oracle.into_inner())
    }

    fn software(&self, gas: u64) -> (End, AddressSpace, u64) {
        let space = AddressSpace::new(Arc::clone(&self.layout), MemoryLimits::default());
        let state = std::cell::RefCell::new((space, gas));
        let end = self.run(
            |cost, reserve| {
                let gas = &mut state.borrow_mut().1;
                let passes = *gas >= cost + reserve;
                *gas -= if passes { cost } else { 0 };
                passes
            },
            |step| {
                let (space, gas) = &mut *state.borrow_mut();
                match step {
                    Step::Load(at, len) => {
                        let loaded = space.load(GuestAddr::new(at), len);
                        loaded.map(|_| ()).map_err(|fault| fault.page.value())
                    }
                    Step::Store(at, len, value) => {
                        match space.store(GuestAddr::new(at), len, value) {
                            Ok(charge) => {
                                *gas -= charge;
                                Ok(())
                            }
                            Err(Denied::Fault(fault)) => Err(fault.page.value()),
                            Err(Denied::Host(error)) => panic!("{error}"),
                        }
                    }
                    Step::Settle => Ok(()),
                }
            },
        );
        let (space, gas) = state.into_inner();
        (end, space, gas)
    }

    fn native(&self, gas: u64, pool: &WindowPool, tracker: Tracker) -> (End, NativeGuest) {
        let guest = NativeGuest::new(&self.layout, pool, tracker, gas);
        assert_eq!(guest.space.tracker(), (tracker, None));
        let guest = std::cell::RefCell::new(guest);
        let end = self.run(
            |cost, reserve| guest.borrow_mut().gate(cost, reserve),
            |step| {
                let mut guest = guest.borrow_mut();
                let done = match step {
                    Step::Load(at, len) => guest.load(GuestAddr::new(at), len),
                    Step::Store(at, len, value) => guest.store(GuestAddr::new(at), len, value),
                    Step::Settle => {
                        guest.settle(Settle::Keep);
                        return Ok(());
                    }
                };
                match done {
                    Native::Done { .. } => Ok(()),
                    Native::Fault(page) => Err(page.value()),
                    Native::Host(error) => panic!("{error}"),
                }
            },
        );
        let mut guest = guest.into_inner();
        guest.end();
        (end, guest)
    }

    /// Runs everywhere with `gas`; returns the gas used.
    fn agree(&self, gas: u64, pool: &WindowPool, contents: Contents) -> u64 {
        let (end, oracle) = self.oracle(gas);
        let (software_end, software, software_gas) = self.software(gas);
        assert_eq!((software_end, software_gas), (end, oracle.gas), "software");
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let (native_end, mut guest) = self.native(gas, pool, tracker);
            assert_eq!((native_end, guest.gas), (end, oracle.gas), "{tracker:?}");
            oracle.check_private(&guest.space);
            if contents == Contents::Compare {
                oracle.check(&guest.space);
                guest.space.detach().unwrap();
                oracle.check(&guest.space);
            }
        }
        oracle.check_private(&software);
        if contents == Contents::Compare {
            oracle.check(&software);
        }
        gas - oracle.gas
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    Compare,
    Skip,
}

fn layout() -> Arc<Layout> {
    static LAYOUT: OnceLock<Arc<Layout>> = OnceLock::new();
    LAYOUT.get_or_init(mixed_layout).clone()
}

fn programs(seeds: std::ops::Range<u64>, steps: u32) {
    let pool = WindowPool::default();
    for seed in seeds {
        let program = Program::random(seed, &layout(), steps);
        let contents = if seed.is_multiple_of(16) {
            Contents::Compare
        } else {
            Contents::Skip
        };
        let used = program.agree(PLENTY, &pool, contents);
        // Budgets at which the register's bias decides.
        for gas in [used, SMALL + used / 2, SMALL + 17, used + RESERVE] {
            program.agree(gas, &pool, Contents::Skip);
        }
    }
}

#[test]
fn all_trackers_agree_with_the_rules_on_random_programs() {
    programs(0..800, 40);
}

#[test]
fn all_trackers_agree_on_programs_of_few_accesses() {
    // Many accesses hide a page that became private without being written.
    programs(10_000..13_000, 4);
}

#[test]
#[ignore = "minutes: a million programs, to be run with --release"]
fn all_trackers_agree_on_a_million_programs() {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        for n in 0..threads {
            let share = move |start: u64, count: u64| {
                start + count * n / threads..start + count * (n + 1) / threads
            };
            scope.spawn(move || {
                programs(share(1_000_000, 100_000), 30);
                programs(share(2_000_000, 900_000), 4);
            });
        }
    });
}

#[test]
#[ignore = "minutes: a thousand programs at every budget, to be run with --release"]
fn all_trackers_agree_at_every_budget_of_a_thousand_programs() {
    let pool = WindowPool::default();
    for seed in 60_000..61_000 {
        let program = Program::random(seed, &layout(), 6);
        let used = program.agree(PLENTY, &pool, Contents::Skip);
        for gas in (0..used + RESERVE + 2).chain(SMALL..SMALL + used) {
            program.agree(gas, &pool, Contents::Skip);
        }
    }
}

#[test]
fn all_trackers_agree_at_every_budget() {
    let pool = WindowPool::default();
    for seed in 50_000..50_008 {
        let program = Program::random(seed, &layout(), 24);
        let used = program.agree(PLENTY, &pool, Contents::Skip);
        for gas in (0..used + RESERVE + 2).step_by(7) {
            program.agree(gas, &pool, Contents::Skip);
        }
    }
}
