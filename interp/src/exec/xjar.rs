//! custom-0 (ISA §6.13) and reserved encodings. Calls end the run; who services them pays.

use super::{Cpu, Step, Stop};
use crate::memory::Memory;
use rivet_isa::{N, Sel, Visit, VisitXjar};

impl<M: Memory> VisitXjar for Cpu<'_, M> {
    #[inline(always)]
    fn trap(&mut self, _: N) -> Self::Out {
        Step::Stop(Stop::Trap)
    }

    #[inline(always)]
    fn ecall_jar(&mut self, _: N) -> Self::Out {
        Step::Stop(Stop::KernelCall)
    }

    #[inline(always)]
    fn ecalli(&mut self, o: Sel) -> Self::Out {
        Step::Stop(Stop::HostCall(o.selector))
    }

    #[inline(always)]
    fn fallthrough(&mut self, _: N) -> Self::Out {
        Step::Next
    }
}

impl<M: Memory> Visit for Cpu<'_, M> {
    #[inline(always)]
    fn reserved(&mut self) -> Self::Out {
        Step::Stop(Stop::Panic)
    }
}
