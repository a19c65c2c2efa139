//! Programs made from a seed, for tests that compare engines and for tools.
//!
//! ```text
//!  seed ──▶ program.rs  valid code that comes to an end by itself ─┐
//!       └─▶ hostile.rs  damaged code, odd maps, extreme registers ─┴─▶ Case with its runs
//! ```
//!
//! Everything follows from the seed and the instruction table, on every host. A valid program
//! ends by construction: branches go forward, and what goes back counts a register down that
//! nothing else writes. [`bundle`] puts many such programs into one code, each with an entry of
//! its own, because loading costs more than running one. [`neighbours`] does it with programs that
//! are dense in instructions an engine may fuse.

mod access;
mod hostile;
mod neighbours;
mod program;
mod registers;
mod straight;
#[cfg(test)]
mod tests;
mod writer;

pub use hostile::{Damage, HOSTILE_RUNS, hostile};

use crate::arbitrary::Random;
use crate::{DATA_BASE, SLOTS};
use alloc::vec::Vec;
pub use program::Mix;
use program::{Author, Then};

/// Gas that valid programs do not use up.
pub const AMPLE_GAS: u64 = 4_000_000;

/// What a data mapping allows and where its content comes from (ISA §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read-only.
    Pinned,
    /// Writable, from a source.
    CopyOnWrite,
    /// Writable, zeros at first.
    Ephemeral,
}

/// One data mapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it allows.
    pub access: Access,
    /// The first bytes; the rest reads as zeros.
    pub content: Vec<u8>,
}

/// The multiples of seven, modulo 256.
const SEVENS: [u8; 256] = {
    let mut out = [0; 256];
    let mut i = 0;
    while i < out.len() {
        out[i] = (i * 7) as u8;
        i += 1;
    }
    out
};

impl Mapping {
    /// A mapping whose first `content` bytes are not zero and differ from page to page.
    fn patterned(start: u64, size: u64, access: Access, content: usize) -> Self {
        let mut bytes = alloc::vec![0; content];
        for (row, chunk) in bytes.chunks_mut(256).enumerate() {
            for (byte, first) in chunk.iter_mut().zip(&SEVENS) {
                *byte = first.wrapping_add(row as u8);
            }
        }
        Self {
            start,
            size,
            access,
            content: bytes,
        }
    }
}

/// How a program is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where.
    pub entry: u64,
    /// The registers.
    pub slots: [u64; SLOTS],
    /// Gas, below 2^63.
    pub gas: u64,
}

/// Code, the memory it expects, and the ways to start it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The code bytes.
    pub code: Vec<u8>,
    /// The data mappings in address order.
    pub map: Vec<Mapping>,
    /// At least one start.
    pub runs: Vec<Run>,
}

/// The mappings of valid programs: first address, bytes, access, bytes of content. They touch each
/// other, 2^31 and 2^32, have gaps between them, and one is large enough for stores far apart.
const USUAL: [(u64, u64, Access, usize); 6] = [
    (DATA_BASE, 0x2000, Access::Pinned, 0x2000),
    (0x1000_2000, 0x2000, Access::CopyOnWrite, 0x1800),
    (0x1001_0000, 0x3000, Access::Ephemeral, 0),
    (0x2000_0000, 0x0100_0000, Access::CopyOnWrite, 0x6000),
    (0x7FFF_F000, 0x2000, Access::CopyOnWrite, 0x1004),
    (0xFFFF_E000, 0x2000, Access::Ephemeral, 0),
];

/// Where the stack pointer of valid programs starts, in the ephemeral mapping.
const STACK: u64 = 0x1001_2F00;

/// Bytes that most programs do not exceed.
const BYTES: usize = 1024;

/// The selector with which a program of a chain hands over to the next one. A host should suspend
/// there, so that every program ends with an exit.
pub const HAND_OVER: u32 = 13;

/// Programs of a chain.
pub const CHAIN: u64 = 16;

/// How rarely a program is padded to lie far apart: more rarely in a bundle, where padding would
/// cost most of the time.
const FAR_ALONE: u64 = 40;
const FAR_IN_BUNDLE: u64 = 4000;

/// The mappings that valid programs expect.
pub fn usual_map() -> Vec<Mapping> {
    let mapping = |(start, size, access, content)| Mapping::patterned(start, size, access, content);
    USUAL.into_iter().map(mapping).collect()
}

/// The valid program of a seed: some 200 instructions with loops, calls, indirect jumps, host
/// calls, loads and stores.
pub fn program(seed: u64) -> Case {
    let mut author = Author::new(Mix::Usual, BYTES, FAR_ALONE);
    let run = author.program(Random::new(seed), Then::End);
    Case {
        code: author.finish(),
        map: usual_map(),
        runs: [run].into(),
    }
}

/// The valid programs of `count` seeds from `first` on in one code, the run of each in order.
/// Where a program lies decides what its `auipc` and link registers hold and which branches are
/// short, so the run of a seed here is not the run of that seed alone.
pub fn bundle(first: u64, count: u64) -> Case {
    bundle_of(Mix::Usual, first, count, 1)
}

/// As [`bundle`], of programs that are mostly neighbours whose operands match, which engines treat
/// as one instruction.
pub fn neighbours(first: u64, count: u64) -> Case {
    bundle_of(Mix::Neighbours, first, count, 1)
}

/// As [`bundle`] or [`neighbours`], but a program that comes to its end hands over to the next one:
/// `ecalli` [`HAND_OVER`], then a jump. Chains are [`CHAIN`] programs long. The run of each program
/// goes on to the end of its chain, on memory that the programs before have written.
pub fn chains(mix: Mix, first: u64, count: u64) -> Case {
    bundle_of(mix, first, count, CHAIN)
}

fn bundle_of(mix: Mix, first: u64, count: u64, chain: u64) -> Case {
    let mut author = Author::new(mix, count as usize * BYTES, FAR_IN_BUNDLE);
    let mut runs = Vec::with_capacity(count as usize);
    for number in 0..count {
        let last = (number + 1).is_multiple_of(chain) || number + 1 == count;
        let then = if last { Then::End } else { Then::Next };
        runs.push(author.program(Random::new(first + number), then));
    }
    let (code, map) = (author.finish(), usual_map());
    Case { code, map, runs }
}
