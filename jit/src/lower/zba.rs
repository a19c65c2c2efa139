//! Address generation (ISA §6.11).

use rivet_isa::{I6, R, VisitZba};

use super::alu::shift_imm;
use super::{Lower, Targets};
use crate::asm::{Alu, Host, Shift, Width};

impl<T: Targets> VisitZba for Lower<'_, T> {
    fn add_uw(&mut self, o: R) {
        if o.rs2.is_zero() {
            return self
                .this
                .two(o.rd, o.rs1, |asm, d, a| asm.mov(Width::W32, d, a));
        }
        self.shifted_add_word(o, 0);
    }

    fn sh1add(&mut self, o: R) {
        self.shifted_add(o, 1);
    }

    fn sh2add(&mut self, o: R) {
        self.shifted_add(o, 2);
    }

    fn sh3add(&mut self, o: R) {
        self.shifted_add(o, 3);
    }

    fn sh1add_uw(&mut self, o: R) {
        self.shifted_add_word(o, 1);
    }

    fn sh2add_uw(&mut self, o: R) {
        self.shifted_add_word(o, 2);
    }

    fn sh3add_uw(&mut self, o: R) {
        self.shifted_add_word(o, 3);
    }

    fn slli_uw(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.mov(Width::W32, d, a);
            shift_imm(asm, Width::W64, Shift::Shl, d, d, o.amount);
        });
    }
}

impl<T> Lower<'_, T> {
    /// `rd = rs2 + (rs1 << scale)`
    fn shifted_add(&mut self, o: R, scale: u8) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.lea_index(Width::W64, d, b, a, scale);
        });
    }

    /// `rd = rs2 + (zx32(rs1) << scale)`
    fn shifted_add_word(&mut self, o: R, scale: u8) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.mov(Width::W32, Host::RDX, a);
            if d == b && scale == 0 {
                asm.alu(Width::W64, Alu::Add, d, Host::RDX);
            } else {
                asm.lea_index(Width::W64, d, b, Host::RDX, scale);
            }
        });
    }
}
