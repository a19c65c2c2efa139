//! Guest faults are served while another thread stands still at any point of loading, translating,
//! starting, stopping or installing the handler, with whatever locks it holds there, and with the
//! lock of the allocator.
//!
//! ```text
//!  guest:    call ──▶ faults ──▶ call ──▶ faults ──▶ call …
//!             │        ▲          │
//!  other:     └ starts, stands still at its n-th allocation or system call ┘ released, n + 1
//! ```
//! A lock or an allocation on the way of a fault would wait for ever.
#![cfg(has_jit)]
#![allow(
    unsafe_code,
    reason = "tests stand in for the allocator and functions of the C library"
)]

mod stand_in;

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, NoHost, Program, Quote, Raw,
    Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, PageIndex};
use stand_in::Kind;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

static ALLOCATOR: Mutex<()> = Mutex::new(());
static STANDS: AtomicBool = AtomicBool::new(false);
static RELEASED: AtomicBool = AtomicBool::new(false);
static DONE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// After how many steps the thread stands still, if it does.
    static STEPS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The system allocator behind a lock.
struct Locked;

#[global_allocator]
static GLOBAL: Locked = Locked;

// SAFETY: every call is passed to the system allocator unchanged.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        step();
        let guard = ALLOCATOR.lock();
        // SAFETY: the caller's promise is the system allocator's.
        let memory = unsafe { System.alloc(layout) };
        drop(guard);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        step();
        let guard = ALLOCATOR.lock();
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(memory, layout) };
        drop(guard);
    }
}

/// Stands still here, holding the allocator too, if this is the step to do so.
fn step() {
    match STEPS.get() {
        None => {}
        Some(0) => {
            STEPS.set(None);
            let held = ALLOCATOR.lock();
            STANDS.store(true, Ordering::SeqCst);
            while !RELEASED.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_micros(50));
            }
            STANDS.store(false, Ordering::SeqCst);
            drop(held);
        }
        Some(left) => STEPS.set(Some(left - 1)),
    }
}

/// System calls never fail here, but count as steps.
fn refuses(_: Kind, _: i32) -> bool {
    step();
    false
}

unsafe extern "C" {
    /// What `sigaction` is in the C library.
    fn __sigaction(signal: i32, new: *const libc::sigaction, old: *mut libc::sigaction) -> i32;
}

/// # Safety
/// As the function of the C library that it stands in for.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> i32 {
    step();
    // SAFETY: the same call with the same arguments.
    unsafe { __sigaction(signal, new, old) }
}

/// Writes pages near each other and far apart between calls.
const TEXT: &str = "
    lui t0, 0x20002
    lui t1, 0x30
    lui t2, 0x28
    fallthrough
    l: ecalli 1
    sd t0, 8(t0)
    add a5, t0, t2
    sd t0, -4(a5)
    lui a4, 1
    add a5, t0, a4
    sd t0, 16(a5)
    add t0, t0, t1
    j l";

/// Code that is translated at once is at most this long.
const CHUNK: usize = 64 << 10;
/// Chunks of the guest's program besides the one it runs in.
const CHUNKS: usize = 200;

/// The guest's code, and so many chunks that begin with a short piece of it and are traps else.
fn load(engine: &Engine, chunks: usize) -> Program {
    let trap = 0x0000_000Bu32.to_le_bytes();
    let mut code = trap.repeat((chunks + 1) * CHUNK / trap.len());
    let guest = assemble(TEXT).unwrap();
    let piece = assemble("lui t0, 0x20000\n sd t0, 0(t0)\n ecalli 2").unwrap();
    code[..guest.len()].copy_from_slice(&guest);
    for chunk in code.chunks_mut(CHUNK).skip(1) {
        chunk[..piece.len()].copy_from_slice(&piece);
    }
    let raw = Raw::new(code).region(0x2000_0000, 1 << 30, RegionKind::Ephemeral, vec![]);
    engine.load_raw(raw).unwrap()
}

fn engine(backend: Backend) -> Engine {
    Engine::new(Config {
        backend,
        ..Config::default()
    })
    .unwrap()
}

fn run_at(program: &Program, pc: u64) {
    let start = Start::at(pc).with_gas(Gas::new(1 << 30).unwrap());
    let mut machine = program.machine(start).unwrap();
    machine.run(&mut NoHost).unwrap();
    drop(machine.fork().unwrap());
}

static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

/// Passes on to the handler found when it was installed.
extern "C" fn pass(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Full = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    // SAFETY: the pointer is to a leaked box.
    let before = unsafe { &*BEFORE.load(Ordering::SeqCst) };
    // SAFETY: the handler before is the engine's, which takes these arguments.
    let handler: Full = unsafe { std::mem::transmute(before.sa_sigaction) };
    handler(signal, info, context);
}

