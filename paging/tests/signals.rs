//! Faults, sent signals and the handlers of others, each in a process of its own.
//!
//! Every test runs its body in a child process (this executable again, one test only), because
//! handlers, masks and limits belong to a process.
#![cfg(has_windows)]
#![allow(
    unsafe_code,
    reason = "tests install signal handlers and run real faults"
)]

mod child;
mod common;

use std::alloc::{GlobalAlloc, Layout as Shape, System};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use child::{dies_by, passes};
use common::*;
use rivet_paging::*;

/// The system allocator behind a lock that a test may hold.
struct Lockable;

static ALLOCATOR: Mutex<()> = Mutex::new(());
static WATCHED: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static GLOBAL: Lockable = Lockable;

// SAFETY: every call is passed to the system allocator unchanged.
unsafe impl GlobalAlloc for Lockable {
    unsafe fn alloc(&self, shape: Shape) -> *mut u8 {
        let guard = WATCHED.load(Ordering::SeqCst).then(|| ALLOCATOR.lock());
        // SAFETY: the caller's promise is the system allocator's.
        let memory = unsafe { System.alloc(shape) };
        drop(guard);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, shape: Shape) {
        let guard = WATCHED.load(Ordering::SeqCst).then(|| ALLOCATOR.lock());
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(memory, shape) };
        drop(guard);
    }
}

const DATA: u64 = 0x2000_0000;

fn guest(tracker: Tracker) -> NativeGuest {
    NativeGuest::new(&mixed_layout(), &WindowPool::default(), tracker, 1 << 40)
}

fn at(page: u64) -> GuestAddr {
    GuestAddr::wrapping(DATA + page * PAGE_SIZE as u64)
}

fn stores(guest: &mut NativeGuest, page: u64) {
    let done = guest.store(at(page), AccessLen::Double, 7);
    assert_eq!(done, Native::Done { value: 7 });
}

fn set_handler(signal: i32, handler: usize, flags: i32) {
    // SAFETY: sigaction is plain integers and a set; all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers of these tests keep the rules of handlers.
    let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0);
}

fn crash() {
    // SAFETY: not sound, and meant to fault: the child must die of it, or a handler skip it.
    unsafe { ptr::write_volatile(ptr::without_provenance_mut::<u8>(8), 1) };
}

#[test]
fn a_fault_outside_of_guests_kills_as_without_us() {
    dies_by(
        libc::SIGSEGV,
        "a_fault_outside_of_guests_kills_as_without_us",
        || {
            // What the test harness installed would turn the fault into an abort message.
            set_handler(libc::SIGSEGV, libc::SIG_DFL, 0);
            stores(&mut guest(Tracker::Trap), 0);
            crash();
        },
    );
}

#[test]
fn a_sent_signal_kills_by_default_also_inside_a_scope() {
    dies_by(
        libc::SIGSEGV,
        "a_sent_signal_kills_by_default_also_inside_a_scope",
        || {
            set_handler(libc::SIGSEGV, libc::SIG_DFL, 0);
            stores(&mut guest(Tracker::Trap), 0);
            // SAFETY: raising a signal has no preconditions.
            unsafe { libc::raise(libc::SIGSEGV) };
        },
    );
}

