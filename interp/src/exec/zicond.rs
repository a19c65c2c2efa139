//! Conditional zero (ISA §6.11).

use super::Cpu;
use crate::memory::Memory;
use rivet_isa::{R, VisitZicond};

impl<M: Memory> VisitZicond for Cpu<'_, M> {
    #[inline(always)]
    fn czero_eqz(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| if b == 0 { 0 } else { a })
    }

    #[inline(always)]
    fn czero_nez(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| if b == 0 { a } else { 0 })
    }
}
