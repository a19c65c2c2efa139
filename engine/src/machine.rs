//! One execution of a program.
//!
//! ```text
//!            run ──▶ final exit (Halt, Panic, PageFault, Trap) ──▶ Ended: run repeats the exit
//!   Ready ───┤  ▲
//!     ▲      │  └── OutOfGas (add gas, run again), paid call (run again)
//!     │      └────▶ unpaid call ──▶ Pending: the next run offers it to its host
//!     └──────────── answered ◀──────────┘
//! ```
//! A failure of the host poisons the machine: nothing but dropping it is left.

use crate::call::{AccessError, Call, Host};
use crate::config::Backend;
use crate::error::HostError;
use crate::hash::MemoryHash;
use crate::memory::Memory;
use crate::program::Program;
use crate::service::{Serviced, service};
use rivet_interp::State;
use rivet_isa::{Exit, Gas, GuestAddr, PageIndex, Payment, Pc, Regs};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Ready,
    /// An unpaid call that nobody has answered yet.
    Pending(Call),
    Ended(Exit),
    Poisoned,
}

/// One execution: registers, pc, gas and memory.
#[derive(Debug)]
pub struct Machine {
    program: Program,
    state: State,
    memory: Memory,
    status: Status,
}

impl Machine {
    pub(crate) fn new(program: Program, memory: Memory, regs: Regs, pc: Pc, gas: Gas) -> Self {
        let state = State { regs, pc, gas };
        Self {
            program,
            state,
            memory,
            status: Status::Ready,
        }
    }

    /// The program this machine executes.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The backend that executes it.
    pub fn backend(&self) -> Backend {
        match self.memory {
            Memory::Sparse(_) => Backend::Interp,
        }
    }

    /// The registers.
    pub fn regs(&self) -> &Regs {
        &self.state.regs
    }

    /// The pc: where the next run goes on, or what ISA §11.1 says for the last exit.
    pub fn pc(&self) -> Pc {
        self.state.pc
    }

    /// Gas left.
    pub fn gas(&self) -> Gas {
        self.state.gas
    }

    /// Gives the machine other gas, for example to go on after OutOfGas.
    pub fn set_gas(&mut self, gas: Gas) {
        self.state.gas = gas;
    }

    /// Puts initial contents into data memory: not charged, and the pages stay not private
    /// (gas §12). For arguments, before the run begins.
    ///
    /// # Errors
    /// [`AccessError::Inaccessible`] if a page is not writable; nothing is placed then.
    pub fn place(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        self.memory.place(addr, bytes)
    }

    /// Copies guest memory from `addr` on, addresses modulo 2^32; code and data alike.
    ///
    /// # Errors
    /// [`AccessError::Inaccessible`] if a page is not mapped; `out` is unchanged then.
    pub fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        self.memory.read(addr, out)
    }

    /// The pages that have become private, in ascending order.
    pub fn private_pages(&self) -> Vec<PageIndex> {
        self.memory.private_pages()
    }

    /// A hash of all data memory.
    pub fn memory_hash(&self) -> MemoryHash {
        self.memory.hash()
    }

    /// Runs until an exit, offering each call to `host`.
    ///
    /// A call that the host does not answer is the exit; the machine remembers it and the next
    /// run offers it again, so it can be answered by another host but never be skipped. After a
    /// final exit every further run returns the same exit.
    ///
    /// # Errors
    /// [`HostError`] if the host failed. The machine is poisoned then: a validator must stop.
    pub fn run(&mut self, host: &mut dyn Host) -> Result<Exit, HostError> {
        let result = self.advance(host);
        self.status = match result {
            Err(_) => Status::Poisoned,
            Ok(exit) if exit.is_final() => Status::Ended(exit),
            Ok(exit) => match Call::of(exit) {
                Some((call, Payment::Unpaid)) => Status::Pending(call),
                _ => Status::Ready,
            },
        };
        result
    }

    fn advance(&mut self, host: &mut dyn Host) -> Result<Exit, HostError> {
        let mut pending = match self.status {
            Status::Poisoned => return Err(HostError::Poisoned),
            Status::Ended(exit) => return Ok(exit),
            Status::Pending(call) => Some(call),
            Status::Ready => None,
        };
        loop {
            let call = match pending.take() {
                Some(call) => call,
                None => {
                    let exit = self.execute()?;
                    match Call::of(exit) {
                        Some((call, _)) => call,
                        None => return Ok(exit),
                    }
                }
            };
            let State { regs, pc, gas } = &mut self.state;
            match service(host, call, *pc, regs, gas, &mut self.memory)? {
                Serviced::Continue => {}
                Serviced::Exit(exit, at) => {
                    *pc = at;
                    return Ok(exit);
                }
            }
        }
    }

    /// Runs to the next exit or call.
    fn execute(&mut self) -> Result<Exit, HostError> {
        let program = &self.program.0.interp;
        match &mut self.memory {
            Memory::Sparse(memory) => {
                rivet_interp::run(program, &mut self.state, memory).map_err(HostError::from)
            }
        }
    }
}
