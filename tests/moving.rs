//! Random programs, paused anywhere on one engine, encoded, decoded and run to their end in another
//! process on the other engine: the same end as without a pause.
//!
//! The other process is this test binary again, told by an environment variable to be it.

#[path = "../jit/tests/common/maps.rs"]
mod maps;

use rivet::engine::diff::{Case, Script, raw};
use rivet::engine::snapshot::{Delta, Snapshot};
use rivet::engine::{
    Backend, Config, Engine, Exit, Machine, Program, Ran, Start, Until, native_available,
};
use rivet::isa::arbitrary::Random;
use rivet::isa::generate;
use rivet::isa::{Gas, Slot};
use std::fmt::Write as _;
use std::process::Command;

/// Most exits of one run that are followed.
const MAX_EXITS: usize = 60;

/// Names the folder of the batch to the other process.
const FOLDER: &str = "RIVET_MOVING_FOLDER";

/// The backends that can run here: both, or the interpreter twice.
fn backends() -> [Backend; 2] {
    match native_available() {
        Ok(()) => [Backend::Interp, Backend::Jit],
        Err(_) => [Backend::Interp; 2],
    }
}

/// One code of many programs on both backends.
struct Bundle {
    case: Case,
    programs: [Program; 2],
}

impl Bundle {
    fn new(first: u64, count: u64) -> Self {
        maps::watch();
        let case = generate::bundle(first, count);
        let programs = backends().map(|backend| {
            let config = Config {
                backend,
                ..Config::default()
            };
            let engine = Engine::new(config).expect("the backend runs here");
            engine.load_raw(raw(&case)).expect("it loads")
        });
        Self { case, programs }
    }

    fn start(&self, run: usize, side: usize) -> Machine {
        // Every fourth run has too little gas, or just enough.
        let budget = (run % 4 == 3).then_some(500 + 997 * run as u64);
        let run = &self.case.runs[run];
        let gas = Gas::new(budget.unwrap_or(run.gas)).expect("below 2^63");
        let start = Start::at(run.entry).with_gas(gas);
        let slots = Slot::all().zip(run.slots);
        let start = slots.fold(start, |start, (slot, value)| start.with_slot(slot, value));
        self.programs[side].machine(start).expect("it starts")
    }
}

/// A machine with the host and the number of exits behind it: what a run in progress is.
struct Running {
    machine: Machine,
    host: Script,
    exits: usize,
}

impl Running {
    fn new(machine: Machine, answers: bool, exits: usize) -> Self {
        Self {
            machine,
            host: Script { answers },
            exits,
        }
    }

    /// Runs on; the exit if the run has ended, `None` if it was paused.
    fn until(&mut self, until: &Until) -> Option<Exit> {
        while self.exits < MAX_EXITS {
            let ran = self
                .machine
                .run_until(&mut self.host, until)
                .expect("no host fails");
            let Ran::Exit(exit) = ran else {
                return None;
            };
            self.exits += 1;
            self.host.answers = !exit.is_final() && exit != Exit::OutOfGas;
            if !self.host.answers {
                return Some(exit);
            }
        }
        Some(Exit::OutOfGas)
    }

    /// Runs to the end and says all that is left behind.
    fn end(mut self) -> String {
        let exit = self.until(&Until::exit());
        let machine = &self.machine;
        let mut line = format!("{exit:?} {} {}", machine.pc(), machine.gas());
        for slot in machine.regs().slots() {
            let _ = write!(line, " {slot:x}");
        }
        for page in machine.private_pages() {
            let _ = write!(line, " {page}");
        }
        let _ = write!(line, " {}", machine.memory_hash());
        line
    }
}

/// A paused run on its way, in a form that two processes agree on.
struct Moved {
    first: u64,
    count: u64,
    side: usize,
    answers: bool,
    exits: usize,
    /// A snapshot, then deltas.
    parts: Vec<Vec<u8>>,
}

