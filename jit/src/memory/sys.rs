//! The system calls of this module: the door for code memory.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

/// Why memory for code or tables could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The configured limit of an engine's native code.
    #[error(
        "native code would pass the limit of {limit} bytes with {wanted} more: raise the limit"
    )]
    Limit {
        /// The limit in bytes.
        limit: u64,
        /// Bytes wanted.
        wanted: u64,
    },
    /// A system call refused.
    #[error("{call} of {bytes} bytes for native code failed: {source}")]
    System {
        /// Its name.
        call: &'static str,
        /// The size asked for.
        bytes: u64,
        /// What the system said.
        source: std::io::Error,
    },
}

fn failed(call: &'static str, bytes: usize) -> MemoryError {
    MemoryError::System {
        call,
        bytes: bytes as u64,
        source: std::io::Error::last_os_error(),
    }
}

/// A mapping below 2 GiB; unmapped when dropped.
#[derive(Debug)]
pub(super) struct LowMapping {
    address: u32,
    len: usize,
}

/// What a mapping is for.
enum Use<'a> {
    Execute(&'a File),
    ReadWrite,
}

impl LowMapping {
    /// Maps `file` for reading and executing, shared, so that what is written to it appears here.
    pub(super) fn execute(file: &File, len: usize) -> Result<Self, MemoryError> {
        Self::new(len, &Use::Execute(file))
    }

    /// Maps zeroed memory of this process alone.
    pub(super) fn zeroed(len: usize) -> Result<Self, MemoryError> {
        Self::new(len, &Use::ReadWrite)
    }

    fn new(len: usize, purpose: &Use<'_>) -> Result<Self, MemoryError> {
        // The kernel's own search below 2 GiB first, then fixed places that nothing occupies.
        const STEP: usize = 16 << 20;
        let hints = (16..64).map(|step| (step * STEP, libc::MAP_FIXED_NOREPLACE));
        for (hint, flag) in std::iter::once((0, libc::MAP_32BIT)).chain(hints) {
            if let Some(address) = try_map(hint, len, flag, purpose) {
                return Ok(Self { address, len });
            }
        }
        Err(failed("mmap below 2 GiB", len))
    }

    pub(super) fn address(&self) -> u32 {
        self.address
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The zeroed mapping as words.
    pub(super) fn words(&self) -> &[AtomicU32] {
        let words = std::ptr::with_exposed_provenance::<AtomicU32>(self.address as usize);
        // SAFETY: only called on mappings made by `zeroed`: readable, writable, page-aligned,
        // `len` bytes long, initialised by the kernel, and alive as long as `self`. Everybody
        // else (generated code) only reads them, one aligned word at a time.
        unsafe { std::slice::from_raw_parts(words, self.len / 4) }
    }
}

impl Drop for LowMapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and belongs to this value alone. Its users hold
        // a reference to it (tables) or are counted (code), so nothing refers to it any more.
        unsafe {
            libc::munmap(
                std::ptr::with_exposed_provenance_mut(self.address as usize),
                self.len,
            )
        };
    }
}

fn try_map(hint: usize, len: usize, flag: i32, purpose: &Use<'_>) -> Option<u32> {
    let hint = if hint == 0 {
        null_mut()
    } else {
        std::ptr::without_provenance_mut(hint)
    };
    let (protection, flags, fd) = match purpose {
        Use::Execute(file) => (
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_SHARED,
            file.as_raw_fd(),
        ),
        Use::ReadWrite => (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
        ),
    };
    // SAFETY: a new mapping at a place the kernel chooses or that it knows to be free
    // (MAP_FIXED_NOREPLACE), so nothing that exists is touched.
    let address = unsafe { libc::mmap(hint, len, protection, flags | flag, fd, 0) };
    if address == libc::MAP_FAILED {
        return None;
    }
    let end = address.expose_provenance().checked_add(len)?;
    if end <= 1 << 31 {
        return u32::try_from(address.addr()).ok();
    }
    // SAFETY: the mapping was made just now and nobody has its address.
    unsafe { libc::munmap(address, len) };
    None
}

/// An unnamed file in memory of `len` bytes that may be executed.
pub(super) fn code_file(len: usize) -> Result<File, MemoryError> {
    const NAME: &std::ffi::CStr = c"rivet-code";
    // SAFETY: the name is a C string; the call touches no other memory of ours.
    let mut fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_EXEC) };
    if fd < 0 {
        // Kernels before 6.3 do not know MFD_EXEC, and their files are executable anyway.
        // SAFETY: as above.
        fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    }
    if fd < 0 {
        return Err(failed("memfd_create", len));
    }
    // SAFETY: the descriptor is new, open, and owned by nobody else.
    let file = unsafe { File::from_raw_fd(fd) };
    match file.set_len(len as u64) {
        Ok(()) => Ok(file),
        Err(source) => Err(MemoryError::System {
            call: "ftruncate",
            bytes: len as u64,
            source,
        }),
    }
}

/// Writes `bytes` into the file behind a segment; they appear in its executable mapping.
pub(super) fn publish(file: &File, bytes: &[u8], offset: u32) -> Result<(), MemoryError> {
    let done = file.write_all_at(bytes, u64::from(offset));
    done.map_err(|source| MemoryError::System {
        call: "pwrite",
        bytes: bytes.len() as u64,
        source,
    })
}

/// Reads what was published; says whether it could.
pub(super) fn read_back(file: &File, bytes: &mut [u8], offset: u32) -> bool {
    file.read_exact_at(bytes, u64::from(offset)).is_ok()
}

/// Makes every thread of this process discard instructions it fetched before this call.
/// `false` if the kernel cannot do that.
pub(super) fn serialize_threads() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED
        .get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE));
    registered && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
}

fn membarrier(command: i32) -> bool {
    // SAFETY: the call takes numbers only and changes no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
