//! A program and its translation, made chunk by chunk as blocks are reached.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rivet_isa::gas::FrameCosts;
use rivet_isa::{BlockStarts, MAX_CODE_SIZE, Pc};

use crate::chunk::Chunk;
use crate::lower::Constants;
use crate::memory::{CodeCache, MemoryError, Table};
use crate::translate::{CHUNK_SHIFT, Request, TooLarge, Translator};

/// Native bytes a chunk may take for each guest byte, and in any case.
const CHUNK_RATIO: usize = 40;
const CHUNK_FLOOR: usize = 16 << 10;

/// Native bytes a program may take for each guest byte, and in any case. Past it, chunks that
/// are not translated yet are left to the interpreter.
const PROGRAM_RATIO: u64 = 8;
const PROGRAM_FLOOR: u64 = 4 << 20;

/// Where a transfer to an offset leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// To this native address.
    Native(u32),
    /// To a block that the interpreter has to run.
    Untranslated,
    /// Nowhere.
    NotAStart,
}

/// What became of a chunk; `None`: it was too large or memory ran out.
type Outcome = Option<Box<Chunk>>;

/// A program that can be run by any number of threads at once.
///
/// Its code memory lives as long as it does; a run borrows it.
#[derive(Debug)]
pub struct Program {
    code: Arc<[u8]>,
    starts: Arc<BlockStarts>,
    costs: FrameCosts,
    cache: Arc<CodeCache>,
    table: Table,
    chunks: Box<[OnceLock<Outcome>]>,
    translating: Mutex<Totals>,
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
    /// Offset of the first cold call; what lies behind is calls of the runtime.
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
        let len = code.len();
        if len as u64 > MAX_CODE_SIZE {
            return Err(ProgramError::TooLong { len });
        }
        let table = Table::new(len as u32)?;
        let chunks = (0..len.div_ceil(1 << CHUNK_SHIFT))
            .map(|_| OnceLock::new())
            .collect();
        let (cache, translating) = (Arc::clone(cache), Mutex::default());
        Ok(Self {
            code,
            starts,
            costs,
            cache,
            table,
            chunks,
            translating,
        })
    }

    /// The code.
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// The cost parameters the gates were made with.
    pub fn costs(&self) -> FrameCosts {
        self.costs
    }

    /// What translation has cost so far.
    pub fn totals(&self) -> Totals {
        *self
            .translating
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the block at `pc` is translated, with the rest of its chunk; `false` if no
    /// block starts there or it is left to the interpreter.
    pub fn prepare(&self, pc: Pc) -> bool {
        matches!(self.entry(pc), Entry::Native(_))
    }

    /// What is translated so far, for tools: one item per chunk, ascending.
    pub fn native(&self) -> impl Iterator<Item = NativeChunk> + '_ {
        let numbers = 0..self.chunks.len();
        numbers.filter_map(|number| {
            let chunk = self.chunk(number)?;
            let first = (number as u64) << CHUNK_SHIFT;
            let starts = self.starts.from(Pc::new(first));
            let starts = starts.take_while(|pc| pc.value() < first + (1 << CHUNK_SHIFT));
            let blocks = starts.filter_map(|pc| {
                let address = self.table.get(pc.value() as u32)?;
                Some((pc, address - chunk.code.address()))
            });
            Some(NativeChunk {
                address: u64::from(chunk.code.address()),
                blocks: blocks.collect(),
                cold: chunk.tables.cold,
                code: chunk.code.bytes(),
                table: u64::from(self.table.address()),
            })
        })
    }

    /// Index of the dispatch table's entry that stands for everything outside the code.
    pub(crate) fn clamp(&self) -> u64 {
        u64::from(self.table.limit())
    }

    /// A translated chunk.
    pub(crate) fn chunk(&self, number: usize) -> Option<&Chunk> {
        self.chunks.get(number)?.get()?.as_deref()
    }

    /// The guest instruction whose access is at native address `address`.
    pub(crate) fn trap(&self, address: u64) -> Option<u32> {
        let mut chunks = self
            .chunks
            .iter()
            .filter_map(|chunk| chunk.get()?.as_deref());
        chunks
            .find(|chunk| chunk.code.contains(address))?
            .trap(address)
    }

    /// Whether a native address lies in the program's code. Takes no lock.
    pub(crate) fn owns(&self, address: u64) -> bool {
        let mut chunks = self
            .chunks
            .iter()
            .filter_map(|chunk| chunk.get()?.as_deref());
        chunks.any(|chunk| chunk.code.contains(address))
    }

    /// Where a transfer to `pc` leads, translating its chunk if that has not happened yet.
    pub(crate) fn entry(&self, pc: Pc) -> Entry {
        let Some(offset) = u32::try_from(pc.value())
            .ok()
            .filter(|_| self.starts.contains(pc))
        else {
            return Entry::NotAStart;
        };
        if let Some(address) = self.table.get(offset) {
            return Entry::Native(address);
        }
        let number = offset >> CHUNK_SHIFT;
        let Some(chunk) = self.chunks.get(number as usize) else {
            return Entry::NotAStart;
        };
        chunk.get_or_init(|| self.translate(number));
        self.table
            .get(offset)
            .map_or(Entry::Untranslated, Entry::Native)
    }

    /// Translates a chunk and publishes its blocks.
    fn translate(&self, number: u32) -> Outcome {
        let mut totals = self
            .translating
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let begin = std::time::Instant::now();
        let guest = (self.code.len() - ((number as usize) << CHUNK_SHIFT)).min(1 << CHUNK_SHIFT);
        let budget = PROGRAM_FLOOR + PROGRAM_RATIO * self.code.len() as u64;
        let left = budget.saturating_sub(totals.native_bytes) as usize;
        let limit = (CHUNK_FLOOR + CHUNK_RATIO * guest).min(left);
        let native = |pc| self.table.get(pc);
        let request = Request {
            code: &self.code,
            starts: &self.starts,
            chunk: number,
            costs: self.costs,
            constants: Constants {
                table: self.table.address(),
                limit: self.table.limit(),
            },
            native: &native,
            limit,
        };
        let mut translator = self.cache.translator();
        let chunk = translator
            .translate(&request)
            .and_then(|()| self.publish(&mut translator));
        self.cache.give_back(translator);
        totals.nanoseconds += begin.elapsed().as_nanos() as u64;
        match &chunk {
            Ok(chunk) => {
                totals.guest_bytes += u64::from(chunk.tables.guest_bytes);
                totals.instructions += u64::from(chunk.tables.instructions);
                totals.native_bytes += u64::from(chunk.code.len());
            }
            Err(TooLarge) => totals.refused_chunks += 1,
        }
        chunk.ok()
    }

    fn publish(&self, translator: &mut Translator) -> Result<Box<Chunk>, TooLarge> {
        let tables = translator.tables();
        let code = self
            .cache
            .publish(translator.len(), |address| translator.finish(address));
        let code = code.map_err(|_| TooLarge)?;
        for (pc, offset) in translator.entries() {
            self.table.set(*pc, code.address() + offset);
        }
        Ok(Box::new(Chunk { code, tables }))
    }
}
