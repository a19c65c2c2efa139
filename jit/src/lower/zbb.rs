//! Basic bit manipulation (ISA §6.11).

use dynasmrt::{DynasmApi as _, dynasm};
use rivet_isa::{I1, I5, I6, R, VisitZbb};
use rivet_mutants::mutant;

use super::{Lower, Targets};
use crate::asm::{Alu, Asm, Cond, Count, F7, Host, Rotate, Width};

impl<T: Targets> VisitZbb for Lower<'_, T> {
    fn andn(&mut self, o: R) {
        self.this
            .three([o.rd, o.rs1, o.rs2], |asm, d, a, b| asm.andn(d, b, a));
    }

    fn orn(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            if d == a && d != b {
                asm.mov(Width::W64, Host::RDX, b);
                asm.unary(Width::W64, F7::Not, Host::RDX);
                asm.alu(Width::W64, Alu::Or, d, Host::RDX);
            } else if d == a {
                asm.mov_imm(d, u64::MAX);
            } else {
                asm.mov(Width::W64, d, b);
                asm.unary(Width::W64, F7::Not, d);
                asm.alu(Width::W64, Alu::Or, d, a);
            }
        });
    }

    fn xnor(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            if d == b {
                asm.alu(Width::W64, Alu::Xor, d, a);
            } else {
                asm.mov(Width::W64, d, a);
                asm.alu(Width::W64, Alu::Xor, d, b);
            }
            asm.unary(Width::W64, F7::Not, d);
        });
    }

    fn clz(&mut self, o: I1) {
        self.count(o, Width::W64, Count::LeadingZeros);
    }

    fn ctz(&mut self, o: I1) {
        self.count(o, Width::W64, Count::TrailingZeros);
    }

    fn cpop(&mut self, o: I1) {
        self.count(o, Width::W64, Count::Ones);
    }

    fn clzw(&mut self, o: I1) {
        self.count(o, Width::W32, Count::LeadingZeros);
    }

    fn ctzw(&mut self, o: I1) {
        self.count(o, Width::W32, Count::TrailingZeros);
    }

    fn cpopw(&mut self, o: I1) {
        self.count(o, Width::W32, Count::Ones);
    }

    fn max(&mut self, o: R) {
        self.pick(o, Cond::Less, Cond::GreaterEqual);
    }

    fn maxu(&mut self, o: R) {
        self.pick(o, Cond::Below, Cond::AboveEqual);
    }

    fn min(&mut self, o: R) {
        self.pick(o, Cond::GreaterEqual, Cond::Less);
    }

    fn minu(&mut self, o: R) {
        self.pick(o, Cond::AboveEqual, Cond::Below);
    }

    fn sext_b(&mut self, o: I1) {
        self.this.two(o.rd, o.rs1, |asm, d, a| asm.movsx8(d, a));
    }

    fn sext_h(&mut self, o: I1) {
        self.this.two(o.rd, o.rs1, |asm, d, a| asm.movsx16(d, a));
    }

    fn zext_h(&mut self, o: I1) {
        self.this.two(o.rd, o.rs1, |asm, d, a| asm.movzx16(d, a));
    }

    fn rol(&mut self, o: R) {
        self.rotate(o, Width::W64, Rotate::Left);
    }

    fn ror(&mut self, o: R) {
        self.rotate(o, Width::W64, Rotate::Right);
    }

    fn rori(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.rorx(Width::W64, d, a, o.amount)
        });
    }

    fn rolw(&mut self, o: R) {
        self.rotate(o, Width::W32, Rotate::Left);
    }

    fn rorw(&mut self, o: R) {
        self.rotate(o, Width::W32, Rotate::Right);
    }

    fn roriw(&mut self, o: I5) {
        self.this.word([o.rd, o.rs1, o.rs1], |asm, d, a, _| {
            asm.rorx(Width::W32, d, a, o.amount)
        });
    }

    fn orc_b(&mut self, o: I1) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            // Bytes equal to zero become all ones, the rest zero; then the opposite of that.
            dynasm!(asm.code
                ; .arch x64
                ; movq xmm0, Rq(a)
                ; pxor xmm1, xmm1
                ; pcmpeqb xmm0, xmm1
                ; movq Rq(d), xmm0
            );
            asm.unary(Width::W64, F7::Not, d);
        });
    }

    fn rev8(&mut self, o: I1) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.mov(Width::W64, d, a);
            asm.bswap(d);
        });
    }
}

impl<T> Lower<'_, T> {
    fn count(&mut self, o: I1, width: Width, op: Count) {
        self.this
            .two(o.rd, o.rs1, |asm, d, a| asm.count(width, op, d, a));
    }

    /// `rd = rs2 if rs1 takes_b rs2, else rs1`; `takes_a` is the opposite condition.
    fn pick(&mut self, o: R, takes_b: Cond, takes_a: Cond) {
        // The operands commute, so x0 comes second.
        let (rs1, rs2) = if o.rs1.is_zero() {
            (o.rs2, o.rs1)
        } else {
            (o.rs1, o.rs2)
        };
        if rs2.is_zero() && !rs1.is_zero() {
            return self.this.two(o.rd, rs1, |asm, d, a| {
                asm.zero(Host::RDX);
                asm.alu(Width::W64, Alu::Cmp, a, Host::RDX);
                asm.mov(Width::W64, d, a);
                asm.cmov(takes_b, d, Host::RDX);
            });
        }
        self.this.three([o.rd, rs1, rs2], |asm, d, a, b| {
            asm.alu(Width::W64, Alu::Cmp, a, b);
            if d == b {
                asm.cmov(mutant!(JitPickAlias, takes_a, takes_b), d, a);
            } else {
                asm.mov(Width::W64, d, a);
                asm.cmov(takes_b, d, b);
            }
        });
    }

    fn rotate(&mut self, o: R, width: Width, op: Rotate) {
        let regs = [o.rd, o.rs1, o.rs2];
        let body = |asm: &mut Asm, d, a, b| rotate_by(asm, width, op, [d, a, b]);
        match width {
            Width::W64 => self.this.three(regs, body),
            Width::W32 => self.this.word(regs, body),
        }
    }
}

/// Rotation by a register, whose count has to be in cl: what lives there waits in rdx. The moves
/// take no time; two shifts and an `or` would.
fn rotate_by(asm: &mut Asm, width: Width, op: Rotate, [d, a, n]: [Host; 3]) {
    let count = Host::RCX;
    if d == count {
        asm.mov(Width::W64, Host::RDX, a);
        asm.mov(Width::W32, count, n);
        asm.rotate(width, op, Host::RDX);
        asm.mov(Width::W64, d, Host::RDX);
    } else if n == count {
        asm.mov(Width::W64, d, a);
        asm.rotate(width, op, d);
    } else {
        asm.mov(Width::W64, Host::RDX, count);
        asm.mov(Width::W32, count, n);
        asm.mov(Width::W64, d, if a == count { Host::RDX } else { a });
        asm.rotate(width, op, d);
        asm.mov(Width::W64, count, Host::RDX);
    }
}
