//! What can go wrong that is not an exit.

use rivet_image::LayoutError;
use rivet_isa::{GuestAddr, MAX_CODE_SIZE};

/// Why an engine cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The backend asked for by name cannot run on this machine.
    #[error("the {backend} backend cannot run here: {reason}; use auto or interp")]
    Unsupported {
        /// The backend.
        backend: crate::Backend,
        /// What is missing.
        reason: crate::Unavailable,
    },
}

/// Why a program cannot be loaded: a violation of ISA §12, found before anything runs.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More code than the address space has room for.
    #[error("the code has {len} bytes, the limit is {MAX_CODE_SIZE}")]
    CodeTooLong {
        /// Bytes of code.
        len: u64,
    },
    /// A mapping of the image cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A region is not page-aligned, empty, or leaves the data range.
    #[error(
        "the region at {start:#x} of {size:#x} bytes must start and end on 4 KiB pages, hold one \
         at least and lie in 0x10000000..0x100000000"
    )]
    Region {
        /// First address.
        start: u64,
        /// Bytes.
        size: u64,
    },
    /// The page manager refuses the layout for a reason the checks before it should have named.
    #[error("the memory layout is refused: {0}")]
    Paging(#[source] rivet_paging::LayoutError),
    /// The recompiler cannot take the program.
    #[cfg(has_jit)]
    #[error("the recompiler cannot take the program: {0}")]
    Recompiler(#[source] rivet_jit::ProgramError),
    /// The host lacks memory or files for the program.
    #[error("the host cannot hold the program: {0}")]
    Host(#[from] HostError),
    /// The memory refuses the layout for a reason the checks before it should have named.
    #[error("the memory layout is refused: {0}")]
    Memory(#[from] rivet_interp::sparse::MapError),
    /// Two regions share a page.
    #[error("the regions at {first} and {second} overlap")]
    Overlap {
        /// Start of the lower region.
        first: GuestAddr,
        /// Start of the upper region.
        second: GuestAddr,
    },
    /// An ephemeral region starts as zeros (ISA §4).
    #[error("the region at {start} is ephemeral and cannot have content: make it copy-on-write")]
    EphemeralContent {
        /// First address of the region.
        start: GuestAddr,
    },
    /// A region's content is longer than the region.
    #[error("the region at {start} has {size:#x} bytes and its content {content:#x}: enlarge it")]
    ContentTooLong {
        /// First address of the region.
        start: GuestAddr,
        /// Bytes of the region.
        size: u64,
        /// Bytes of the content.
        content: u64,
    },
}

/// Why a machine cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No endpoint of the image has this key.
    #[error("the image has no endpoint {key}")]
    NoEndpoint {
        /// The key asked for.
        key: rivet_image::Key,
    },
}

impl From<rivet_interp::sparse::LimitReached> for HostError {
    fn from(_: rivet_interp::sparse::LimitReached) -> Self {
        Self::Memory
    }
}

/// Why a run could not go on for reasons outside the guest. The machine is poisoned: its state
/// means nothing, and only dropping it is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// An earlier run of this machine failed.
    #[error("this machine failed before and cannot run again: start a new one")]
    Poisoned,
    /// The page manager failed.
    #[error(transparent)]
    Paging(#[from] rivet_paging::HostError),
    /// The recompiler was asked for by name, and no window can be had for this machine.
    #[error("no window for generated code: {0}; use the auto or the interp backend")]
    NoWindow(#[source] rivet_paging::HostError),
    /// Generated code could not go on.
    #[cfg(has_jit)]
    #[error(transparent)]
    Recompiler(rivet_jit::RunError),
    /// The two engines of [`Backend::Checked`](crate::Backend::Checked) gave different answers.
    #[error("the engines diverged: {0}")]
    Diverged(Box<crate::checked::Divergence>),
    /// Guest memory could not be provided.
    #[error("guest memory is exhausted: raise the memory limit or run fewer machines")]
    Memory,
    /// A quote asked for more gas than exists, or a page charge contradicts the block gate.
    #[error("gas accounting broke: {left} left, {charge} to pay")]
    Accounting {
        /// Gas left.
        left: u64,
        /// The charge that does not fit.
        charge: u64,
    },
}
