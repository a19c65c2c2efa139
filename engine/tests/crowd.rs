//! 64 threads that run one program with faults, answered calls, runs within calls, hosts that
//! panic, hosts that use GS and hosts with a SIGSEGV handler of their own: every result is exact,
//! and when they are done nothing of theirs is left in the process.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "crowd/host.rs"]
mod host;
#[path = "../../jit/tests/common/maps.rs"]
mod maps;

use std::panic::{AssertUnwindSafe, catch_unwind};

use host::{Answers, Probe, gs, set_gs};
use rivet_engine::{Backend, Config, Engine, HostError, Machine, Program, Raw, Start};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Exit, Gas, Reg};

const THREADS: u64 = 64;
const GAS: u64 = 1 << 40;
const DATA: u64 = 0x1000_0000;
/// Rounds of the loop of [`OUTER`]; each writes to a page of its own.
const ROUNDS: u64 = 3;

/// Doubles a0 and adds 7 in each round, adds what the run within the run gives, and ends in a
/// fault or a halt as a5 says.
const OUTER: &str = "
    loop:
    sd a0, 0(a1)
    ecalli 1
    ld a3, 0(a1)
    add a0, a0, a3
    lui a3, 1
    add a1, a1, a3
    addi a2, a2, -1
    bnez a2, loop
    ecalli 2
    add a0, a0, a4
    ecalli 3
    bnez a5, faults
    fallthrough
    ecalli 0
    faults:
    ld a4, 8(zero)";

/// 3 * a0 + 1 through memory, then a fault.
const INNER: &str = "
    sd a0, 8(a1)
    slli a2, a0, 1
    sd a2, 16(a1)
    ld a3, 8(a1)
    ld a4, 16(a1)
    add a0, a3, a4
    addi a0, a0, 1
    sd a0, 0(zero)";

/// What a run of [`OUTER`] gives.
fn expected(start: u64) -> u64 {
    let grown = (0..ROUNDS).fold(start, |value, _| value.wrapping_mul(2).wrapping_add(7));
    let inner = grown.wrapping_mul(3).wrapping_add(1);
    grown.wrapping_add(inner)
}

fn load(engine: &Engine, text: &str) -> Program {
    let code = assemble(text).unwrap();
    let raw = Raw::new(code).region(DATA, 16 * 4096, RegionKind::CopyOnWrite, vec![7; 5000]);
    engine.load_raw(raw).unwrap()
}

#[derive(Clone)]
struct Programs {
    outer: Program,
    inner: Program,
}

impl Programs {
    fn new(backend: Backend) -> Self {
        let engine = Engine::new(Config {
            backend,
            ..Config::default()
        });
        let engine = engine.expect("the backend runs here");
        Self {
            outer: load(&engine, OUTER),
            inner: load(&engine, INNER),
        }
    }

    fn start(&self, value: u64, faults: bool) -> Start {
        let start = Start::at(0).with_gas(Gas::new(GAS).unwrap());
        let regs = [
            (Reg::A0, value),
            (Reg::A1, DATA + 4090),
            (Reg::A2, ROUNDS),
            (Reg::A5, u64::from(faults)),
        ];
        regs.into_iter().fold(start, |start, (reg, value)| {
            start.with_slot(reg.slot().unwrap(), value)
        })
    }

    fn machine(&self, value: u64, faults: bool) -> Machine {
        self.outer.machine(self.start(value, faults)).unwrap()
    }
}

/// Everything a run leaves that is the same on every backend.
#[derive(PartialEq, Debug)]
struct Left {
    exit: Exit,
    gas: u64,
    private: usize,
    value: u64,
}

fn left(machine: &Machine, exit: Exit) -> Left {
    Left {
        exit,
        gas: machine.gas().value(),
        private: machine.private_pages().len(),
        value: machine.regs().get(Reg::A0),
    }
}

/// A run on the interpreter.
fn reference(value: u64, faults: bool) -> Left {
    let programs = Programs::new(Backend::Interp);
    let mut machine = programs.machine(value, faults);
    let exit = machine.run(&mut Answers::new(&programs.inner)).unwrap();
    left(&machine, exit)
}

