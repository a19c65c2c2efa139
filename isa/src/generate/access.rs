//! Loads and stores: addresses that mostly hit, written in the ways compilers write them.

use super::program::Author;
use super::registers::BITS;
use super::{Access, USUAL};
use crate::{CODE_BASE, Op, Reg};

const LOADS: [Op; 7] = [Op::Lb, Op::Lh, Op::Lw, Op::Ld, Op::Lbu, Op::Lhu, Op::Lwu];
const STORES: [Op; 4] = [Op::Sb, Op::Sh, Op::Sw, Op::Sd];

/// Where the stores of a program go. A page that becomes private costs the host more than all the
/// instructions of a program, so most programs write few pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spread {
    /// To one page, and the stack's.
    Near(u64),
    /// Anywhere.
    Wide,
}

impl Author {
    /// An address that an access of this kind may use, or just not.
    fn spot(&mut self, store: bool) -> u64 {
        if !store && self.random.once_in(12) {
            return CODE_BASE + self.random.below(300);
        }
        if let Spread::Near(page) = self.spread
            && store
            && !self.random.once_in(64)
        {
            // The upper part of the stack's page holds links.
            return page + self.random.below(0x800);
        }
        let (start, size) = loop {
            let (start, size, access, _) = self.random.pick(&USUAL);
            if !store || access != Access::Pinned || self.random.once_in(60) {
                break (start, size);
            }
        };
        if self.random.once_in(120) {
            let edges = [start, start + size, CODE_BASE, 1 << 31, 0];
            let edge = self.random.pick(&edges);
            return edge.wrapping_add(self.random.below(17)).wrapping_sub(8);
        }
        match self.random.below(3) {
            0 => start + self.random.below(size - 7),
            1 => start + 0x1000 - self.random.below(9),
            _ => start + self.random.pick(&[0, size - 8, 8, 0x800]),
        }
    }

    /// A register to hold an address, not `other`.
    pub(super) fn pointer(&mut self, other: Reg) -> Reg {
        loop {
            let draw = self.few_bits(BITS);
            let reg = self.registers.pointer(draw);
            if reg != other {
                return reg;
            }
        }
    }

    /// A constant whose low 32 bits are these; the upper half is whatever comes out.
    pub(super) fn constant(&mut self, reg: Reg, value: u64) {
        let low = ((value as i32) << 20) >> 20;
        let high = (value as i32).wrapping_sub(low);
        let add = self.random.pick(&[Op::Addi, Op::Addiw]);
        self.op(Op::Lui, reg, Reg::ZERO, Reg::ZERO, high);
        self.op(add, reg, reg, Reg::ZERO, low);
        if self.random.once_in(4) {
            let bit = 32 + self.random.below(32) as i32;
            self.op(Op::Binvi, reg, reg, Reg::ZERO, bit);
        }
    }

    /// One load or store with what makes its address.
    pub(super) fn access(&mut self) {
        let store = self.random.once_in(3);
        let op = if store {
            self.random.pick(&STORES)
        } else {
            self.random.pick(&LOADS)
        };
        let (rd, value) = (self.target(), self.source());
        if self.random.once_in(if store { 2 } else { 5 }) {
            let imm = 8 * self.random.below(16) as i32;
            return self.op(op, rd, Reg::SP, value, imm);
        }
        let imm = self.random.immediate(op.format());
        let imm = self.random.pick(&[imm, imm & 0x78, 0]);
        let address = self.spot(store).wrapping_sub(i64::from(imm) as u64);
        let base = self.pointer(Reg::ZERO);
        if self.random.once_in(2) {
            self.constant(base, address);
            return self.op(op, rd, base, value, imm);
        }
        self.indexed(op, [rd, base, value], address, imm);
    }

    /// An access whose address is a sum of two registers, one of them perhaps shifted.
    fn indexed(&mut self, op: Op, [rd, base, value]: [Reg; 3], address: u64, imm: i32) {
        const SUMS: [(Op, u32); 7] = [
            (Op::Add, 0),
            (Op::Add, 0),
            (Op::AddUw, 0),
            (Op::Sh1add, 1),
            (Op::Sh2add, 2),
            (Op::Sh3add, 3),
            (Op::Sh3addUw, 3),
        ];
        let index = self.pointer(base);
        let step = self.random.immediate(Op::Addi.format());
        let (sum, shift) = self.random.pick(&SUMS);
        let scaled = (i64::from(step) as u64) << shift;
        self.constant(base, address.wrapping_sub(scaled));
        self.op(Op::Addi, index, Reg::ZERO, Reg::ZERO, step);
        let elsewhere = self.pointer(Reg::ZERO);
        let to = self.random.pick(&[base, index, base, elsewhere]);
        let swapped = sum == Op::Add && self.random.once_in(2);
        let [a, b] = if swapped {
            [base, index]
        } else {
            [index, base]
        };
        let rd = self.random.pick(&[to, rd]);
        self.op(sum, to, a, b, 0);
        self.op(op, rd, to, value, imm);
    }
}
