//! Address generation (ISA §6.11).

use super::Cpu;
use crate::memory::Memory;
use rivet_isa::{I6, R, VisitZba};

/// The low 32 bits.
const LOW: u64 = 0xFFFF_FFFF;

impl<M: Memory> VisitZba for Cpu<'_, M> {
    #[inline(always)]
    fn add_uw(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add(a & LOW))
    }

    #[inline(always)]
    fn sh1add(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add(a << 1))
    }

    #[inline(always)]
    fn sh2add(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add(a << 2))
    }

    #[inline(always)]
    fn sh3add(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add(a << 3))
    }

    #[inline(always)]
    fn sh1add_uw(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add((a & LOW) << 1))
    }

    #[inline(always)]
    fn sh2add_uw(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add((a & LOW) << 2))
    }

    #[inline(always)]
    fn sh3add_uw(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| b.wrapping_add((a & LOW) << 3))
    }

    #[inline(always)]
    fn slli_uw(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| (a & LOW) << (n & 63))
    }
}
