//! RV64I base (ISA §6.3–6.9, §6.12).

use super::{Cpu, Step, sx32};
use crate::memory::{Memory, Width};
use rivet_isa::{B, CODE_BASE, I, I5, I6, J, N, R, S, U, VisitI};
use rivet_mutants::mutant;

impl<M: Memory> Cpu<'_, M> {
    #[inline(always)]
    fn branch(&self, o: B, taken: impl FnOnce(u64, u64) -> bool) -> Step<M::Error> {
        if taken(self.get(o.rs1), self.get(o.rs2)) {
            Step::Taken(o.imm)
        } else {
            Step::Next
        }
    }

    /// Address of the instruction behind a jump, which ends its block.
    #[inline(always)]
    fn link_address(&self) -> u64 {
        CODE_BASE + u64::from(self.link)
    }
}

#[inline(always)]
fn signed(value: u64) -> i64 {
    value as i64
}

impl<M: Memory> VisitI for Cpu<'_, M> {
    #[inline(always)]
    fn lui(&mut self, o: U) -> Self::Out {
        self.set(o.rd, i64::from(o.imm) as u64)
    }

    #[inline(always)]
    fn auipc(&mut self, o: U) -> Self::Out {
        let here = CODE_BASE + self.pc();
        self.set(o.rd, here.wrapping_add(i64::from(o.imm) as u64))
    }

    #[inline(always)]
    fn jal(&mut self, o: J) -> Self::Out {
        self.registers.set(o.rd, self.link_address());
        Step::Taken(o.imm)
    }

    #[inline(always)]
    fn jalr(&mut self, o: I) -> Self::Out {
        let base = mutant!(
            InterpJalrAlias,
            self.get(o.rs1),
            if o.rd == o.rs1 {
                self.link_address()
            } else {
                self.get(o.rs1)
            }
        );
        let even = mutant!(InterpOddTarget, !1, !0);
        let target = base.wrapping_add(i64::from(o.imm) as u64) & even;
        self.registers.set(o.rd, self.link_address());
        // Below CODE_BASE this wraps to far above any start.
        Step::Indirect(u64::from(target as u32).wrapping_sub(CODE_BASE))
    }

    #[inline(always)]
    fn beq(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| a == b)
    }

    #[inline(always)]
    fn bne(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| a != b)
    }

    #[inline(always)]
    fn blt(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| signed(a) < signed(b))
    }

    #[inline(always)]
    fn bge(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| signed(a) >= signed(b))
    }

    #[inline(always)]
    fn bltu(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| a < b)
    }

    #[inline(always)]
    fn bgeu(&mut self, o: B) -> Self::Out {
        self.branch(o, |a, b| a >= b)
    }

    #[inline(always)]
    fn lb(&mut self, o: I) -> Self::Out {
        self.load(o, Width::One, |v| i64::from(v as i8) as u64)
    }

    #[inline(always)]
    fn lh(&mut self, o: I) -> Self::Out {
        self.load(o, Width::Two, |v| i64::from(v as i16) as u64)
    }

    #[inline(always)]
    fn lw(&mut self, o: I) -> Self::Out {
        self.load(o, Width::Four, |v| sx32(v as u32))
    }

    #[inline(always)]
    fn ld(&mut self, o: I) -> Self::Out {
        self.load(o, Width::Eight, |v| v)
    }

    #[inline(always)]
    fn lbu(&mut self, o: I) -> Self::Out {
        self.load(o, Width::One, |v| v)
    }

    #[inline(always)]
    fn lhu(&mut self, o: I) -> Self::Out {
        self.load(o, Width::Two, |v| v)
    }

    #[inline(always)]
    fn lwu(&mut self, o: I) -> Self::Out {
        self.load(o, Width::Four, |v| {
            mutant!(InterpLwuSigned, v, sx32(v as u32))
        })
    }

    #[inline(always)]
    fn sb(&mut self, o: S) -> Self::Out {
        self.store(o, Width::One)
    }

    #[inline(always)]
    fn sh(&mut self, o: S) -> Self::Out {
        self.store(o, Width::Two)
    }

    #[inline(always)]
    fn sw(&mut self, o: S) -> Self::Out {
        self.store(o, Width::Four)
    }

    #[inline(always)]
    fn sd(&mut self, o: S) -> Self::Out {
        self.store(o, Width::Eight)
    }

    #[inline(always)]
    fn addi(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| a.wrapping_add(b))
    }

    #[inline(always)]
    fn slti(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| u64::from(signed(a) < signed(b)))
    }

    #[inline(always)]
    fn sltiu(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| u64::from(a < b))
    }

    #[inline(always)]
    fn xori(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| a ^ b)
    }

    #[inline(always)]
    fn ori(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| a | b)
    }

    #[inline(always)]
    fn andi(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| a & b)
    }

    #[inline(always)]
    fn slli(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a << (n & 63))
    }

    #[inline(always)]
    fn srli(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| a >> (n & 63))
    }

    #[inline(always)]
    fn srai(&mut self, o: I6) -> Self::Out {
        self.shift(o, |a, n| (signed(a) >> (n & 63)) as u64)
    }

    #[inline(always)]
    fn add(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.wrapping_add(b))
    }

    #[inline(always)]
    fn sub(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a.wrapping_sub(b))
    }

    #[inline(always)]
    fn sll(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a << (b & 63))
    }

    #[inline(always)]
    fn slt(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| u64::from(signed(a) < signed(b)))
    }

    #[inline(always)]
    fn sltu(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| u64::from(a < b))
    }

    #[inline(always)]
    fn xor(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a ^ b)
    }

    #[inline(always)]
    fn srl(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a >> (b & 63))
    }

    #[inline(always)]
    fn sra(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| (signed(a) >> (b & 63)) as u64)
    }

    #[inline(always)]
    fn or(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a | b)
    }

    #[inline(always)]
    fn and(&mut self, o: R) -> Self::Out {
        self.binary(o, |a, b| a & b)
    }

    #[inline(always)]
    fn addiw(&mut self, o: I) -> Self::Out {
        self.immediate(o, |a, b| sx32(a.wrapping_add(b) as u32))
    }

    #[inline(always)]
    fn slliw(&mut self, o: I5) -> Self::Out {
        self.shift_w(o, |a, n| a << (n & 31))
    }

    #[inline(always)]
    fn srliw(&mut self, o: I5) -> Self::Out {
        self.shift_w(o, |a, n| a >> (n & 31))
    }

    #[inline(always)]
    fn sraiw(&mut self, o: I5) -> Self::Out {
        self.shift_w(o, |a, n| (a as i32 >> (n & 31)) as u32)
    }

    #[inline(always)]
    fn addw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.wrapping_add(b))
    }

    #[inline(always)]
    fn subw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a.wrapping_sub(b))
    }

    #[inline(always)]
    fn sllw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| {
            let long = mutant!(InterpShiftWordMask, false, b & 32 != 0);
            if long { 0 } else { a << (b & 31) }
        })
    }

    #[inline(always)]
    fn srlw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| a >> (b & 31))
    }

    #[inline(always)]
    fn sraw(&mut self, o: R) -> Self::Out {
        self.binary_w(o, |a, b| (a as i32 >> (b & 31)) as u32)
    }

    #[inline(always)]
    fn fence(&mut self, _: N) -> Self::Out {
        Step::Next
    }

    #[inline(always)]
    fn fence_i(&mut self, _: N) -> Self::Out {
        Step::Next
    }
}
