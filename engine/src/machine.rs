//! One execution of a program.
//!
//! ```text
//!            run ──▶ final exit (Halt, Panic, PageFault, Trap) ──▶ Ended: run repeats the exit
//!   Ready ───┤  ▲
//!     ▲      │  └── OutOfGas (add gas, run again), paid call (run again)
//!     │      └────▶ unpaid call ──▶ Pending: the next run offers it to its host
//!     ├──────────── answered ◀──────────┘
//!     └── Suspended ◀── paid call: the next run goes on behind it
//! ```
//! A failure of the host poisons the machine: nothing but dropping it is left.

use crate::call::{AccessError, Call, Host};
use crate::checked::{self, Pair};
use crate::config::Backend;
use crate::error::{HostError, StartError};
use crate::hash::MemoryHash;
use crate::interpreted;
use crate::memory::{GuestMemory, paged, sparse};
use crate::native;
use crate::program::{Program, Start};
use crate::snapshot::Pending;
use rivet_interp::{SparseMemory, State, Tracer};
use rivet_isa::{Exit, Gas, GuestAddr, PageIndex, Payment, Pc, Reg, Regs};
use rivet_paging::{AddressSpace, Tracker};
use std::fmt;

/// Guest memory, and with it the engine that runs on it.
pub(crate) enum Store {
    Sparse(SparseMemory),
    Paged(Box<AddressSpace>),
    Checked(Box<Pair>),
}

impl Store {
    /// The memory that counts: of a checked machine, the leader's.
    fn guest(&self) -> &dyn GuestMemory {
        match self {
            Self::Sparse(memory) => memory,
            Self::Paged(memory) => &**memory,
            Self::Checked(pair) => &pair.leader,
        }
    }
}

/// How a machine goes on.
enum How<'a, T> {
    /// On its backend, so far.
    To(Reach),
    /// In the interpreter, to the end of the block.
    Traced(&'a mut T),
}

/// How far one call of an engine goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reach {
    /// To the end of the block.
    Block,
    /// To an exit.
    Exit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Ready,
    /// An unpaid call that nobody has answered yet.
    Pending(Call),
    /// A paid call that the host performed and suspended at.
    Suspended(Call),
    Ended(Exit),
    Poisoned,
}

impl Status {
    /// What a machine is after this exit.
    pub(crate) fn after(exit: Exit) -> Self {
        if exit.is_final() {
            return Self::Ended(exit);
        }
        match Call::of(exit) {
            Some((call, Payment::Unpaid)) => Self::Pending(call),
            Some((call, Payment::Paid)) => Self::Suspended(call),
            None => Self::Ready,
        }
    }
}

/// One execution: registers, pc, gas and memory.
pub struct Machine {
    pub(crate) program: Program,
    pub(crate) state: State,
    pub(crate) store: Store,
    pub(crate) status: Status,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("backend", &self.backend())
            .field("state", &self.state)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(program: Program, state: State) -> Self {
        let store = program.0.store();
        Self {
            program,
            state,
            store,
            status: Status::Ready,
        }
    }

    /// The program this machine executes.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The backend that executes it: the interpreter also where that took over for want of host
    /// mappings, see [`fallback`](Self::fallback).
    pub fn backend(&self) -> Backend {
        match self.store {
            Store::Sparse(_) => Backend::Interp,
            Store::Paged(ref memory) if memory.outgrown().is_some() => Backend::Interp,
            Store::Paged(_) => Backend::Jit,
            Store::Checked(_) => Backend::Checked,
        }
    }

    /// Why the machine is interpreted although its engine recompiles, if it is.
    pub fn fallback(&self) -> Option<HostError> {
        match &self.store {
            Store::Sparse(_) => None,
            Store::Paged(memory) => memory.outgrown().map(HostError::Paging),
            Store::Checked(pair) => pair.leader.outgrown().map(HostError::Paging),
        }
    }

