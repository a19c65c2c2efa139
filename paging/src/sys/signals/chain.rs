//! Faults of others go where they would have gone without us.
//!
//! Every handler found in our place is remembered, oldest first. A fault that is not ours goes to
//! the newest; if that one passes it back to us, as a handler that was installed over ours does, it
//! goes to the one before, and so on down to the disposition the process started with.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{Handler, SIGNALS, replace};
use crate::error::HostError;

/// Handlers remembered for a signal.
const LEVELS: usize = 8;

type Slot = [AtomicPtr<libc::sigaction>; LEVELS];

/// Published entries are never changed or freed, so the handler may read them at any time.
static PREVIOUS: [Slot; SIGNALS.len()] =
    [const { [const { AtomicPtr::new(ptr::null_mut()) }; LEVELS] }; SIGNALS.len()];

/// A signal on its way down the handlers of a thread.
#[derive(Clone, Copy)]
struct Passing {
    /// The kernel's description of it, which names it while any handler of it runs.
    info: *const libc::siginfo_t,
    /// An address in the frame of the call that passes it on.
    frame: usize,
    /// How many handlers have had it.
    depth: usize,
}

thread_local! {
    // Constant and without destructors, as the handler needs them.
    static PASSING: Cell<Passing> = const {
        Cell::new(Passing { info: ptr::null(), frame: 0, depth: 0 })
    };
}

impl Passing {
    /// The handlers that have had the signal `info` when it arrives in the frame at `frame`: some
    /// if one of them passed it back, none if it is another signal. The latter may come at any
    /// moment, also while a handler runs, and also after one left by a jump, in which case its
    /// description may lie where that one's did, but its frame does not lie deeper.
    fn depth_of(self, info: *const libc::siginfo_t, frame: usize) -> usize {
        if self.info == info && frame < self.frame {
            self.depth
        } else {
            0
        }
    }
}

fn same(a: &libc::sigaction, b: &libc::sigaction) -> bool {
    a.sa_sigaction == b.sa_sigaction && a.sa_flags == b.sa_flags
}

/// Adds `action` as the newest handler before ours, unless it is that already. Called under the
/// lock of `install`.
pub(super) fn remember(slot: usize, action: libc::sigaction) -> Result<(), HostError> {
    let entries = &PREVIOUS[slot];
    let free = entries
        .iter()
        .position(|entry| entry.load(Ordering::Acquire).is_null())
        .unwrap_or(LEVELS);
    if let Some(newest) = free.checked_sub(1).and_then(|n| entry(slot, n))
        && same(newest, &action)
    {
        return Ok(());
    }
    let signal = SIGNALS[slot];
    let place = entries
        .get(free)
        .ok_or(HostError::HandlerDisplaced { signal })?;
    place.store(Box::into_raw(Box::new(action)), Ordering::Release);
    Ok(())
}

fn entry(slot: usize, level: usize) -> Option<&'static libc::sigaction> {
    let pointer = PREVIOUS[slot].get(level)?.load(Ordering::Acquire);
    // SAFETY: the pointer is null or a leaked box that nobody changes (see PREVIOUS).
    unsafe { pointer.as_ref() }
}

/// Acts on a signal as the handlers before ours would.
///
/// # Safety
/// The arguments must be those a handler was called with by the kernel.
pub(super) unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(slot) = SIGNALS.iter().position(|&s| s == signal) else {
        return;
    };
    let outer = PASSING.get();
    let frame = (&raw const slot).addr();
    let depth = outer.depth_of(info, frame);
    let newest = (0..LEVELS).rev().find(|&n| entry(slot, n).is_some());
    let chosen = newest.and_then(|n| entry(slot, n.checked_sub(depth)?));
    // SAFETY: the kernel's argument is valid until the outermost handler returns.
    let sent = unsafe { info.as_ref() }.is_some_and(|info| info.si_code <= 0);
    let action = chosen.filter(|action| action.sa_sigaction != libc::SIG_DFL);
    match action {
        None => default(signal, info, sent),
        Some(action) if action.sa_sigaction == libc::SIG_IGN => {
            // The kernel does not let a process ignore a fault of its own.
            if !sent {
                default(signal, info, sent);
            }
        }
        Some(action) => {
            PASSING.set(Passing {
                info,
                frame,
                depth: depth + 1,
            });
            // SAFETY: `action` was a live handler of this signal and the arguments are the
            // kernel's, by the contract of this function.
            unsafe { invoke(action, signal, info, context) };
            PASSING.set(outer);
        }
    }
}

/// Lets the default action of `signal` happen: for a fault by going back to it, for a sent signal
/// by sending it again.
fn default(signal: i32, info: *mut libc::siginfo_t, sent: bool) {
    // SAFETY: sigaction is plain integers and a signal set; all zeros is a valid value of it,
    // and SIG_DFL is zero.
    let action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let _ = replace(signal, &action);
    if sent {
        // SAFETY: the call has no preconditions.
        let process = unsafe { libc::getpid() };
        // SAFETY: the call has no preconditions.
        let thread = unsafe { libc::gettid() };
        let call = libc::SYS_rt_tgsigqueueinfo;
        // SAFETY: the call takes numbers and a signal description that the kernel made.
        unsafe { libc::syscall(call, process, thread, signal, info) };
    }
}

/// Calls a handler with the signal mask it would have if it were the kernel's choice.
///
/// # Safety
/// `action` must name a handler of `signal`, and the rest must be the kernel's arguments.
unsafe fn invoke(
    action: &libc::sigaction,
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let mut mask = action.sa_mask;
    if action.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: the set is initialised and the signal number is valid.
        unsafe { libc::sigaddset(&raw mut mask, signal) };
    }
    // SAFETY: zeros are a valid set of signals.
    let mut unblocked: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: by the contract of this function the context is the kernel's.
    let interrupted = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_sigmask };
    for ours in SIGNALS {
        // SAFETY: the set is initialised and the signal number is valid.
        let wanted = unsafe { libc::sigismember(&raw const mask, ours) } == 1;
        // SAFETY: as above.
        let before = unsafe { libc::sigismember(interrupted, ours) } == 1;
        if !wanted && !before {
            // SAFETY: as above.
            unsafe { libc::sigaddset(&raw mut unblocked, ours) };
        }
    }
    let mut before = MaybeUninit::zeroed();
    // SAFETY: both sets are as large as they must be.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, before.as_mut_ptr()) };
    // SAFETY: the set is as large as it must be.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const unblocked, ptr::null_mut()) };
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with SA_SIGINFO the word is a function of this type.
        let handler: Handler = unsafe { std::mem::transmute(action.sa_sigaction) };
        // SAFETY: by the contract of this function.
        unsafe { handler(signal, info, context) };
    } else {
        // SAFETY: without SA_SIGINFO the word is a function of this type.
        let handler: unsafe extern "C" fn(i32) =
            unsafe { std::mem::transmute(action.sa_sigaction) };
        // SAFETY: by the contract of this function.
        unsafe { handler(signal) };
    }
    // SAFETY: `before` was written by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
}
