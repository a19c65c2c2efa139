//! A guest of plain store instructions, and the same stores to ordinary memory.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_paging::*;

/// Where the writable region of [`layout`] starts.
pub(crate) const DATA: u64 = 0x1000_1000;
/// What the gas register is biased by apart from open pages.
const SMALL: u64 = 1 << 16;
/// What a block with one store must find beyond its cost.
const RESERVE: u64 = 512;
const PAGE: u64 = PAGE_SIZE as u64;

/// What clean pages come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nothing: zeros.
    Anonymous,
    /// A memory file, copied on write.
    Slab,
}

/// What a guest reads before it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// Nothing.
    Nothing,
    /// Every page.
    All,
}

fn content(pages: u64) -> Vec<u8> {
    vec![1; (pages * PAGE) as usize]
}

/// Code, pinned data, a writable region of `pages` pages at [`DATA`], a stack.
pub(crate) fn layout(kind: Kind, pages: u64) -> Arc<Layout> {
    let small = PageSource::from_bytes(&content(1)).expect("a slab");
    let range = |start: u64, pages: u64| PageRange::from_bytes(start, pages * PAGE).expect("fits");
    let source = match kind {
        Kind::Anonymous => PageSource::empty(),
        Kind::Slab => PageSource::from_bytes(&content(pages)).expect("a slab"),
    };
    let regions = vec![
        Region::read_only(range(0x40_0000, 1), small.clone()),
        Region::read_only(range(0x1000_0000, 1), small),
        Region::copy_on_write(range(DATA, pages), source, 256),
        Region::ephemeral(range(0xf000_0000, 16), 256),
    ];
    Arc::new(Layout::new(regions).expect("a layout"))
}

/// A machine in a window.
pub(crate) struct Guest {
    pub(crate) space: AddressSpace,
    view: WindowView,
    gas: u64,
}

struct Run {
    space: *mut AddressSpace,
    base: usize,
    gas: u64,
}

unsafe extern "C" fn on_fault(data: *mut c_void, frame: &mut FaultFrame) -> FaultAction {
    // SAFETY: `Guest::touch` passed a pointer to its own local, which outlives the scope.
    let run = unsafe { &mut *data.cast::<Run>() };
    // SAFETY: the space outlives the run and nobody else uses it while stores are executed.
    let space = unsafe { &mut *run.space };
    let addr = GuestAddr::wrapping((frame.fault_address().value() - run.base) as u64);
    match space.access_opening(addr, AccessLen::Byte, Access::Write, run.gas) {
        Ok(granted) if granted.change == Change::Pages => {
            run.gas -= granted.charge;
            FaultAction::Resume
        }
        _ => FaultAction::NotOurs,
    }
}

impl Guest {
    pub(crate) fn new(layout: &Arc<Layout>, pool: &WindowPool, tracker: Tracker, gas: u64) -> Self {
        let mut space = AddressSpace::new(Arc::clone(layout), MemoryLimits::default());
        let view = space.attach(pool, tracker).expect("a window");
        space.begin_run().expect("begins");
        Self { space, view, gas }
    }

    /// Stores a byte to `pages` pages from `start` on, `stride` pages apart.
    pub(crate) fn touch(&mut self, start: u64, pages: u64, stride: u64) {
        let base = self.view.base();
        let mut run = Run {
            space: &raw mut self.space,
            base: base.addr(),
            gas: self.gas,
        };
        let code = HostAddr::new(0)..HostAddr::new(usize::MAX);
        let data = (&raw mut run).cast();
        // SAFETY: `on_fault` gets the pointer it expects and repeats the store it made possible.
        let scope = unsafe { FaultScope::new(code, self.view.fault_range(), on_fault, data) };
        let stored = scope.run(SignalCheck::EveryEntry, || {
            for page in 0..pages {
                let at = base.wrapping_add((start + page * stride * PAGE) as usize);
                // SAFETY: the address lies in the window, whose faults the scope handles.
                unsafe { ptr::write_volatile(at, 1) };
            }
        });
        stored.expect("a fault scope");
        self.gas = run.gas;
    }

    /// Loads a byte of each of `pages` pages from `start` on.
    pub(crate) fn read(&mut self, start: u64, pages: u64) {
        for page in 0..pages {
            let at = GuestAddr::wrapping(start + page * PAGE);
            std::hint::black_box(self.space.load(at, AccessLen::Byte)).expect("mapped");
        }
    }

    /// As [`touch`](Self::touch), one page for each gate of `cost` gas, until the gas is out; then
    /// ends the run.
    pub(crate) fn touch_metered(&mut self, start: u64, pages: u64, cost: u64) {
        for page in 0..pages {
            let register = self.gas as i64 - (SMALL + self.space.open_charge()) as i64;
            if register < cost as i64 {
                self.gas -= self.space.settle(Settle::Close).expect("settles");
                if self.gas < cost + RESERVE {
                    break;
                }
            }
            self.gas -= cost;
            self.touch(start + page * PAGE, 1, 1);
        }
        self.end();
    }

    /// The gas left, exact after the run.
    pub(crate) const fn left(&self) -> u64 {
        self.gas
    }

    /// Ends the run.
    pub(crate) fn end(&mut self) {
        self.gas -= self.space.end_run().expect("settles");
    }
}

/// Ordinary private memory for comparison.
pub(crate) struct Native {
    pages: u64,
    flags: i32,
    file: i32,
}

impl Native {
    /// `pages` pages of memory like a region of `kind`.
    pub(crate) fn new(kind: Kind, pages: u64) -> Self {
        let (flags, file) = match kind {
            Kind::Anonymous => (libc::MAP_ANONYMOUS, -1),
            Kind::Slab => (0, filled_file(pages)),
        };
        Self { pages, flags, file }
    }

    /// How long the first writes to every `stride`-th page take.
    pub(crate) fn first_writes(&self, stride: u64) -> Duration {
        let len = (self.pages * PAGE) as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = self.flags | libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        // SAFETY: a mapping at an address of the kernel's choice disturbs no other memory.
        let at = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, self.file, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        // SAFETY: the range was just mapped.
        unsafe { libc::madvise(at, len, libc::MADV_NOHUGEPAGE) };
        let base: *mut u8 = at.cast();
        let start = Instant::now();
        for page in (0..self.pages).step_by(stride as usize) {
            // SAFETY: the byte lies in the mapping, which nothing else uses.
            unsafe { ptr::write_volatile(base.wrapping_add((page * PAGE) as usize), 1) };
        }
        let time = start.elapsed();
        // SAFETY: the mapping was made here and is not used any more.
        unsafe { libc::munmap(at, len) };
        time
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if self.file >= 0 {
            // SAFETY: the descriptor was made by `new` and is not used any more.
            unsafe { libc::close(self.file) };
        }
    }
}

fn filled_file(pages: u64) -> i32 {
    // SAFETY: the name is a terminated literal.
    let file = unsafe { libc::memfd_create(c"native".as_ptr(), libc::MFD_CLOEXEC) };
    let bytes = content(pages);
    // SAFETY: the slice is as long as the count says.
    let written = unsafe { libc::pwrite(file, bytes.as_ptr().cast(), bytes.len(), 0) };
    assert_eq!(written, bytes.len() as isize);
    file
}