/// One thread: so many runs, each compared.
fn work(programs: &Programs, thread: u64, runs: u64, references: &[Left; 2]) {
    // A third of the threads uses GS outside of runs, a third changes it within calls too.
    let own_gs = if thread.is_multiple_of(3) {
        0
    } else {
        0x1_0000 * (thread + 1)
    };
    set_gs(own_gs);
    let mut machine = programs.machine(0, false);
    for run in 0..runs {
        let (value, faults) = (thread << 32 | run, run % 2 == 1);
        let mut host = Answers::new(&programs.inner);
        host.panics = run % 50 == 49;
        host.changes_gs = thread % 3 == 2;
        host.probe = (run % 200 == 7).then(Probe::new);
        if run % 4 == 0 {
            machine = programs.machine(value, faults);
        } else {
            machine.reset(programs.start(value, faults)).unwrap();
        }
        let ended = catch_unwind(AssertUnwindSafe(|| machine.run(&mut host)));
        assert_eq!(gs(), own_gs, "the thread's GS is back");
        match ended {
            Err(payload) => {
                assert!(host.panics && payload.downcast_ref() == Some(&host::GIVES_UP));
                let again = machine.run(&mut host);
                assert!(matches!(again, Err(HostError::Poisoned)));
                machine = programs.machine(0, false);
            }
            Ok(exit) => {
                assert!(!host.panics);
                let left = left(&machine, exit.unwrap());
                let Left {
                    exit, gas, private, ..
                } = references[usize::from(faults)];
                let value = expected(value);
                let reference = Left {
                    exit,
                    gas,
                    private,
                    value,
                };
                assert_eq!(left, reference, "thread {thread} run {run}");
                assert_eq!(host.calls, ROUNDS + 2 + u64::from(!faults));
            }
        }
    }
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    mappings: usize,
    threads: usize,
    resident_kib: usize,
}

/// Open files but the ones that looking for leaks opens itself.
fn descriptors() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let kept = |path: &std::path::PathBuf| !path.ends_with("maps") && !path.ends_with("fd");
    targets.filter(kept).count()
}

fn held() -> Held {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB");
    Held {
        descriptors: descriptors(),
        mappings: std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count(),
        threads: count("/proc/self/task"),
        resident_kib: resident.trim().parse().unwrap(),
    }
}

/// What the process holds once no more than so many threads are left: one that was joined may still
/// be on its way out.
fn held_after(threads: usize) -> Held {
    for _ in 0..500 {
        if held().threads <= threads {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    held()
}

/// All threads at once, each with so many runs.
fn crowd(programs: &Programs, runs: u64, references: &[Left; 2]) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(programs, thread, runs, references));
        }
    });
}

#[test]
fn sixty_four_threads_of_a_thousand_runs_lose_nothing_and_leak_nothing() {
    host::install_handler();
    maps::watch();
    let references = [false, true].map(|faults| reference(5, faults));
    for (reference, name) in references.iter().zip(["halt", "page-fault"]) {
        assert_eq!(
            (reference.exit.name(), reference.value),
            (name, expected(5))
        );
        // The pages written before the fault are private: three, one of them straddled into.
        assert_eq!(reference.private, 1 + ROUNDS as usize);
    }
    // What a process has once and keeps is there after the first engine.
    work(&Programs::new(Backend::Jit), 1, 5, &references);
    let before = held();
    let programs = Programs::new(Backend::Jit);
    crowd(&programs, 60, &references);
    let warm = held_after(before.threads);
    crowd(&programs, 1000, &references);
    let after = held_after(before.threads);
    assert_eq!(after.descriptors, warm.descriptors, "{warm:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    let sanitizers = ["ASAN_OPTIONS", "TSAN_OPTIONS"];
    if sanitizers
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        println!("memory is not compared: a sanitizer keeps some for every thread there was");
        return;
    }
    // The allocator keeps an arena or two for threads to come.
    assert!(after.mappings <= warm.mappings + 100, "{warm:?} {after:?}");
    assert!(
        after.resident_kib <= warm.resident_kib + (48 << 10),
        "{warm:?} {after:?}"
    );
    drop(programs);
    let end = held_after(before.threads);
    assert_eq!(end.descriptors, before.descriptors, "{before:?} {end:?}");
    assert!(end.threads <= before.threads, "{before:?} {end:?}");
    assert!(
        host::handled() > 0,
        "the host's own faults reached its handler"
    );
    let probe = host::Probe::new();
    probe.touch();
}
