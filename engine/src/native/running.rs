//! A machine that runs generated code, and the interpreter where there is none.
//!
//! ```text
//!              ┌── no native code for the block ──▶ interpreter, block by block ──┐
//!  native code ┤◀─────────────────────────────────────────────────────────────────┘
//!              ├── exit
//!              └── mappings run short ─▶ the window is left, what was begun is finished,
//!                                        and the interpreter goes on to the exit
//! ```
//!
//! Running short happens in front of a block, inside one, or at a call that was charged; nothing of
//! it can be seen by the guest.

use super::WithoutWindow;
use super::present::NativeProgram;
use crate::call::{Call, Host};
use crate::error::HostError;
use crate::interpreted;
use crate::memory::paged::Interpreted;
use crate::service::{Serviced, charge, perform, quote};
use rivet_interp::State;
use rivet_isa::{Exit, Pc};
use rivet_jit::{CallKind, Cpu, Flow, Left, RunError};
use rivet_paging::{AddressSpace, Tracker};
use std::ops::Range;

/// Runs to an exit; then the window goes back if other machines may need it.
pub(crate) fn run(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    let mut running = Running {
        native,
        code,
        state,
        memory,
        host,
    };
    let exit = running.until_exit()?;
    memory.rest()?;
    Ok(exit)
}

/// Runs one block; `None` if the run goes on at `state.pc`.
pub(crate) fn step(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    let mut running = Running {
        native,
        code,
        state,
        memory,
        host,
    };
    running.one_block()
}

/// How far generated code is to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Exit,
    Block,
}

/// How generated code came to an end.
enum Ended {
    Exit(Exit),
    /// In front of the block at `state.pc`.
    Stepped,
    /// In front of the block at `state.pc`, which has no native code.
    Untranslated,
    /// For want of mappings.
    Short(Rest, rivet_paging::HostError),
}

/// What was begun when mappings ran short.
enum Rest {
    /// Nothing: a block starts at `state.pc`.
    Block,
    /// The block around `state.pc`, which has been paid for.
    Inside,
    /// A call.
    Call(Charged),
}

/// A call that is charged and not performed.
struct Charged {
    call: Call,
    next_pc: Pc,
    writes: Vec<Range<u64>>,
}

/// A machine on its way.
struct Running<'a> {
    native: &'a NativeProgram,
    code: &'a rivet_interp::Program,
    state: &'a mut State,
    memory: &'a mut AddressSpace,
    host: &'a mut dyn Host,
}

