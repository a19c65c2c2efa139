//! Door 3: the system calls that reserve, map, protect and drop memory, and raw copies.
//!
//! No policy lives here. A [`Reservation`] owns its address range for its whole life and checks
//! every offset against it, so no caller can reach memory of anyone else; a [`SlabFile`] is sealed
//! before its bytes are handed out, so they never change (INV-P1).
#![expect(
    unsafe_code,
    reason = "door: mapping system calls and copies through raw pointers"
)]

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::{Protection, gate};
use crate::error::{Errno, HostError, SysCall};

fn last(call: SysCall) -> HostError {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    HostError::Sys {
        call,
        errno: Errno(errno),
    }
}

pub(super) fn checked(call: SysCall, result: i32) -> Result<(), HostError> {
    if result == -1 {
        Err(last(call))
    } else {
        Ok(())
    }
}

fn is_invalid(error: HostError) -> bool {
    matches!(
        error,
        HostError::Sys {
            errno: Errno(libc::EINVAL),
            ..
        }
    )
}

impl Protection {
    const fn bits(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// Immutable page-aligned content in a sealed memory file, with a view of it.
#[derive(Debug)]
pub(crate) struct SlabFile {
    fd: OwnedFd,
    view: NonNull<u8>,
    len: usize,
}

// SAFETY: sending needs that no thread-bound state is shared; the view is a plain mapping that
// only this value unmaps and that, being sealed, nobody writes (INV-P1).
unsafe impl Send for SlabFile {}
// SAFETY: sharing needs that all access through `&self` is free of races; it is read-only (INV-P1).
unsafe impl Sync for SlabFile {}

impl SlabFile {
    /// `len` zero bytes, a positive multiple of the page size, with every chunk laid over at its
    /// offset.
    pub(crate) fn create<'a>(
        len: usize,
        chunks: impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Self, HostError> {
        gate(SysCall::MemfdCreate)?;
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: memfd_create needs a terminated name; the literal is one.
        let raw = unsafe { libc::memfd_create(c"rivet-slab".as_ptr(), flags) };
        checked(SysCall::MemfdCreate, raw)?;
        // SAFETY: OwnedFd needs a descriptor nobody else closes; the call above just made it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        gate(SysCall::Ftruncate)?;
        // SAFETY: ftruncate takes plain numbers; the descriptor is open.
        let result = unsafe { libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) };
        checked(SysCall::Ftruncate, result)?;
        for (offset, chunk) in chunks {
            Self::fill(&fd, offset, chunk)?;
        }
        gate(SysCall::Seal)?;
        let seals =
            libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: fcntl with F_ADD_SEALS takes plain numbers; the descriptor is open.
        let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) };
        checked(SysCall::Seal, result)?;
        gate(SysCall::Mmap)?;
        // SAFETY: a mapping at an address of the kernel's choice disturbs no other memory.
        let view = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                0,
            )
        };
        let view = mapped(view)?;
        Ok(Self { fd, view, len })
    }

    fn fill(fd: &OwnedFd, mut offset: usize, mut chunk: &[u8]) -> Result<(), HostError> {
        while !chunk.is_empty() {
            gate(SysCall::Pwrite)?;
            // SAFETY: pwrite reads `chunk.len()` bytes from the slice, which holds as many.
            let n = unsafe {
                libc::pwrite(
                    fd.as_raw_fd(),
                    chunk.as_ptr().cast(),
                    chunk.len(),
                    offset as libc::off_t,
                )
            };
            match usize::try_from(n) {
                Ok(0) => {
                    return Err(HostError::Sys {
                        call: SysCall::Pwrite,
                        errno: Errno(libc::ENOSPC),
                    });
                }
                Ok(n) => {
                    chunk = &chunk[n..];
                    offset += n;
                }
                Err(_) => {
                    let error = last(SysCall::Pwrite);
                    let interrupted = HostError::Sys {
                        call: SysCall::Pwrite,
                        errno: Errno(libc::EINTR),
                    };
                    if error != interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// The content.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: a slice needs `len` readable bytes that do not change; the view maps that many
        // of a file sealed against writing and shrinking, and Drop alone unmaps it (INV-P1).
        unsafe { std::slice::from_raw_parts(self.view.as_ptr(), self.len) }
    }
}

impl Drop for SlabFile {
    fn drop(&mut self) {
        // SAFETY: munmap needs a range that nobody uses any more; `bytes` borrows from self.
        unsafe { libc::munmap(self.view.as_ptr().cast(), self.len) };
    }
}

fn mapped(result: *mut c_void) -> Result<NonNull<u8>, HostError> {
    if result == libc::MAP_FAILED {
        return Err(last(SysCall::Mmap));
    }
    NonNull::new(result.cast()).ok_or(HostError::Sys {
        call: SysCall::Mmap,
        errno: Errno(0),
    })
}

/// A range of address space that this process keeps for one owner.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: sending needs that no thread-bound state is held; the range is process-wide and only
// this value maps or unmaps in it.
unsafe impl Send for Reservation {}
// SAFETY: sharing needs that `&self` methods do not race; those that touch memory are called by
// `Window` only, which lends them out through its own `&mut` methods.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Keeps `len` bytes of address space, inaccessible and without commitment.
    pub(crate) fn reserve(len: usize) -> Result<Self, HostError> {
        gate(SysCall::Mmap)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a mapping at an address of the kernel's choice disturbs no other memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        Ok(Self {
            start: mapped(start)?,
            len,
        })
    }

    /// The address `offset` bytes in.
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "offset lies outside the reservation");
        // SAFETY: the result must stay inside one allocation; offset <= len was just checked.
        unsafe { self.start.add(offset) }
    }

    fn range(&self, offset: usize, len: usize) -> *mut c_void {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(inside, "range lies outside the reservation");
        self.at(offset).as_ptr().cast()
    }

    fn map(
        &self,
        (offset, len): (usize, usize),
        protection: Protection,
        extra: i32,
        (fd, file_offset): (i32, usize),
    ) -> Result<(), HostError> {
        gate(SysCall::Mmap)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE | extra;
        let at = self.range(offset, len);
        // SAFETY: MAP_FIXED replaces what is there; `range` proved the range lies inside this
        // reservation, which no Rust reference ever points into.
        let result = unsafe {
            libc::mmap(
                at,
                len,
                protection.bits(),
                flags,
                fd,
                file_offset as libc::off_t,
            )
        };
        mapped(result).map(|_| ())
    }

    /// Replaces a range by untouched zero pages.
    pub(crate) fn map_zero(
        &self,
        offset: usize,
        len: usize,
        protection: Protection,
    ) -> Result<(), HostError> {
        self.map((offset, len), protection, libc::MAP_ANONYMOUS, (-1, 0))
    }

    /// Replaces a range by readable pages of `file` from `file_offset` on.
    pub(crate) fn map_slab(
        &self,
        offset: usize,
        len: usize,
        file: &SlabFile,
        file_offset: usize,
    ) -> Result<(), HostError> {
        let inside = file_offset
            .checked_add(len)
            .is_some_and(|end| end <= file.len);
        assert!(inside, "range lies outside the slab");
        let from = (file.fd.as_raw_fd(), file_offset);
        self.map((offset, len), Protection::Read, 0, from)
    }

    /// Changes what the processor may do with a range.
    pub(crate) fn protect(
        &self,
        offset: usize,
        len: usize,
        protection: Protection,
    ) -> Result<(), HostError> {
        gate(SysCall::Mprotect)?;
        let at = self.range(offset, len);
        // SAFETY: mprotect needs a mapped range; `range` proved it lies inside this reservation,
        // all of which stays mapped until Drop, and no Rust reference points into it.
        let result = unsafe { libc::mprotect(at, len, protection.bits()) };
        checked(SysCall::Mprotect, result)
    }

    /// Gives the private content of a range back at once; it reads as its source again.
    pub(crate) fn discard(&self, offset: usize, len: usize) -> Result<(), HostError> {
        /// As MADV_DONTNEED, for locked memory too.
        const MADV_DONTNEED_LOCKED: i32 = 24;
        match self.advise(offset, len, libc::MADV_DONTNEED) {
            Err(error) if is_invalid(error) => self.advise(offset, len, MADV_DONTNEED_LOCKED),
            other => other,
        }
    }

    /// Keeps huge pages and merged pages out of a range from now on. Async-signal-safe.
    pub(crate) fn keep_plain(&self, offset: usize, len: usize) -> Result<(), HostError> {
        for advice in [libc::MADV_NOHUGEPAGE, libc::MADV_UNMERGEABLE] {
            match self.advise(offset, len, advice) {
                // A kernel without the feature does not know the advice.
                Err(error) if is_invalid(error) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Fails if any of a range is locked in memory. Async-signal-safe.
    pub(crate) fn refuse_locked(&self, offset: usize, len: usize) -> Result<(), HostError> {
        gate(SysCall::Msync)?;
        let at = self.range(offset, len);
        // SAFETY: on private mappings this only looks at their flags; the range lies inside this
        // reservation.
        let result = unsafe { libc::msync(at, len, libc::MS_ASYNC | libc::MS_INVALIDATE) };
        checked(SysCall::Msync, result).map_err(|error| match error {
            HostError::Sys {
                errno: Errno(libc::EBUSY),
                ..
            } => HostError::Locked,
            other => other,
        })
    }

    pub(super) fn advise(&self, offset: usize, len: usize, advice: i32) -> Result<(), HostError> {
        gate(SysCall::Madvise)?;
        let at = self.range(offset, len);
        // SAFETY: the advices given here change policy or drop content that nobody relies on; the
        // range lies inside this reservation and no Rust reference points into it.
        let result = unsafe { libc::madvise(at, len, advice) };
        checked(SysCall::Madvise, result)
    }

    /// Copies out of mapped, readable pages.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.range(offset, into.len()).cast::<u8>();
        // SAFETY: the source lies inside this reservation, is readable by the contract of this
        // function (a page that is not ends in a signal, not in foreign memory), and cannot
        // overlap a Rust slice; `into` is as long as the copy.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    /// Copies into mapped, writable pages.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        let into = self.range(offset, from.len()).cast::<u8>();
        // SAFETY: as in `read`, with the roles exchanged: the target lies inside the reservation
        // and is writable by the contract of this function.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
    }

    /// Zeroes mapped, writable bytes.
    pub(crate) fn zero(&self, offset: usize, len: usize) {
        let into = self.range(offset, len).cast::<u8>();
        // SAFETY: as in `write`.
        unsafe { ptr::write_bytes(into, 0, len) };
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: munmap needs a range that nobody uses any more; whoever was lent an address
        // gave it back before the owner could drop this.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
