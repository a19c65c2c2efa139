//! The recompiler where there is one.

use super::{NativeCode, Translation, Unavailable, WithoutWindow};
use crate::call::{AccessError, Call, Host};
use crate::config::{Config, Limits};
use crate::error::{HostError, LoadError};
use crate::interpreted;
use crate::memory::paged::{self, Interpreted};
use crate::memory::{GuestMemory, PageBytes};
use crate::service::{Serviced, charge, perform};
use rivet_image::Region;
use rivet_interp::State;
use rivet_isa::{Exit, GuestAddr, PageIndex, Pc};
use rivet_jit::{CallKind, CallMemory, CodeCache, CodeCacheConfig, Cpu, Flow, Left, RunError};
use rivet_paging::{AddressSpace, EngineQuota, Layout, MemoryLimits, Tracker, WindowPool};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What all programs of an engine share: windows, code memory, limits.
#[derive(Clone)]
pub(crate) struct Native {
    windows: WindowPool,
    code: Arc<CodeCache>,
    limits: MemoryLimits,
    without_window: WithoutWindow,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Native {
    pub(crate) fn new(limits: &Limits) -> Result<Self, Unavailable> {
        rivet_jit::supported().map_err(Unavailable::System)?;
        let windows = WindowPool::new(limits.idle_windows, limits.mappings);
        windows.probe().map_err(Unavailable::Window)?;
        let code = CodeCache::new(CodeCacheConfig {
            limit: limits.native_code,
        });
        let engine = Arc::new(EngineQuota::new(limits.engine_pages));
        let limits = MemoryLimits {
            machine_pages: limits.machine_pages,
            engine,
        };
        Ok(Self {
            windows,
            code,
            limits,
            without_window: WithoutWindow::Interpret,
        })
    }

    /// The same, for machines that do so when there is no window for them.
    #[must_use]
    pub(crate) fn without_window(self, without_window: WithoutWindow) -> Self {
        Self {
            without_window,
            ..self
        }
    }
}

/// A program ready for translation, with the layout of its memory.
pub(crate) struct NativeProgram {
    native: Native,
    program: rivet_jit::Program,
    layout: Arc<Layout>,
}

impl NativeProgram {
    pub(crate) fn new(
        native: &Native,
        config: &Config,
        code: &rivet_interp::Program,
        regions: &[Region],
    ) -> Result<Self, LoadError> {
        let layout = paged::layout(config, code.code(), regions)?;
        let (bytes, starts) = (Arc::clone(code.code()), Arc::clone(code.starts()));
        let program = rivet_jit::Program::new(bytes, starts, code.costs(), &native.code)
            .map_err(LoadError::Recompiler)?;
        Ok(Self {
            native: native.clone(),
            program,
            layout,
        })
    }

    /// Untouched memory for a machine.
    pub(crate) fn memory(&self) -> AddressSpace {
        AddressSpace::new(Arc::clone(&self.layout), self.native.limits.clone())
    }

    pub(crate) fn translation(&self) -> Translation {
        let totals = self.program.totals();
        Translation {
            guest_bytes: totals.guest_bytes,
            native_bytes: totals.native_bytes,
            refused_chunks: totals.refused_chunks,
            nanoseconds: totals.nanoseconds,
        }
    }

    /// Translates the chunk with the block at `pc`; `false` if that is left to the interpreter.
    pub(crate) fn translate(&self, pc: Pc) -> bool {
        self.program.prepare(pc)
    }

    /// Everything translated so far.
    pub(crate) fn translated(&self) -> Vec<NativeCode> {
        let chunk = |chunk: rivet_jit::NativeChunk| NativeCode {
            address: chunk.address,
            code: chunk.code,
            blocks: chunk.blocks,
            cold: chunk.cold,
        };
        self.program.native().map(chunk).collect()
    }
}

impl GuestMemory for CallMemory<'_> {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        GuestMemory::read(&**self, addr, out)
    }

    fn is_mapped(&self, page: PageIndex) -> bool {
        (**self).is_mapped(page)
    }

    fn write_price(&self, page: PageIndex) -> Option<u64> {
        (**self).write_price(page)
    }

    fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        let written = CallMemory::write(self, paged::address(addr), bytes);
        written.map(drop).map_err(paged::denied)
    }

    fn own(&mut self, page: PageIndex) -> Result<(), HostError> {
        let byte = paged::first_byte(self, page)?;
        paged::owned(CallMemory::write(self, paged::address(page.base()), &byte))
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        GuestMemory::private_pages(&**self)
    }

    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes)) {
        (**self).visit(see);
    }
}

