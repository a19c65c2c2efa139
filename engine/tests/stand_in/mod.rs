//! Functions of the C library as a test sees them: each asks the test before it does what it does.
//!
//! The executable's own definitions win over the library's for everything linked into it.

/// What a call may need.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Maps,
    Other,
}

/// A function of the C library that can be made to fail.
macro_rules! stand_in {
    ($name:ident, $call:ident, $kind:ident, $errno:ident, ($($arg:ident: $type:ty),*) -> $result:ty) => {
        /// # Safety
        /// As the function of the C library that it stands in for.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            if super::refuses(Kind::$kind, libc::$errno) {
                return -1;
            }
            // SAFETY: the same call with the same arguments.
            unsafe { libc::syscall(libc::$call, $($arg),*) as $result }
        }
    };
}

stand_in!(mmap, SYS_mmap, Maps, ENOMEM, (at: usize, len: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> isize);
stand_in!(mprotect, SYS_mprotect, Maps, ENOMEM, (at: usize, len: usize, prot: i32) -> i32);
stand_in!(madvise, SYS_madvise, Other, EAGAIN, (at: usize, len: usize, advice: i32) -> i32);
stand_in!(memfd_create, SYS_memfd_create, Other, EMFILE, (name: usize, flags: u32) -> i32);
stand_in!(ftruncate, SYS_ftruncate, Other, EFBIG, (fd: i32, len: i64) -> i32);
stand_in!(ftruncate64, SYS_ftruncate, Other, EFBIG, (fd: i32, len: i64) -> i32);
stand_in!(pwrite, SYS_pwrite64, Other, ENOSPC, (fd: i32, from: usize, len: usize, offset: i64) -> isize);
stand_in!(pwrite64, SYS_pwrite64, Other, ENOSPC, (fd: i32, from: usize, len: usize, offset: i64) -> isize);
stand_in!(ioctl, SYS_ioctl, Other, ENOTTY, (fd: i32, request: usize, argument: usize) -> i32);
stand_in!(msync, SYS_msync, Other, ENOMEM, (at: usize, len: usize, flags: i32) -> i32);
stand_in!(sigaltstack, SYS_sigaltstack, Other, ENOMEM, (new: usize, old: usize) -> i32);
