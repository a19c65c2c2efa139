//! The linear walk, block starts and blocks (ISA §5, §9).
//!
//! The walk begins at offset 0 and never resynchronises, so whether an offset is an instruction
//! depends on everything before it. [`BlockStarts`] is the result of one walk over the whole code:
//! a bit per halfword and the offset where the walk stopped.

use crate::Op;
use crate::addr::Pc;
use crate::decode::{decode_op, role};
use alloc::vec::Vec;
use rivet_mutants::mutant;

/// `STARTS` and `END` of ISA §9.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockStarts {
    /// Bit `p / 2` is set iff `p` is a start. Starts are even because lengths are.
    bits: Vec<u64>,
    end: u64,
}

/// The extent of one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Block {
    /// Its start.
    pub start: Pc,
    /// The next start, or the end of the walk.
    pub end: Pc,
}

impl BlockStarts {
    /// Walks the code once. Time and memory are linear in its length (one bit per halfword).
    pub fn scan(code: &[u8]) -> Self {
        let mut bits = alloc::vec![0u64; code.len().div_ceil(128)];
        let mut edge = Edge::BEGINNING;
        let mut lines = 0;
        while let Some(line) = code.get(lines * LINE..).and_then(<[u8]>::first_chunk) {
            bits[lines] = edge.cross(line);
            lines += 1;
        }
        let mut at = lines * LINE + 2 * edge.tail as usize;
        let mut fresh = edge.fresh >> edge.tail & 1 == 1;
        while let Some((op, len)) = decode_op(code, at) {
            let flow = op.flow();
            if fresh || mutant!(CallsJoinBlocks, flow.is_call(), false) {
                bits[at >> 7] |= 1 << (at >> 1 & 63);
            }
            let reserved = op == Op::Reserved;
            fresh = flow.is_terminator() && mutant!(ReservedContinues, true, !reserved);
            at += len.bytes() as usize;
        }
        Self {
            bits,
            end: at as u64,
        }
    }

    /// Whether `pc` is a block start.
    #[inline]
    pub fn contains(&self, pc: Pc) -> bool {
        let value = pc.value();
        if value & 1 != 0 {
            return false;
        }
        let Ok(word) = usize::try_from(value >> 7) else {
            return false;
        };
        self.bits
            .get(word)
            .is_some_and(|bits| bits >> (value >> 1 & 63) & 1 == 1)
    }

    /// Where the walk stopped: the first offset that holds no complete instruction.
    pub fn end(&self) -> Pc {
        Pc::new(self.end)
    }

    /// Number of starts.
    pub fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|bits| bits.count_ones() as usize)
            .sum()
    }

    /// All starts in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Pc> + '_ {
        self.from(Pc::new(0))
    }

    /// The starts at or after `pc` in ascending order.
    pub fn from(&self, pc: Pc) -> impl Iterator<Item = Pc> + '_ {
        let first = pc.value().div_ceil(2);
        let word = usize::try_from(first >> 6).unwrap_or(usize::MAX);
        let mask = u64::MAX << (first & 63);
        let tail = self.bits.get(word..).unwrap_or(&[]);
        tail.iter().enumerate().flat_map(move |(i, bits)| {
            let bits = if i == 0 { bits & mask } else { *bits };
            Ones(bits).map(move |bit| Pc::new(((word + i) as u64) << 7 | u64::from(bit) << 1))
        })
    }

    /// The block that starts at `pc`, or `None` if none does.
    pub fn block_at(&self, pc: Pc) -> Option<Block> {
        if !self.contains(pc) {
            return None;
        }
        let end = self.from(pc.plus(2)).next().unwrap_or(self.end());
        Some(Block { start: pc, end })
    }

    /// All blocks in ascending order.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let mut starts = self.iter().peekable();
        core::iter::from_fn(move || {
            let start = starts.next()?;
            let end = starts.peek().copied().unwrap_or(self.end());
            Some(Block { start, end })
        })
    }
}

/// Bytes whose starts make one word of bits.
const LINE: usize = 128;

/// Where the walk stands between two lines, as bits for the halfwords of the next one.
struct Edge {
    /// 1 if the first one is the second half of a word.
    tail: u64,
    /// Of the first two: an instruction begins there, and the one before it ended a block.
    fresh: u64,
}

