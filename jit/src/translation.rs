//! What is translated of a program so far, in one process.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rivet_isa::Pc;

use crate::asm::{BUFFER, INSTRUCTION_ROOM};
use crate::chunk::{Chunk, Trap};
use crate::lower::Constants;
use crate::memory::{MemoryError, Pool, Table};
use crate::places::Places;
use crate::program::{NativeChunk, Source, Totals};
use crate::translate::{CHUNK_BYTES, CHUNK_SHIFT, Request, TooLarge, Translator};

/// Native bytes a chunk may take for each guest byte, and in any case.
const CHUNK_RATIO: usize = 40;
const CHUNK_FLOOR: usize = 16 << 10;

const _: () = assert!(
    CHUNK_FLOOR + CHUNK_RATIO * CHUNK_BYTES as usize + INSTRUCTION_ROOM <= BUFFER,
    "a chunk at its limit fits the buffer it is written to"
);

/// Bytes that native code and side tables of a program may take: for each guest byte, in any
/// case, and at most. Past it, chunks that are not translated yet are left to the interpreter.
const PROGRAM_RATIO: u64 = 8;
const PROGRAM_FLOOR: u64 = 4 << 20;
const PROGRAM_CEILING: u64 = 256 << 20;

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

/// The dispatch table, the chunks translated so far, and what they cost.
#[derive(Debug)]
pub(crate) struct Translation {
    source: Arc<Source>,
    pool: Arc<Pool>,
    table: Table,
    chunks: Box<[OnceLock<Outcome>]>,
    /// Where translated chunks are. Insertions happen under the lock of `totals`.
    places: Places,
    totals: Mutex<Totals>,
}

impl Translation {
    /// Nothing translated yet.
    pub(crate) fn new(source: &Arc<Source>, pool: &Arc<Pool>) -> Result<Self, MemoryError> {
        let len = source.code.len();
        let table = Table::new(pool, len as u32)?;
        let count = len.div_ceil(1 << CHUNK_SHIFT);
        let chunks = (0..count).map(|_| OnceLock::new()).collect();
        let (source, pool) = (Arc::clone(source), Arc::clone(pool));
        Ok(Self {
            source,
            pool,
            table,
            chunks,
            places: Places::new(count),
            totals: Mutex::default(),
        })
    }

    /// The code.
    pub(crate) fn code(&self) -> &[u8] {
        &self.source.code
    }

    /// What translation has cost so far.
    pub(crate) fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is translated so far, for tools: one item per chunk, ascending.
    pub(crate) fn native(&self) -> impl Iterator<Item = NativeChunk> + '_ {
        let numbers = 0..self.chunks.len();
        numbers.filter_map(|number| {
            let chunk = self.chunk(number)?;
            let first = (number as u64) << CHUNK_SHIFT;
            let starts = self.source.starts.from(Pc::new(first));
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

    /// Address of the dispatch table.
    pub(crate) fn table_address(&self) -> u64 {
        u64::from(self.table.address())
    }

    /// A translated chunk.
    pub(crate) fn chunk(&self, number: usize) -> Option<&Chunk> {
        self.chunks.get(number)?.get()?.as_deref()
    }

    /// The guest access at native address `address`.
    pub(crate) fn trap(&self, address: u64) -> Option<Trap> {
        let number = self.places.find(address)?;
        self.chunk(number as usize)?.trap(address)
    }

    /// Whether a native address lies in code memory. Takes no lock. What runs for this program
    /// there is this program's code.
    pub(crate) fn owns(&self, address: u64) -> bool {
        self.pool.covers(address)
    }

    /// Where a transfer to `pc` leads, translating its chunk if that has not happened yet.
    pub(crate) fn entry(&self, pc: Pc) -> Entry {
        let Some(offset) = u32::try_from(pc.value())
            .ok()
            .filter(|_| self.source.starts.contains(pc))
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
        if !matches!(chunk.get(), Some(None)) {
            self.translate(number, chunk);
        }
        self.table
            .get(offset)
            .map_or(Entry::Untranslated, Entry::Native)
    }

    /// Translates a chunk and publishes its blocks, or waits for the thread that is doing so.
    fn translate(&self, number: u32, place: &OnceLock<Outcome>) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if place.get().is_some() {
            return;
        }
        let begin = std::time::Instant::now();
        let guest =
            (self.source.code.len() - ((number as usize) << CHUNK_SHIFT)).min(1 << CHUNK_SHIFT);
        let budget = PROGRAM_FLOOR + PROGRAM_RATIO * self.source.code.len() as u64;
        let budget = budget.min(PROGRAM_CEILING);
        let left = budget.saturating_sub(totals.native_bytes + totals.side_bytes) as usize;
        let limit = (CHUNK_FLOOR + CHUNK_RATIO * guest).min(left);
        let native = |pc| self.table.get(pc);
        let request = Request {
            code: &self.source.code,
            starts: &self.source.starts,
            chunk: number,
            costs: self.source.costs,
            gates: self.source.gates,
            constants: Constants {
                table: self.table.address(),
                limit: self.table.limit(),
                mask: self.table.mask(),
            },
            native: &native,
            limit,
        };
        let mut translator = self.pool.translator();
        let chunk = translator
            .translate(&request)
            .and_then(|()| self.publish(&mut translator));
        totals.nanoseconds += begin.elapsed().as_nanos() as u64;
        match &chunk {
            Ok(chunk) => {
                totals.guest_bytes += u64::from(chunk.tables.guest_bytes);
                totals.instructions += u64::from(chunk.tables.instructions);
                totals.native_bytes += u64::from(chunk.code.len());
                totals.side_bytes += chunk.tables.bytes();
            }
            Err(TooLarge) => totals.refused_chunks += 1,
        }
        let address = chunk.as_ref().ok().map(|chunk| chunk.code.address());
        if let Some(address) = address {
            self.places.insert(address, number);
        }
        // First the chunk, then the entries: another thread may jump through an entry at once, and
        // its faults and cold calls look for the chunk.
        let _ = place.set(chunk.ok());
        if let Some(address) = address {
            for (pc, offset) in translator.entries() {
                self.table.set(pc, address + offset);
            }
        }
        self.pool.give_back(translator);
    }

    fn publish(&self, translator: &mut Translator) -> Result<Box<Chunk>, TooLarge> {
        let tables = translator.tables();
        let code = self
            .pool
            .publish(translator.len(), |address| translator.finish(address));
        let code = code.map_err(|_| TooLarge)?;
        Ok(Box::new(Chunk { code, tables }))
    }
}

impl Drop for Translation {
    fn drop(&mut self) {
        let chunks = self.places.numbers().map(|number| {
            let first = number << CHUNK_SHIFT;
            first..first.saturating_add(CHUNK_BYTES)
        });
        self.table.give_back(chunks);
    }
}
