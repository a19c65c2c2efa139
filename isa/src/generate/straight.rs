//! Straight code: one instruction at a time, and neighbours that an engine may treat as one.

use super::program::{Author, Mix};
use super::registers::BITS;
use crate::{Inst, Op, Reg};

/// Pairs whose neighbourhood an engine may use.
const PAIRS: &[(Op, Op)] = &[
    (Op::Auipc, Op::Addi),
    (Op::Lui, Op::Addi),
    (Op::Lui, Op::Addiw),
    (Op::Auipc, Op::Addiw),
    (Op::Mulhu, Op::Mul),
    (Op::Mul, Op::Mulhu),
    (Op::Mulh, Op::Mul),
    (Op::Add, Op::Sltu),
    (Op::Addi, Op::Sltu),
    (Op::Sltu, Op::Sub),
    (Op::Slli, Op::Srli),
    (Op::Slli, Op::Srai),
    (Op::CzeroEqz, Op::CzeroNez),
    (Op::CzeroNez, Op::CzeroEqz),
    (Op::Div, Op::Rem),
    (Op::Divu, Op::Remu),
    (Op::Divw, Op::Remw),
    (Op::Divuw, Op::Remuw),
    (Op::Div, Op::Remu),
    (Op::Sll, Op::Srl),
];

impl Author {
    /// A register to read, often one of a few.
    pub(super) fn source(&mut self) -> Reg {
        let draw = self.few_bits(BITS);
        self.registers.source(draw)
    }

    /// A register to write: not one that the program's own course depends on.
    pub(super) fn target(&mut self) -> Reg {
        let draw = self.few_bits(BITS);
        self.registers.target(draw)
    }

    pub(super) fn may_write(&self, reg: Reg) -> bool {
        !self.registers.kept.contains(&reg)
    }

    /// Any operation that only computes.
    pub(super) fn computation(&mut self) -> Op {
        self.random.pick(&self.computations)
    }

    pub(super) fn compute(&mut self) {
        let op = self.computation();
        let (rd, rs1, rs2) = (self.target(), self.source(), self.source());
        let imm = self.random.immediate(op.format());
        self.op(op, rd, rs1, rs2, imm);
    }

    /// A compressed computation of any form, HINTs included.
    pub(super) fn compute_short(&mut self) {
        for _ in 0..12 {
            let form = self.random.pick(&self.short_computations);
            match form.filled(self.random.bits() as u16) {
                Some((half, inst)) if self.may_write(inst.rd()) => {
                    return self.writer.halfword(half);
                }
                _ => {}
            }
        }
    }

    /// Two neighbours that share registers.
    pub(super) fn pair(&mut self) {
        const SHIFTS: [i32; 6] = [32, 48, 56, 0, 63, 1];
        let (first, second) = self.random.pick(PAIRS);
        let (rd, rs1, rs2) = (self.target(), self.source(), self.source());
        let mut imm = self.random.immediate(first.format());
        let mut next = self.random.immediate(second.format());
        if first == Op::Slli {
            imm = self.random.pick(&SHIFTS);
            let other = self.random.pick(&SHIFTS);
            next = self.random.pick(&[imm, imm, other]);
        }
        self.op(first, rd, rs1, rs2, imm);
        let other = self.target();
        let rd2 = self.random.pick(&[rd, other]);
        let [a, b] = self
            .random
            .pick(&[[rd, rs1], [rd, rs2], [rs1, rs2], [rs2, rd], [rd, rd]]);
        self.op(second, rd2, a, b, next);
        if matches!(first, Op::CzeroEqz | Op::CzeroNez) {
            let rd3 = self.target();
            let [a, b] = self.random.pick(&[[rd, rd2], [rd2, rd], [rd, rd]]);
            let op = self.random.pick(&[Op::Or, Op::Or, Op::Add, Op::Xor]);
            self.op(op, rd3, a, b, 0);
        }
    }

    /// A call of the host that leaves the program's own registers alone, or of the kernel.
    fn call_host(&mut self) {
        // The last one costs more gas than there is.
        let selectors = [
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            -2,
            -2,
            0x7FB,
            0x7FB,
            -2048 + 3,
        ];
        let imm = self.random.pick(&selectors);
        self.op(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, imm);
    }

    /// A few instructions without a jump among them.
    pub(super) fn straight(&mut self) {
        for _ in 0..self.random.below(9) {
            if self.mix == Mix::Neighbours && !self.random.once_in(4) {
                self.neighbours();
                continue;
            }
            match self.random.below(40) {
                0..13 => self.compute(),
                13..17 => self.compute_short(),
                17..25 => self.pair(),
                25..37 => self.access(),
                37 => self.call_host(),
                38 => self.op(Op::Fence, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0),
                _ => self.op(Op::FenceI, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0),
            }
        }
        if self.random.once_in(80) {
            self.op(Op::EcallJar, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
        }
    }

    pub(super) fn op(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) {
        let size = self.size();
        self.writer
            .inst(Inst::from_parts(op, rd, rs1, rs2, imm), size);
    }
}