/// The halfwords at even places.
const EVEN: u64 = u64::MAX / 3;

impl Edge {
    const BEGINNING: Self = Self { tail: 0, fresh: 1 };

    /// Walks a line, with the halfword behind it: its block starts.
    ///
    /// Where instructions begin follows from one bit of each halfword, and what each does to
    /// blocks from its own bits alone. So nothing waits for the instruction before.
    #[inline(always)]
    fn cross(&mut self, line: &[u8; LINE + 2]) -> u64 {
        let words = words_among(line) & !self.tail;
        let tails = tails(words) | self.tail;
        let words = words & !tails;
        let (mut ends, mut calls) = (0, 0u64);
        for at in Ones(!tails) {
            let place = 2 * (at as usize % 64);
            let Some(bytes) = line[place..].first_chunk() else {
                continue;
            };
            let role = role(u32::from_le_bytes(*bytes));
            ends |= role.ends << at;
            if mutant!(CallsJoinBlocks, role.call, 0) != 0 {
                calls |= 1 << at;
            }
        }
        let (short, long) = (ends & !words, ends & words);
        let fresh = short << 1 | long << 2 | self.fresh;
        self.fresh = short >> 63 | long >> 62;
        self.tail = words >> 63;
        fresh | calls
    }
}

/// The halfwords that would begin a word, if they began an instruction: their lowest bits are `11`.
#[inline(always)]
fn words_among(line: &[u8; LINE + 2]) -> u64 {
    let (fours, _) = line.as_chunks::<8>();
    let mut words = 0;
    for (at, four) in fours.iter().enumerate() {
        let four = u64::from_le_bytes(*four);
        let both = four & four >> 1 & 0x0001_0001_0001_0001;
        // Gathers bits 0, 16, 32 and 48 in the highest sixteen.
        let gathered = both.wrapping_mul(0x0001_0002_0004_0008) >> 48 & 15;
        words |= gathered << (4 * at);
    }
    words
}

/// Of halfwords that would begin a word, those and their followers that are second halves.
///
/// In a run of such halfwords, the first one begins a word, so every other one after it is a
/// second half, up to the one behind the run. Adding the start of a run carries through it, which
/// tells runs that start at even places from those that start at odd ones.
#[inline(always)]
fn tails(words: u64) -> u64 {
    let starts = words & !(words << 1);
    let carried = words.wrapping_add(starts & EVEN);
    let (from_even, from_odd) = (words & !carried, words & carried);
    from_even << 1 & !EVEN | from_odd << 1 & EVEN
}

/// Positions of the one bits, lowest first.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::Random;
    use crate::decode::decode;

    /// ISA §9.2 by the letter: one instruction after the other.
    fn by_walking(code: &[u8]) -> (Vec<u64>, u64) {
        let (mut starts, mut at, mut fresh) = (Vec::new(), 0, true);
        while let Some(found) = decode(code, at as usize) {
            let flow = found.inst.flow();
            if fresh || flow.is_call() {
                starts.push(at);
            }
            fresh = flow.is_terminator();
            at += found.len.bytes();
        }
        (starts, at)
    }

    #[test]
    fn a_scan_finds_the_starts_that_a_walk_finds_wherever_words_and_lines_meet() {
        let mut random = Random::new(0x5EED_0006);
        let calls = [0x0000_100Bu32, 0x0050_200B];
        for round in 0..3000 {
            let len = random.below(1200) as usize;
            // From hardly any words to hardly anything else.
            let (words, odds) = (random.below(16), random.below(4));
            let mut code: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
            for half in code.chunks_mut(2) {
                half[0] |= if random.below(16) < words { 3 } else { 0 };
                if random.below(4) < odds {
                    half[0] = 0x13;
                }
            }
            for word in code.chunks_exact_mut(4) {
                if random.once_in(9) {
                    let call = calls[random.below(2) as usize];
                    word.copy_from_slice(&call.to_le_bytes());
                }
            }
            let scan = BlockStarts::scan(&code);
            let (starts, end) = by_walking(&code);
            let found: Vec<u64> = scan.iter().map(Pc::value).collect();
            assert_eq!(found, starts, "round {round}, {len} bytes");
            assert_eq!(scan.end().value(), end, "round {round}, {len} bytes");
        }
    }
}
