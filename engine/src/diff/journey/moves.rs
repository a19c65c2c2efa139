//! What an embedder does on a journey, chosen by a seed.

use super::guest::MAP;
use rivet_image::RegionKind;
use rivet_isa::PAGE_SIZE;
use rivet_isa::arbitrary::Random;
use std::fmt;

/// A loop of the guest (`guest.rs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Routine {
    /// One-byte stores.
    Bytes,
    /// Two-byte stores.
    Halves,
    /// Four-byte stores.
    Words,
    /// Eight-byte stores.
    Doubles,
    /// Two stores in a block, to two places.
    Pairs,
    /// Loads, summed up in s0.
    Reads,
    /// A load and a store.
    Copies,
    /// A block of many stores.
    Many,
    /// Stores, a call, more stores, then a block of many stores, all in one run.
    Squeeze,
    /// The host fills a buffer.
    HostWrites,
    /// A store, and the host says what gas is left.
    AsksGas,
    /// A store, and a call that is answered when the run goes on.
    Unanswered,
    /// A store, and a call of the kernel.
    Kernel,
    /// Divisions, which only cost gas.
    Waits,
}

impl Routine {
    pub(super) const ALL: [Self; 14] = [
        Self::Bytes,
        Self::Halves,
        Self::Words,
        Self::Doubles,
        Self::Pairs,
        Self::Reads,
        Self::Copies,
        Self::Many,
        Self::Squeeze,
        Self::HostWrites,
        Self::AsksGas,
        Self::Unanswered,
        Self::Kernel,
        Self::Waits,
    ];
}

/// A routine with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Act {
    /// Which.
    pub routine: Routine,
    /// Where its first accesses go.
    pub at: u64,
    /// Where others go.
    pub other: u64,
    /// How far the next ones are from those.
    pub stride: u64,
    /// How often.
    pub times: u64,
    /// What is stored, how many bytes the host fills, or how many stores a squeeze adds.
    pub value: u64,
}

/// What an embedder does between two comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// The machine begins again with this gas.
    Rewind(u64),
    /// It is replaced by a new one with this gas.
    New(u64),
    /// A routine is set up and run to an exit.
    Act(Act),
    /// The same, its first blocks one at a time.
    Walk(Act),
    /// Gas becomes this, and the run goes on as it stands.
    Refill(u64),
    /// It is forked; the fork goes on and the other one waits.
    Fork,
    /// The one that waits goes on and this one waits.
    Swap,
    /// Each side goes on from the other side's snapshot.
    Cross,
    /// This many bytes of this value are placed.
    Place {
        /// First address.
        at: u64,
        /// Number.
        len: u64,
        /// Value.
        byte: u8,
    },
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let act = |act: &Act, f: &mut fmt::Formatter<'_>| {
            let Act {
                routine,
                at,
                other,
                stride,
                times,
                value,
            } = act;
            write!(
                f,
                "{routine:?}: a0={at:#x} a1={value:#x} a2={stride:#x} t1={times} a4={other:#x}"
            )
        };
        match self {
            Self::Rewind(gas) => write!(f, "begin again with gas {gas}"),
            Self::New(gas) => write!(f, "a new machine with gas {gas}"),
            Self::Act(what) => act(what, f),
            Self::Walk(what) => {
                f.write_str("block by block, ")?;
                act(what, f)
            }
            Self::Refill(gas) => write!(f, "go on with gas {gas}"),
            Self::Fork => f.write_str("go on with a fork"),
            Self::Swap => f.write_str("go on with the machine that waits"),
            Self::Cross => f.write_str("go on from the other side's snapshot"),
            Self::Place { at, len, byte } => write!(f, "place {len} bytes {byte:#x} at {at:#x}"),
        }
    }
}

/// Most moves of a journey.
const MOVES: u64 = 14;

/// Gas around what the recompiler holds back, and around what pages cost.
fn gas(random: &mut Random) -> u64 {
    match random.below(8) {
        0..3 => 1 << 40,
        3 => random.below(8_000),
        4 => 65_536 + random.below(4_000),
        5 => 65_536 + 256 * random.below(400) + random.below(60),
        6 => random.below(200_000),
        _ => 1_000_000 + random.below(1_000_000),
    }
}

/// The places that the accesses of one journey like: what is near each other matters.
struct Places {
    random: Random,
    few: [u64; 4],
}

