//! A signal stack for every thread that runs guests, large enough for the widest vector frames.
//!
//! The stacks that threads come with are 8 KiB; a frame with AVX-512 state alone takes 3 of them,
//! and wider states exist. A thread that has a larger one keeps it.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::ptr;

use super::{failed, gate};
use crate::error::{HostError, SysCall};
use crate::page::PAGE_SIZE;
use crate::sys::{Protection, Reservation};

/// Room for our handler, and for one that faults of others are passed to.
const ROOM: usize = 64 << 10;
/// Inaccessible bytes below the stack.
const GUARD: usize = PAGE_SIZE;

/// The stack of a thread; taken out of use and unmapped when the thread ends.
struct AltStack {
    memory: Reservation,
}

thread_local! {
    // Never touched by the handler: it has a destructor.
    static OWN: RefCell<Option<AltStack>> = const { RefCell::new(None) };
    // Whether the thread was seen to have a stack of `ROOM`, and no signal since found another.
    // Constant and without a destructor: the handler clears it.
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

/// Called in the handler with the signal stack the thread had when a fault arrived: if somebody
/// has put a smaller one in place, the next [`ensure`] puts a large one back. The handler itself
/// gets along with any stack the kernel accepts for its frame.
pub(super) fn observe(stack: &libc::stack_t) {
    if !is_large(stack) {
        SEEN.set(false);
    }
}

fn is_large(stack: &libc::stack_t) -> bool {
    stack.ss_flags & libc::SS_DISABLE == 0 && stack.ss_size >= ROOM
}

/// Bytes a signal stack must have on this processor.
fn needed() -> usize {
    // SAFETY: getauxval reads a table of the process and answers 0 for what is not in it.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    ROOM + usize::try_from(frame).unwrap_or(0)
}

/// Makes sure the calling thread handles signals on a stack that is large enough. The thread is
/// asked once; a stack that is replaced later is noticed by the next fault.
pub(super) fn ensure() -> Result<(), HostError> {
    if SEEN.get() {
        return Ok(());
    }
    gate(SysCall::Sigaltstack)?;
    if is_large(&current()?) {
        SEEN.set(true);
        return Ok(());
    }
    let stack = AltStack::install()?;
    // While the thread is ending there is no place to keep the stack; it is undone at once.
    let kept = OWN.try_with(|own| own.replace(Some(stack)));
    kept.map(drop).map_err(|_| failed(SysCall::Sigaltstack))?;
    SEEN.set(true);
    Ok(())
}

fn current() -> Result<libc::stack_t, HostError> {
    let mut old = MaybeUninit::zeroed();
    // SAFETY: without a new stack this only writes `old`, which is as large as it must be.
    let result = unsafe { libc::sigaltstack(ptr::null(), old.as_mut_ptr()) };
    if result != 0 {
        return Err(failed(SysCall::Sigaltstack));
    }
    // SAFETY: zeroed before and written by the call that just succeeded.
    Ok(unsafe { old.assume_init() })
}

impl AltStack {
    fn install() -> Result<Self, HostError> {
        let len = needed().next_multiple_of(PAGE_SIZE);
        let memory = Reservation::reserve(GUARD + len)?;
        memory.protect(GUARD, len, Protection::ReadWrite)?;
        let stack = libc::stack_t {
            ss_sp: memory.at(GUARD).as_ptr().cast(),
            ss_flags: 0,
            ss_size: len,
        };
        // SAFETY: the stack must stay mapped while it is in use; it is owned by the result, which
        // takes it out of use before unmapping it.
        let result = unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
        if result != 0 {
            return Err(failed(SysCall::Sigaltstack));
        }
        Ok(Self { memory })
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        SEEN.set(false);
        let own = self.memory.at(GUARD).as_ptr();
        // The thread may have been given another one since; that one stays.
        if current().is_ok_and(|now| now.ss_sp.cast() == own) {
            let off = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            // SAFETY: turning the stack off needs that no handler runs on it; this is ordinary
            // code of the same thread.
            unsafe { libc::sigaltstack(&raw const off, ptr::null_mut()) };
        }
    }
}
