//! Why a snapshot cannot be taken, read, resumed or completed.

use super::wire::{FORMAT_VERSION, ISA_VERSION};
use crate::error::HostError;
use crate::identity::CostModelId;
use rivet_image::{Digest, ImageError};
use rivet_isa::{Exit, PageIndex, Pc};

/// Why a machine has no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The machine failed; its state means nothing.
    #[error("the machine failed before and has no state to save: start a new one")]
    Poisoned,
    /// The run is over (ISA §11.1): nothing can be resumed.
    #[error("the run has ended with {exit}: only a paused run can be saved")]
    Ended {
        /// How it ended.
        exit: Exit,
    },
    /// The machine was started at a pc that is no block start and would panic there.
    #[error("pc {pc} is not where a run can pause (ISA §11.3): start at the start of a block")]
    Pc {
        /// The pc.
        pc: Pc,
    },
    /// The program has no image: bare code with more regions than an image may have.
    #[error("the program cannot be named by an image: {0}")]
    Image(#[from] ImageError),
    /// Memory could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Why bytes are not a snapshot or delta.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes do not begin as every snapshot does.
    #[error("not a snapshot: it does not begin with the snapshot magic")]
    Magic,
    /// Bytes are missing or left over.
    #[error(
        "{found} bytes where a snapshot of this content has {expected}: it was cut or extended"
    )]
    Length {
        /// Bytes that its contents ask for, as far as they are known.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Another version of the format.
    #[error(
        "snapshot format {found}; this library reads {FORMAT_VERSION}: use the version of rivet that wrote it"
    )]
    FormatVersion {
        /// The version found.
        found: u16,
    },
    /// State of another revision of the machine.
    #[error(
        "state of instruction set version {found}; this library runs {ISA_VERSION}: use a rivet that runs it"
    )]
    IsaVersion {
        /// The version found.
        found: u16,
    },
    /// A snapshot where a delta is expected, or the reverse, or neither.
    #[error("kind {found} where {expected} is expected (0 is a snapshot, 1 a delta)")]
    Kind {
        /// The kind found.
        found: u8,
        /// The kind asked for.
        expected: u8,
    },
    /// A byte that must be zero is not.
    #[error("byte {at} is reserved and must be zero")]
    Reserved {
        /// Its offset.
        at: usize,
    },
    /// A pending call that no state has.
    #[error("pending call {code} with selector {selector:#x} does not exist")]
    Pending {
        /// Its code.
        code: u8,
        /// Its selector.
        selector: u32,
    },
    /// A pc beyond the largest code.
    #[error("pc {pc:#x} lies outside any code")]
    Pc {
        /// The pc.
        pc: u64,
    },
    /// Gas outside its domain.
    #[error("gas {gas:#x} is not below 2^63")]
    Gas {
        /// The figure.
        gas: u64,
    },
    /// The table of pages is not in its one form.
    #[error("the page table is not in canonical form")]
    PageTable,
    /// A page below the data range.
    #[error("page {page} lies below the data range")]
    NotData {
        /// The page.
        page: PageIndex,
    },
    /// A page of two classes.
    #[error("page {page} is listed twice")]
    TwoClasses {
        /// The page.
        page: PageIndex,
    },
}

/// Why a snapshot cannot be resumed with a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// It is state of another program.
    #[error("the snapshot is of image {snapshot}, this program is {program}: load that image")]
    OtherImage {
        /// Image of the snapshot.
        snapshot: Digest,
        /// Image of the program.
        program: Digest,
    },
    /// It was charged by other cost parameters.
    #[error(
        "the snapshot was charged by cost parameters {snapshot}, this engine has {program}: configure those"
    )]
    OtherCostModel {
        /// Parameters of the snapshot.
        snapshot: CostModelId,
        /// Parameters of the engine.
        program: CostModelId,
    },
    /// The program has no image.
    #[error("the program cannot be named by an image: {0}")]
    Image(#[from] ImageError),
    /// No pause point of ISA §11.3 has this pc.
    #[error("pc {pc} is not where a run can pause (ISA §11.3): the snapshot was altered")]
    Pc {
        /// The pc.
        pc: Pc,
    },
    /// The pending call is not the instruction in front of the pc.
    #[error("there is no such call in front of pc {pc}: the snapshot was altered")]
    NotTheCall {
        /// The pc.
        pc: Pc,
    },
    /// A changed page that the program cannot have changed.
    #[error("page {page} is not writable in this program: the snapshot was altered")]
    NotWritable {
        /// The page.
        page: PageIndex,
    },
    /// A base page with the content that the image has there: it would be left out.
    #[error("base page {page} holds what the image has there: the snapshot is not canonical")]
    Redundant {
        /// The page.
        page: PageIndex,
    },
    /// The host has no room for the pages.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Why a delta cannot be made or completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Snapshots of two programs or cost parameters have no difference worth keeping.
    #[error("the snapshots are of different programs: a delta needs two states of one")]
    OtherProgram,
    /// The snapshot is not the one the delta was made against.
    #[error("the delta is against snapshot {expected}, this is {found}: supply that base")]
    WrongBase {
        /// Address of the base it needs.
        expected: Digest,
        /// Address of the snapshot given.
        found: Digest,
    },
    /// It lists a page as changed that is not.
    #[error("the delta lists page {page}, which does not change: it is not canonical")]
    Redundant {
        /// The page.
        page: PageIndex,
    },
    /// What came out is not what the delta promised.
    #[error("the delta promises snapshot {expected} and gives {found}: it was altered")]
    Result {
        /// The address promised.
        expected: Digest,
        /// The address of what came out.
        found: Digest,
    },
}

/// Why bytes are not a parcel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// The bytes do not begin as every parcel does.
    #[error("not a snapshot file: it does not begin with the magic of one")]
    Magic,
    /// Another version of the format.
    #[error(
        "snapshot file version {found}; this library reads 1: use the version of rivet that wrote it"
    )]
    Version {
        /// The version found.
        found: u16,
    },
    /// The header contradicts itself or its hash.
    #[error("the header of the snapshot file is damaged")]
    Header,
    /// Bytes are missing or left over.
    #[error("{found} bytes where the snapshot file has {expected}: it was cut or extended")]
    Length {
        /// Bytes the header promises.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A part does not have the hash the header gives.
    #[error("the {part} in the snapshot file is damaged: its hash is {found}, not {expected}")]
    Damaged {
        /// `image` or `state`.
        part: &'static str,
        /// Hash in the header.
        expected: Digest,
        /// Hash of what is there.
        found: Digest,
    },
    /// The state cannot be read.
    #[error("the state in the snapshot file is refused: {0}")]
    State(#[from] DecodeError),
    /// The image cannot be read.
    #[error("the image in the snapshot file is refused: {0}")]
    Image(#[from] ImageError),
    /// The image is not the one the state names.
    #[error("the snapshot file holds image {found}, its state needs {expected}")]
    OtherImage {
        /// Image of the state.
        expected: Digest,
        /// Image that is there.
        found: Digest,
    },
}
