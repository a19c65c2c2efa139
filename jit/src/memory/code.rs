//! The pool of code memory.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_paging::SignalCheck;

use super::ranges::{Range, Ranges};
use super::sys::{self, LowMapping, MemoryError};
use crate::process::{self, PerProcess};
use crate::translate::Translator;

/// Code is placed at multiples of this, which is what loop heads are aligned to.
const ALIGNMENT: u32 = 64;
/// Size of the first segment; each further one doubles.
const FIRST_SEGMENT: u32 = 4 << 20;
/// Size from which segments no longer double.
const LAST_SEGMENT: u32 = 64 << 20;
/// More than fit below 2 GiB at these sizes.
const MAX_SEGMENTS: usize = 64;

/// Working memories kept for later.
const IDLE_TRANSLATORS: usize = 4;

/// Limits of a [`CodeCache`], and what its programs may expect of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeCacheConfig {
    /// Bytes of native code that all programs together may occupy.
    pub limit: u64,
    /// When runs of its programs look at the host's signal handling.
    pub signals: SignalCheck,
}

impl Default for CodeCacheConfig {
    fn default() -> Self {
        Self {
            limit: 512 << 20,
            signals: SignalCheck::EveryEntry,
        }
    }
}

/// Native code memory shared by the programs of an engine. Creating one costs nothing; memory is
/// taken when the first program is translated.
#[derive(Debug)]
pub struct CodeCache {
    config: CodeCacheConfig,
    pool: PerProcess<Arc<Pool>>,
}

/// The code memory of one process: a forked child must not write into its parent's, because the
/// files behind it are shared.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: u64,
    segments: Mutex<Vec<Segment>>,
    /// Where the segments are, for readers without the lock: start in the upper half, end in the
    /// lower one. Segments are never given back, so entries only appear.
    extents: [AtomicU64; MAX_SEGMENTS],
    /// Working memory of translations that are not running now.
    translators: Mutex<Vec<Translator>>,
    /// Mappings of dispatch tables that are not in use now, all zero.
    pub(super) tables: Mutex<Vec<LowMapping>>,
    pub(super) process: u32,
}

#[derive(Debug)]
struct Segment {
    file: File,
    mapping: LowMapping,
    len: u32,
    free: Ranges,
    /// Freed, but threads may still hold instructions they fetched ahead.
    quarantine: Ranges,
}

/// A published piece of code; the space returns to the pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Code {
    pool: Arc<Pool>,
    segment: usize,
    range: Range,
    address: u32,
    len: u32,
}

impl CodeCache {
    /// A pool like that.
    pub fn new(config: CodeCacheConfig) -> Arc<Self> {
        let pool = PerProcess::new(Pool::new(config.limit));
        Arc::new(Self { config, pool })
    }

    /// Bytes of address space taken for code so far.
    pub fn reserved_bytes(&self) -> u64 {
        self.pool()
            .lock()
            .iter()
            .map(|segment| u64::from(segment.len))
            .sum()
    }

    /// What this pool was made with.
    pub fn config(&self) -> CodeCacheConfig {
        self.config
    }

    /// The code memory of this process.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        self.pool.get(|| Pool::new(self.config.limit))
    }
}

impl Pool {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        let (segments, translators) = (Mutex::default(), Mutex::default());
        Arc::new(Self {
            limit,
            segments,
            extents: [const { AtomicU64::new(0) }; MAX_SEGMENTS],
            translators,
            tables: Mutex::default(),
            process: process::id(),
        })
    }

    /// Working memory for one translation.
    pub(crate) fn translator(&self) -> Translator {
        let mut idle = self
            .translators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    /// Keeps working memory for the next translation.
    pub(crate) fn give_back(&self, translator: Translator) {
        let mut idle = self
            .translators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_TRANSLATORS {
            idle.push(translator);
        }
    }

    /// Whether an address lies in a segment. Takes no lock.
    pub(crate) fn covers(&self, address: u64) -> bool {
        let extents = self.extents.iter().map(|e| e.load(Ordering::Acquire));
        let mut made = extents.take_while(|extent| *extent != 0);
        made.any(|extent| (extent >> 32..extent & u64::from(u32::MAX)).contains(&address))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Segment>> {
        // Nothing panics while the lock is held; the lists are consistent at any moment.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds room for `len` bytes, lets `place` finish them for their address, and publishes
    /// them.
    pub(crate) fn publish<'b>(
        self: &Arc<Self>,
        len: u32,
        place: impl FnOnce(u32) -> &'b [u8],
    ) -> Result<Code, MemoryError> {
        let rounded = len.next_multiple_of(ALIGNMENT);
        let mut segments = self.lock();
        let (segment, start) = self.room(&mut segments, rounded)?;
        let address = segments[segment].mapping.address() + start;
        let range = Range {
            start,
            end: start + rounded,
        };
        // From here on the range is given back whatever happens.
        let code = Code {
            pool: Arc::clone(self),
            segment,
            range,
            address,
            len,
        };
        let published = sys::publish(&segments[segment].file, place(address), start);
        drop(segments);
        published.map(|()| code)
    }

    fn room(&self, segments: &mut Vec<Segment>, len: u32) -> Result<(usize, u32), MemoryError> {
        let take = |segments: &mut Vec<Segment>| {
            let places = segments.iter_mut().enumerate();
            places
                .filter_map(|(i, segment)| Some((i, segment.free.take(len)?)))
                .next()
        };
        if let Some(found) = take(segments) {
            return Ok(found);
        }
        let waiting = segments
            .iter()
            .any(|segment| !segment.quarantine.is_empty());
        if waiting && sys::serialize_threads() {
            for segment in segments.iter_mut() {
                segment.quarantine.drain_into(&mut segment.free);
            }
            if let Some(found) = take(segments) {
                return Ok(found);
            }
        }
        self.grow(segments, len)?;
        Ok(take(segments).expect("a new segment has room for what it was made for"))
    }

    fn grow(&self, segments: &mut Vec<Segment>, wanted: u32) -> Result<(), MemoryError> {
        let used: u64 = segments.iter().map(|segment| u64::from(segment.len)).sum();
        let doubled = FIRST_SEGMENT << segments.len().min(8);
        let len = doubled.min(LAST_SEGMENT).max(wanted.next_multiple_of(4096));
        let extent = self.extents.get(segments.len());
        let Some(extent) = extent.filter(|_| used + u64::from(len) <= self.limit) else {
            let limit = self.limit;
            return Err(MemoryError::Limit {
                limit,
                wanted: u64::from(wanted),
            });
        };
        let file = sys::code_file(len as usize)?;
        let mapping = LowMapping::execute(&file, len as usize)?;
        let start = u64::from(mapping.address());
        extent.store(start << 32 | (start + u64::from(len)), Ordering::Release);
        let (free, quarantine) = (Ranges::all(len), Ranges::default());
        segments.push(Segment {
            file,
            mapping,
            len,
            free,
            quarantine,
        });
        Ok(())
    }
}

impl Code {
    /// Address of its first byte.
    pub(crate) fn address(&self) -> u32 {
        self.address
    }

    /// Bytes of code.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// A copy of the code.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let segments = self.pool.lock();
        let mut bytes = vec![0; self.len as usize];
        // A file in memory cannot fail to be read where it was written.
        let read = sys::read_back(&segments[self.segment].file, &mut bytes, self.range.start);
        if read { bytes } else { Vec::new() }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // In a forked child the space is not ours to give away.
        if self.pool.process == process::id() {
            self.pool.lock()[self.segment].quarantine.put(self.range);
        }
    }
}
