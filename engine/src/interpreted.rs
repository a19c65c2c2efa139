//! The interpreter as a backend: its loop with calls answered in between.

use crate::call::{Call, Host};
use crate::error::HostError;
use crate::memory::GuestMemory;
use crate::memory::paged::Interpreted;
use crate::service::{Serviced, service};
use rivet_interp::{Program, RunError, SparseMemory, State, Tracer};
use rivet_isa::Exit;

/// Memory that the interpreter runs on and calls work on.
pub(crate) trait Dual: rivet_interp::Memory<Error: Into<HostError>> {
    /// The same memory as calls see it.
    fn guest(&mut self) -> &mut dyn GuestMemory;
}

impl Dual for SparseMemory {
    fn guest(&mut self) -> &mut dyn GuestMemory {
        self
    }
}

impl Dual for Interpreted<'_> {
    fn guest(&mut self) -> &mut dyn GuestMemory {
        self.0
    }
}

fn host_error<E: Into<HostError>>(error: RunError<E>) -> HostError {
    match error {
        RunError::Memory(error) => error.into(),
        RunError::Reserve { gas, charge } => HostError::Accounting { left: gas, charge },
    }
}

/// Runs to an exit.
pub(crate) fn run<M: Dual>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    loop {
        let exit = rivet_interp::run(program, state, memory).map_err(host_error)?;
        if let Some(exit) = answered(exit, state, memory.guest(), host)? {
            return Ok(exit);
        }
    }
}

/// Runs one block; `None` if the run goes on at `state.pc`.
pub(crate) fn block<M: Dual>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    traced_block(program, state, memory, host, &mut ())
}

/// [`block`] with its instructions shown to a tracer.
pub(crate) fn traced_block<M: Dual, T: Tracer>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    host: &mut dyn Host,
    tracer: &mut T,
) -> Result<Option<Exit>, HostError> {
    let exit = rivet_interp::run_block_traced(program, state, memory, tracer);
    match exit.map_err(host_error)? {
        Some(exit) => {
            let exit = answered(exit, state, memory.guest(), host)?;
            // A call that ends the code belongs to what comes after it (ISA §8.6).
            let ended = exit.is_none() && !program.starts().contains(state.pc);
            Ok(exit.or(ended.then_some(Exit::Panic)))
        }
        None => Ok(None),
    }
}

/// Runs the rest of a block that has been paid for; `None` as for [`block`].
pub(crate) fn rest<M: Dual>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    match rivet_interp::finish_block(program, state, memory).map_err(host_error)? {
        Some(exit) => answered(exit, state, memory.guest(), host),
        None => Ok(None),
    }
}

/// Answers the call that an exit reports; the exit itself if it reports none.
pub(crate) fn answered(
    exit: Exit,
    state: &mut State,
    memory: &mut dyn GuestMemory,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    let Some((call, _)) = Call::of(exit) else {
        return Ok(Some(exit));
    };
    let State { regs, pc, gas } = state;
    match service(host, call, *pc, regs, gas, memory)? {
        Serviced::Continue => Ok(None),
        Serviced::Exit(exit, at) => {
            *pc = at;
            Ok(Some(exit))
        }
    }
}