    /// How first writes are found now, and why not the faster way, in words.
    pub fn tracking(&self) -> String {
        let memory = match &self.store {
            Store::Sparse(_) => return "in software, page by page".to_owned(),
            Store::Paged(memory) => memory,
            Store::Checked(pair) => &pair.leader,
        };
        match (memory.window(), memory.tracker()) {
            (None, _) => match memory.outgrown() {
                Some(reason) => format!("in software, because {reason}"),
                None => "in software, page by page".to_owned(),
            },
            (_, (Tracker::Windows, _)) => "windows".to_owned(),
            (_, (Tracker::Trap, Some(reason))) => format!("traps, because {reason}"),
            (_, (Tracker::Trap, None)) => "traps".to_owned(),
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

    /// The call the machine is paused behind, if any.
    pub fn pending(&self) -> Option<Pending> {
        let (call, payment) = match self.status {
            Status::Pending(call) => (call, Payment::Unpaid),
            Status::Suspended(call) => (call, Payment::Paid),
            _ => return None,
        };
        Some(Pending { call, payment })
    }

    /// Sets a register: the result of a call that was paid and suspended (ISA §13).
    pub fn set_reg(&mut self, reg: Reg, value: u64) {
        self.state.regs.set(reg, value);
    }

    /// Puts initial contents into data memory: not charged, and the pages stay not private
    /// (gas §12). For arguments, before the run begins.
    ///
    /// # Errors
    /// [`AccessError::Inaccessible`] if a page is not writable; nothing is placed then.
    pub fn place(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        match &mut self.store {
            Store::Sparse(memory) => sparse::place(memory, addr, bytes),
            Store::Paged(memory) => paged::place(memory, addr, bytes),
            Store::Checked(pair) => {
                paged::place(&mut pair.leader, addr, bytes)?;
                sparse::place(&mut pair.follower, addr, bytes)
            }
        }
    }

    /// Copies guest memory from `addr` on, addresses modulo 2^32; code and data alike.
    ///
    /// # Errors
    /// [`AccessError::Inaccessible`] if a page is not mapped; `out` is unchanged then.
    pub fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        self.store.guest().read(addr, out)
    }

    /// The pages that have become private, in ascending order.
    pub fn private_pages(&self) -> Vec<PageIndex> {
        self.store.guest().private_pages()
    }

    /// A hash of all data memory.
    pub fn memory_hash(&self) -> MemoryHash {
        self.store.guest().hash()
    }

    /// Another machine in the same state, sharing every page until one of the two writes it.
    ///
    /// # Errors
    /// [`HostError`] if this machine is poisoned or the copy would pass a memory limit.
    pub fn fork(&mut self) -> Result<Self, HostError> {
        if self.status == Status::Poisoned {
            return Err(HostError::Poisoned);
        }
        let store = match &mut self.store {
            Store::Sparse(memory) => Store::Sparse(memory.fork()),
            Store::Paged(memory) => Store::Paged(Box::new(memory.fork()?)),
            Store::Checked(pair) => {
                let (leader, follower) = (pair.leader.fork()?, pair.follower.fork());
                Store::Checked(Box::new(Pair { leader, follower }))
            }
        };
        let (program, state, status) = (self.program.clone(), self.state, self.status);
        Ok(Self {
            program,
            state,
            store,
            status,
        })
    }

    /// Starts over: no page is private, placed contents are gone, and the state is that of `start`.
    /// Costs what the machine has touched. A machine that failed becomes usable again.
    ///
    /// # Errors
    /// [`StartError`] as for a new machine; nothing has changed then.
    pub fn reset(&mut self, start: Start) -> Result<(), StartError> {
        self.state = self.program.state(start)?;
        self.status = Status::Ready;
        self.store = self.program.0.store();
        Ok(())
    }

    /// Starts over in `state` with the memory wiped in place, which is faster than
    /// [`reset`](Self::reset): no page is private, placed contents are gone. A machine that failed
    /// becomes usable again.
    ///
    /// # Errors
    /// [`HostError`] if memory cannot be had; the machine must be reset then.
    pub fn rewind(&mut self, state: State) -> Result<(), HostError> {
        match &mut self.store {
            Store::Sparse(memory) => memory.reset(),
            Store::Paged(memory) => memory.start_over()?,
            Store::Checked(pair) => {
                pair.leader.start_over()?;
                pair.follower.reset();
            }
        }
        self.state = state;
        self.status = Status::Ready;
        Ok(())
    }

    /// Runs until an exit, offering each call to `host`.
    ///
    /// A call that the host does not answer is the exit; the machine remembers it and the next
    /// run offers it again, so it can be answered by another host but never be skipped. After a
    /// final exit every further run returns the same exit.
    ///
    /// # Errors
    /// [`HostError`] if the host failed. The machine is poisoned then: a validator must stop.
    ///
    /// # Panics
    /// A panic of `host` passes through and poisons the machine too.
    pub fn run(&mut self, host: &mut dyn Host) -> Result<Exit, HostError> {
        loop {
            if let Some(exit) = self.go(How::<()>::To(Reach::Exit), host)? {
                return Ok(exit);
            }
        }
    }

    /// Runs one block, or answers the call that an earlier run left unanswered. `None`: the run
    /// goes on at [`pc`](Self::pc). As many steps as it takes to get an exit are one
    /// [`run`](Self::run), with the same states, only slower.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn step(&mut self, host: &mut dyn Host) -> Result<Option<Exit>, HostError> {
        self.go(How::<()>::To(Reach::Block), host)
    }