/// A call that is charged but was not performed, for want of mappings for the pages it writes.
struct Unperformed {
    call: Call,
    next_pc: Pc,
    writes: Vec<Range<u64>>,
    cause: rivet_paging::HostError,
}

/// Answers the calls of generated code through the engine's two phases.
struct Adapter<'a> {
    host: &'a mut dyn Host,
    failure: Option<HostError>,
    unperformed: Option<Unperformed>,
}

impl rivet_jit::Host for Adapter<'_> {
    fn call(&mut self, mut jit: rivet_jit::Call<'_>) -> Flow {
        let next_pc = jit.next_pc;
        let call = match jit.kind {
            CallKind::Host(selector) => Call::Host { selector },
            CallKind::Kernel => Call::Kernel,
        };
        let writes = match charge(self.host, call, next_pc, jit.regs, jit.gas, &jit.memory) {
            Ok(writes) => writes,
            Err(exit) => return flow(exit),
        };
        let memory = &mut jit.memory;
        match perform(self.host, call, next_pc, jit.regs, jit.gas, memory, &writes) {
            Ok(done) => flow(done),
            // Its pages could not be made private, so the host has not been asked.
            Err(HostError::Paging(cause)) if cause.is_shortage() => {
                self.unperformed = Some(Unperformed {
                    call,
                    next_pc,
                    writes,
                    cause,
                });
                Flow::Stop(Exit::Panic, next_pc)
            }
            Err(error) => {
                self.failure = Some(error);
                Flow::Stop(Exit::Panic, next_pc)
            }
        }
    }
}

fn flow(serviced: Serviced) -> Flow {
    match serviced {
        Serviced::Continue => Flow::Continue,
        Serviced::Exit(exit, pc) => Flow::Stop(exit, pc),
    }
}

/// Where a run that left its window goes on in the interpreter.
enum Rest {
    /// At `state.pc`, the start of a block.
    Block,
    /// At `state.pc`, inside a block that has been paid for.
    Inside,
}

/// Runs to an exit; then the window goes back if other machines may need it.
pub(crate) fn run(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    let exit = run_attached(native, code, state, memory, host)?;
    memory.rest()?;
    Ok(exit)
}

/// Runs to an exit: generated code, and the interpreter for chunks that have none.
fn run_attached(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    if let Err(cause) = memory.attach(&native.native.windows, Tracker::default()) {
        // A machine that had a window and outgrew it may end as it went on.
        if memory.outgrown().is_none() && native.native.without_window == WithoutWindow::Fail {
            return Err(HostError::NoWindow(cause));
        }
        memory.leave_window(cause)?;
        return interpreted::run(code, state, &mut Interpreted(memory), host);
    }
    loop {
        let mut adapter = Adapter {
            host: &mut *host,
            failure: None,
            unperformed: None,
        };
        let cpu = Cpu {
            regs: &mut state.regs,
            gas: &mut state.gas,
        };
        let left = native.program.run(cpu, state.pc, memory, &mut adapter);
        let unperformed = adapter.unperformed;
        if let Some(failure) = adapter.failure {
            return Err(failure);
        }
        match left {
            Ok(Left::Exit(exit, pc)) => {
                state.pc = pc;
                return match unperformed {
                    Some(call) => resume_call(call, code, state, memory, host),
                    None => Ok(exit),
                };
            }
            Ok(Left::Stepped(pc)) => {
                state.pc = pc;
                continue;
            }
            Ok(Left::Untranslated(pc)) => state.pc = pc,
            Err(RunError::Access { pc, error }) if error.is_shortage() => {
                state.pc = pc;
                return resume(Rest::Inside, error, code, state, memory, host);
            }
            Err(RunError::Gate { pc, error }) if error.is_shortage() => {
                state.pc = pc;
                return resume(Rest::Block, error, code, state, memory, host);
            }
            Err(error) => return Err(host_error(error)),
        }
        // A block that is too long to translate has an entry that only leads here, so one block
        // is interpreted before asking again.
        loop {
            let exit = interpreted::block(code, state, &mut Interpreted(memory), host)?;
            if let Some(exit) = exit {
                return Ok(exit);
            }
            if memory.window().is_none() {
                return interpreted::run(code, state, &mut Interpreted(memory), host);
            }
            if native.program.prepare(state.pc) {
                break;
            }
        }
    }
}

