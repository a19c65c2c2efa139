//! The place before every system call where tests make it fail.

/// Passes, or fails as `call` would when a test asked for that.
#[cfg(not(all(test, has_windows)))]
#[inline(always)]
pub(crate) fn gate(_call: crate::SysCall) -> Result<(), crate::HostError> {
    Ok(())
}

#[cfg(all(test, has_windows))]
pub(crate) use armed::{fail_at, gate};

#[cfg(all(test, has_windows))]
mod armed {
    use std::cell::Cell;

    use crate::error::{Errno, HostError, SysCall};

    thread_local! {
        static COUNTDOWN: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Lets this thread's `n`-th call from now fail, counting from 0, or none. Returns what was
    /// left of the countdown before; `None` once a call has failed.
    pub(crate) fn fail_at(n: Option<u64>) -> Option<u64> {
        COUNTDOWN.replace(n)
    }

    pub(crate) fn gate(call: SysCall) -> Result<(), HostError> {
        let Some(left) = COUNTDOWN.get() else {
            return Ok(());
        };
        COUNTDOWN.set(left.checked_sub(1));
        if left > 0 {
            return Ok(());
        }
        Err(HostError::Sys {
            call,
            errno: Errno(libc::ENOMEM),
        })
    }
}
