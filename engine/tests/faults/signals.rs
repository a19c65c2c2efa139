//! Closes guest memory behind the engine's back, and opens it for the length of one instruction.
//!
//! ```text
//!   access ── closed ──▶ SIGSEGV ── to be let through ──▶ open, one instruction, SIGTRAP, close
//!                           └────── the chosen one ─────▶ the engine's handler
//! ```
//!
//! The engine finds a fault at a page it knows to be open, and reports the access with the state
//! in front of it.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// The bit of the flags that makes the processor trap behind the next instruction.
const TRAP_FLAG: i64 = 1 << 8;
/// Guest addresses, and room for an access that begins at the last one.
const WINDOW: usize = (1 << 32) + 4096;

type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

/// A part of the window and what the engine allows there.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) writable: bool,
}

#[derive(Clone, Copy)]
struct Session {
    base: usize,
    parts: [Part; 2],
    /// Accesses still to be let through.
    skip: u32,
    stepping: bool,
    /// The engine's handler of SIGSEGV.
    engine: usize,
}

thread_local! {
    // Constant and without a destructor: the handlers read it.
    static SESSION: Cell<Option<Session>> = const { Cell::new(None) };
}

fn action(handler: Handler) -> libc::sigaction {
    // SAFETY: sigaction is plain integers and a signal set; all zeros is a valid value of it.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action
}

fn replace(signal: i32, action: &libc::sigaction) -> libc::sigaction {
    let mut old = MaybeUninit::zeroed();
    // SAFETY: `action` is one of the handlers below or one that was in force before.
    let result = unsafe { libc::sigaction(signal, action, old.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: written by the call that succeeded.
    unsafe { old.assume_init() }
}

impl Session {
    fn protect(&self, open: bool) {
        for part in self.parts {
            let access = match (open, part.writable) {
                (false, _) => libc::PROT_NONE,
                (true, false) => libc::PROT_READ,
                (true, true) => libc::PROT_READ | libc::PROT_WRITE,
            };
            let start = (self.base + part.offset) as *mut c_void;
            // SAFETY: the part lies in the window of the running machine, nothing of which Rust
            // code has a reference to while it runs.
            let result = unsafe { libc::mprotect(start, part.len, access) };
            if result != 0 {
                // SAFETY: ends the process, in a handler too.
                unsafe { libc::abort() };
            }
        }
    }
}

/// Guest memory is closed while this lives, but for as many accesses as were to be let through.
pub(crate) struct Closed {
    previous: [libc::sigaction; 2],
}

impl Closed {
    /// To be called during a run, when the engine's handler is the current one. The window's base
    /// is `base`; `skip` accesses are let through.
    pub(crate) fn begin(base: usize, parts: [Part; 2], skip: u32) -> Self {
        let previous = [
            replace(libc::SIGSEGV, &action(on_fault)),
            replace(libc::SIGTRAP, &action(on_step)),
        ];
        let session = Session {
            base,
            parts,
            skip,
            stepping: false,
            engine: previous[0].sa_sigaction,
        };
        SESSION.set(Some(session));
        session.protect(false);
        Self { previous }
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        if let Some(session) = SESSION.take() {
            session.protect(true);
        }
        replace(libc::SIGSEGV, &self.previous[0]);
        replace(libc::SIGTRAP, &self.previous[1]);
    }
}

/// Flags of the interrupted code.
fn flags<'a>(context: *mut c_void) -> &'a mut i64 {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel's context, which nobody else uses while the handler runs.
    let context = unsafe { &mut *context };
    &mut context.uc_mcontext.gregs[libc::REG_EFL as usize]
}

unsafe extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(mut session) = SESSION.get() else {
        // SAFETY: ends the process: a fault of another thread, or of the test itself.
        unsafe { libc::abort() };
    };
    // SAFETY: the kernel's description of a fault.
    let description = unsafe { &*info };
    // SAFETY: a fault comes with an address.
    let address = unsafe { description.si_addr() } as usize;
    let inside = (session.base..session.base + WINDOW).contains(&address);
    if inside && !session.stepping && session.skip > 0 {
        session.skip -= 1;
        session.stepping = true;
        session.protect(true);
        *flags(context) |= TRAP_FLAG;
        return SESSION.set(Some(session));
    }
    *flags(context) &= !TRAP_FLAG;
    session.stepping = false;
    SESSION.set(Some(session));
    // SAFETY: the word is the engine's handler, installed with SA_SIGINFO.
    let engine: Handler = unsafe { std::mem::transmute(session.engine) };
    // SAFETY: a handler passes on what the kernel gave it.
    unsafe { engine(signal, info, context) };
}

unsafe extern "C" fn on_step(_: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    *flags(context) &= !TRAP_FLAG;
    if let Some(mut session) = SESSION.get()
        && session.stepping
    {
        session.stepping = false;
        session.protect(false);
        SESSION.set(Some(session));
    }
}