#[test]
fn an_ignored_sent_signal_stays_ignored() {
    passes("an_ignored_sent_signal_stays_ignored", || {
        set_handler(libc::SIGSEGV, libc::SIG_IGN, 0);
        let mut guest = guest(Tracker::Trap);
        stores(&mut guest, 0);
        // SAFETY: raising a signal has no preconditions.
        unsafe { libc::raise(libc::SIGSEGV) };
        stores(&mut guest, 1);
    });
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

extern "C" fn count(_: i32) {
    SEEN.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_handler_installed_before_ours_gets_what_is_not_ours_and_nothing_else() {
    let test = "a_handler_installed_before_ours_gets_what_is_not_ours_and_nothing_else";
    passes(test, || {
        set_handler(libc::SIGSEGV, count as extern "C" fn(i32) as usize, 0);
        let mut guest = guest(Tracker::Trap);
        for page in 0..10 {
            stores(&mut guest, page);
        }
        assert_eq!(SEEN.load(Ordering::SeqCst), 0);
        // SAFETY: raising a signal has no preconditions.
        unsafe { libc::raise(libc::SIGSEGV) };
        assert_eq!(SEEN.load(Ordering::SeqCst), 1);
        stores(&mut guest, 11);
        assert_eq!(SEEN.load(Ordering::SeqCst), 1);
    });
}

/// Counts, and passes on to the handler found when it was installed.
extern "C" fn count_and_pass(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SEEN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the pointer is to a leaked box.
    let before = unsafe { &*BEFORE.load(Ordering::SeqCst) };
    type Full = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    // SAFETY: the test installs this over a handler with SA_SIGINFO.
    let handler: Full = unsafe { std::mem::transmute(before.sa_sigaction) };
    handler(signal, info, context);
}

#[test]
fn a_handler_installed_over_ours_that_passes_on_loses_no_fault_and_loops_for_none() {
    let test = "a_handler_installed_over_ours_that_passes_on_loses_no_fault_and_loops_for_none";
    dies_by(libc::SIGSEGV, test, || {
        set_handler(libc::SIGSEGV, libc::SIG_DFL, 0);
        let mut guest = guest(Tracker::Trap);
        stores(&mut guest, 0);
        let mut before = Box::new(MaybeUninit::zeroed());
        // SAFETY: only reads the current action into a place large enough.
        unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), before.as_mut_ptr()) };
        BEFORE.store(Box::leak(before).as_mut_ptr(), Ordering::SeqCst);
        let over = count_and_pass as *const () as usize;
        set_handler(
            libc::SIGSEGV,
            over,
            libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER,
        );
        for page in 1..20 {
            stores(&mut guest, page);
        }
        // Ours comes first again, theirs gets what is not ours, and passing it back ends it.
        assert_eq!(SEEN.load(Ordering::SeqCst), 0);
        crash();
    });
}

/// Ends the process with a status of its own.
extern "C" fn report(_: i32) {
    // SAFETY: the call has no preconditions and may be made in a handler.
    unsafe { libc::_exit(42) };
}

#[test]
fn a_handler_installed_over_ours_inside_a_scope_comes_first_until_the_next_entry() {
    let test = "a_handler_installed_over_ours_inside_a_scope_comes_first_until_the_next_entry";
    child::ends(42, test, || {
        let mut first = guest(Tracker::Trap);
        stores(&mut first, 0);
        let nowhere = HostAddr::new(0)..HostAddr::new(0);
        // SAFETY: empty ranges match no fault, so the handler is never called.
        let scope = unsafe { FaultScope::new(nowhere.clone(), nowhere, never, ptr::null_mut()) };
        let done = scope.run(SignalCheck::EveryEntry, || {
            let over = report as *const () as usize;
            set_handler(libc::SIGSEGV, over, libc::SA_ONSTACK);
            // Entering again puts ours first.
            stores(&mut first, 1);
            set_handler(libc::SIGSEGV, over, libc::SA_ONSTACK);
            // Still inside, so theirs is first: no page changes, no gas is taken, and what it does
            // with a fault it does not know is what it does without us.
            crash();
        });
        panic!("its own handler ends the process: {done:?}");
    });
}

#[test]
fn a_handler_that_keeps_displacing_ours_is_put_behind_it_each_time() {
    passes(
        "a_handler_that_keeps_displacing_ours_is_put_behind_it_each_time",
        || {
            let mut guest = guest(Tracker::Trap);
            for page in 0..40 {
                set_handler(libc::SIGSEGV, count as extern "C" fn(i32) as usize, 0);
                stores(&mut guest, page);
            }
            assert_eq!(SEEN.load(Ordering::SeqCst), 0);
        },
    );
}

fn signal_stack() -> libc::stack_t {
    let mut now = MaybeUninit::zeroed();
    // SAFETY: only writes the current stack into a place large enough.
    unsafe { libc::sigaltstack(ptr::null(), now.as_mut_ptr()) };
    // SAFETY: zeroed, and written by the call.
    unsafe { now.assume_init() }
}

#[test]
fn a_signal_stack_the_host_replaces_by_a_small_one_or_none_serves_one_run_and_is_replaced_again() {
    let test = "a_signal_stack_the_host_replaces_by_a_small_one_or_none_serves_one_run_and_is_replaced_again";
    passes(test, || {
        let mut guest = guest(Tracker::Trap);
        stores(&mut guest, 0);
        let ours = signal_stack();
        assert!(ours.ss_size >= 64 << 10);
        let mut small = vec![0u8; 16 << 10];
        for (page, ss_flags) in [(1, 0), (3, libc::SS_DISABLE)] {
            let theirs = libc::stack_t {
                ss_sp: small.as_mut_ptr().cast(),
                ss_flags,
                ss_size: small.len(),
            };
            // SAFETY: the stack outlives its use: a run below replaces it.
            unsafe { libc::sigaltstack(&raw const theirs, ptr::null_mut()) };
            stores(&mut guest, page);
            stores(&mut guest, page + 1);
            assert!(signal_stack().ss_size >= ours.ss_size);
        }
    });
}

