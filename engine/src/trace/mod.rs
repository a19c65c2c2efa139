//! Recordings of runs: what they hold, as a file that any reader can be written for.
//!
//! ```text
//! magic "rvtrace\0"  version u8 = 1  kind u8  whole u8
//! code length v, code check u64, start: pc v, gas v, fifteen slots v
//! record*   tag u8, then
//!   1 step         state            the state after one block, in front of the next
//!   2 instruction  state            the state in front of an instruction
//!   3 exit         code u8, payload v, paid u8, state
//!   4 pages        count v, (page v, digest u64)*     content of private pages now
//! state:    pc z, gas z, changed u16, for each bit from slot 0 up: value v, new private: count v, page v*
//! ```
//!
//! `v` is an unsigned number in groups of seven bits, lowest first, with the top bit set in all but
//! the last; `z` is such a number for the difference to the state before, sign in the lowest bit;
//! a register's value is given as its exclusive or with the value before; other numbers are
//! little-endian. The code check and digests are [`digest`] of the bytes, pages whole and the code
//! padded with zeros. A recording that was interrupted ends between two records or inside one, and
//! is good up to there.
//!
//! Writing is [`Writer`]; reading is [`Recording::decode`], which is total.

mod read;
mod write;

pub use read::{Problem, Recording, TraceError};
pub use write::Writer;

use rivet_interp::State;
use rivet_isa::{Exit, PAGE_SIZE, PageIndex};

/// First bytes of every recording.
pub const MAGIC: [u8; 8] = *b"rvtrace\0";
/// The version of the format.
pub const VERSION: u8 = 1;

const STEP: u8 = 1;
const INSTRUCTION: u8 = 2;
const EXIT: u8 = 3;
const PAGES: u8 = 4;

/// What the records of a recording are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Blocks: steps, exits and pages.
    Blocks,
    /// Instructions and exits.
    Instructions,
}

/// Whether records were left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Everything from the start on.
    Whole,
    /// What a filter let through.
    Filtered,
}

/// What a recording is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the records are about.
    pub kind: Kind,
    /// Whether records were left out.
    pub extent: Extent,
    /// Bytes of code.
    pub code_len: u64,
    /// [`digest`] of the code.
    pub code_check: u64,
    /// The state at the start.
    pub start: State,
}

/// One entry of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The state after one block, and the pages that became private in it.
    Step(State, Vec<PageIndex>),
    /// The state in front of an instruction.
    Instruction(State),
    /// An exit, and the state and new private pages there.
    Exit(Exit, State, Vec<PageIndex>),
    /// Private pages with digests of their content.
    Pages(Vec<(PageIndex, u64)>),
}

/// Odd constants with evenly spread bits, one for each lane.
const LANES: [u64; 4] = [
    0x9E37_79B9_7F4A_7C15,
    0xBF58_476D_1CE4_E5B9,
    0x94D0_49BB_1331_11EB,
    0xD6E8_FEB8_6659_FD93,
];

/// A digest: four lanes that start as `LANES` and take every fourth little-endian word by [`mix`],
/// the last 32 bytes padded with zeros, and then are mixed into 0 in order. Fast, and not meant to
/// withstand an adversary.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut lanes = LANES;
    let mut take = |chunk: &[u8; 32]| {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *lane = mix(*lane, u64::from_le_bytes(*word));
        }
    };
    let (whole, rest) = bytes.as_chunks::<32>();
    whole.iter().for_each(&mut take);
    if !rest.is_empty() {
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        take(&last);
    }
    lanes.into_iter().fold(0, mix)
}

/// Takes a word into a digest: exclusive or, times the first constant, rotated left by 29.
pub const fn mix(digest: u64, word: u64) -> u64 {
    (digest ^ word).wrapping_mul(LANES[0]).rotate_left(29)
}

/// Digests of whole pages are of this many bytes.
const _: () = assert!(PAGE_SIZE.is_multiple_of(32));

#[cfg(test)]
mod tests;
