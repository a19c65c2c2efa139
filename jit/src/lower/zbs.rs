//! Single bits (ISA §6.11). A bit instruction on a register takes its index modulo 64.

use rivet_isa::{I6, R, VisitZbs};
use rivet_mutants::mutant;

use super::alu::{set_after, shift_imm};
use super::{Lower, Targets};
use crate::asm::{Alu, BitOp, Cond, Host, Shift, ShiftX, Width};

impl<T: Targets> VisitZbs for Lower<'_, T> {
    fn bclr(&mut self, o: R) {
        self.change(o, BitOp::Reset);
    }

    fn bclri(&mut self, o: I6) {
        self.change_imm(o, BitOp::Reset);
    }

    fn bext(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            set_after(asm, Cond::Below, d, [a, b], |asm| {
                asm.bit(BitOp::Test, a, b)
            });
        });
    }

    fn bexti(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            shift_imm(asm, Width::W64, Shift::Shr, d, a, o.amount);
            asm.alu_imm(Width::W32, Alu::And, d, 1);
        });
    }

    fn binv(&mut self, o: R) {
        self.change(o, BitOp::Complement);
    }

    fn binvi(&mut self, o: I6) {
        self.change_imm(o, BitOp::Complement);
    }

    fn bset(&mut self, o: R) {
        if o.rs1.is_zero() {
            return self.this.two(o.rd, o.rs2, |asm, d, n| {
                asm.mov_imm(Host::RDX, 1);
                asm.shift_by(Width::W64, ShiftX::Shl, d, Host::RDX, n);
            });
        }
        self.change(o, BitOp::Set);
    }

    fn bseti(&mut self, o: I6) {
        if o.rs1.is_zero() {
            return self.this.constant(o.rd, 1 << (o.amount & 63));
        }
        self.change_imm(o, BitOp::Set);
    }
}

impl<T> Lower<'_, T> {
    fn change(&mut self, o: R, op: BitOp) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            let index = if mutant!(JitBitAlias, d == b && d != a, false) {
                asm.mov(Width::W64, Host::RDX, b);
                Host::RDX
            } else {
                b
            };
            asm.mov(Width::W64, d, a);
            asm.bit(op, d, index);
        });
    }

    fn change_imm(&mut self, o: I6, op: BitOp) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.mov(Width::W64, d, a);
            asm.bit_imm(op, d, o.amount);
        });
    }
}
