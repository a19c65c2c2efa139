//! How execution stops (ISA §11).
//!
//! An exit is a result, never an error: every engine returns this one type, and engines that
//! differ in it are not both conforming. Failures of the host are errors of the engine crate.

use crate::addr::PageIndex;
use core::fmt;

/// Whether the charge of a pending call has been taken already.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Payment {
    /// Nobody has charged for the call; whoever services it must (gas §9.4).
    Unpaid,
    /// The call was charged and the host suspended; it must not be charged again.
    Paid,
}

/// Why a run stopped, with the payload of ISA §11.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// The embedder's convention says the program finished; pc is next_pc of that call.
    Halt,
    /// Reserved encoding, failed transfer of control, end of code or bad entry pc.
    Panic,
    /// A block gate failed (pc: start of the block) or a call could not be paid (pc: the call).
    OutOfGas,
    /// An access to an inaccessible page; pc is the faulting instruction.
    PageFault {
        /// First inaccessible page in access order.
        page: PageIndex,
    },
    /// `ecalli`; pc is next_pc.
    HostCall {
        /// The sign-extended 12-bit selector as the host sees it.
        selector: u32,
        /// Whether the charge has been taken.
        payment: Payment,
    },
    /// `ecall.jar`; pc is next_pc.
    Ecall {
        /// Whether the charge has been taken.
        payment: Payment,
    },
    /// `trap`; pc is its own.
    Trap,
}

impl Exit {
    /// The exit code of ISA §11.1.
    pub const fn code(self) -> u32 {
        match self {
            Self::Halt => 0,
            Self::Panic => 1,
            Self::OutOfGas => 2,
            Self::PageFault { .. } => 3,
            Self::HostCall { .. } => 4,
            Self::Ecall { .. } => 6,
            Self::Trap => 7,
        }
    }

    /// Stable lower-case name, as scripts see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Panic => "panic",
            Self::OutOfGas => "out-of-gas",
            Self::PageFault { .. } => "page-fault",
            Self::HostCall { .. } => "host-call",
            Self::Ecall { .. } => "ecall",
            Self::Trap => "trap",
        }
    }

    /// Whether a run that ended so can never be resumed.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Halt | Self::Panic | Self::PageFault { .. } | Self::Trap
        )
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageFault { page } => write!(f, "page-fault at {page}"),
            Self::HostCall { selector, .. } => write!(f, "host-call {selector:#x}"),
            other => f.write_str(other.name()),
        }
    }
}
