//! Multiplication and division (ISA §6.10). Division never traps.

use super::Cpu;
use crate::memory::Memory;
use rivet_isa::{R, VisitM};
use rivet_mutants::mutant;

impl<M: Memory> VisitM for Cpu<'_, M> {
    #[inline(always)]
    fn mul(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.wrapping_mul(b))
    }

    #[inline(always)]
    fn mulh(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| {
            ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64
        })
    }

    #[inline(always)]
    fn mulhsu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| {
            let (a, b) = mutant!(InterpMulhsuOrder, (a, b), (b, a));
            ((i128::from(a as i64) * i128::from(b)) >> 64) as u64
        })
    }

    #[inline(always)]
    fn mulhu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64)
    }

    #[inline(always)]
    fn div(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| {
            if b == 0 {
                u64::MAX
            } else {
                let (a, b) = (a as i64, b as i64);
                mutant!(
                    InterpDivideOverflow,
                    a.wrapping_div(b),
                    a.checked_div(b).unwrap_or(0)
                ) as u64
            }
        })
    }

    #[inline(always)]
    fn divu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.checked_div(b).unwrap_or(u64::MAX))
    }

    #[inline(always)]
    fn rem(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| {
            if b == 0 {
                a
            } else {
                (a as i64).wrapping_rem(b as i64) as u64
            }
        })
    }

    #[inline(always)]
    fn remu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.checked_rem(b).unwrap_or(a))
    }

    #[inline(always)]
    fn mulw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.wrapping_mul(b))
    }

    #[inline(always)]
    fn divw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| {
            if b == 0 {
                u32::MAX
            } else {
                (a as i32).wrapping_div(b as i32) as u32
            }
        })
    }

    #[inline(always)]
    fn divuw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.checked_div(b).unwrap_or(u32::MAX))
    }

    #[inline(always)]
    fn remw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| {
            if b == 0 {
                a
            } else {
                (a as i32).wrapping_rem(b as i32) as u32
            }
        })
    }

    #[inline(always)]
    fn remuw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.checked_rem(b).unwrap_or(a))
    }
}
