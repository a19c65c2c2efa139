//! The check-and-deduct procedure for calls (gas §9), shared by all backends.

use crate::call::{Call, CallContext, Flow, Host, Quote, View};
use crate::error::HostError;
use crate::memory::GuestMemory;
use rivet_isa::gas::CostModel;
use rivet_isa::{Exit, Gas, Payment, Pc, Regs};
use rivet_mutants::mutant;
use std::ops::Range;

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
    let quoted = quote(host, call, regs, *gas, memory);
    match charge(&quoted, call, next_pc, gas, memory) {
        Ok(()) => perform(host, call, next_pc, regs, gas, memory, quoted.writes()),
        Err(exit) => Ok(exit),
    }
}

/// Asks what a call costs.
#[inline]
pub(crate) fn quote(
    host: &dyn Host,
    call: Call,
    regs: &Regs,
    gas: Gas,
    memory: &dyn GuestMemory,
) -> Quote {
    let gas = mutant!(
        CallViewGas,
        gas,
        gas.checked_sub(call.floor()).unwrap_or(gas)
    );
    host.quote(call, &View { regs, gas, memory })
}

/// Takes the charge of a call, or says where it ends unpaid. The quote stays where the host put it:
/// a processor waits for what was just stored before it can copy it in other pieces.
#[inline]
pub(crate) fn charge(
    quote: &Quote,
    call: Call,
    next_pc: Pc,
    gas: &mut Gas,
    memory: &dyn GuestMemory,
) -> Result<(), Serviced> {
    let Some((work, writes)) = quote.priced() else {
        return Err(Serviced::Exit(call.exit(Payment::Unpaid), next_pc));
    };
    let pages = if writes.is_empty() {
        0
    } else {
        mutant!(CallPagesFree, memory.quote_writes(writes), 0)
    };
    // A sum beyond 64 bits is beyond any gas as well.
    let total = work
        .checked_add(pages)
        .and_then(|extra| extra.checked_add(call.floor()));
    match total.and_then(|total| gas.checked_sub(total)) {
        Some(left) => *gas = left,
        None => {
            let floor = mutant!(CallHalfPaid, 0, call.floor());
            *gas = gas.checked_sub(floor).unwrap_or(*gas);
            let pc = mutant!(CallRefusedPc, own_pc(next_pc), next_pc);
            return Err(Serviced::Exit(Exit::OutOfGas, pc));
        }
    }
    Ok(())
}

/// Performs a call that has been charged, the pages of `writes` included. If those cannot be made
/// private nothing has been performed, and it can be tried again.
#[inline]
pub(crate) fn perform(
    host: &mut dyn Host,
    call: Call,
    next_pc: Pc,
    regs: &mut Regs,
    gas: &mut Gas,
    memory: &mut dyn GuestMemory,
    writes: &[Range<u64>],
) -> Result<Serviced, HostError> {
    if !writes.is_empty() && mutant!(CallPagesClean, true, false) {
        memory.make_private(writes)?;
    }
    let flow = host.perform(
        call,
        &mut CallContext {
            regs,
            gas,
            memory,
            writes,
        },
    );
    Ok(match flow {
        Flow::Continue => Serviced::Continue,
        Flow::Suspend => {
            let payment = mutant!(CallPaidAgain, Payment::Paid, Payment::Unpaid);
            Serviced::Exit(call.exit(payment), next_pc)
        }
        Flow::Halt => Serviced::Exit(Exit::Halt, next_pc),
    })
}
