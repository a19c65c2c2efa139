//! Windows that wait for a machine: reserved once, lent to one at a time, given back clean.
//!
//! A machine prefers a window that its layout is still mapped in; then nothing has to be mapped,
//! however large it is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::HostError;
use crate::layout::Layout;
use crate::window::Window;

/// Windows that wait for a machine.
#[derive(Clone)]
pub struct WindowPool {
    shared: Arc<Shared>,
}

/// Windows that machines which do not run may hold before they give them back.
const LENT_AT_REST: usize = 64;

/// How many windows the machines of a pool hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Demand {
    /// Few: whoever has one may keep it.
    Low,
    /// Many, each with page tables of its own.
    High,
    /// So many that mappings for others run short.
    Scarce,
}

struct Shared {
    idle: Mutex<Vec<Window>>,
    lent: AtomicUsize,
    keep: usize,
    mappings: Arc<AtomicU64>,
    mapping_limit: u64,
}

impl WindowPool {
    /// A pool that keeps at most `keep` idle windows and makes others as needed. All its windows
    /// together may use `mapping_limit` host mappings (`vm.max_map_count` is 65,530 by default,
    /// for the whole process).
    pub fn new(keep: usize, mapping_limit: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                idle: Mutex::new(Vec::new()),
                lent: AtomicUsize::new(0),
                keep,
                mappings: Arc::new(AtomicU64::new(0)),
                mapping_limit,
            }),
        }
    }

    /// Whether a whole window can be reserved in this process; without that, run in software.
    ///
    /// # Errors
    /// The reason, such as `ulimit -v` ([`HostError::Sys`]) or [`HostError::Unsupported`].
    pub fn probe(&self) -> Result<(), HostError> {
        let window = self.make()?;
        self.put(window);
        Ok(())
    }

    /// How many windows wait.
    pub fn idle(&self) -> usize {
        self.lock().len()
    }

    /// Upper bound on the host mappings of this pool's windows.
    pub fn mappings(&self) -> u64 {
        self.shared.mappings.load(Ordering::Relaxed)
    }

    /// Host mappings that this pool's windows may still make.
    pub(crate) fn free_mappings(&self) -> u64 {
        self.shared.mapping_limit.saturating_sub(self.mappings())
    }

    /// How many windows machines hold.
    pub(crate) fn demand(&self) -> Demand {
        if self.free_mappings() < self.shared.mapping_limit / 2 {
            Demand::Scarce
        } else if self.shared.lent.load(Ordering::Relaxed) > LENT_AT_REST {
            Demand::High
        } else {
            Demand::Low
        }
    }

    /// Lets every idle window go.
    pub fn clear(&self) {
        let windows = std::mem::take(&mut *self.lock());
        drop(windows);
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Window>> {
        let idle = self.shared.idle.lock();
        // A panic while the list was locked cannot have left a window half in it.
        idle.unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self) -> Result<Window, HostError> {
        let total = Arc::clone(&self.shared.mappings);
        Window::reserve(total, self.shared.mapping_limit)
    }

    /// A window with `layout` mapped and nothing private in it, to be
    /// [released](Self::release).
    pub(crate) fn acquire(&self, layout: &Arc<Layout>) -> Result<Window, HostError> {
        let ready = self.pick(layout);
        let mut window = match ready {
            Some(window) => window,
            None => self.make()?,
        };
        window.map(layout)?;
        self.shared.lent.fetch_add(1, Ordering::Relaxed);
        Ok(window)
    }

    fn pick(&self, layout: &Arc<Layout>) -> Option<Window> {
        let mut idle = self.lock();
        let same = idle.iter().rposition(|window| window.has(layout));
        let at = same.or_else(|| idle.iter().rposition(Window::is_bare));
        match at {
            Some(at) => Some(idle.swap_remove(at)),
            None if idle.is_empty() => None,
            None => Some(idle.remove(0)),
        }
    }

    /// Takes a window back. One that cannot be cleaned is unmapped instead of kept.
    pub(crate) fn release(&self, mut window: Window) {
        self.shared.lent.fetch_sub(1, Ordering::Relaxed);
        let clean = window.wipe().and_then(|()| window.clear_context());
        if clean.is_ok() {
            self.put(window);
        }
    }

    fn put(&self, window: Window) {
        let mut idle = self.lock();
        if idle.len() < self.shared.keep {
            idle.push(window);
        }
        // A window beyond `keep` is dropped after the lock, as the later declared binding.
        drop(idle);
    }
}

impl Default for WindowPool {
    /// Keeps 32 idle windows and uses at most 48,000 mappings.
    fn default() -> Self {
        Self::new(32, 48_000)
    }
}
