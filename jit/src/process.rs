//! Which process this is: a forked child is another one.

use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A word that the kernel clears in the child of a fork.
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    static WORD: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    *WORD.get_or_init(|| {
        const LEN: usize = 4096;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice.
        let page = unsafe { libc::mmap(null_mut(), LEN, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the page was mapped just now and belongs to this function.
        if unsafe { libc::madvise(page, LEN, libc::MADV_WIPEONFORK) } != 0 {
            return None;
        }
        // SAFETY: the page is readable, writable, zeroed, aligned, and never unmapped.
        Some(unsafe { &*page.cast::<AtomicU32>() })
    })
}

/// A number that differs between a process and each of its descendants made by fork.
#[inline]
pub(crate) fn id() -> u32 {
    let Some(word) = wiped_on_fork() else {
        return std::process::id();
    };
    match word.load(Ordering::Relaxed) {
        0 => name(word),
        id => id,
    }
}

#[cold]
fn name(word: &AtomicU32) -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    match word.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => id,
        Err(other) => other,
    }
}

/// A value that a forked child replaces by one of its own. The parent's stays alive beside it:
/// the thread that forked may be in the middle of using it.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    process: u32,
    value: T,
    // Only ever set in a child, so no lock is held in it when a process forks.
    child: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// The value of this process.
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: id(),
            value,
            child: OnceLock::new(),
        }
    }

    /// The value of the process that asks, made by `make` if it is a child without one.
    #[inline]
    pub(crate) fn get(&self, make: impl Fn() -> T) -> &T {
        let mut node = self;
        while node.process != id() {
            node = node.child.get_or_init(|| Box::new(Self::new(make())));
        }
        &node.value
    }
}
