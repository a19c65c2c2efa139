//! The interrupted processor state, as the handler of a scope may see and change it.

use std::ptr::NonNull;

use crate::page::HostAddr;

/// The signal a fault came as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultSignal {
    /// SIGSEGV: the page is not mapped for this access.
    Segv,
    /// SIGBUS: the page is mapped but its content cannot be had.
    Bus,
    /// SIGFPE: an arithmetic trap, which generated code must never cause.
    Fpe,
}

/// A general register of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub enum HostReg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl HostReg {
    /// The register that instructions encode as `number`, 0 to 15.
    pub const fn from_number(number: u8) -> Option<Self> {
        const ALL: [HostReg; 16] = [
            HostReg::Rax,
            HostReg::Rcx,
            HostReg::Rdx,
            HostReg::Rbx,
            HostReg::Rsp,
            HostReg::Rbp,
            HostReg::Rsi,
            HostReg::Rdi,
            HostReg::R8,
            HostReg::R9,
            HostReg::R10,
            HostReg::R11,
            HostReg::R12,
            HostReg::R13,
            HostReg::R14,
            HostReg::R15,
        ];
        if (number as usize) < ALL.len() {
            Some(ALL[number as usize])
        } else {
            None
        }
    }

    /// Its place in the kernel's register array.
    const fn slot(self) -> usize {
        let slot = match self {
            Self::Rax => libc::REG_RAX,
            Self::Rcx => libc::REG_RCX,
            Self::Rdx => libc::REG_RDX,
            Self::Rbx => libc::REG_RBX,
            Self::Rsp => libc::REG_RSP,
            Self::Rbp => libc::REG_RBP,
            Self::Rsi => libc::REG_RSI,
            Self::Rdi => libc::REG_RDI,
            Self::R8 => libc::REG_R8,
            Self::R9 => libc::REG_R9,
            Self::R10 => libc::REG_R10,
            Self::R11 => libc::REG_R11,
            Self::R12 => libc::REG_R12,
            Self::R13 => libc::REG_R13,
            Self::R14 => libc::REG_R14,
            Self::R15 => libc::REG_R15,
        };
        slot as usize
    }
}

/// A fault in progress: why it happened and the registers execution will go on with.
pub struct FaultFrame {
    signal: FaultSignal,
    code: i32,
    address: HostAddr,
    context: NonNull<libc::ucontext_t>,
}

/// The bit of the page-fault error code that tells a store from a load.
const ERROR_WRITE: u64 = 1 << 1;

impl FaultFrame {
    /// The frame of a signal, if it is one of ours.
    ///
    /// # Safety
    /// `info` and `context` must be what the kernel passed to a handler installed with SA_SIGINFO,
    /// and nobody else may use `*context` while the frame lives.
    pub(super) unsafe fn new(
        signal: i32,
        info: *mut libc::siginfo_t,
        context: *mut libc::ucontext_t,
    ) -> Option<Self> {
        let signal = match signal {
            libc::SIGSEGV => FaultSignal::Segv,
            libc::SIGBUS => FaultSignal::Bus,
            libc::SIGFPE => FaultSignal::Fpe,
            _ => return None,
        };
        // SAFETY: valid by the contract of this function.
        let info = unsafe { info.as_ref() }?;
        // SAFETY: every member of the union is plain integers, so reading one the kernel did not
        // write for this signal gives a number without meaning, not undefined behaviour.
        let address = unsafe { info.si_addr() };
        Some(Self {
            signal,
            code: info.si_code,
            address: HostAddr::of(address),
            context: NonNull::new(context)?,
        })
    }

    fn registers(&self) -> &[i64; 23] {
        // SAFETY: `new` was promised a valid context that nobody else uses while self lives.
        unsafe { &(*self.context.as_ptr()).uc_mcontext.gregs }
    }

    fn registers_mut(&mut self) -> &mut [i64; 23] {
        // SAFETY: as in `registers`, and `self` is borrowed exclusively.
        unsafe { &mut (*self.context.as_ptr()).uc_mcontext.gregs }
    }

    /// The signal stack the thread had when the signal arrived.
    pub(super) fn signal_stack(&self) -> &libc::stack_t {
        // SAFETY: `new` was promised a valid context that nobody else uses while self lives.
        unsafe { &(*self.context.as_ptr()).uc_stack }
    }

    /// The signal.
    pub const fn signal(&self) -> FaultSignal {
        self.signal
    }

    /// `si_code`: what exactly happened.
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// `si_addr`. For a straddling access it may lie in either page: a hint, not the answer.
    pub const fn fault_address(&self) -> HostAddr {
        self.address
    }

    /// Whether the processor says that it was storing. Meaningful for page faults only.
    pub fn was_write(&self) -> bool {
        self.registers()[libc::REG_ERR as usize] as u64 & ERROR_WRITE != 0
    }

    /// Where execution was interrupted and will go on.
    pub fn pc(&self) -> HostAddr {
        HostAddr::new(self.registers()[libc::REG_RIP as usize] as usize)
    }

    /// Lets execution go on at `pc` instead.
    pub fn set_pc(&mut self, pc: HostAddr) {
        self.registers_mut()[libc::REG_RIP as usize] = pc.value() as i64;
    }

    /// The value of a register.
    pub fn reg(&self, reg: HostReg) -> u64 {
        self.registers()[reg.slot()] as u64
    }

    /// Changes the value a register will have.
    pub fn set_reg(&mut self, reg: HostReg, value: u64) {
        self.registers_mut()[reg.slot()] = value as i64;
    }

    /// Whether the processor raised it at this place: not sent by a process, not a general
    /// protection fault, not a memory error of the machine.
    pub(super) const fn is_genuine(&self) -> bool {
        const SEGV_MAPERR: i32 = 1;
        const SEGV_ACCERR: i32 = 2;
        match self.signal {
            FaultSignal::Segv => self.code == SEGV_MAPERR || self.code == SEGV_ACCERR,
            FaultSignal::Bus => self.code == libc::BUS_ADRERR,
            FaultSignal::Fpe => self.code > 0,
        }
    }
}
