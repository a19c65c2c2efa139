//! What `std` would do: entry, output, memory, panics.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::ptr::{self, NonNull};

global_asm!(include_str!("../../../rt/start.S"));

unsafe extern "C" {
    static mut __heap_start: u8;
    static mut __heap_end: u8;
}

fn write(text: &str) {
    // SAFETY: `ecalli -1` only reads the bytes of `text`, which are borrowed for the call.
    unsafe {
        asm!(".insn i 0x0b, 2, x0, x0, -1", in("a0") text.as_ptr(), in("a1") text.len(), options(readonly, nostack));
    }
}

/// Called by `_start` with the first argument of the run; the value is the guest's.
#[unsafe(no_mangle)]
extern "C" fn main(n: u64) -> u64 {
    crate::run(n, &mut write)
}

struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text);
        Ok(())
    }
}

#[panic_handler]
fn panicked(info: &PanicInfo) -> ! {
    // The run ends either way.
    let _ = writeln!(Output, "{info}");
    // SAFETY: `trap` ends the run and does not come back.
    unsafe { asm!(".insn i 0x0b, 0, x0, x0, 0", options(noreturn)) }
}

/// One free list for each power of two from 16 bytes up; new blocks come from
/// the start of the memory not yet used.
struct Heap {
    lists: [Option<NonNull<Free>>; 32],
    used: *mut u8,
}

struct Free {
    next: Option<NonNull<Free>>,
}

struct Allocator(UnsafeCell<Heap>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Heap {
    lists: [None; 32],
    used: ptr::null_mut(),
}));

impl Heap {
    fn take(&mut self, class: u32) -> *mut u8 {
        if let Some(block) = self.lists[class as usize] {
            // SAFETY: the list holds blocks that `give` put there: of this class, and unused.
            self.lists[class as usize] = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        if self.used.is_null() {
            self.used = &raw mut __heap_start;
        }
        let end = &raw mut __heap_end;
        // Blocks are aligned to their size; the heap starts at a page.
        let size = 1usize << class;
        let start = (self.used.addr() + size - 1) & !(size - 1);
        if start > end.addr() || end.addr() - start < size {
            return ptr::null_mut();
        }
        let block = self.used.with_addr(start);
        self.used = block.wrapping_add(size);
        block
    }

    fn give(&mut self, block: NonNull<Free>, class: u32) {
        let next = self.lists[class as usize];
        // SAFETY: the caller gives up a block of at least 16 bytes, aligned to its size.
        unsafe { block.write(Free { next }) };
        self.lists[class as usize] = Some(block);
    }
}

fn class(layout: Layout) -> u32 {
    layout
        .size()
        .max(layout.align())
        .max(16)
        .next_power_of_two()
        .trailing_zeros()
}

// SAFETY: blocks of a class do not overlap, hold the layout's size and are aligned to it.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: a guest has one thread, and no method of Heap calls back.
            class @ ..32 => unsafe { &mut *self.0.get() }.take(class),
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block.cast()) {
            // SAFETY: as in `alloc`.
            unsafe { &mut *self.0.get() }.give(block, class(layout));
        }
    }
}
