//! Basic bit manipulation (ISA §6.11).

use dynasmrt::{DynasmApi as _, dynasm};
use rivet_isa::{I1, I5, I6, R, Reg, VisitZbb};

use super::{Lower, Targets};
use crate::asm::{Alu, Asm, Cond, Count, F7, Host, ShiftX, Width};

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
        self.rotate(o, Width::W64, ShiftX::Shl);
    }

    fn ror(&mut self, o: R) {
        self.rotate(o, Width::W64, ShiftX::Shr);
    }

    fn rori(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.rorx(Width::W64, d, a, o.amount)
        });
    }

    fn rolw(&mut self, o: R) {
        self.rotate(o, Width::W32, ShiftX::Shl);
    }

    fn rorw(&mut self, o: R) {
        self.rotate(o, Width::W32, ShiftX::Shr);
    }

    fn roriw(&mut self, o: I5) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.rorx(Width::W32, d, a, o.amount);
            asm.movsxd(d, d);
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
        let regs: [Reg; 3] = [o.rd, o.rs1, o.rs2];
        self.this.three(regs, |asm, d, a, b| {
            asm.alu(Width::W64, Alu::Cmp, a, b);
            if d == b {
                asm.cmov(takes_a, d, a);
            } else {
                asm.mov(Width::W64, d, a);
                asm.cmov(takes_b, d, b);
            }
        });
    }

    fn rotate(&mut self, o: R, width: Width, op: ShiftX) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            rotate_by(asm, width, op, [d, a, b])
        });
    }
}

/// Rotation by a register as two shifts, the second by the negated count: unlike the rotate
/// instruction this needs no particular register, and every part of it is one micro-operation.
fn rotate_by(asm: &mut Asm, width: Width, op: ShiftX, [d, a, b]: [Host; 3]) {
    let back = if op == ShiftX::Shl {
        ShiftX::Shr
    } else {
        ShiftX::Shl
    };
    asm.mov(Width::W32, Host::RDX, b);
    asm.unary(Width::W32, F7::Neg, Host::RDX);
    asm.shift_by(width, back, Host::RDX, a, Host::RDX);
    asm.shift_by(width, op, d, a, b);
    asm.alu(width, Alu::Or, d, Host::RDX);
    if width == Width::W32 {
        asm.movsxd(d, d);
    }
}
