//! Limits of private memory, per machine and for all machines of an engine.
//!
//! Taking and giving back are single atomic operations, so the fault handler may do both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::HostError;

/// The pages that all machines of one engine may hold privately.
#[derive(Debug)]
pub struct EngineQuota {
    limit: u64,
    used: AtomicU64,
}

impl EngineQuota {
    /// A quota of `pages` pages.
    pub const fn new(pages: u64) -> Self {
        Self {
            limit: pages,
            used: AtomicU64::new(0),
        }
    }

    /// Pages taken now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, pages: u64) -> Result<(), HostError> {
        let fits = |used: u64| used.checked_add(pages).filter(|&sum| sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| ())
            .map_err(|_| HostError::EngineMemory { limit: self.limit })
    }

    fn give(&self, pages: u64) {
        self.used.fetch_sub(pages, Ordering::Relaxed);
    }
}

/// The limits a machine is made with.
#[derive(Clone, Debug)]
pub struct MemoryLimits {
    /// Private pages this machine may hold.
    pub machine_pages: u64,
    /// What it shares with all others.
    pub engine: Arc<EngineQuota>,
}

impl Default for MemoryLimits {
    /// The machine may fill its address space; the engine 2^22 pages (16 GiB).
    fn default() -> Self {
        Self {
            machine_pages: u64::from(crate::page::PAGES),
            engine: Arc::new(EngineQuota::new(1 << 22)),
        }
    }
}

/// What one machine has taken; all of it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    limits: MemoryLimits,
    pages: u64,
}

impl Held {
    pub(crate) const fn new(limits: MemoryLimits) -> Self {
        Self { limits, pages: 0 }
    }

    pub(crate) const fn limits(&self) -> &MemoryLimits {
        &self.limits
    }

    /// Takes `pages` more, all or none.
    pub(crate) fn take(&mut self, pages: u64) -> Result<(), HostError> {
        let limit = self.limits.machine_pages;
        let sum = self.pages.checked_add(pages).filter(|&sum| sum <= limit);
        let sum = sum.ok_or(HostError::MachineMemory { limit })?;
        self.limits.engine.take(pages)?;
        self.pages = sum;
        Ok(())
    }

    /// Gives back all but `pages`.
    pub(crate) fn keep(&mut self, pages: u64) {
        self.give(self.pages.saturating_sub(pages));
    }

    /// Gives `pages` back.
    pub(crate) fn give(&mut self, pages: u64) {
        let pages = pages.min(self.pages);
        self.pages -= pages;
        self.limits.engine.give(pages);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.limits.engine.give(self.pages);
    }
}
