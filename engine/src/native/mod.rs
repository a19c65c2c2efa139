//! The recompiler as a backend: what an engine shares, what a program adds, how a machine runs.
//!
//! Where the target has no recompiler `absent.rs` stands in, and nothing else notices.

#[cfg(not(has_jit))]
mod absent;
#[cfg(has_jit)]
mod present;
#[cfg(has_jit)]
mod running;

#[cfg(not(has_jit))]
pub(crate) use absent::{Native, NativeProgram, run, step};
#[cfg(has_jit)]
pub(crate) use present::{Native, NativeProgram};
#[cfg(has_jit)]
pub(crate) use running::{run, step};

use rivet_isa::Pc;
use rivet_paging::Tracker;

/// What translation has done for a program so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Translation {
    /// Bytes of guest code translated.
    pub guest_bytes: u64,
    /// Bytes of native code.
    pub native_bytes: u64,
    /// Chunks of code that are left to the interpreter.
    pub refused_chunks: u64,
    /// Time spent, in nanoseconds.
    pub nanoseconds: u64,
}

/// What a machine does when no window can be had for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WithoutWindow {
    /// It runs in the interpreter.
    Interpret,
    /// It fails: generated code was asked for by name.
    Fail,
}

/// The native code of one chunk of a program, for tools.
#[derive(Clone, Debug, Default)]
pub struct NativeCode {
    /// Where it lies in memory.
    pub address: u64,
    /// A copy of it.
    pub code: Vec<u8>,
    /// Its blocks and their offsets in the code, ascending.
    pub blocks: Vec<(Pc, u32)>,
    /// Offset behind the last block; what follows are calls of the runtime.
    pub cold: u32,
}

/// Why the recompiler cannot run on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is none for this target.
    #[error("there is no recompiler for this target")]
    Target,
    /// The processor or the system lacks what generated code needs.
    #[cfg(has_jit)]
    #[error(transparent)]
    System(rivet_jit::Unsupported),
    /// A 4 GiB window of guest memory cannot be reserved.
    #[error("a 4 GiB window cannot be reserved (see ulimit -v): {0}")]
    Window(rivet_paging::HostError),
}

/// Whether the recompiler can run in this process.
///
/// # Errors
/// The reason why not; `Backend::Auto` uses the interpreter then.
pub fn native_available() -> Result<(), Unavailable> {
    let config = crate::config::Config::default();
    Native::new(&config.limits, config.signals).map(drop)
}

/// How first writes of pages are found in this process, and why not the faster way.
pub fn first_write_tracking() -> String {
    if let Err(reason) = native_available() {
        return format!("in software, because {reason}");
    }
    match Tracker::Windows.available() {
        Ok(()) => "windows: traps open neighbouring pages, page tables settle them".to_owned(),
        Err(reason) => format!("one trap per page, because {reason}"),
    }
}
