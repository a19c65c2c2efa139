//! Every system call of an engine's life fails, once or from then on: loading, starting, running,
//! calling the host, pausing, forking, resetting, dropping. The answer is right or an error, nothing
//! is lost, and the next engine knows nothing of it.
//!
//! The calls of this executable go through `stand_in`, which makes them fail without the engine's
//! help.
#![cfg(has_jit)]
#![allow(unsafe_code, reason = "tests stand in for functions of the C library")]

mod stand_in;

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, MemoryHash, Quote, Raw, Start,
    View,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, GuestAddr, PageIndex, Pc, Reg, Regs};
use stand_in::Kind;

const DATA: u64 = 0x1000_0000;
const ZEROS: u64 = 0x2000_0000;
const GAS: u64 = 1 << 20;

/// Stores near each other and far apart, over page edges, and calls that write.
const TEXT: &str = "
    lui t0, 0x20002
    lui t1, 0x2d
    li t2, 5
    fallthrough
    l: addi a0, a0, 3
    sd a0, 8(t0)
    sd a0, -4(t0)
    lui a5, 0x10000
    lw a3, 4(a5)
    sw a2, 2000(a5)
    add t0, t0, t1
    sw a3, 16(t0)
    add a2, a2, a3
    ecalli 7
    add a4, a4, a1
    addi t2, t2, -1
    bnez t2, l
    trap";

/// Writes across a page edge, and suspends every other call.
#[derive(Clone, Default)]
struct Pausing {
    calls: u64,
}

impl Host for Pausing {
    fn quote(&self, _: Call, view: &View<'_>) -> Quote {
        Quote::extra(10).writing(target(view.regs()), 8)
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.calls += 1;
        let at = target(context.regs());
        context.write(at, &self.calls.to_le_bytes()).unwrap();
        context.set_reg(Reg::A1, self.calls);
        if self.calls.is_multiple_of(2) {
            Flow::Suspend
        } else {
            Flow::Continue
        }
    }
}

fn target(regs: &Regs) -> GuestAddr {
    GuestAddr::wrapping(regs.get(Reg::parse("t0").unwrap()) + 0x5ffc)
}

#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    exit: Exit,
    regs: Regs,
    pc: Pc,
    gas: u64,
    private: Vec<PageIndex>,
    hash: MemoryHash,
}

fn life(backend: Backend) -> Result<Vec<Outcome>, String> {
    fn named(error: impl std::fmt::Display) -> String {
        error.to_string()
    }
    let config = Config {
        backend,
        ..Config::default()
    };
    let engine = Engine::new(config).map_err(named)?;
    let content = vec![7; 3 * 4096];
    let raw = Raw::new(assemble(TEXT).unwrap())
        .region(DATA, 8 * 4096, RegionKind::CopyOnWrite, content)
        .region(ZEROS, 4096 * 4096, RegionKind::Ephemeral, vec![]);
    let program = engine.load_raw(raw).map_err(named)?;
    let start = || Start::at(0).with_gas(Gas::new(GAS).unwrap());
    let mut machine = program.machine(start()).map_err(named)?;
    let place = GuestAddr::wrapping(DATA + 4);
    machine.place(place, &[9; 20]).map_err(named)?;
    let mut outcomes = Vec::new();
    let mut host = Pausing::default();
    let mut go = |machine: &mut rivet_engine::Machine, host: &mut Pausing| loop {
        let exit = machine.run(host).map_err(named)?;
        outcomes.push(Outcome {
            exit,
            regs: *machine.regs(),
            pc: machine.pc(),
            gas: machine.gas().value(),
            private: machine.private_pages(),
            hash: machine.memory_hash(),
        });
        if exit.is_final() || host.calls == 2 {
            return Ok::<(), String>(());
        }
    };
    go(&mut machine, &mut host)?;
    let mut twin = machine.fork().map_err(named)?;
    let mut other = Pausing { calls: 2 };
    host.calls = 10;
    other.calls = 100;
    go(&mut machine, &mut host)?;
    go(&mut twin, &mut other)?;
    machine.reset(start()).map_err(named)?;
    host.calls = 10;
    go(&mut machine, &mut host)?;
    Ok(outcomes)
}

