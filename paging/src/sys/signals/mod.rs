//! Door 4: hardware faults of generated code become calls of the scope the thread is in.
//!
//! ```text
//!  fault ──▶ on_signal ──▶ is it ours?  genuine fault, pc in the scope's code,
//!                             │         address in the scope's window
//!                        yes  │  no
//!               scope.handler ▼  ▼ chain: the handler that was there before
//! ```
//!
//! The handler reads one thread-local pointer and what it points to. It takes no lock, allocates
//! nothing and keeps `errno`. It is installed once per process and stays.
#![expect(unsafe_code, reason = "door: signal handlers and thread signal stacks")]

mod alt_stack;
mod chain;
mod frame;
mod scope;

pub use frame::{FaultFrame, FaultSignal, HostReg};
pub use scope::{FaultAction, FaultHandler, FaultScope};

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use super::gate;
use crate::error::{Errno, HostError, SysCall};

/// The signals generated code can raise, in the order of the tables of `chain`.
const SIGNALS: [i32; 3] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE];

pub(super) static INSTALL: Mutex<()> = Mutex::new(());

type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

fn failed(call: SysCall) -> HostError {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    HostError::Sys {
        call,
        errno: Errno(errno),
    }
}

/// Installs our handler where it is not the current one; a handler found in its place becomes the
/// one faults of others are passed to first.
fn install() -> Result<(), HostError> {
    // A panic under this lock leaves nothing half done: every step below is one system call.
    let _guard = INSTALL
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for (slot, signal) in SIGNALS.into_iter().enumerate() {
        let old = current(signal)?;
        if old.sa_sigaction == on_signal as Handler as usize {
            continue;
        }
        chain::remember(slot, old)?;
        gate(SysCall::Sigaction)?;
        let replaced = replace(signal, &ours())?;
        if replaced.sa_sigaction != old.sa_sigaction
            && replaced.sa_sigaction != on_signal as Handler as usize
        {
            chain::remember(slot, replaced)?;
        }
    }
    Ok(())
}

/// Whether faults of this process reach our handler first.
fn is_installed() -> Result<bool, HostError> {
    let action = current(libc::SIGSEGV)?;
    Ok(action.sa_sigaction == on_signal as Handler as usize)
}

fn ours() -> libc::sigaction {
    // SAFETY: sigaction is plain integers and a signal set; all zeros is a valid value of it.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_signal as Handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // Sent in numbers, signals that interrupted the handler would pile up frames on its stack.
    for signal in SIGNALS {
        // SAFETY: the set is initialised and the signal number is valid.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, signal) };
    }
    action
}

fn current(signal: i32) -> Result<libc::sigaction, HostError> {
    gate(SysCall::Sigaction)?;
    let mut old = MaybeUninit::zeroed();
    // SAFETY: without a new action this only writes `old`, which is as large as it must be.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) };
    if result != 0 {
        return Err(failed(SysCall::Sigaction));
    }
    // SAFETY: zeroed before and written by the call that just succeeded.
    Ok(unsafe { old.assume_init() })
}

fn replace(signal: i32, action: &libc::sigaction) -> Result<libc::sigaction, HostError> {
    let mut old = MaybeUninit::zeroed();
    // SAFETY: `action` names a handler that keeps the rules of signal handlers, see `on_signal`,
    // or a disposition without code; `old` is as large as it must be.
    let result = unsafe { libc::sigaction(signal, action, old.as_mut_ptr()) };
    if result != 0 {
        return Err(failed(SysCall::Sigaction));
    }
    // SAFETY: zeroed before and written by the call that just succeeded.
    Ok(unsafe { old.assume_init() })
}

/// The process-wide handler of [`SIGNALS`].
///
/// # Safety
/// Only the kernel, or a handler passing on what the kernel gave it, may call this.
unsafe extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Saved::new();
    // SAFETY: by the contract of this function both pointers are what the kernel passes to a
    // handler installed with SA_SIGINFO, valid and unaliased until it returns.
    let frame = unsafe { FaultFrame::new(signal, info, context.cast()) };
    let mine = frame.is_some_and(|mut frame| {
        alt_stack::observe(frame.signal_stack());
        scope::dispatch(&mut frame)
    });
    if !mine {
        // SAFETY: the arguments are those of this call.
        unsafe { chain::pass_on(signal, info, context) };
    }
    drop(errno);
}

/// Puts `errno` back when dropped: the interrupted code may be about to read it.
struct Saved(i32);

impl Saved {
    fn new() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: the call has no preconditions.
        let location = unsafe { libc::__errno_location() };
        // SAFETY: the location is valid and the calling thread's own for its whole life.
        unsafe { *location = self.0 };
    }
}
