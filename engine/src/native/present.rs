//! The recompiler where there is one.

use super::{Translation, Unavailable};
use crate::call::{AccessError, Call, Host};
use crate::config::{Config, Limits};
use crate::error::{HostError, LoadError};
use crate::interpreted;
use crate::memory::paged::{self, Interpreted};
use crate::memory::{GuestMemory, PageBytes};
use crate::service::{Serviced, service};
use rivet_image::Region;
use rivet_interp::State;
use rivet_isa::{Exit, GuestAddr, PageIndex};
use rivet_jit::{CallKind, CallMemory, CodeCache, CodeCacheConfig, Cpu, Flow, Left, RunError};
use rivet_paging::{AddressSpace, EngineQuota, Layout, MemoryLimits, Tracker, WindowPool};
use std::fmt;
use std::sync::Arc;

/// What all programs of an engine share: windows, code memory, limits.
#[derive(Clone)]
pub(crate) struct Native {
    windows: WindowPool,
    code: Arc<CodeCache>,
    limits: MemoryLimits,
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
        })
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

    fn private_pages(&self) -> Vec<PageIndex> {
        GuestMemory::private_pages(&**self)
    }

    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes)) {
        (**self).visit(see);
    }
}

/// Answers the calls of generated code through the engine's two phases.
struct Adapter<'a> {
    host: &'a mut dyn Host,
    failure: Option<HostError>,
}

impl rivet_jit::Host for Adapter<'_> {
    fn call(&mut self, mut call: rivet_jit::Call<'_>) -> Flow {
        let kind = match call.kind {
            CallKind::Host(selector) => Call::Host { selector },
            CallKind::Kernel => Call::Kernel,
        };
        match service(
            self.host,
            kind,
            call.next_pc,
            call.regs,
            call.gas,
            &mut call.memory,
        ) {
            Ok(Serviced::Continue) => Flow::Continue,
            Ok(Serviced::Exit(exit, pc)) => Flow::Stop(exit, pc),
            Err(error) => {
                self.failure = Some(error);
                Flow::Stop(Exit::Panic, call.next_pc)
            }
        }
    }
}

/// Runs to an exit: generated code, and the interpreter for chunks that have none.
pub(crate) fn run(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    memory: &mut AddressSpace,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    if memory
        .attach(&native.native.windows, Tracker::default())
        .is_err()
    {
        // No window to be had: the interpreter gives the same answer on the same memory.
        return interpreted::run(code, state, &mut Interpreted(memory), host);
    }
    loop {
        let mut adapter = Adapter {
            host: &mut *host,
            failure: None,
        };
        let cpu = Cpu {
            regs: &mut state.regs,
            gas: &mut state.gas,
        };
        let left = native.program.run(cpu, state.pc, memory, &mut adapter);
        if let Some(failure) = adapter.failure {
            return Err(failure);
        }
        match left.map_err(host_error)? {
            Left::Exit(exit, pc) => {
                state.pc = pc;
                return Ok(exit);
            }
            Left::Stepped(pc) => {
                state.pc = pc;
                continue;
            }
            Left::Untranslated(pc) => state.pc = pc,
        }
        // A block that is too long to translate has an entry that only leads here, so one block
        // is interpreted before asking again.
        loop {
            let exit = interpreted::block(code, state, &mut Interpreted(memory), host)?;
            if let Some(exit) = exit {
                return Ok(exit);
            }
            if native.program.prepare(state.pc) {
                break;
            }
        }
    }
}

fn host_error(error: RunError) -> HostError {
    match error {
        RunError::Memory(error) | RunError::Access { error, .. } => HostError::Paging(error),
        other => HostError::Recompiler(other),
    }
}