/// Runs one block; `None` if the run goes on at `state.pc`.
pub(crate) fn step(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    if let Err(cause) = memory.attach(&native.native.windows, Tracker::default()) {
        if memory.outgrown().is_none() && native.native.without_window == WithoutWindow::Fail {
            return Err(HostError::NoWindow(cause));
        }
        return finish_block(Rest::Block, cause, code, state, memory, host);
    }
    let start = state.pc;
    let mut adapter = Adapter {
        host: &mut *host,
        failure: None,
        unperformed: None,
    };
    let cpu = Cpu {
        regs: &mut state.regs,
        gas: &mut state.gas,
    };
    let left = native.program.step(cpu, start, memory, &mut adapter);
    let unperformed = adapter.unperformed;
    if let Some(failure) = adapter.failure {
        return Err(failure);
    }
    match left {
        Ok(Left::Exit(exit, pc)) => {
            state.pc = pc;
            match unperformed {
                Some(call) => finish_call(call, state, memory, host),
                None => Ok(Some(exit)),
            }
        }
        // Not a block further: this one has no native code.
        Ok(Left::Untranslated(pc)) if pc == start => {
            interpreted::block(code, state, &mut Interpreted(memory), host)
        }
        Ok(Left::Stepped(pc) | Left::Untranslated(pc)) => {
            state.pc = pc;
            Ok(None)
        }
        Err(RunError::Access { pc, error }) if error.is_shortage() => {
            state.pc = pc;
            finish_block(Rest::Inside, error, code, state, memory, host)
        }
        Err(RunError::Gate { pc, error }) if error.is_shortage() => {
            state.pc = pc;
            finish_block(Rest::Block, error, code, state, memory, host)
        }
        Err(error) => Err(host_error(error)),
    }
}

/// Goes on in the interpreter because the window can have no more mappings.
fn resume(
    rest: Rest,
    cause: rivet_paging::HostError,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    match finish_block(rest, cause, code, state, memory, host)? {
        Some(exit) => Ok(exit),
        None => interpreted::run(code, state, &mut Interpreted(memory), host),
    }
}

/// Runs a block, or the rest of it, in the interpreter because the window can have no more
/// mappings; `None` if the run goes on at `state.pc`.
fn finish_block(
    rest: Rest,
    cause: rivet_paging::HostError,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    memory.leave_window(cause)?;
    let mut memory = Interpreted(memory);
    match rest {
        Rest::Block => interpreted::block(code, state, &mut memory, host),
        Rest::Inside => interpreted::rest(code, state, &mut memory, host),
    }
}

/// Performs a call that found no mappings, and goes on in the interpreter.
fn resume_call(
    unperformed: Unperformed,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    match finish_call(unperformed, state, memory, host)? {
        Some(exit) => Ok(exit),
        None => interpreted::run(code, state, &mut Interpreted(memory), host),
    }
}

/// Performs a call that found no mappings; `None` if the run goes on at `state.pc`.
fn finish_call(
    unperformed: Unperformed,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    let Unperformed {
        call,
        next_pc,
        writes,
        cause,
    } = unperformed;
    memory.leave_window(cause)?;
    let State { regs, pc, gas } = state;
    match perform(host, call, next_pc, regs, gas, memory, &writes)? {
        Serviced::Continue => {
            *pc = next_pc;
            Ok(None)
        }
        Serviced::Exit(exit, at) => {
            *pc = at;
            Ok(Some(exit))
        }
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
