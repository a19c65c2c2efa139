//! The check-and-deduct procedure for calls (gas §9), shared by all backends.

use crate::call::{Call, CallContext, Flow, Host, View};
use crate::error::HostError;
use crate::memory::GuestMemory;
use rivet_isa::gas::CostModel;
use rivet_isa::{Exit, Gas, Payment, Pc, Regs};

/// Bytes of `ecalli` and `ecall.jar`: their own pc is next_pc minus this (ISA §6.13).
const CALL_LEN: u64 = 4;

/// What a serviced call leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Serviced {
    /// The guest goes on at next_pc.
    Continue,
    /// The run exits so, with this pc.
    Exit(Exit, Pc),
}

impl Call {
    /// The call's floor.
    pub(crate) const fn floor(self) -> u64 {
        match self {
            Self::Host { .. } => CostModel::HOST_CALL_FLOOR,
            Self::Kernel => CostModel::MGMT_OP_COST,
        }
    }

    /// The exit that reports this call.
    pub(crate) const fn exit(self, payment: Payment) -> Exit {
        match self {
            Self::Host { selector } => Exit::HostCall { selector, payment },
            Self::Kernel => Exit::Ecall { payment },
        }
    }

    /// The call an exit reports, if it reports one.
    pub(crate) const fn of(exit: Exit) -> Option<(Self, Payment)> {
        match exit {
            Exit::HostCall { selector, payment } => Some((Self::Host { selector }, payment)),
            Exit::Ecall { payment } => Some((Self::Kernel, payment)),
            _ => None,
        }
    }
}

/// The pc of the call whose next_pc this is.
pub(crate) fn own_pc(next_pc: Pc) -> Pc {
    Pc::new(next_pc.value().wrapping_sub(CALL_LEN))
}

/// Quotes, charges and performs one call.
pub(crate) fn service(
    host: &mut dyn Host,
    call: Call,
    next_pc: Pc,
    regs: &mut Regs,
    gas: &mut Gas,
    memory: &mut dyn GuestMemory,
) -> Result<Serviced, HostError> {
    let quote = host.quote(
        call,
        &View {
            regs,
            gas: *gas,
            memory,
        },
    );
    let Some((work, writes)) = quote.priced() else {
        return Ok(Serviced::Exit(call.exit(Payment::Unpaid), next_pc));
    };
    let pages = if writes.is_empty() {
        0
    } else {
        memory.quote_writes(&writes)
    };
    // A sum beyond 64 bits is beyond any gas as well.
    let total = work
        .checked_add(pages)
        .and_then(|extra| extra.checked_add(call.floor()));
    let Some(left) = total.and_then(|total| gas.checked_sub(total)) else {
        return Ok(Serviced::Exit(Exit::OutOfGas, own_pc(next_pc)));
    };
    *gas = left;
    if !writes.is_empty() {
        memory.make_private(&writes)?;
    }
    let flow = host.perform(
        call,
        &mut CallContext {
            regs,
            gas,
            memory,
            writes: &writes,
        },
    );
    Ok(match flow {
        Flow::Continue => Serviced::Continue,
        Flow::Suspend => Serviced::Exit(call.exit(Payment::Paid), next_pc),
        Flow::Halt => Serviced::Exit(Exit::Halt, next_pc),
    })
}
