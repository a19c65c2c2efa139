//! Single bits (ISA §6.11).

use super::Cpu;
use crate::memory::Memory;
use rivet_isa::{I6, R, VisitZbs};

impl<M: Memory> VisitZbs for Cpu<'_, M> {
    #[inline(always)]
    fn bclr(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a & !(1 << (b & 63)))
    }

    #[inline(always)]
    fn bclri(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a & !(1 << (n & 63)))
    }

    #[inline(always)]
    fn bext(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| (a >> (b & 63)) & 1)
    }

    #[inline(always)]
    fn bexti(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| (a >> (n & 63)) & 1)
    }

    #[inline(always)]
    fn binv(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a ^ (1 << (b & 63)))
    }

    #[inline(always)]
    fn binvi(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a ^ (1 << (n & 63)))
    }

    #[inline(always)]
    fn bset(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a | (1 << (b & 63)))
    }

    #[inline(always)]
    fn bseti(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a | (1 << (n & 63)))
    }
}
