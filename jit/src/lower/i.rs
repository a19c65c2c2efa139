//! The base instruction set (ISA §6.3–6.9, §6.12); memory and control flow have files of their own.

use rivet_isa::{B, CODE_BASE, I, I5, I6, J, N, R, S, U, VisitI};
use rivet_mutants::mutant;

use super::alu::{add, add_imm, logic, set_after, set_if_imm, shift_imm, sub};
use super::{Lower, Targets};
use crate::asm::{Alu, Cond, F7, Load, Shift, ShiftX, Store, Width};

impl<T: Targets> VisitI for Lower<'_, T> {
    fn lui(&mut self, o: U) {
        self.this.constant(o.rd, i64::from(o.imm) as u64);
    }

    fn auipc(&mut self, o: U) {
        let base = CODE_BASE + u64::from(self.this.step.pc);
        let sum = base.wrapping_add(i64::from(o.imm) as u64);
        let sum = mutant!(JitAuipcNarrow, sum, i64::from(sum as i32) as u64);
        self.this.constant(o.rd, sum);
    }

    fn jal(&mut self, o: J) {
        self.jump_and_link(o);
    }

    fn jalr(&mut self, o: I) {
        self.jump_indirect(o);
    }

    fn beq(&mut self, o: B) {
        self.branch(o, Cond::Equal);
    }

    fn bne(&mut self, o: B) {
        self.branch(o, Cond::NotEqual);
    }

    fn blt(&mut self, o: B) {
        self.branch(o, Cond::Less);
    }

    fn bge(&mut self, o: B) {
        self.branch(o, Cond::GreaterEqual);
    }

    fn bltu(&mut self, o: B) {
        self.branch(o, Cond::Below);
    }

    fn bgeu(&mut self, o: B) {
        self.branch(o, Cond::AboveEqual);
    }

    fn lb(&mut self, o: I) {
        self.this.load(Load::S8, o);
    }

    fn lh(&mut self, o: I) {
        self.this.load(Load::S16, o);
    }

    fn lw(&mut self, o: I) {
        self.this.load(Load::S32, o);
    }

    fn ld(&mut self, o: I) {
        self.this.load(Load::U64, o);
    }

    fn lbu(&mut self, o: I) {
        self.this.load(Load::U8, o);
    }

    fn lhu(&mut self, o: I) {
        self.this.load(Load::U16, o);
    }

    fn lwu(&mut self, o: I) {
        self.this
            .load(mutant!(JitLwuSigned, Load::U32, Load::S32), o);
    }

    fn sb(&mut self, o: S) {
        self.this.store(Store::B8, o);
    }

    fn sh(&mut self, o: S) {
        self.this.store(Store::B16, o);
    }

    fn sw(&mut self, o: S) {
        self.this.store(Store::B32, o);
    }

    fn sd(&mut self, o: S) {
        self.this.store(Store::B64, o);
    }

    fn addi(&mut self, o: I) {
        if o.rs1.is_zero() {
            return self.this.constant(o.rd, i64::from(o.imm) as u64);
        }
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            if o.imm == 0 {
                asm.mov(Width::W64, d, a);
            } else {
                add_imm(asm, Width::W64, d, a, o.imm);
            }
        });
    }

    fn slti(&mut self, o: I) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            set_if_imm(asm, Cond::Less, d, a, o.imm)
        });
    }

    fn sltiu(&mut self, o: I) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            set_if_imm(asm, Cond::Below, d, a, o.imm)
        });
    }

    fn xori(&mut self, o: I) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.mov(Width::W64, d, a);
            if o.imm == -1 {
                asm.unary(Width::W64, F7::Not, d);
            } else {
                asm.alu_imm(Width::W64, Alu::Xor, d, o.imm);
            }
        });
    }

    fn ori(&mut self, o: I) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.mov(Width::W64, d, a);
            asm.alu_imm(Width::W64, Alu::Or, d, o.imm);
        });
    }

    fn andi(&mut self, o: I) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            if o.imm == 255 {
                return asm.movzx8(d, a);
            }
            // A mask without sign clears the upper half, as the short form does.
            let short = mutant!(JitAndiUpper, o.imm >= 0, true);
            let width = if short { Width::W32 } else { Width::W64 };
            if d != a {
                asm.mov(width, d, a);
            }
            asm.alu_imm(width, Alu::And, d, o.imm);
        });
    }

    fn slli(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            shift_imm(asm, Width::W64, Shift::Shl, d, a, o.amount)
        });
    }

    fn srli(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            shift_imm(asm, Width::W64, Shift::Shr, d, a, o.amount)
        });
    }

    fn srai(&mut self, o: I6) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            shift_imm(asm, Width::W64, Shift::Sar, d, a, o.amount)
        });
    }

    fn add(&mut self, o: R) {
        match (o.rs1.is_zero(), o.rs2.is_zero()) {
            (true, true) => self.this.constant(o.rd, 0),
            (true, false) => self
                .this
                .two(o.rd, o.rs2, |asm, d, a| asm.mov(Width::W64, d, a)),
            (false, true) => self
                .this
                .two(o.rd, o.rs1, |asm, d, a| asm.mov(Width::W64, d, a)),
            (false, false) => {
                self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
                    add(asm, Width::W64, d, a, b)
                });
            }
        }
    }

    fn sub(&mut self, o: R) {
        if o.rs1.is_zero() && !o.rs2.is_zero() {
            return self.this.two(o.rd, o.rs2, |asm, d, a| {
                asm.mov(Width::W64, d, a);
                asm.unary(Width::W64, F7::Neg, d);
            });
        }
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            sub(asm, Width::W64, d, a, b)
        });
    }

    fn sll(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.shift_by(Width::W64, ShiftX::Shl, d, a, b);
        });
    }

    fn slt(&mut self, o: R) {
        self.this.set_if(o, Cond::Less);
    }

    fn sltu(&mut self, o: R) {
        self.this.set_if(o, Cond::Below);
    }

    fn xor(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            logic(asm, Alu::Xor, d, a, b)
        });
    }

    fn srl(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.shift_by(Width::W64, ShiftX::Shr, d, a, b);
        });
    }

    fn sra(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.shift_by(Width::W64, ShiftX::Sar, d, a, b);
        });
    }

    fn or(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            logic(asm, Alu::Or, d, a, b)
        });
    }

    fn and(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            logic(asm, Alu::And, d, a, b)
        });
    }

    fn addiw(&mut self, o: I) {
        let low_half = std::mem::take(&mut self.this.low_half);
        if o.rs1.is_zero() {
            return self.this.constant(o.rd, i64::from(o.imm) as u64);
        }
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            if o.imm == 0 {
                return mutant!(JitAddiwZero, asm.movsxd(d, a), asm.mov(Width::W64, d, a));
            }
            add_imm(asm, Width::W32, d, a, o.imm);
            if !low_half {
                asm.movsxd(d, d);
            }
        });
    }

    fn slliw(&mut self, o: I5) {
        let low_half = std::mem::take(&mut self.this.low_half);
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            if o.amount == 0 {
                return mutant!(JitSlliwZero, asm.movsxd(d, a), asm.mov(Width::W32, d, a));
            }
            shift_imm(asm, Width::W32, Shift::Shl, d, a, o.amount);
            if !low_half {
                asm.movsxd(d, d);
            }
        });
    }

    fn srliw(&mut self, o: I5) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            if o.amount == 0 {
                return asm.movsxd(d, a);
            }
            if d != a {
                asm.mov(Width::W32, d, a);
            }
            // The sign bit of the result is clear, so zero extension is sign extension.
            asm.shift_imm(Width::W32, Shift::Shr, d, o.amount);
        });
    }

    fn sraiw(&mut self, o: I5) {
        self.this.two(o.rd, o.rs1, |asm, d, a| {
            asm.movsxd(d, a);
            if o.amount != 0 {
                asm.shift_imm(Width::W64, Shift::Sar, d, o.amount);
            }
        });
    }

    fn addw(&mut self, o: R) {
        self.this.word([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            add(asm, Width::W32, d, a, b)
        });
    }

    fn subw(&mut self, o: R) {
        if o.rs1.is_zero() {
            return self.this.word([o.rd, o.rs2, o.rs2], |asm, d, a, _| {
                asm.mov(Width::W64, d, a);
                asm.unary(Width::W32, F7::Neg, d);
            });
        }
        self.this.word([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            sub(asm, Width::W32, d, a, b)
        });
    }

    fn sllw(&mut self, o: R) {
        self.this.shift_word(o, ShiftX::Shl);
    }

    fn srlw(&mut self, o: R) {
        self.this.shift_word(o, ShiftX::Shr);
    }

    fn sraw(&mut self, o: R) {
        self.this.shift_word(o, ShiftX::Sar);
    }

    fn fence(&mut self, _: N) {}

    fn fence_i(&mut self, _: N) {}
}

impl super::Lowering {
    fn shift_word(&mut self, o: R, op: ShiftX) {
        self.word([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.shift_by(Width::W32, op, d, a, b);
        });
    }

    fn set_if(&mut self, o: R, cond: Cond) {
        match (o.rs1.is_zero(), o.rs2.is_zero(), cond) {
            (false, true, Cond::Less) => self.two(o.rd, o.rs1, |asm, d, a| {
                shift_imm(asm, Width::W64, Shift::Shr, d, a, 63)
            }),
            (_, true, _) => self.constant(o.rd, 0),
            (true, false, _) => {
                let above_zero = if cond == Cond::Less {
                    Cond::Greater
                } else {
                    Cond::NotEqual
                };
                self.two(o.rd, o.rs2, |asm, d, a| {
                    set_after(asm, above_zero, d, [a, a], |asm| asm.test(Width::W64, a, a));
                });
            }
            (false, false, _) => self.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
                set_after(asm, cond, d, [a, b], |asm| {
                    asm.alu(Width::W64, Alu::Cmp, a, b)
                });
            }),
        }
    }
}
