//! Conditional zero (ISA §6.11).

use rivet_isa::{R, VisitZicond};
use rivet_mutants::mutant;

use super::{Lower, Targets};
use crate::asm::{Asm, Cond, Host, Width};

impl<T: Targets> VisitZicond for Lower<'_, T> {
    fn czero_eqz(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, c| {
            if d == c {
                // Where the condition is zero, so is the destination already.
                asm.test(Width::W64, c, c);
                asm.cmov(Cond::NotEqual, d, a);
            } else if d == a {
                // Where it is taken, the condition itself is the zero.
                asm.test(Width::W64, c, c);
                asm.cmov(Cond::Equal, d, c);
            } else {
                keep_if(asm, Cond::NotEqual, [d, a, c]);
            }
        });
    }

    fn czero_nez(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, c| {
            if d == a || mutant!(JitCzeroAlias, d == c, false) {
                asm.zero(Host::RDX);
                asm.test(Width::W64, c, c);
                asm.mov(Width::W64, d, a);
                asm.cmov(Cond::NotEqual, d, Host::RDX);
            } else {
                keep_if(asm, Cond::Equal, [d, a, c]);
            }
        });
    }
}

/// `d = a if c compared with zero satisfies cond, else 0`, for d other than a and c.
fn keep_if(asm: &mut Asm, cond: Cond, [d, a, c]: [Host; 3]) {
    asm.zero(d);
    asm.test(Width::W64, c, c);
    asm.cmov(cond, d, a);
}
