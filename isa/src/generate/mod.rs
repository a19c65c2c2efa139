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
mod straight;
#[cfg(test)]
mod tests;
mod writer;

pub use hostile::{Damage, HOSTILE_RUNS, hostile};

use crate::arbitrary::Random;
use crate::{DATA_BASE, SLOTS};
use alloc::vec::Vec;
use program::{Author, Mix};

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

impl Mapping {
    /// A mapping whose first `content` bytes are not zero and differ from page to page.
    fn patterned(start: u64, size: u64, access: Access, content: usize) -> Self {
        let content = (0..content).map(|i| (i * 7 + i / 256) as u8).collect();
        Self {
            start,
            size,
            access,
            content,
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
    let mut author = Author::new(Mix::Usual, Vec::new(), Random::new(seed), FAR_ALONE);
    let run = author.program();
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
    bundle_of(Mix::Usual, first, count)
}

/// As [`bundle`], of programs that are mostly neighbours whose operands match, which engines treat
/// as one instruction.
pub fn neighbours(first: u64, count: u64) -> Case {
    bundle_of(Mix::Neighbours, first, count)
}

fn bundle_of(mix: Mix, first: u64, count: u64) -> Case {
    let mut code = Vec::with_capacity(count as usize * 1024);
    let mut runs = Vec::with_capacity(count as usize);
    for seed in first..first + count {
        let mut author = Author::new(mix, code, Random::new(seed), FAR_IN_BUNDLE);
        runs.push(author.program());
        code = author.finish();
    }
    let map = usual_map();
    Case { code, map, runs }
}