/// Puts a handler over the engine's, which the next entry has to displace again.
fn displace() {
    let mut found = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only reads the current action into a place large enough.
    unsafe { libc::sigaction(libc::SIGSEGV, std::ptr::null(), found.as_mut_ptr()) };
    // SAFETY: zeros are a valid action, and the call above wrote one.
    let mut action = unsafe { found.assume_init() };
    if action.sa_sigaction == pass as *const () as usize {
        return;
    }
    BEFORE.store(Box::into_raw(Box::new(action)), Ordering::SeqCst);
    action.sa_sigaction = pass as *const () as usize;
    // SAFETY: the handler keeps the rules of handlers.
    unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()) };
}

/// What the other thread does.
#[derive(Clone, Copy, Debug)]
enum Errand {
    /// Loads, translates and runs a program in the same engine.
    Load,
    /// Has a chunk of the guest's own program translated.
    Translate,
    /// Starts and drops machines of the guest's program.
    Start,
    /// Installs the handler again after another displaced it.
    Install,
}

impl Errand {
    const ALL: [Self; 4] = [Self::Load, Self::Translate, Self::Start, Self::Install];

    /// Runs with a chunk that nobody has run in.
    fn run(self, engine: &Engine, program: &Program, chunk: usize) {
        match self {
            Self::Load => run_at(&load(engine, 2), CHUNK as u64),
            Self::Translate => run_at(program, (chunk * CHUNK) as u64),
            Self::Start => (0..3).for_each(|_| run_at(program, 0)),
            Self::Install => {
                displace();
                run_at(program, 0);
            }
        }
    }
}

/// Sends the other thread out at each call of the guest.
struct Sender {
    engine: Engine,
    program: Program,
    errand: usize,
    steps: u32,
    chunk: usize,
    other: Option<JoinHandle<()>>,
    /// Calls of the guest, and those during which the other thread stood still.
    calls: u64,
    stood: u64,
}

impl Sender {
    /// Lets the thread that stands still go on.
    fn release(&mut self) {
        if let Some(other) = self.other.take() {
            RELEASED.store(true, Ordering::SeqCst);
            other.join().unwrap();
            RELEASED.store(false, Ordering::SeqCst);
        }
    }

    /// Sends a thread out and waits until it stands still; `false` if it came to its end instead.
    fn send(&mut self, errand: Errand) -> bool {
        let (engine, program) = (self.engine.clone(), self.program.clone());
        let (steps, chunk) = (self.steps, self.chunk);
        if let Errand::Translate = errand {
            self.chunk += 1;
            assert!(chunk <= CHUNKS, "the program has too few chunks");
        }
        let other = thread::spawn(move || {
            STEPS.set(Some(steps));
            errand.run(&engine, &program, chunk);
            STEPS.set(None);
        });
        while !STANDS.load(Ordering::SeqCst) {
            if other.is_finished() {
                other.join().unwrap();
                return false;
            }
            thread::yield_now();
        }
        self.other = Some(other);
        true
    }
}

impl Host for Sender {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::extra(0)
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        self.calls += 1;
        self.release();
        loop {
            let Some(errand) = Errand::ALL.get(self.errand) else {
                return Flow::Halt;
            };
            if self.send(*errand) {
                self.stood += 1;
                // The first steps one by one, then samples.
                self.steps += 1 + self.steps / 24;
                return Flow::Continue;
            }
            assert!(
                self.steps > 8,
                "{errand:?} takes no more than {} steps",
                self.steps
            );
            (self.errand, self.steps) = (self.errand + 1, 0);
        }
    }
}

/// Halts at the call of this number.
struct Counter(u64);

impl Host for Counter {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::extra(0)
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        self.0 -= 1;
        if self.0 == 0 {
            Flow::Halt
        } else {
            Flow::Continue
        }
    }
}

fn outcome(program: &Program, host: &mut dyn Host) -> (u64, Vec<PageIndex>) {
    let start = Start::at(0).with_gas(Gas::new(1 << 60).unwrap());
    let mut machine = program.machine(start).unwrap();
    assert_eq!(machine.run(host).unwrap(), Exit::Halt);
    assert_eq!(machine.fallback(), None);
    (machine.gas().value(), machine.private_pages())
}

#[test]
fn faults_are_served_while_another_thread_holds_any_lock_of_the_engine_and_the_allocator() {
    let watchdog = thread::spawn(|| {
        for _ in 0..600 {
            thread::sleep(Duration::from_millis(100));
            if DONE.load(Ordering::SeqCst) {
                return;
            }
        }
        // Nothing may allocate now, not even a message.
        std::process::abort();
    });
    let engine = engine(Backend::Jit);
    let program = load(&engine, CHUNKS);
    let mut sender = Sender {
        engine,
        program: program.clone(),
        errand: 0,
        steps: 0,
        chunk: 1,
        other: None,
        calls: 0,
        stood: 0,
    };
    let found = outcome(&program, &mut sender);
    assert!(sender.stood > 100, "{} stops", sender.stood);
    let reference = load(&self::engine(Backend::Interp), CHUNKS);
    let expected = outcome(&reference, &mut Counter(sender.calls));
    assert_eq!(found, expected);
    DONE.store(true, Ordering::SeqCst);
    watchdog.join().unwrap();
}
