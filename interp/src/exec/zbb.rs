//! Basic bit manipulation (ISA §6.11).

use super::Cpu;
use crate::memory::Memory;
use rivet_isa::{I1, I5, I6, R, VisitZbb};

/// Each byte as 0xFF if it is not zero, else 0.
#[inline(always)]
fn or_combine(value: u64) -> u64 {
    const LOW_SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    // Bit 7 of each byte: set by the byte's own bit 7 or by a carry out of its low seven bits.
    let any = (((value & LOW_SEVEN) + LOW_SEVEN) | value) & !LOW_SEVEN;
    (any >> 7) * 0xFF
}

impl<M: Memory> VisitZbb for Cpu<'_, M> {
    #[inline(always)]
    fn andn(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a & !b)
    }

    #[inline(always)]
    fn orn(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a | !b)
    }

    #[inline(always)]
    fn xnor(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| !(a ^ b))
    }

    #[inline(always)]
    fn clz(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from(a.leading_zeros()))
    }

    #[inline(always)]
    fn ctz(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from(a.trailing_zeros()))
    }

    #[inline(always)]
    fn cpop(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from(a.count_ones()))
    }

    #[inline(always)]
    fn clzw(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from((a as u32).leading_zeros()))
    }

    #[inline(always)]
    fn ctzw(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from((a as u32).trailing_zeros()))
    }

    #[inline(always)]
    fn cpopw(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from((a as u32).count_ones()))
    }

    #[inline(always)]
    fn max(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| (a as i64).max(b as i64) as u64)
    }

    #[inline(always)]
    fn maxu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.max(b))
    }

    #[inline(always)]
    fn min(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| (a as i64).min(b as i64) as u64)
    }

    #[inline(always)]
    fn minu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.min(b))
    }

    #[inline(always)]
    fn sext_b(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| i64::from(a as i8) as u64)
    }

    #[inline(always)]
    fn sext_h(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| i64::from(a as i16) as u64)
    }

    #[inline(always)]
    fn zext_h(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| u64::from(a as u16))
    }

    #[inline(always)]
    fn rol(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.rotate_left(b as u32 & 63))
    }

    #[inline(always)]
    fn ror(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.rotate_right(b as u32 & 63))
    }

    #[inline(always)]
    fn rori(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a.rotate_right(n))
    }

    #[inline(always)]
    fn rolw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.rotate_left(b & 31))
    }

    #[inline(always)]
    fn rorw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.rotate_right(b & 31))
    }

    #[inline(always)]
    fn roriw(&mut self, o: I5) -> Self::Out {
        self.shift_w(o, |a, n| a.rotate_right(n))
    }

    #[inline(always)]
    fn orc_b(&mut self, o: I1) -> Self::Out {
        self.unary(o, or_combine)
    }

    #[inline(always)]
    fn rev8(&mut self, o: I1) -> Self::Out {
        self.unary(o, |a| a.swap_bytes())
    }
}
