//! A program: code, block starts, costs, and what is translated of it.

use std::sync::Arc;

use rivet_isa::gas::FrameCosts;
use rivet_isa::{BlockStarts, MAX_CODE_SIZE, Pc};
use rivet_paging::SignalCheck;

use crate::memory::{CodeCache, MemoryError};
use crate::process::PerProcess;
use crate::translation::{Entry, Translation};

/// A program that can be run by any number of threads at once.
///
/// Its code memory lives as long as it does; a run borrows it.
#[derive(Debug)]
pub struct Program {
    source: Arc<Source>,
    cache: Arc<CodeCache>,
    translation: PerProcess<Option<Translation>>,
}

/// What a program is made of.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) code: Arc<[u8]>,
    pub(crate) starts: Arc<BlockStarts>,
    pub(crate) costs: FrameCosts,
    pub(crate) gates: Gates,
}

/// Whether blocks are charged when they are entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
pub enum Gates {
    /// As gas §4 says.
    Exact,
    /// Never, so that the cost of charging can be measured. Gas then says nothing, and a loop
    /// without end is one: for benchmarks, and for programs that are known to end.
    LeftOut,
}

/// The native code of a chunk, as tools show it.
#[derive(Clone, Debug)]
pub struct NativeChunk {
    /// Where it lies in memory.
    pub address: u64,
    /// A copy of it.
    pub code: Vec<u8>,
    /// Its blocks and their offsets in the code, ascending.
    pub blocks: Vec<(Pc, u32)>,
    /// Offset of the first cold site; what lies behind is calls of the runtime.
    pub cold: u32,
    /// Address of the program's dispatch table, which the code refers to.
    pub table: u64,
}

/// What translation has cost so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Bytes of guest code translated.
    pub guest_bytes: u64,
    /// Guest instructions translated.
    pub instructions: u64,
    /// Bytes of native code.
    pub native_bytes: u64,
    /// Bytes of side tables: what faults and cold calls are looked up in.
    pub side_bytes: u64,
    /// Chunks left to the interpreter.
    pub refused_chunks: u64,
    /// Time spent, in nanoseconds.
    pub nanoseconds: u64,
}

/// Why a program cannot be prepared for translation.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Longer than ISA §4 allows.
    #[error("code of {len} bytes is longer than {MAX_CODE_SIZE}")]
    TooLong {
        /// Length in bytes.
        len: usize,
    },
    /// No memory for its dispatch table.
    #[error("dispatch table: {0}")]
    Memory(#[from] MemoryError),
}

impl Program {
    /// Prepares `code` for lazy translation; `starts` are its block starts. Costs no time in
    /// proportion to the code.
    ///
    /// # Errors
    /// [`ProgramError`], with the sizes in question.
    pub fn new(
        code: Arc<[u8]>,
        starts: Arc<BlockStarts>,
        costs: FrameCosts,
        cache: &Arc<CodeCache>,
    ) -> Result<Self, ProgramError> {
        Self::with_gates(code, starts, costs, cache, Gates::Exact)
    }

    /// [`Program::new`] for benchmarks of the gates.
    ///
    /// # Errors
    /// [`ProgramError`], with the sizes in question.
    #[doc(hidden)]
    pub fn with_gates(
        code: Arc<[u8]>,
        starts: Arc<BlockStarts>,
        costs: FrameCosts,
        cache: &Arc<CodeCache>,
        gates: Gates,
    ) -> Result<Self, ProgramError> {
        let len = code.len();
        if len as u64 > MAX_CODE_SIZE {
            return Err(ProgramError::TooLong { len });
        }
        let source = Arc::new(Source {
            code,
            starts,
            costs,
            gates,
        });
        let translation = PerProcess::new(Some(Translation::new(&source, cache.pool())?));
        Ok(Self {
            source,
            cache: Arc::clone(cache),
            translation,
        })
    }

    /// The code.
    pub fn code(&self) -> &[u8] {
        &self.source.code
    }

    /// The cost parameters the gates were made with.
    pub fn costs(&self) -> FrameCosts {
        self.source.costs
    }

    /// When its runs look at the host's signal handling.
    pub(crate) fn signals(&self) -> SignalCheck {
        self.cache.config().signals
    }

    /// What translation has cost so far, in this process.
    pub fn totals(&self) -> Totals {
        self.translation()
            .map_or_else(Totals::default, Translation::totals)
    }

    /// Makes sure that the block at `pc` is translated, with the rest of its chunk; `false` if no
    /// block starts there or it is left to the interpreter.
    pub fn prepare(&self, pc: Pc) -> bool {
        let translation = self.translation();
        translation.is_some_and(|t| matches!(t.entry(pc), Entry::Native(_)))
    }

    /// What is translated so far, for tools: one item per chunk, ascending.
    pub fn native(&self) -> impl Iterator<Item = NativeChunk> + '_ {
        self.translation().into_iter().flat_map(Translation::native)
    }

    /// The translation of this process. `None` if a forked child has no memory for its own.
    pub(crate) fn translation(&self) -> Option<&Translation> {
        let make = || Translation::new(&self.source, self.cache.pool()).ok();
        self.translation.get(make).as_ref()
    }
}
