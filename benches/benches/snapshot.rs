//! Paused state: taking it, writing it down, going on with it.
//!
//! `cargo bench -p rivet-benches --bench snapshot` prints, for machines with k private pages side by
//! side and k pages far from each other, times as the best of many rounds, and their share of the
//! goal: above 1.00 is missed. Hashing is separate: `snapshot` and `encode` do none.
//!
//! | column | what is timed | goal |
//! |---|---|---|
//! | snapshot | `Machine::snapshot` of a machine that has just run | 20 µs + 1.5 µs · k |
//! | resume | `Program::resume`, the program compiled | 20 µs + 1 µs · k |
//! | + run | the same and the run to the next call, in its window | |
//! | encode, hash | `Snapshot::encode`, `Snapshot::address` | |
//! | bytes | length of the encoding | 4 KiB · k + 4 KiB |
//!
//! Below: what it costs that somebody may stop a run.

use rivet_benches::hosts::Suspends;
use rivet_engine::snapshot::Snapshot;
use rivet_engine::{
    Backend, Config, Engine, Interrupt, Machine, NoHost, Program, Raw, Start, Until,
};
use rivet_image::RegionKind;
use rivet_isa::{DATA_BASE, Gas, Reg, asm};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 40;

/// Writes a0 pages, a1 bytes apart, and calls twice.
const CODE: &str = "
    lui a2, 0x10000
    beqz a0, 24
    fallthrough
    sd a0, 0(a2)
    add a2, a2, a1
    addi a0, a0, -1
    bnez a0, -16
    fallthrough
    ecalli 1
    ecalli 2
    trap";

fn program(backend: Backend) -> Program {
    let config = Config {
        backend,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the backend runs here");
    let code = asm::assemble(CODE).expect("assembly");
    let raw = Raw::new(code).region(DATA_BASE, 1 << 30, RegionKind::Ephemeral, vec![]);
    let program = engine.load_raw(raw).expect("it loads");
    black_box(program.image().expect("few regions").address());
    program
}

/// A machine behind its first call, with that many pages written.
fn paused(program: &Program, pages: u64, stride: u64) -> Machine {
    let start = Start::at(0)
        .with_gas(Gas::MAX)
        .with_slot(Reg::A0.slot().expect("a0 has a slot"), pages)
        .with_slot(Reg::A1.slot().expect("a1 has a slot"), stride);
    let mut machine = program.machine(start).expect("it starts");
    machine.run(&mut Suspends).expect("it runs");
    assert_eq!(machine.private_pages().len() as u64, pages);
    machine
}

/// The shortest time that the work took; what it makes is dropped untimed.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        let made = black_box(work());
        let time = begin.elapsed();
        drop(made);
        time
    });
    times.min().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn row(program: &Program, pages: u64, stride: u64) {
    let machine = paused(program, pages, stride);
    let snapshot = machine.snapshot().expect("it is paused");
    let k = pages as f64;
    let snap = micros(best(|| machine.snapshot()));
    let resume = micros(best(|| program.resume(&snapshot)));
    let run = micros(best(|| {
        let mut machine = program.resume(&snapshot).expect("it resumes");
        machine.run(&mut NoHost).expect("it runs");
        machine
    }));
    let encode = micros(best(|| snapshot.encode()));
    let hash = micros(best(|| snapshot.address()));
    let bytes = snapshot.encode().len() as f64;
    let decode = micros(best(|| Snapshot::decode(&snapshot.encode())));
    println!(
        "{:>7} {pages:>5} {:>8} | {snap:>8.1} {:>5.2} | {resume:>8.1} {:>5.2} | {run:>8.1} {:>5.2} | \
         {encode:>8.1} {decode:>8.1} {hash:>9.1} | {bytes:>9} {:>5.2}",
        program
            .machine(Start::at(0))
            .expect("it starts")
            .backend()
            .name(),
        stride / 4096,
        snap / (20.0 + 1.5 * k),
        resume / (20.0 + k),
        run / (20.0 + k),
        bytes / (4096.0 * k + 4096.0),
    );
}

/// An endless loop of a store, a load and a little arithmetic.
const ENDLESS: &str = "
    lui a2, 0x10000
    fallthrough
    addi a0, a0, 1
    andi a1, a0, 2040
    add a1, a1, a2
    sd a0, 0(a1)
    ld a3, 8(a1)
    xor a4, a4, a3
    jal zero, -24";

/// Time of a run that may be interrupted over one that may not, rounds interleaved.
fn watching(backend: Backend, budget: u64) {
    let config = Config {
        backend,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the backend runs here");
    let code = asm::assemble(ENDLESS).expect("assembly");
    let raw = Raw::new(code).region(DATA_BASE, 1 << 16, RegionKind::Ephemeral, vec![]);
    let program = engine.load_raw(raw).expect("it loads");
    let until = Until::exit()
        .interrupted(&Interrupt::new())
        .within(Duration::from_secs(3600));
    let mut times = [Duration::MAX; 2];
    for round in 0..20 {
        let gas = Gas::new(budget).expect("in range");
        let mut machine = program
            .machine(Start::at(0).with_gas(gas))
            .expect("it starts");
        let begin = Instant::now();
        if round % 2 == 0 {
            machine.run(&mut NoHost).expect("it runs");
        } else {
            machine.run_until(&mut NoHost, &until).expect("it runs");
        }
        let time = begin.elapsed();
        times[round % 2] = times[round % 2].min(time);
    }
    let [plain, watched] = times.map(micros);
    println!(
        "{backend}: a run with interrupt and deadline over one without, {budget} gas: {:.3}",
        watched / plain
    );
}

fn main() {
    println!(
        "backend pages  stride | snapshot  goal |   resume  goal |    + run  goal | \
         encode  +decode      hash |     bytes  goal   (times in µs)"
    );
    let mut backends = vec![Backend::Interp];
    if rivet_engine::native_available().is_ok() {
        backends.insert(0, Backend::Jit);
    }
    for &backend in &backends {
        let program = program(backend);
        for (pages, stride) in [
            (0, 1),
            (1, 1),
            (16, 1),
            (256, 1),
            (256, 37),
            (4096, 1),
            (800, 300),
        ] {
            row(&program, pages, stride * 4096);
        }
    }
    for backend in backends {
        let budget = match backend {
            Backend::Interp => 40_000_000,
            _ => 2_000_000_000,
        };
        watching(backend, budget);
    }
}