impl Moved {
    fn write(&self, out: &mut Vec<u8>) {
        let numbers = [
            self.first,
            self.count,
            self.side as u64,
            u64::from(self.answers),
            self.exits as u64,
            self.parts.len() as u64,
        ];
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        for part in &self.parts {
            out.extend((part.len() as u64).to_le_bytes());
            out.extend(part);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        fn number(bytes: &mut &[u8]) -> Option<u64> {
            let (front, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(u64::from_le_bytes(*front))
        }
        let mut numbers = [0; 6];
        for slot in &mut numbers {
            *slot = number(bytes)?;
        }
        let [first, count, side, answers, exits, parts] = numbers;
        let parts = (0..parts).map(|_| {
            let len = number(bytes)? as usize;
            let (front, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Some(front.to_vec())
        });
        Some(Self {
            first,
            count,
            side: side as usize,
            answers: answers != 0,
            exits: exits as usize,
            parts: parts.collect::<Option<_>>()?,
        })
    }

    fn state(&self) -> Snapshot {
        let (first, chain) = self.parts.split_first().expect("a snapshot");
        let first = Snapshot::decode(first).expect("canonical bytes");
        let chain: Vec<Delta> = chain
            .iter()
            .map(|part| Delta::decode(part).expect("canonical bytes"))
            .collect();
        first
            .flatten(&chain)
            .expect("each delta fits the state before")
    }
}

#[test]
fn the_other_process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = std::path::Path::new(&folder);
    let bytes = std::fs::read(folder.join("batch")).expect("the batch is there");
    let mut rest = &bytes[..];
    let mut bundle: Option<(u64, Bundle)> = None;
    let mut ends = String::new();
    while let Some(moved) = Moved::read(&mut rest) {
        if bundle
            .as_ref()
            .is_none_or(|(first, _)| *first != moved.first)
        {
            bundle = Some((moved.first, Bundle::new(moved.first, moved.count)));
        }
        let (_, bundle) = bundle.as_ref().expect("just made");
        let machine = bundle.programs[moved.side].resume(&moved.state());
        let machine = machine.expect("it resumes");
        ends += &Running::new(machine, moved.answers, moved.exits).end();
        ends.push('\n');
    }
    std::fs::write(folder.join("ends"), ends).expect("the folder is there");
}

/// The run of program `run` on one side, paused at up to three falling amounts of gas and now and
/// then at a call that suspended, ready to be moved to the other side.
fn paused(bundle: &Bundle, first: u64, run: usize, used: u64, random: &mut Random) -> Moved {
    let side = random.below(2) as usize;
    let mut running = Running::new(bundle.start(run, side), false, 0);
    let begin = running.machine.gas().value();
    let mut points: Vec<u64> = (0..=random.below(3))
        .map(|_| random.below(used + 1))
        .collect();
    points.sort_unstable();
    let mut states = Vec::new();
    for point in points {
        let until = Until::exit().gas_left(Gas::new(begin - point).expect("it fell"));
        if random.once_in(4) {
            // Stops at suspended and unanswered calls on the way.
            let exit = running.machine.run_until(&mut running.host, &until);
            match exit.expect("no host fails") {
                Ran::Exit(exit) if exit.is_final() || exit == Exit::OutOfGas => break,
                Ran::Exit(_) => {
                    running.exits += 1;
                    running.host.answers = true;
                }
                Ran::Paused(_) => {}
            }
        } else if let Some(exit) = running.until(&until) {
            if exit == Exit::OutOfGas {
                states.push(running.machine.snapshot().expect("it is paused"));
            }
            break;
        }
        states.push(running.machine.snapshot().expect("it is paused"));
        if running.exits >= MAX_EXITS {
            break;
        }
    }
    let (answers, exits) = (running.host.answers, running.exits);
    if states.is_empty() {
        states.push(
            bundle
                .start(run, side)
                .snapshot()
                .expect("it has not begun"),
        );
        return moved(first, bundle, 1 - side, (false, 0), &states);
    }
    moved(first, bundle, 1 - side, (answers, exits), &states)
}

fn moved(
    first: u64,
    bundle: &Bundle,
    side: usize,
    (answers, exits): (bool, usize),
    states: &[Snapshot],
) -> Moved {
    let chain = states.windows(2).map(|pair| {
        let delta = pair[1].since(&pair[0]).expect("one program");
        delta.encode()
    });
    Moved {
        first,
        count: bundle.case.runs.len() as u64,
        side,
        answers,
        exits,
        parts: std::iter::once(states[0].encode()).chain(chain).collect(),
    }
}

/// Pauses `pauses` times in each of `programs` programs of a bundle from seed `first` on.
fn pairs(first: u64, programs: u64, pauses: usize) {
    let bundle = Bundle::new(first, programs);
    let mut random = Random::new(first ^ 0x5EED);
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    for run in 0..bundle.case.runs.len() {
        let [whole, other] = [0, 1].map(|side| {
            let running = Running::new(bundle.start(run, side), false, 0);
            running.end()
        });
        assert_eq!(whole, other, "seed {}", first + run as u64);
        let used = used(&bundle, run);
        for _ in 0..pauses {
            paused(&bundle, first, run, used, &mut random).write(&mut batch);
            expected.push((first + run as u64, whole.clone()));
        }
    }
    let folder = tempfile::tempdir().expect("a folder for a while");
    std::fs::write(folder.path().join("batch"), batch).expect("it can be written");
    let output = Command::new(std::env::current_exe().expect("it runs"))
        .args(["the_other_process", "--exact"])
        .env(FOLDER, folder.path())
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let ends = std::fs::read_to_string(folder.path().join("ends")).expect("it was written");
    assert_eq!(ends.lines().count(), expected.len());
    for (end, (seed, whole)) in ends.lines().zip(&expected) {
        assert_eq!(end, whole, "seed {seed} in the bundle of {first}");
    }
}

/// Gas that a run uses.
fn used(bundle: &Bundle, run: usize) -> u64 {
    let mut running = Running::new(bundle.start(run, 0), false, 0);
    let begin = running.machine.gas().value();
    running.until(&Until::exit());
    begin.saturating_sub(running.machine.gas().value())
}

/// Runs one program block by block, each on the other backend than the one before, through bytes.
fn there_and_back(bundle: &Bundle, run: usize) -> (String, usize) {
    let mut running = Running::new(bundle.start(run, 0), false, 0);
    let mut hops = 0;
    loop {
        let gas = running.machine.gas().value();
        let until = Until::exit().gas_left(Gas::new(gas - 1).expect("it falls"));
        if gas == 0 || running.until(&until).is_some() {
            return (running.end(), hops);
        }
        let bytes = running.machine.snapshot().expect("it is paused").encode();
        let read = Snapshot::decode(&bytes).expect("canonical bytes");
        hops += 1;
        running.machine = bundle.programs[hops % 2].resume(&read).expect("it resumes");
    }
}

fn every_block(first: u64, programs: u64) -> usize {
    let bundle = Bundle::new(first, programs);
    let mut hops = 0;
    for run in 0..bundle.case.runs.len() {
        let whole = Running::new(bundle.start(run, 0), false, 0).end();
        let (end, more) = there_and_back(&bundle, run);
        assert_eq!(end, whole, "seed {}", first + run as u64);
        hops += more;
    }
    hops
}

#[test]
fn runs_paused_anywhere_end_in_another_process_on_the_other_engine() {
    pairs(1, 100, 10);
}

#[test]
#[ignore = "10^5 pairs; minutes in release"]
fn a_hundred_thousand_runs_paused_anywhere_end_in_other_processes() {
    for bundle in 0..100 {
        pairs(1_000_000 + 1000 * bundle, 100, 10);
    }
}

#[test]
fn runs_that_change_the_engine_at_every_block_end_alike() {
    assert!(every_block(7, 40) > 1500);
}

#[test]
#[ignore = "every block of 200 programs; a minute in release"]
fn two_hundred_programs_change_the_engine_at_every_block() {
    let hops: usize = (0..20)
        .map(|bundle| every_block(2_000_000 + 100 * bundle, 10))
        .sum();
    println!("{hops} pauses");
}