impl Places {
    /// A page of any mapping, often at its ends.
    fn page(random: &mut Random) -> u64 {
        let (start, size, kind) = random.pick(&MAP);
        if kind == RegionKind::Pinned && !random.once_in(3) {
            return Self::page(random);
        }
        let pages = size / PAGE_SIZE;
        let page = match random.below(6) {
            0 => 0,
            1 => pages - 1,
            2 => random.below(pages.min(40)),
            _ => random.below(pages),
        };
        start + page * PAGE_SIZE
    }

    /// An address: mostly inside its page, sometimes across its end or outside all mappings.
    fn address(&mut self) -> u64 {
        let random = &mut self.random;
        let near = random.pick(&self.few);
        let page = if random.once_in(4) {
            Self::page(random)
        } else {
            near.wrapping_add_signed((random.below(5) as i64 - 2) * PAGE_SIZE as i64)
        };
        page + match random.below(8) {
            0 => PAGE_SIZE - 1 - random.below(7),
            1 => PAGE_SIZE - 8,
            2 => 0,
            _ => random.below(PAGE_SIZE - 8),
        }
    }

    fn act(&mut self) -> Act {
        let routine = self.random.pick(&Routine::ALL);
        let (at, other) = (self.address(), self.address());
        let random = &mut self.random;
        let stride = match random.below(8) {
            0 => random.below(64),
            1 => PAGE_SIZE.wrapping_neg(),
            2 => PAGE_SIZE / 2,
            3 => 2 * PAGE_SIZE,
            4 => (16 + random.below(40)) * PAGE_SIZE,
            5 => PAGE_SIZE + 8,
            _ => PAGE_SIZE,
        };
        let (few, many) = (random.below(4), random.below(40));
        let times = match routine {
            Routine::Many => 1,
            Routine::Squeeze => 1 + random.below(30),
            Routine::Waits => 1 + random.below(3_000),
            Routine::HostWrites | Routine::Unanswered => 1 + random.below(4),
            _ => 1 + random.pick(&[few, many]),
        };
        Act {
            routine,
            at,
            other,
            stride,
            times,
            value: random.value() | 1,
        }
    }
}

impl Places {
    /// Stores that leave hardly more gas than the block behind them asks for, if it is counted
    /// right: what the recompiler holds back, and some of what the pages cost.
    fn squeeze(&mut self) -> (Move, Act) {
        let random = &mut self.random;
        let (times, more) = (8 + random.below(60), 17 + random.below(14));
        let all = times + more;
        let gas = 65_536 + 400 + 45 * all + 256 * random.below(all);
        let act = Act {
            routine: Routine::Squeeze,
            at: 0x2000_0000 + PAGE_SIZE * random.below(1_900),
            other: 0x3000_0000,
            stride: PAGE_SIZE,
            times,
            value: more,
        };
        (Move::Rewind(gas), act)
    }
}

/// The moves of a seed.
pub(super) fn moves(seed: u64) -> Vec<Move> {
    let mut random = Random::new(seed ^ 0x6A09_E667_F3BC_C908);
    let few = [0; 4].map(|_| Places::page(&mut random));
    let mut places = Places {
        random: Random::new(random.bits()),
        few,
    };
    let mut out = vec![Move::Rewind(gas(&mut random))];
    for _ in 0..3 + random.below(MOVES - 3) {
        let next = match random.below(24) {
            0..3 => Move::Rewind(gas(&mut random)),
            3 => Move::New(gas(&mut random)),
            4..6 => Move::Refill(gas(&mut random)),
            6 => Move::Fork,
            7 => Move::Swap,
            8..10 => Move::Cross,
            10..12 => Move::Place {
                at: places.address(),
                len: 1 + random.below(6_000),
                byte: random.bits() as u8,
            },
            12 => Move::Walk(places.act()),
            13 => {
                let (tight, act) = places.squeeze();
                out.push(tight);
                Move::Act(act)
            }
            _ => Move::Act(places.act()),
        };
        out.push(next);
    }
    // Whatever is left over shows when the same places are written once more.
    if random.once_in(2) {
        let again = out.clone();
        out.push(Move::Rewind(gas(&mut random)));
        out.extend(again.iter().rev().filter(|m| matches!(m, Move::Act(_))));
    }
    out
}
