//! Door 3, second part: what the kernel's page tables say about private mappings.
//!
//! A page of a private mapping has a copy of its own exactly if its entry is present or swapped, is
//! not backed by a file, and is not the shared zero page. The probe shows that this kernel says so.
#![expect(unsafe_code, reason = "door: questions about page tables")]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::linux::{Reservation, checked};
use super::{Protection, gate};
use crate::error::{Errno, HostError, SysCall};
use crate::page::PAGE_SIZE;

const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZERO: u64 = 1 << 5;

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
/// Runs one question can answer.
const ANSWERS: usize = 64;

/// `struct page_region` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Run {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Question {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// The page tables of this process.
///
/// The descriptor is kept, plus one, in a page that reads as zeros in a child of this process: a
/// descriptor opened by the parent would go on describing the parent. Beside it is a number that no
/// parent or child of this process has.
pub(crate) struct PageTables {
    word: Reservation,
}

/// The page tables, once a probe has shown that their answers can be used.
///
/// # Errors
/// Why not; the same answer every time.
pub(crate) fn page_tables() -> Result<&'static PageTables, HostError> {
    static TABLES: OnceLock<Result<PageTables, HostError>> = OnceLock::new();
    let tables = TABLES.get_or_init(PageTables::probe);
    tables.as_ref().map_err(|error| *error)
}

impl PageTables {
    fn probe() -> Result<Self, HostError> {
        let word = Reservation::reserve(PAGE_SIZE)?;
        word.protect(0, PAGE_SIZE, Protection::ReadWrite)?;
        word.advise(0, PAGE_SIZE, libc::MADV_WIPEONFORK)?;
        let tables = Self { word };
        let sample = Reservation::reserve(4 * PAGE_SIZE)?;
        let file = super::SlabFile::create(2 * PAGE_SIZE, std::iter::once((0, &[1u8][..])))?;
        sample.map_slab(0, 2 * PAGE_SIZE, &file, 0)?;
        sample.protect(0, 4 * PAGE_SIZE, Protection::ReadWrite)?;
        // Pages 1 and 3 are only read, 0 and 2 are written.
        for page in [0, 2] {
            sample.write(page * PAGE_SIZE, &[1]);
        }
        for page in [1, 3] {
            sample.read(page * PAGE_SIZE, &mut [0]);
        }
        let mut copied = [false; 4];
        let base = sample.at(0).addr().get();
        tables.scan(base, 4 * PAGE_SIZE, &mut |start, len| {
            copied[start / PAGE_SIZE..(start + len) / PAGE_SIZE].fill(true);
        })?;
        if copied != [true, false, true, false] {
            return Err(HostError::Sys {
                call: SysCall::PagemapScan,
                errno: Errno(libc::ENOSYS),
            });
        }
        Ok(tables)
    }

    fn word(&self) -> &AtomicI32 {
        let word: NonNull<AtomicI32> = self.word.at(0).cast();
        // SAFETY: the first half of the page is mapped, aligned and used as this one atomic only,
        // for as long as self lives; all bit patterns are valid.
        unsafe { word.as_ref() }
    }

    fn generation(&self) -> &AtomicU32 {
        let word: NonNull<AtomicU32> = self.word.at(PAGE_SIZE / 2).cast();
        // SAFETY: as in `word`, for the second half.
        unsafe { word.as_ref() }
    }

    /// A number that changes when this process is forked. Async-signal-safe.
    pub(crate) fn process(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let known = self.generation().load(Ordering::Acquire);
        if known != 0 {
            return known;
        }
        // A child inherits NEXT, but not the page.
        let fresh = NEXT.fetch_add(1, Ordering::AcqRel);
        let word = self.generation();
        match word.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(first) => first,
        }
    }

    /// The descriptor, opened anew in a child process. Async-signal-safe.
    fn descriptor(&self) -> Result<i32, HostError> {
        let known = self.word().load(Ordering::Acquire);
        if known != 0 {
            return Ok(known - 1);
        }
        gate(SysCall::OpenPagemap)?;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: open needs a terminated path; the literal is one.
        let fd = unsafe { libc::open(c"/proc/self/pagemap".as_ptr(), flags) };
        checked(SysCall::OpenPagemap, fd)?;
        let raced = self
            .word()
            .compare_exchange(0, fd + 1, Ordering::AcqRel, Ordering::Acquire);
        match raced {
            Ok(_) => Ok(fd),
            Err(first) => {
                // SAFETY: the descriptor was made here and nobody else knows it.
                unsafe { libc::close(fd) };
                Ok(first - 1)
            }
        }
    }

    /// Calls `found` with every run of copied pages in `len` bytes from address `base` on, as
    /// offset from `base` and length. Async-signal-safe.
    pub(crate) fn scan(
        &self,
        base: usize,
        len: usize,
        found: &mut dyn FnMut(usize, usize),
    ) -> Result<(), HostError> {
        let fd = self.descriptor()?;
        let mut answers = [Run::default(); ANSWERS];
        let end = (base + len) as u64;
        let mut question = Question {
            size: size_of::<Question>() as u64,
            start: base as u64,
            end,
            vec: (&raw mut answers).addr() as u64,
            vec_len: ANSWERS as u64,
            category_inverted: FILE | ZERO,
            category_mask: FILE | ZERO,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: PRESENT,
            ..Question::default()
        };
        while question.start < end {
            gate(SysCall::PagemapScan)?;
            let pointer = (&raw mut question).expose_provenance();
            (&raw mut answers).expose_provenance();
            // SAFETY: the kernel reads and writes one `Question` and at most `vec_len` answers at
            // `vec`; both are locals that outlive the call.
            let count = unsafe { libc::ioctl(fd, PAGEMAP_SCAN, pointer) };
            checked(SysCall::PagemapScan, count)?;
            for run in answers.iter().take(count as usize) {
                found(run.start as usize - base, (run.end - run.start) as usize);
            }
            if question.walk_end <= question.start {
                break;
            }
            question.start = question.walk_end;
        }
        Ok(())
    }
}

/// Page faults the calling thread has taken. Async-signal-safe.
pub(crate) fn thread_faults() -> Result<u64, HostError> {
    gate(SysCall::Getrusage)?;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes one rusage, which is what `usage` has room for.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    checked(SysCall::Getrusage, result)?;
    // SAFETY: zeroed before and written by the call that just succeeded.
    let usage = unsafe { usage.assume_init() };
    Ok(usage.ru_minflt as u64 + usage.ru_majflt as u64)
}

/// Fails if the kernel merges equal pages of this whole process. Async-signal-safe.
pub(crate) fn refuse_process_merging() -> Result<(), HostError> {
    const PR_GET_MEMORY_MERGE: i32 = 68;
    let none = ptr::null::<u8>();
    // SAFETY: the option reads a flag of the process and takes no pointers.
    let merging = unsafe { libc::prctl(PR_GET_MEMORY_MERGE, none, none, none, none) };
    if merging == 1 {
        return Err(HostError::Merging);
    }
    // Any other answer means that this kernel cannot merge whole processes.
    Ok(())
}
