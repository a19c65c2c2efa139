//! The linear walk, block starts and blocks (ISA §5, §9).
//!
//! The walk begins at offset 0 and never resynchronises, so whether an offset is an instruction
//! depends on everything before it. [`BlockStarts`] is the result of one walk over the whole code:
//! a bit per halfword and the offset where the walk stopped.

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
        let (mut at, mut fresh) = (0, 1);
        while let Some(bytes) = code.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            let role = role(u32::from_le_bytes(*bytes));
            bits[at >> 7] |= (fresh | mutant!(CallsJoinBlocks, role.call, 0)) << (at >> 1 & 63);
            fresh = role.ends;
            at += 2 + 2 * role.whole as usize;
        }
        while let Some((op, len)) = decode_op(code, at) {
            let flow = op.flow();
            if fresh == 1 || flow.is_call() {
                bits[at >> 7] |= 1 << (at >> 1 & 63);
            }
            fresh = u64::from(flow.is_terminator());
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
