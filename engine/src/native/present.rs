//! The recompiler where there is one: what an engine and a program hold for it.

use super::{NativeCode, Translation, Unavailable, WithoutWindow};
use crate::call::AccessError;
use crate::config::{Config, Limits};
use crate::error::{HostError, LoadError};
use crate::memory::paged;
use crate::memory::{GuestMemory, PageBytes};
use rivet_image::Region;
use rivet_isa::{GuestAddr, PageIndex, Pc};
use rivet_jit::{CallMemory, CodeCache, CodeCacheConfig};
use rivet_paging::{AddressSpace, EngineQuota, Layout, MemoryLimits, SignalCheck, WindowPool};
use std::fmt;
use std::sync::Arc;

/// What all programs of an engine share: windows, code memory, limits.
#[derive(Clone)]
pub(crate) struct Native {
    pub(super) windows: WindowPool,
    code: Arc<CodeCache>,
    limits: MemoryLimits,
    pub(super) without_window: WithoutWindow,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Native {
    pub(crate) fn new(limits: &Limits, signals: SignalCheck) -> Result<Self, Unavailable> {
        rivet_jit::supported().map_err(Unavailable::System)?;
        let windows = WindowPool::new(limits.idle_windows, limits.mappings);
        windows.probe().map_err(Unavailable::Window)?;
        let code = CodeCache::new(CodeCacheConfig {
            limit: limits.native_code,
            signals,
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
    pub(super) native: Native,
    pub(super) program: rivet_jit::Program,
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
