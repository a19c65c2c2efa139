//! What embedders pay around the guest's own work: loading, machines, host calls, nested calls,
//! snapshots. `cargo bench -p rivet-benches --bench engine`; times of calls are per call.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use rivet_benches::figure::{Figure, fastest};
use rivet_benches::hosts::Suspends;
use rivet_engine::snapshot::Snapshot;
use rivet_engine::{
    Backend, Bare, Call, CallContext, Config, Engine, Exit, Flow, Host, Machine, NoHost, Program,
    Quote, Raw, Start, View,
};
use rivet_image::{Image, Key, RegionKind};
use rivet_isa::{DATA_BASE, Gas, GuestAddr, Reg, asm::assemble};
use rivet_loader::{LinkOptions, link};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const BACKENDS: [Backend; 2] = [Backend::Jit, Backend::Interp];
const PAGE: u64 = 4096;
/// Pages of the region that programs here write.
const PAGES: u64 = 1024;

fn engine(backend: Backend) -> Engine {
    let config = Config {
        backend,
        ..Config::default()
    };
    Engine::new(config).expect("both engines run here")
}

fn image(name: &str) -> Image {
    let path = format!("../guests/prebuilt/{name}.elf");
    let elf = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("prebuilt");
    let linked = link(&elf, &LinkOptions::default());
    linked.expect("prebuilt guests link").image
}

fn program(backend: Backend, source: &str) -> Program {
    let code = assemble(source).expect("assembles");
    let raw = Raw::new(code).region(DATA_BASE, PAGES * PAGE, RegionKind::Ephemeral, Vec::new());
    engine(backend).load_raw(raw).expect("loads")
}

fn start(argument: u64) -> Start {
    Start::at(0)
        .with_gas(Gas::MAX)
        .with_slot(Reg::A0.slot().expect("a0 has a slot"), argument)
}

/// Writes a0 pages, then calls for ever.
const WRITER: &str = "lui s0, 0x10000\n lui a1, 1\n fallthrough
    l: sd a0, 0(s0)\n add s0, s0, a1\n addi a0, a0, -1\n bnez a0, l\n fallthrough
    c: ecalli 7\n j c";

/// A machine that wrote so many pages and waits at its call.
fn written(program: &Program, pages: u64) -> Machine {
    let mut machine = program.machine(start(pages)).expect("starts");
    let exit = machine.run(&mut NoHost).expect("the host works");
    assert!(matches!(exit, Exit::HostCall { .. }), "{exit:?}");
    machine
}

fn loading(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    for name in ["fib", "words"] {
        let image = image(name);
        for backend in BACKENDS {
            let engine = engine(backend);
            group.bench_function(format!("{name}/{backend}"), |b| {
                b.iter(|| engine.load(&image))
            });
            group.bench_function(format!("{name}/{backend}, first run"), |b| {
                b.iter(|| {
                    let program = engine.load(&image).expect("loads");
                    let start = Start::endpoint(Key::endpoint(0)).with_gas(Gas::MAX);
                    let start = start.with_slot(Reg::A0.slot().expect("a0 has a slot"), 1);
                    let mut machine = program.machine(start).expect("starts");
                    machine.run(&mut Bare::new(std::io::sink()))
                });
            });
        }
    }
    group.finish();
}

fn machines(c: &mut Criterion) {
    let mut group = c.benchmark_group("machine");
    for backend in BACKENDS {
        let program = program(backend, WRITER);
        written(&program, 1);
        group.bench_function(format!("create/{backend}"), |b| {
            b.iter_with_large_drop(|| program.machine(start(1)));
        });
        group.bench_function(format!("create, run to the first call/{backend}"), |b| {
            b.iter_with_large_drop(|| written(&program, 1));
        });
        for pages in [1, 16, 256] {
            let id = |what: &str| BenchmarkId::new(format!("{what}/{backend}"), pages);
            group.bench_function(id("reset after pages"), |b| {
                b.iter_batched_ref(
                    || written(&program, pages),
                    |machine| machine.reset(start(1)),
                    BatchSize::PerIteration,
                );
            });
            let mut machine = written(&program, pages);
            group.bench_function(id("fork with pages"), |b| {
                b.iter_with_large_drop(|| machine.fork());
            });
            group.bench_function(id("snapshot with pages"), |b| {
                b.iter_with_large_drop(|| machine.snapshot());
            });
            let snapshot = engine_snapshot(backend, pages);
            let (program, snapshot) = (&snapshot.0, &snapshot.1);
            group.bench_function(id("encode snapshot with pages"), |b| {
                b.iter_with_large_drop(|| snapshot.encode());
            });
            let bytes = snapshot.encode();
            group.bench_function(id("decode and resume with pages"), |b| {
                b.iter_with_large_drop(|| {
                    let snapshot = Snapshot::decode(&bytes).expect("just written");
                    program.resume(&snapshot)
                });
            });
        }
    }
    group.finish();
}

/// A program and a snapshot of a machine of it that wrote so many pages.
fn engine_snapshot(backend: Backend, pages: u64) -> (Program, Snapshot) {
    let program = program(backend, WRITER);
    let snapshot = written(&program, pages).snapshot();
    (program, snapshot.expect("it waits at a call"))
}

/// Answers every call at the floor; what it does is up to the test.
struct Answer<F>(F);