#[test]
fn a_blocked_signal_is_named_before_the_guest_starts() {
    passes("a_blocked_signal_is_named_before_the_guest_starts", || {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE] {
            let mut set = MaybeUninit::zeroed();
            // SAFETY: the set is large enough and initialised by the first call.
            unsafe { libc::sigemptyset(set.as_mut_ptr()) };
            // SAFETY: as above.
            unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
            let mask = |how| {
                // SAFETY: the set was initialised above.
                unsafe { libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut()) }
            };
            mask(libc::SIG_BLOCK);
            let nowhere = HostAddr::new(0)..HostAddr::new(0);
            // SAFETY: empty ranges match no fault, so the handler is never called.
            let scope =
                unsafe { FaultScope::new(nowhere.clone(), nowhere, never, ptr::null_mut()) };
            let refused = scope.run(SignalCheck::EveryEntry, || panic!("must not run"));
            assert_eq!(refused, Err(HostError::SignalBlocked { signal }));
            mask(libc::SIG_UNBLOCK);
            assert_eq!(scope.run(SignalCheck::EveryEntry, || 5), Ok(5));
        }
    });
}

#[test]
fn a_host_that_promised_not_to_touch_signals_is_looked_at_once_per_thread() {
    let name = "a_host_that_promised_not_to_touch_signals_is_looked_at_once_per_thread";
    passes(name, || {
        let nowhere = HostAddr::new(0)..HostAddr::new(0);
        // SAFETY: empty ranges match no fault, so the handler is never called.
        let scope = unsafe { FaultScope::new(nowhere.clone(), nowhere, never, ptr::null_mut()) };
        let block = |how| {
            let mut set = MaybeUninit::zeroed();
            // SAFETY: the set is large enough and initialised by this call.
            unsafe { libc::sigemptyset(set.as_mut_ptr()) };
            // SAFETY: as above.
            unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGSEGV) };
            // SAFETY: the set was initialised above.
            unsafe { libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut()) }
        };
        let blocked = Err(HostError::SignalBlocked {
            signal: libc::SIGSEGV,
        });
        // The first entry looks, also after one that failed.
        block(libc::SIG_BLOCK);
        assert_eq!(scope.run(SignalCheck::FirstEntry, || 5), blocked);
        assert_eq!(scope.run(SignalCheck::FirstEntry, || 5), blocked);
        block(libc::SIG_UNBLOCK);
        assert_eq!(scope.run(SignalCheck::FirstEntry, || 5), Ok(5));
        // The next ones do not, unless they are asked to.
        block(libc::SIG_BLOCK);
        assert_eq!(scope.run(SignalCheck::FirstEntry, || 5), Ok(5));
        assert_eq!(scope.run(SignalCheck::EveryEntry, || 5), blocked);
        assert_eq!(scope.run(SignalCheck::FirstEntry, || 5), blocked);
        block(libc::SIG_UNBLOCK);
    });
}

unsafe extern "C" fn never(_: *mut libc::c_void, _: &mut FaultFrame) -> FaultAction {
    FaultAction::NotOurs
}

unsafe extern "C" fn divided(data: *mut libc::c_void, frame: &mut FaultFrame) -> FaultAction {
    // SAFETY: the test passes its local, which outlives the scope.
    let landing = unsafe { *data.cast::<HostAddr>() };
    if frame.signal() != FaultSignal::Fpe {
        return FaultAction::NotOurs;
    }
    let dividend = frame.reg(HostReg::Rax);
    frame.set_reg(HostReg::Rax, dividend + 1);
    frame.set_pc(landing);
    FaultAction::Resume
}

#[test]
fn a_division_trap_of_the_code_is_given_to_the_scope() {
    passes("a_division_trap_of_the_code_is_given_to_the_scope", || {
        let mut landing = HostAddr::new(0);
        let everywhere = HostAddr::new(0)..HostAddr::new(usize::MAX);
        let nowhere = HostAddr::new(0)..HostAddr::new(0);
        let data: *mut HostAddr = &raw mut landing;
        // SAFETY: `divided` gets the pointer it expects and goes on at the label.
        let scope = unsafe { FaultScope::new(everywhere, nowhere, divided, data.cast()) };
        let quotient = scope.run(SignalCheck::EveryEntry, || {
            let quotient: u64;
            // SAFETY: the division traps; the handler leaves by the label, with rax changed.
            unsafe {
                std::arch::asm!(
                    "lea {t}, [rip + 2f]",
                    "mov [{data}], {t}",
                    "div {zero}",
                    "2:",
                    t = out(reg) _,
                    data = in(reg) data,
                    zero = in(reg) 0u64,
                    inout("rax") 41u64 => quotient,
                    inout("rdx") 0u64 => _,
                );
            }
            quotient
        });
        assert_eq!(quotient, Ok(42));
    });
}

