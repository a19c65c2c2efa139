//! What goes wrong on the host's side, apart from what the guest does.
//!
//! [`HostError`] is `Copy` and holds no heap memory, because the fault handler returns it.

use std::fmt;

use crate::page::PageIndex;

/// A system call of the mapping door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SysCall {
    /// Reserving or mapping memory.
    Mmap,
    /// Changing the protection of mapped memory.
    Mprotect,
    /// Giving pages back or setting their policy.
    Madvise,
    /// Making the file behind a slab.
    MemfdCreate,
    /// Giving that file its length.
    Ftruncate,
    /// Filling it.
    Pwrite,
    /// Sealing it.
    Seal,
    /// Opening the page tables of this process for scanning.
    OpenPagemap,
    /// Asking whether memory is locked.
    Msync,
    /// Asking them which pages were copied.
    PagemapScan,
    /// Reading a thread's fault counters.
    Getrusage,
    /// Installing or reading a signal handler.
    Sigaction,
    /// Installing or reading a thread's signal stack.
    Sigaltstack,
    /// Reading a thread's signal mask.
    Sigmask,
}

impl fmt::Display for SysCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmap => "mmap",
            Self::Mprotect => "mprotect",
            Self::Madvise => "madvise",
            Self::MemfdCreate => "memfd_create",
            Self::Ftruncate => "ftruncate",
            Self::Pwrite => "pwrite",
            Self::Seal => "fcntl(F_ADD_SEALS)",
            Self::OpenPagemap => "open(/proc/self/pagemap)",
            Self::Msync => "msync",
            Self::PagemapScan => "ioctl(PAGEMAP_SCAN)",
            Self::Getrusage => "getrusage",
            Self::Sigaction => "sigaction",
            Self::Sigaltstack => "sigaltstack",
            Self::Sigmask => "pthread_sigmask",
        })
    }
}

/// The number a failed system call left behind, shown with the limit that usually explains it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.0 {
            libc::ENOMEM => {
                "out of memory or mappings: see RLIMIT_AS (ulimit -v), RLIMIT_MEMLOCK \
                 under mlockall, and vm.max_map_count"
            }
            libc::EMFILE => "too many open files in this process: raise RLIMIT_NOFILE (ulimit -n)",
            libc::ENFILE => "too many open files on this host: raise fs.file-max",
            libc::ENOSYS | libc::ENOTTY => "this kernel does not have it",
            libc::EPERM | libc::EACCES => "not permitted here",
            libc::EAGAIN => "temporarily refused, memory may be locked",
            libc::ENOSPC => "no space left for shared memory",
            libc::EFBIG => "larger than RLIMIT_FSIZE (ulimit -f)",
            _ => return write!(f, "errno {}", self.0),
        };
        write!(f, "errno {}, {hint}", self.0)
    }
}

/// The host could not do its part; nothing about the guest follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A system call failed.
    #[error("{call} failed ({errno})")]
    Sys {
        /// Which one.
        call: SysCall,
        /// How.
        errno: Errno,
    },
    /// This target has no windows; run in software.
    #[error("no windows on this target: run the interpreter")]
    Unsupported,
    /// Content that does not fit an address space.
    #[error("content is larger than 4 GiB: split it")]
    TooLarge,
    /// The machine reached its own limit of private memory.
    #[error("the machine would pass its limit of {limit} private pages: raise the machine's limit")]
    MachineMemory {
        /// The limit, in pages.
        limit: u64,
    },
    /// All machines together reached the engine's limit of private memory.
    #[error("all machines would pass the engine's limit of {limit} private pages: raise it")]
    EngineMemory {
        /// The limit, in pages.
        limit: u64,
    },
    /// The next protected page could exceed the number of mappings a process may have.
    #[error("mappings run short at about {used}: raise vm.max_map_count or run the interpreter")]
    MappingsShort {
        /// Mappings in use by all windows of the pool.
        used: u64,
    },
    /// The hardware faulted on an access the rule allows and that needed nothing.
    #[error("{page:?} faulted though its access is allowed and nothing had to change")]
    Unexplained {
        /// The first page of the access.
        page: PageIndex,
    },
    /// More pages turned private than this thread can have written.
    #[error(
        "page tables show {found} new private pages but the thread took {faults} faults: memory \
         was locked or copied from outside; use the trap tracker"
    )]
    Tripwire {
        /// New private pages found.
        found: u64,
        /// Minor faults of this thread since the last settle.
        faults: u64,
    },
    /// Guest memory is locked, so page tables do not tell who wrote it.
    #[error("guest memory is locked (mlock, mlockall): unlock it or use the trap tracker")]
    Locked,
    /// The kernel merges equal pages of the whole process, so page tables do not tell who wrote.
    #[error("the process merges equal pages (PR_SET_MEMORY_MERGE): use the trap tracker")]
    Merging,
    /// Open pages may have been written since the last settle.
    #[error("the run has not ended: end or settle it before looking at its pages")]
    NotSettled,
    /// The thread blocks a signal that guest faults are reported by.
    #[error("signal {signal} is blocked in this thread: unblock it before running a guest")]
    SignalBlocked {
        /// Its number.
        signal: i32,
    },
    /// Too many handlers were installed over ours.
    #[error(
        "handlers of signal {signal} keep displacing ours: install them before running a guest"
    )]
    HandlerDisplaced {
        /// Its number.
        signal: i32,
    },
    /// The call needs a window and the machine holds none.
    #[error("the machine holds no window: attach it first")]
    Detached,
}

impl HostError {
    /// Whether it says that the host gave no more mappings or memory for them, which a machine
    /// survives by leaving its window.
    pub const fn is_shortage(&self) -> bool {
        matches!(
            self,
            Self::MappingsShort { .. }
                | Self::Sys {
                    call: SysCall::Mmap | SysCall::Mprotect,
                    ..
                }
        )
    }
}

/// An access that the rule of ISA §10 refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{page:?} cannot be accessed")]
pub struct PageFault {
    /// The first inaccessible page in access order.
    pub page: PageIndex,
}

/// Why an access was not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The guest may not do this; no state changed.
    #[error(transparent)]
    Fault(#[from] PageFault),
    /// The host failed; the machine's state is still consistent, but the access did not happen.
    #[error(transparent)]
    Host(#[from] HostError),
}
