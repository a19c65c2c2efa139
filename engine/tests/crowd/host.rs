//! A host that does what hosts do while the guest's call waits: run another guest, use GS, take a
//! fault of its own, panic.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, compiler_fence};

use rivet_engine::{Call, CallContext, Flow, Host, NoHost, Program, Quote, Start, View};
use rivet_isa::{Gas, Reg};

const PAGE: usize = 4096;
/// What a host panics with.
pub(crate) const GIVES_UP: &str = "the host gives up";

/// Answers the calls of one run.
pub(crate) struct Answers<'a> {
    inner: &'a Program,
    pub(crate) calls: u64,
    pub(crate) panics: bool,
    pub(crate) changes_gs: bool,
    pub(crate) probe: Option<Probe>,
}

impl<'a> Answers<'a> {
    pub(crate) fn new(inner: &'a Program) -> Self {
        Self {
            inner,
            calls: 0,
            panics: false,
            changes_gs: false,
            probe: None,
        }
    }

    /// a0 of another guest that starts with `value`.
    fn nested(&self, value: u64) -> u64 {
        let start = Start::at(0).with_gas(Gas::new(1 << 30).unwrap());
        let start = start.with_slot(Reg::A0.slot().unwrap(), value);
        let start = start.with_slot(Reg::A1.slot().unwrap(), 0x1000_0FF0);
        let mut machine = self.inner.machine(start).unwrap();
        let exit = machine.run(&mut NoHost).unwrap();
        assert_eq!(exit.name(), "page-fault");
        assert_eq!(machine.private_pages().len(), 2);
        machine.regs().get(Reg::A0)
    }
}

impl Host for Answers<'_> {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        self.calls += 1;
        if self.changes_gs {
            set_gs(0x7_0000 + self.calls * 4096);
        }
        let Call::Host { selector } = call else {
            panic!("there is no other call")
        };
        match selector {
            0 => return Flow::Halt,
            1 => {
                if let Some(probe) = self.probe.take() {
                    probe.touch();
                }
                let value = context.regs().get(Reg::A0);
                context.set_reg(Reg::A0, value.wrapping_add(7));
            }
            2 => {
                let value = self.nested(context.regs().get(Reg::A0));
                context.set_reg(Reg::A4, value);
            }
            // Without the hook of panics, which would print.
            _ if self.panics => resume_unwind(Box::new(GIVES_UP)),
            _ => {}
        }
        Flow::Continue
    }
}

/// The GS base of this thread.
pub(crate) fn gs() -> u64 {
    const ARCH_GET_GS: i32 = 0x1004;
    let mut base = 0u64;
    // SAFETY: the kernel writes one word, to a variable of that size.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut base) };
    base
}

/// Sets the GS base of this thread.
pub(crate) fn set_gs(base: u64) {
    const ARCH_SET_GS: i32 = 0x1001;
    // SAFETY: nothing on this thread but the engine, which saves it, uses GS.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
}

/// A page that the host cannot read before its handler has opened it.
pub(crate) struct Probe(*mut c_void);

thread_local! {
    // Constant and without a destructor: the handler reads it.
    static PROBED: AtomicUsize = const { AtomicUsize::new(0) };
}

static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Faults that the host's handler has had.
pub(crate) fn handled() -> u64 {
    HANDLED.load(Ordering::Relaxed)
}

impl Probe {
    pub(crate) fn new() -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping wherever there is room.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Self(page)
    }

    /// Reads the page, once through a fault.
    pub(crate) fn touch(&self) {
        PROBED.with(|probed| probed.store(self.0.addr(), Ordering::SeqCst));
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the handler makes the page readable; it is mapped until the drop.
        let byte = unsafe { ptr::read_volatile(self.0.cast::<u8>()) };
        compiler_fence(Ordering::SeqCst);
        let left = PROBED.with(|probed| probed.load(Ordering::SeqCst));
        assert_eq!((byte, left), (0, 0), "the handler was called");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

/// The handler a host has for faults of its own.
pub(crate) fn install_handler() {
    type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);
    // SAFETY: sigaction is plain integers and a signal set; all zeros is a valid value of it.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_fault as Handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler keeps the rules of handlers.
    let result = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0);
}

unsafe extern "C" fn on_fault(_: i32, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel's description of a fault.
    let description = unsafe { &*info };
    // SAFETY: a fault comes with an address.
    let address = unsafe { description.si_addr() };
    if address.addr() != PROBED.with(|probed| probed.swap(0, Ordering::SeqCst)) {
        // SAFETY: ends the process: this fault is nobody's.
        unsafe { libc::abort() };
    }
    HANDLED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the page of the probe, which this thread is reading.
    unsafe { libc::mprotect(address, PAGE, libc::PROT_READ) };
}