#[test]
fn faults_are_served_while_the_lock_of_the_allocator_is_held() {
    let test = "faults_are_served_while_the_lock_of_the_allocator_is_held";
    passes(test, || {
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let mut guest = guest(tracker);
            // The first use installs handler and stack, which may allocate.
            stores(&mut guest, 0);
            let held = ALLOCATOR.lock().unwrap();
            WATCHED.store(true, Ordering::SeqCst);
            for page in 1..64 {
                // An allocation anywhere below would wait for ever.
                stores(&mut guest, page);
            }
            guest.settle(Settle::Close);
            WATCHED.store(false, Ordering::SeqCst);
            drop(held);
            assert_eq!(guest.end(), (1 << 40) - 64 * COST);
        }
    });
}

#[test]
fn a_storm_of_sent_signals_at_every_moment_loses_no_fault() {
    passes(
        "a_storm_of_sent_signals_at_every_moment_loses_no_fault",
        || {
            set_handler(
                libc::SIGSEGV,
                count as extern "C" fn(i32) as usize,
                libc::SA_ONSTACK,
            );
            let stop = Arc::new(AtomicBool::new(false));
            // SAFETY: the call has no preconditions.
            let target = unsafe { libc::pthread_self() } as usize;
            let storm = {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    let mut sent = 0u64;
                    while !stop.load(Ordering::SeqCst) {
                        // SAFETY: the thread lives until this one is joined.
                        unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGSEGV) };
                        sent += 1;
                        if sent.is_multiple_of(8) {
                            std::thread::yield_now();
                        }
                    }
                })
            };
            for round in 0..60 {
                let tracker = [Tracker::Trap, Tracker::Windows][round % 2];
                let mut guest = guest(tracker);
                for page in 0..64 {
                    stores(&mut guest, page);
                }
                assert_eq!(guest.end(), (1 << 40) - 64 * COST);
            }
            stop.store(true, Ordering::SeqCst);
            storm.join().unwrap();
            assert!(SEEN.load(Ordering::SeqCst) > 0);
        },
    );
}

#[test]
fn scopes_nest_and_the_outer_one_is_in_force_again_afterwards() {
    passes(
        "scopes_nest_and_the_outer_one_is_in_force_again_afterwards",
        || {
            let nowhere = HostAddr::new(0)..HostAddr::new(0);
            // SAFETY: empty ranges match no fault, so the handler is never called.
            let outer =
                unsafe { FaultScope::new(nowhere.clone(), nowhere, never, ptr::null_mut()) };
            let mut one = guest(Tracker::Trap);
            let mut two = guest(Tracker::Windows);
            let done = outer.run(SignalCheck::EveryEntry, || {
                stores(&mut one, 1);
                let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    outer.run(SignalCheck::EveryEntry, || panic!("a host call may unwind"))
                }));
                assert!(unwound.is_err());
                stores(&mut two, 1);
                stores(&mut one, 2);
            });
            assert_eq!(done, Ok(()));
            assert_eq!(
                (one.end(), two.end()),
                ((1 << 40) - 2 * COST, (1 << 40) - COST)
            );
        },
    );
}

#[test]
fn many_threads_fault_at_once_and_each_in_its_own_window() {
    passes(
        "many_threads_fault_at_once_and_each_in_its_own_window",
        || {
            let (layout, pool) = (mixed_layout(), WindowPool::default());
            std::thread::scope(|scope| {
                for n in 0..64u64 {
                    let (layout, pool) = (&layout, &pool);
                    scope.spawn(move || {
                        let tracker = [Tracker::Trap, Tracker::Windows][n as usize % 2];
                        for _ in 0..5 {
                            let mut guest = NativeGuest::new(layout, pool, tracker, 1 << 40);
                            for page in 0..32 {
                                let done = guest.store(at(page), AccessLen::Double, n);
                                assert_eq!(done, Native::Done { value: n });
                            }
                            assert_eq!(guest.end(), (1 << 40) - 32 * COST);
                            for page in 0..32 {
                                assert_eq!(guest.space.load(at(page), AccessLen::Double), Ok(n));
                            }
                        }
                    });
                }
            });
        },
    );
}
