//! Pseudo-random numbers, operands and instructions for tests that compare engines.
//!
//! Everything follows from the seed, on every host and in every version of the standard library,
//! so a failing test is named by a number. Values lean towards the edges where engines go wrong:
//! extremes of both widths, single bits, and 32-bit values under a dirty upper half.

use crate::{Format, Inst, Op, Reg};

/// A reproducible sequence of numbers; not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Values at which arithmetic changes its behaviour.
pub const EDGES: [u64; 20] = [
    0,
    1,
    2,
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    (1 << 63) - 1,
    (1 << 63) + 1,
    1 << 31,
    (1 << 31) - 1,
    0xFFFF_FFFF_8000_0000,
    0xFFFF_FFFF_7FFF_FFFF,
    1 << 32,
    0xFFFF_FFFF,
    0xDEAD_BEEF_0000_0000,
    0xDEAD_BEEF_FFFF_FFFF,
    0xDEAD_BEEF_8000_0000,
    0x8000_0000_0000_0001,
    63,
    0x0102_0304_8081_0000,
];

impl Random {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (the SplitMix64 sequence).
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        b ^ (b >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// True once in `n` times.
    pub const fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One element.
    ///
    /// # Panics
    /// If there is none.
    pub const fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A register, x0 included.
    pub const fn reg(&mut self) -> Reg {
        Reg::from_bits(self.bits() as u32)
    }

    /// A value as [`EDGES`] has them, near one of them, or of any length.
    pub const fn value(&mut self) -> u64 {
        match self.below(8) {
            0..3 => self.pick(&EDGES),
            3 => self
                .pick(&EDGES)
                .wrapping_add(self.below(9))
                .wrapping_sub(4),
            4 => 1 << self.below(64),
            5 => self.bits() >> self.below(64),
            6 => !(self.bits() >> self.below(64)),
            _ => self.bits(),
        }
    }

    /// An immediate that this format can hold.
    pub const fn immediate(&mut self, format: Format) -> i32 {
        let (min, max, multiple) = format.immediate_range();
        let bits = self.bits();
        // No format has more than 2^20 of them.
        let shift = multiple.trailing_zeros();
        let count = ((max - min) >> shift) as u64 + 1;
        let any = min + ((((bits >> 32) * count) >> 32) << shift) as i64;
        let before_zero = if min < 0 { -multiple } else { any };
        // A table: which of them comes next cannot be foretold.
        let choices = [min, max, before_zero, 0, any, any];
        let value = choices[(((bits & 0xFFFF_FFFF) * 6) >> 32) as usize];
        value as i32
    }

    /// This operation with any registers and immediate.
    pub fn inst(&mut self, op: Op) -> Inst {
        let imm = self.immediate(op.format());
        Inst::from_parts(op, self.reg(), self.reg(), self.reg(), imm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_word, encode};

    #[test]
    fn the_sequence_is_the_published_one() {
        // First outputs of SplitMix64 for seed 1234567, as its reference code prints them.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_instruction_has_an_encoding_that_decodes_to_it() {
        let mut random = Random::new(1);
        for &op in Op::ALL {
            for _ in 0..200 {
                let inst = random.inst(op);
                assert_eq!(encode(inst).map(decode_word), Ok(inst));
            }
        }
    }

    #[test]
    fn numbers_stay_below_the_bound_and_reach_both_ends() {
        let mut random = Random::new(2);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
    }
}
