//! The GS base of this thread.

use std::sync::atomic::{AtomicU8, Ordering};

/// How the GS base can be read and written on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// `rdgsbase` and `wrgsbase`: about 12 ns.
    Instructions,
    /// `arch_prctl`: a system call.
    SystemCall,
}

#[inline(always)]
fn way() -> Way {
    static WAY: AtomicU8 = AtomicU8::new(0);
    match WAY.load(Ordering::Relaxed) {
        1 => Way::Instructions,
        2 => Way::SystemCall,
        _ => find_way(&WAY),
    }
}

#[cold]
fn find_way(way: &AtomicU8) -> Way {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    // SAFETY: the call only reads the auxiliary vector.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    if capabilities & HWCAP2_FSGSBASE != 0 {
        way.store(1, Ordering::Relaxed);
        Way::Instructions
    } else {
        way.store(2, Ordering::Relaxed);
        Way::SystemCall
    }
}

/// The GS base.
#[inline]
pub(crate) fn get() -> u64 {
    let mut base: u64 = 0;
    match way() {
        Way::Instructions => {
            // SAFETY: the kernel says user code may execute it; it writes one register.
            unsafe {
                core::arch::asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags))
            };
        }
        Way::SystemCall => {
            const ARCH_GET_GS: i32 = 0x1004;
            // SAFETY: the kernel writes one word, to a variable of that size.
            unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut base) };
        }
    }
    base
}

/// Sets the GS base.
///
/// # Safety
/// Whoever else uses GS on this thread must get its base back before it runs again.
#[inline]
pub(crate) unsafe fn set(base: u64) {
    match way() {
        Way::Instructions => {
            // SAFETY: the kernel says user code may execute it; the caller answers for others.
            unsafe {
                core::arch::asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags))
            };
        }
        Way::SystemCall => {
            const ARCH_SET_GS: i32 = 0x1001;
            // SAFETY: the call takes numbers only; the caller answers for others.
            unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
        }
    }
}

/// A word at `gs:[0]`, read to see whether setting the base has an effect here.
///
/// # Safety
/// The GS base points to a readable word.
pub(crate) unsafe fn word() -> u64 {
    let word: u64;
    // SAFETY: the caller vouches for the base.
    unsafe {
        core::arch::asm!("mov {}, gs:[0]", out(reg) word, options(readonly, nostack, preserves_flags))
    };
    word
}
