//! Code ready to be interpreted.

use crate::cache::Cache;
use rivet_isa::BlockStarts;
use rivet_isa::gas::FrameCosts;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Default limit of one activation's predecoded blocks, in bytes.
pub const DEFAULT_CACHE_LIMIT: usize = 32 << 20;

/// Predecoded blocks kept for later runs when nobody uses them.
const IDLE_CACHES: usize = 4;

/// A program's code, its block starts and the costs of its frame.
///
/// It can be shared: runs on several threads work at the same time, each with a set of predecoded
/// blocks of its own that goes back to the program for the next run. A set never exceeds the
/// limit, so memory is at most the limit times (concurrent runs + 4).
#[derive(Debug)]
pub struct Program {
    code: Arc<[u8]>,
    starts: Arc<BlockStarts>,
    costs: FrameCosts,
    cache_limit: usize,
    idle: Mutex<Vec<Cache>>,
}

impl Program {
    /// The program of these code bytes in a frame of these costs. Walks the code once.
    pub fn new(code: Arc<[u8]>, costs: FrameCosts) -> Self {
        let starts = Arc::new(BlockStarts::scan(&code));
        Self::with_starts(code, starts, costs)
    }

    /// Like [`Program::new`] for an embedder that has the block starts of this code already.
    pub fn with_starts(code: Arc<[u8]>, starts: Arc<BlockStarts>, costs: FrameCosts) -> Self {
        Self {
            code,
            starts,
            costs,
            cache_limit: DEFAULT_CACHE_LIMIT,
            idle: Mutex::default(),
        }
    }

    /// Sets the most bytes of predecoded blocks that one activation may hold. The floor is what
    /// one segment of a block needs, about 200 KB. Results do not depend on it, speed does.
    #[must_use]
    pub fn cache_limit(mut self, bytes: usize) -> Self {
        self.cache_limit = bytes;
        self
    }

    /// The code bytes.
    pub fn code(&self) -> &Arc<[u8]> {
        &self.code
    }

    /// The block starts.
    pub fn starts(&self) -> &Arc<BlockStarts> {
        &self.starts
    }

    /// What block costs depend on besides the code.
    pub fn costs(&self) -> FrameCosts {
        self.costs
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Cache>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_out(&self) -> Cache {
        let idle = self.idle().pop();
        idle.unwrap_or_else(|| Cache::new(self.cache_limit))
    }

    pub(crate) fn check_in(&self, cache: Cache) {
        let mut idle = self.idle();
        if idle.len() < IDLE_CACHES {
            idle.push(cache);
        }
    }
}