/// Open files and mappings of this process.
fn holdings() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (files, maps.lines().count())
}

/// A life in a thread of its own, so that it has no signal stack yet, while calls fail; with how
/// many calls were made.
fn attempt(backend: Backend, plan: Plan) -> (Result<Vec<Outcome>, String>, u64) {
    let run = move || {
        PLAN.set(plan);
        MADE.set(0);
        let outcome = life(backend);
        PLAN.set(Plan::Never);
        (outcome, MADE.get())
    };
    std::thread::spawn(run).join().unwrap()
}

/// Errors that a life may end with must name what failed.
fn explained(error: &str) -> bool {
    const NAMES: [&str; 9] = [
        "mmap",
        "mprotect",
        "madvise",
        "memfd_create",
        "ftruncate",
        "pwrite",
        "fcntl",
        "ioctl",
        "msync",
    ];
    let limits = [
        "vm.max_map_count",
        "RLIMIT",
        "exhausted",
        "sigaltstack",
        "recompiler",
    ];
    NAMES.iter().chain(&limits).any(|name| error.contains(name))
}

/// Lives on while calls fail; how many ended well and how many in an error.
fn every_call_fails(backend: Backend, plan: fn(u64) -> Plan) -> (usize, usize) {
    let expected = life(Backend::Interp).unwrap();
    assert_eq!(expected.len(), 8);
    let (first, _) = attempt(backend, Plan::Never);
    assert_eq!(first.as_ref(), Ok(&expected));
    let before = holdings();
    let (mut right, mut refused) = (0, 0);
    for n in 0.. {
        let plan = plan(n);
        let (outcome, made) = attempt(backend, plan);
        match outcome {
            Ok(found) => {
                assert_eq!(found, expected, "{backend}, {plan:?}");
                right += 1;
            }
            Err(error) => {
                assert!(explained(&error), "{backend}, {plan:?}: {error}");
                refused += 1;
            }
        }
        assert_eq!(holdings().0, before.0, "{backend}, {plan:?} loses files");
        if n % 8 == 0 {
            let (next, _) = attempt(backend, Plan::Never);
            assert_eq!(next.as_ref(), Ok(&expected), "after {plan:?}");
        }
        if made <= n {
            assert!(n > 60, "a life makes more than {n} calls");
            break;
        }
    }
    let maps = holdings().1;
    // The allocator may keep memory for threads; a window or a slab each time would be more.
    assert!(
        maps <= before.1 + 12,
        "{maps} mappings, {} before",
        before.1
    );
    (right, refused)
}

// One test at a time: descriptors and mappings are counted for the whole process.
#[test]
fn any_system_call_may_fail_and_the_answer_is_right_or_an_error_that_names_it() {
    for backend in [Backend::Auto, Backend::Jit] {
        let (right, refused) = every_call_fails(backend, Plan::Once);
        // Failing to ask the page tables, or for a signal stack, ends in an error; the rest is made
        // up for.
        assert!(right > 100, "{right} right, {refused} refused");
    }
    // Loading needs mappings, and so does the signal stack of a thread; nothing after that does.
    let (_, refused) = every_call_fails(Backend::Auto, Plan::NoMappingsFrom);
    assert!(refused < 20, "{refused} refused");
    every_call_fails(Backend::Jit, Plan::NoMappingsFrom);
}

/// Which calls of a thread fail.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Never,
    /// The one of this number.
    Once(u64),
    /// All that need mappings, from this number on.
    NoMappingsFrom(u64),
}

thread_local! {
    static PLAN: std::cell::Cell<Plan> = const { std::cell::Cell::new(Plan::Never) };
    static MADE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts a call and says whether it fails.
fn refuses(kind: Kind, errno: i32) -> bool {
    let made = MADE.get();
    MADE.set(made + 1);
    let fails = match PLAN.get() {
        Plan::Never => false,
        Plan::Once(n) => made == n,
        Plan::NoMappingsFrom(n) => made >= n && kind == Kind::Maps,
    };
    if fails {
        // SAFETY: the call has no preconditions.
        let location = unsafe { libc::__errno_location() };
        // SAFETY: the location is the calling thread's own.
        unsafe { *location = errno };
    }
    fails
}