    /// [`step`](Self::step) in the interpreter, whatever the backend, with the block and its
    /// instructions shown to `tracer`; the result is the same.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn trace<T: Tracer>(
        &mut self,
        host: &mut dyn Host,
        tracer: &mut T,
    ) -> Result<Option<Exit>, HostError> {
        self.go(How::Traced(tracer), host)
    }

    fn go<T: Tracer>(
        &mut self,
        how: How<'_, T>,
        host: &mut dyn Host,
    ) -> Result<Option<Exit>, HostError> {
        // A call that does not return leaves it so.
        let status = std::mem::replace(&mut self.status, Status::Poisoned);
        let result = self.advance(status, how, host);
        self.status = match result {
            Err(_) => Status::Poisoned,
            Ok(None) => Status::Ready,
            Ok(Some(exit)) => Status::after(exit),
        };
        result
    }

    fn advance<T: Tracer>(
        &mut self,
        status: Status,
        how: How<'_, T>,
        host: &mut dyn Host,
    ) -> Result<Option<Exit>, HostError> {
        match status {
            Status::Poisoned => return Err(HostError::Poisoned),
            Status::Ended(exit) => return Ok(Some(exit)),
            Status::Pending(call) => {
                let exit = self.answer(call, host)?;
                if exit.is_some() || !matches!(how, How::To(Reach::Exit)) {
                    return Ok(exit);
                }
            }
            Status::Ready | Status::Suspended(_) => {}
        }
        self.proceed_by(how, host)
    }

    /// Runs from the pc on, whatever the status.
    pub(crate) fn proceed(
        &mut self,
        reach: Reach,
        host: &mut dyn Host,
    ) -> Result<Option<Exit>, HostError> {
        self.proceed_by(How::<()>::To(reach), host)
    }

    fn proceed_by<T: Tracer>(
        &mut self,
        how: How<'_, T>,
        host: &mut dyn Host,
    ) -> Result<Option<Exit>, HostError> {
        let inner = &*self.program.0;
        let (code, state) = (&inner.interp, &mut self.state);
        match (&mut self.store, inner.native(), how) {
            (Store::Paged(memory), Some(native), How::To(Reach::Exit)) => {
                native::run(native, code, state, memory, host).map(Some)
            }
            (Store::Paged(memory), Some(native), How::To(Reach::Block)) => {
                native::step(native, code, state, memory, host)
            }
            (Store::Paged(memory), Some(_), How::Traced(tracer)) => {
                let mut memory = paged::Interpreted(memory);
                interpreted::traced_block(code, state, &mut memory, host, tracer)
            }
            (Store::Checked(pair), Some(native), How::To(reach)) => {
                let reach = reach.min(inner.check_every);
                checked::run(native, code, state, pair, host, reach, &mut ())
            }
            (Store::Checked(pair), Some(native), How::Traced(tracer)) => {
                checked::run(native, code, state, pair, host, Reach::Block, tracer)
            }
            (Store::Sparse(memory), _, How::Traced(tracer)) => {
                interpreted::traced_block(code, state, memory, host, tracer)
            }
            (Store::Sparse(memory), _, How::To(Reach::Exit)) => {
                interpreted::run(code, state, memory, host).map(Some)
            }
            (Store::Sparse(memory), _, How::To(Reach::Block)) => {
                interpreted::block(code, state, memory, host)
            }
            (_, None, _) => unreachable!("only a native program makes such a store"),
        }
    }

    /// Offers a call that an earlier run left unanswered.
    pub(crate) fn answer(
        &mut self,
        call: Call,
        host: &mut dyn Host,
    ) -> Result<Option<Exit>, HostError> {
        let exit = call.exit(Payment::Unpaid);
        match &mut self.store {
            Store::Sparse(memory) => interpreted::answered(exit, &mut self.state, memory, host),
            Store::Paged(memory) => {
                interpreted::answered(exit, &mut self.state, &mut **memory, host)
            }
            Store::Checked(pair) => checked::serve(exit, &mut self.state, pair, host),
        }
    }
}
