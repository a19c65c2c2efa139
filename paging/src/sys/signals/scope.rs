//! What the calling thread runs now, published for the fault handler.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::frame::{FaultFrame, FaultSignal};
use super::{alt_stack, failed, gate, install, is_installed};
use crate::error::{HostError, SysCall};
use crate::page::HostAddr;
use crate::signal_check::SignalCheck;

/// What the handler of a scope decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum FaultAction {
    /// Go on with the registers of the frame, changed or not.
    Resume,
    /// Not a fault of this scope; pass it to whoever handled faults before.
    NotOurs,
}

/// The function a scope names. It runs on the thread's signal stack: no lock, no allocation, no
/// unwinding.
pub type FaultHandler =
    unsafe extern "C" fn(data: *mut c_void, frame: &mut FaultFrame) -> FaultAction;

/// A piece of generated code and the window it may fault in.
///
/// Scopes nest: a host call of one machine may run another on the same thread.
#[derive(Debug)]
pub struct FaultScope {
    code: Range<HostAddr>,
    window: Range<HostAddr>,
    handler: FaultHandler,
    data: *mut c_void,
}

thread_local! {
    // Constant and without a destructor: reading it in the handler initialises nothing.
    static CURRENT: Cell<*const FaultScope> = const { Cell::new(ptr::null()) };
    // Whether mask and handlers were found right when this thread entered a scope.
    static CHECKED: Cell<bool> = const { Cell::new(false) };
}

impl FaultScope {
    /// A scope whose faults go to `handler`: SIGSEGV and SIGBUS raised by instructions in `code`
    /// for addresses in `window`, and SIGFPE raised by instructions in `code`.
    ///
    /// # Safety
    /// 1. For every fault described, raised while [`run`](Self::run) is active on a thread,
    ///    calling `handler` with `data` on that thread is sound, and it keeps the rules of
    ///    [`FaultHandler`].
    /// 2. After it answers [`FaultAction::Resume`], going on with the frame's registers is sound.
    pub const unsafe fn new(
        code: Range<HostAddr>,
        window: Range<HostAddr>,
        handler: FaultHandler,
        data: *mut c_void,
    ) -> Self {
        Self {
            code,
            window,
            handler,
            data,
        }
    }

    /// Runs `body` with this scope in force on the calling thread. Mask and handlers are looked at
    /// before, as often as `check` says.
    ///
    /// # Errors
    /// [`HostError::SignalBlocked`] when the thread blocks a signal faults arrive by, and
    /// [`HostError::Sys`] when handler or signal stack cannot be installed; `body` is not run then.
    pub fn run<R>(&self, check: SignalCheck, body: impl FnOnce() -> R) -> Result<R, HostError> {
        if check == SignalCheck::EveryEntry || !CHECKED.get() {
            CHECKED.set(false);
            check_mask()?;
            if !is_installed()? {
                install()?;
            }
            CHECKED.set(true);
        }
        alt_stack::ensure()?;
        let published = Published::new(self);
        let result = body();
        drop(published);
        Ok(result)
    }

    fn covers(&self, frame: &FaultFrame) -> bool {
        let in_window = || self.window.contains(&frame.fault_address());
        self.code.contains(&frame.pc()) && (frame.signal() == FaultSignal::Fpe || in_window())
    }
}

/// Takes the scope out of force when dropped, also by unwinding.
struct Published {
    outer: *const FaultScope,
}

impl Published {
    fn new(scope: &FaultScope) -> Self {
        Self {
            outer: CURRENT.replace(scope),
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Gives a fault to the scope in force, if it is that scope's; says whether it was.
pub(super) fn dispatch(frame: &mut FaultFrame) -> bool {
    // SAFETY: the pointer is null or what `run` published and has not withdrawn; `run` borrows the
    // scope until then, on this very thread.
    let Some(scope) = (unsafe { CURRENT.get().as_ref() }) else {
        return false;
    };
    if !frame.is_genuine() || !scope.covers(frame) {
        return false;
    }
    // SAFETY: obligation 1 of `FaultScope::new` covers this call; `covers` is its condition.
    let action = unsafe { (scope.handler)(scope.data, frame) };
    action == FaultAction::Resume
}

fn check_mask() -> Result<(), HostError> {
    gate(SysCall::Sigmask)?;
    let mut mask = MaybeUninit::zeroed();
    // SAFETY: without a new mask this only writes the old one, which is as large as it must be.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr()) };
    if result != 0 {
        return Err(failed(SysCall::Sigmask));
    }
    for signal in super::SIGNALS {
        // SAFETY: the set was written by the call that just succeeded.
        if unsafe { libc::sigismember(mask.as_ptr(), signal) } == 1 {
            return Err(HostError::SignalBlocked { signal });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fail_at;

    unsafe extern "C" fn never(_: *mut c_void, _: &mut FaultFrame) -> FaultAction {
        FaultAction::NotOurs
    }

    /// Tries to run something in a scope while the `n`-th system call fails. `None`: there was no
    /// such call.
    fn attempt(n: u64) -> Option<Result<u32, HostError>> {
        let nowhere = HostAddr::new(0)..HostAddr::new(0);
        // SAFETY: empty ranges match no fault, so the handler is never called.
        let scope = unsafe { FaultScope::new(nowhere.clone(), nowhere, never, ptr::null_mut()) };
        fail_at(Some(n));
        let result = scope.run(SignalCheck::EveryEntry, || 5);
        fail_at(None).is_none().then_some(result)
    }

    #[test]
    fn any_system_call_of_entering_a_scope_may_fail_and_the_next_entry_succeeds() {
        let mut calls = 0;
        // A thread of its own each time: the first entry of a thread gives it a signal stack.
        while let Some(result) = std::thread::spawn(move || {
            let failed = attempt(calls)?;
            // The last calls of a thread's end may fail silently; those of the entry may not.
            assert!(matches!(failed, Err(HostError::Sys { .. })), "call {calls}");
            assert_eq!(attempt(u64::MAX - 1), None);
            Some(failed)
        })
        .join()
        .unwrap()
        {
            assert!(result.is_err());
            calls += 1;
        }
        assert!(calls >= 4, "an entry makes more than {calls} calls");
    }
}