impl<F: FnMut(&mut CallContext<'_>)> Host for Answer<F> {
    fn quote(&self, _: Call, view: &View<'_>) -> Quote {
        match view.regs().get(Reg::A1) {
            0 => Quote::floor(),
            len => Quote::floor().writing(GuestAddr::wrapping(DATA_BASE), len),
        }
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        (self.0)(context);
        Flow::Continue
    }
}

/// Calls a0 times, then is through.
const CALLER: &str = "l: ecalli 7\n addi a0, a0, -1\n bnez a0, l\n trap";

/// Time of one run with `calls` calls.
fn run(program: &Program, calls: u64, len: u64, host: &mut impl Host) -> Duration {
    let a1 = Reg::A1.slot().expect("a1 has a slot");
    let start = start(calls.max(1)).with_slot(a1, len);
    let mut machine = program.machine(start).expect("starts");
    let clock = Instant::now();
    let exit = machine.run(host).expect("the host works");
    let time = clock.elapsed();
    assert_eq!(exit, Exit::Trap);
    time
}

fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("call");
    for backend in BACKENDS {
        let caller = program(backend, CALLER);
        group.bench_function(format!("answered/{backend}"), |b| {
            b.iter_custom(|n| run(&caller, n, 0, &mut Answer(|_: &mut CallContext<'_>| {})));
        });
        group.bench_function(format!("registers/{backend}"), |b| {
            b.iter_custom(|n| {
                let mut host = Answer(|context: &mut CallContext<'_>| {
                    let value = context.regs().get(Reg::A2);
                    context.set_reg(Reg::A2, black_box(value + 1));
                });
                run(&caller, n, 0, &mut host)
            });
        });
        for len in [8, 4096] {
            let bytes = vec![7; len as usize];
            group.bench_function(format!("writes {len} bytes/{backend}"), |b| {
                b.iter_custom(|n| {
                    let mut host = Answer(|context: &mut CallContext<'_>| {
                        let at = GuestAddr::wrapping(DATA_BASE);
                        context.write(at, &bytes).expect("quoted");
                    });
                    run(&caller, n, len, &mut host)
                });
            });
        }
        let callee = program(backend, "addi a0, a0, 1\n trap");
        group.bench_function(format!("nested machine/{backend}"), |b| {
            b.iter_custom(|n| {
                let mut host = Answer(|_: &mut CallContext<'_>| {
                    let mut inner = callee.machine(start(1)).expect("starts");
                    black_box(inner.run(&mut NoHost)).expect("the host works");
                });
                run(&caller, n, 0, &mut host)
            });
        });
        group.bench_function(format!("leaves the run/{backend}"), |b| {
            b.iter_custom(|n| {
                let mut machine = caller.machine(start(n.max(1) + 1)).expect("starts");
                let clock = Instant::now();
                for _ in 0..n {
                    black_box(machine.run(&mut Suspends)).expect("the host works");
                }
                clock.elapsed()
            });
        });
    }
    group.finish();
}

/// What has a goal, as the best of many rounds, before all else.
fn figures(_: &mut Criterion) {
    const WRITTEN: u64 = 256;
    let writer = program(Backend::Jit, WRITER);
    let each = |many: f64, one: f64| (many - one) / (WRITTEN - 1) as f64 / 1e3;
    let create = fastest(2000, || writer.machine(start(1)).expect("starts"));
    let reset = |pages: u64| {
        let resets = (0..40).map(|_| {
            let mut machine = written(&writer, pages);
            fastest(1, || machine.reset(start(1)))
        });
        resets.fold(f64::MAX, f64::min)
    };
    let fork = |pages: u64| {
        let mut machine = written(&writer, pages);
        fastest(40, || machine.fork())
    };
    let caller = program(Backend::Jit, CALLER);
    let callee = program(Backend::Jit, "addi a0, a0, 1\n trap");
    let mut nested = Answer(|_: &mut CallContext<'_>| {
        let mut inner = callee.machine(start(1)).expect("starts");
        black_box(inner.run(&mut NoHost)).expect("the host works");
    });
    let inside = |calls: u64, host: &mut dyn FnMut(u64) -> Duration| {
        let times = (0..40).map(|_| host(calls).as_nanos() as f64);
        times.fold(f64::MAX, f64::min) / calls as f64
    };
    let mut plain = Answer(|_: &mut CallContext<'_>| {});
    let mut leaving = caller.machine(start(1 << 40)).expect("starts");
    let left = fastest(40, || {
        for _ in 0..100 {
            black_box(leaving.run(&mut Suspends)).expect("the host works");
        }
    });
    for figure in [
        Figure::new("machine created", "µs", create / 1e3, 5.0),
        Figure::new(
            "reset, per further page of 256",
            "µs",
            each(reset(WRITTEN), reset(1)),
            0.3,
        ),
        Figure::new(
            "fork, per further page of 256",
            "µs",
            each(fork(WRITTEN), fork(1)),
            0.3,
        ),
        Figure::new(
            "call answered inside a run",
            "ns",
            inside(10_000, &mut |n| run(&caller, n, 0, &mut plain)),
            6.0,
        ),
        Figure::new(
            "call that leaves the run, and back",
            "ns",
            left / 100.0,
            100.0,
        ),
        Figure::known(
            "call answered by a machine of its own",
            "ns",
            inside(500, &mut |n| run(&caller, n, 0, &mut nested)),
        ),
    ] {
        println!("figure: {figure}");
    }
}

criterion_group!(benches, figures, loading, machines, calls);
criterion_main!(benches);