impl Running<'_> {
    fn until_exit(&mut self) -> Result<Exit, HostError> {
        loop {
            match self.generated(Extent::Exit)? {
                Ended::Exit(exit) => return Ok(exit),
                Ended::Stepped => continue,
                Ended::Untranslated => {}
                Ended::Short(rest, cause) => {
                    return match self.finish(rest, cause)? {
                        Some(exit) => Ok(exit),
                        None => self.interpreted(),
                    };
                }
            }
            // A block that is too long to translate has an entry that only leads here, so one
            // block is interpreted before asking again.
            loop {
                if let Some(exit) = self.interpreted_block()? {
                    return Ok(exit);
                }
                if self.memory.window().is_none() {
                    return self.interpreted();
                }
                if self.native.program.prepare(self.state.pc) {
                    break;
                }
            }
        }
    }

    fn one_block(&mut self) -> Result<Option<Exit>, HostError> {
        let start = self.state.pc;
        match self.generated(Extent::Block)? {
            Ended::Exit(exit) => Ok(Some(exit)),
            // Not a block further: this one has no native code.
            Ended::Untranslated if self.state.pc == start => self.interpreted_block(),
            Ended::Stepped | Ended::Untranslated => Ok(None),
            Ended::Short(rest, cause) => self.finish(rest, cause),
        }
    }

    /// Runs generated code from the block at `state.pc`.
    fn generated(&mut self, extent: Extent) -> Result<Ended, HostError> {
        let native = &self.native.native;
        if let Err(cause) = self.memory.attach(&native.windows, Tracker::default()) {
            // A machine that had a window and outgrew it may end as it went on.
            let had_one = self.memory.outgrown().is_some();
            return match native.without_window {
                WithoutWindow::Fail if !had_one => Err(HostError::NoWindow(cause)),
                _ => Ok(Ended::Short(Rest::Block, cause)),
            };
        }
        let mut adapter = Adapter {
            host: &mut *self.host,
            ended: None,
        };
        let cpu = Cpu {
            regs: &mut self.state.regs,
            gas: &mut self.state.gas,
        };
        let program = &self.native.program;
        let left = match extent {
            Extent::Exit => program.run(cpu, self.state.pc, self.memory, &mut adapter),
            Extent::Block => program.step(cpu, self.state.pc, self.memory, &mut adapter),
        };
        let in_call = adapter.ended;
        if let Some(CallEnd::Failed(error)) = in_call {
            return Err(error);
        }
        let (pc, ended) = match left {
            Ok(Left::Exit(exit, pc)) => (pc, Ended::Exit(exit)),
            Ok(Left::Stepped(pc)) => (pc, Ended::Stepped),
            Ok(Left::Untranslated(pc)) => (pc, Ended::Untranslated),
            Err(RunError::Access { pc, error }) if error.is_shortage() => {
                (pc, Ended::Short(Rest::Inside, error))
            }
            Err(RunError::Gate { pc, error }) if error.is_shortage() => {
                (pc, Ended::Short(Rest::Block, error))
            }
            Err(error) => return Err(host_error(error)),
        };
        self.state.pc = pc;
        Ok(match in_call {
            Some(CallEnd::Short(call, cause)) => Ended::Short(Rest::Call(call), cause),
            _ => ended,
        })
    }

    /// Finishes what was begun without the window; `None` if the run goes on at `state.pc`.
    fn finish(
        &mut self,
        rest: Rest,
        cause: rivet_paging::HostError,
    ) -> Result<Option<Exit>, HostError> {
        self.memory.leave_window(cause)?;
        match rest {
            Rest::Block => self.interpreted_block(),
            Rest::Inside => {
                let mut memory = Interpreted(self.memory);
                interpreted::rest(self.code, self.state, &mut memory, self.host)
            }
            Rest::Call(call) => self.perform(&call),
        }
    }

    fn perform(&mut self, charged: &Charged) -> Result<Option<Exit>, HostError> {
        let Charged {
            call,
            next_pc,
            writes,
        } = charged;
        let State { regs, pc, gas } = &mut *self.state;
        match perform(self.host, *call, *next_pc, regs, gas, self.memory, writes)? {
            Serviced::Continue => {
                *pc = *next_pc;
                Ok(None)
            }
            Serviced::Exit(exit, at) => {
                *pc = at;
                Ok(Some(exit))
            }
        }
    }

    fn interpreted(&mut self) -> Result<Exit, HostError> {
        let mut memory = Interpreted(self.memory);
        interpreted::run(self.code, self.state, &mut memory, self.host)
    }

    fn interpreted_block(&mut self) -> Result<Option<Exit>, HostError> {
        let mut memory = Interpreted(self.memory);
        interpreted::block(self.code, self.state, &mut memory, self.host)
    }
}

/// Answers the calls of generated code through the engine's two phases.
struct Adapter<'a> {
    host: &'a mut dyn Host,
    ended: Option<CallEnd>,
}

/// Why a call stopped the run without an exit of the guest's.
enum CallEnd {
    Failed(HostError),
    /// Its pages could not be made private, so the host has not been asked.
    Short(Charged, rivet_paging::HostError),
}

impl rivet_jit::Host for Adapter<'_> {
    // Into the recompiler's side of the call, and taken apart at once: where its parts are copied in
    // other pieces than they were stored in, the processor waits for longer than the rest takes.
    #[inline(always)]
    fn call(&mut self, jit: rivet_jit::Call<'_>) -> Flow {
        let rivet_jit::Call {
            kind,
            next_pc,
            regs,
            gas,
            mut memory,
        } = jit;
        let call = match kind {
            CallKind::Host(selector) => Call::Host { selector },
            CallKind::Kernel => Call::Kernel,
        };
        let quoted = quote(self.host, call, regs, *gas, &memory);
        if let Err(exit) = charge(&quoted, call, next_pc, gas, &memory) {
            return flow(exit);
        }
        let (memory, writes) = (&mut memory, quoted.writes());
        let failed = match perform(self.host, call, next_pc, regs, gas, memory, writes) {
            Ok(done) => return flow(done),
            Err(error) => error,
        };
        self.ended = Some(match failed {
            HostError::Paging(cause) if cause.is_shortage() => {
                let charged = Charged {
                    call,
                    next_pc,
                    writes: writes.to_vec(),
                };
                CallEnd::Short(charged, cause)
            }
            error => CallEnd::Failed(error),
        });
        Flow::Stop(Exit::Panic, next_pc)
    }
}

fn flow(serviced: Serviced) -> Flow {
    match serviced {
        Serviced::Continue => Flow::Continue,
        Serviced::Exit(exit, pc) => Flow::Stop(exit, pc),
    }
}

fn host_error(error: RunError) -> HostError {
    match error {
        RunError::Memory(error) | RunError::Access { error, .. } | RunError::Gate { error, .. } => {
            HostError::Paging(error)
        }
        other => HostError::Recompiler(other),
    }
}
