//! Every budget: programs run on both engines with each gas from zero to what they use, and with
//! as much around each figure at which the gas register of generated code changes its meaning.
//! Exit, pc, registers, gas, private pages and memory must be the same at every one of them.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "../jit/tests/common/maps.rs"]
mod maps;

use rivet_engine::diff::{Script, raw};
use rivet_engine::{Backend, Config, Engine, Exit, MemoryHash, Program, Start};
use rivet_isa::generate::{self, Case};
use rivet_isa::{Gas, PageIndex, Pc, SLOTS, Slot};

/// What the gas register leaves out when no page is open (`jit/src/gate.rs`).
const BIAS: u64 = 1 << 16;
/// More than any of these programs uses.
const AMPLE: u64 = 1 << 40;
/// The most gas there is (ISA D-19).
const MOST: u64 = i64::MAX as u64;
/// Exits of a run that are followed.
const EXITS: usize = 40;
/// Memory is compared at one budget of so many: looking at it takes longer than the run.
const HASH_EVERY: u64 = 16;

/// What can be seen at one exit.
#[derive(PartialEq, Debug)]
struct Seen {
    exit: Exit,
    slots: [u64; SLOTS],
    pc: Pc,
    gas: u64,
    private: Vec<PageIndex>,
}

/// A program in both engines.
struct Subject {
    case: Case,
    programs: [Program; 2],
}

fn engines() -> [Engine; 2] {
    maps::watch();
    [Backend::Interp, Backend::Jit].map(|backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).expect("the recompiler runs here")
    })
}

impl Subject {
    fn new(engines: &[Engine; 2], seed: u64) -> Self {
        let case = generate::program(seed);
        let load = |engine: &Engine| engine.load_raw(raw(&case)).expect("the program loads");
        let programs = engines.each_ref().map(load);
        Self { case, programs }
    }

    /// All exits of a run on one of the engines, and what memory holds then.
    fn run(&self, engine: usize, gas: u64, hash: bool) -> (Vec<Seen>, Option<MemoryHash>) {
        let run = &self.case.runs[0];
        let mut start = Start::at(run.entry).with_gas(Gas::new(gas).expect("below 2^63"));
        for (slot, value) in Slot::all().zip(run.slots) {
            start = start.with_slot(slot, value);
        }
        let mut machine = self.programs[engine].machine(start).expect("no endpoint");
        let mut host = Script::default();
        let mut seen: Vec<Seen> = Vec::new();
        while seen.len() < EXITS {
            let exit = machine.run(&mut host).expect("the host does not fail");
            host.answers = !exit.is_final() && exit != Exit::OutOfGas;
            seen.push(Seen {
                exit,
                slots: *machine.regs().slots(),
                pc: machine.pc(),
                gas: machine.gas().value(),
                private: machine.private_pages(),
            });
            if !host.answers {
                break;
            }
        }
        (seen, hash.then(|| machine.memory_hash()))
    }

    /// What the program uses of ample gas; `None` if it does not end.
    fn total(&self) -> Option<u64> {
        let (seen, _) = self.run(0, AMPLE, false);
        let last = seen.last().filter(|last| last.exit.is_final())?;
        AMPLE.checked_sub(last.gas)
    }

    fn agree(&self, gas: u64, seed: u64) {
        let hash = gas.is_multiple_of(HASH_EVERY);
        let [interp, jit] = [0, 1].map(|engine| self.run(engine, gas, hash));
        assert_eq!(interp, jit, "seed {seed} with gas {gas}");
    }
}

/// Every budget up to `total` and a reserve beyond, from zero, from the bias and at the edges.
fn budgets(total: u64) -> impl Iterator<Item = u64> {
    let edges = [1 << 31, 1 << 32, 1 << 62, MOST - total];
    let around = |at: u64| at.saturating_sub(2)..=at.saturating_add(2).min(MOST);
    let ends = edges.into_iter().flat_map(move |edge| [edge, edge + total]);
    let reserves = [512, 1024, 1536].map(|reserve| total + reserve);
    (0..=total + 2)
        .chain(BIAS - 2..=BIAS + total + 2)
        .chain(ends.chain(reserves).flat_map(around))
}

/// Compares every budget of `count` programs that use at most `most` gas, on all cores.
fn every_budget(count: usize, most: u64, first: u64) {
    let engines = engines();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads);
    let part = |thread: usize| -> usize {
        let seeds = (first + thread as u64..).step_by(threads);
        let fitting = seeds.filter_map(|seed| {
            let subject = Subject::new(&engines, seed);
            let total = subject.total().filter(|total| *total <= most)?;
            Some((seed, subject, total))
        });
        let mut compared = 0;
        for (seed, subject, total) in fitting.take(share) {
            for gas in budgets(total) {
                subject.agree(gas, seed);
                compared += 1;
            }
        }
        compared
    };
    let part = &part;
    let compared: usize = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        let ends = parts.into_iter().map(|part| part.join());
        ends.map(|end| end.expect("the engines agree")).sum()
    });
    let programs = share * threads;
    println!("{compared} budgets of {programs} programs");
    assert!(compared > 100 * programs, "only {compared} budgets");
}

#[test]
fn every_budget_of_short_programs_ends_both_engines_alike() {
    every_budget(8, 700, 0);
}

#[test]
#[ignore = "takes minutes: every budget of a thousand programs"]
fn every_budget_of_a_thousand_programs_ends_both_engines_alike() {
    every_budget(1000, 4000, 1 << 32);
}
