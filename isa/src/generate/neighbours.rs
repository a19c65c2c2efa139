//! Neighbours whose operands match, so that an engine that treats them as one does it here: in
//! usual programs few pairs read just what the one before has written.
//!
//! Roles get registers first, often the same one twice, and then a template is filled in. Engines
//! may look for any part of it, so parts are left out or replaced now and then.

use super::program::Author;
use crate::{Op, Reg};

const SUMS: [Op; 3] = [Op::Add, Op::Addi, Op::Addi];
const SETS: [Op; 4] = [Op::Slt, Op::Sltu, Op::Slti, Op::Sltiu];
const RESULTS: [Op; 12] = [
    Op::Addi,
    Op::Add,
    Op::Sub,
    Op::And,
    Op::Or,
    Op::Xor,
    Op::Andi,
    Op::Slli,
    Op::Srli,
    Op::Srai,
    Op::Xori,
    Op::Addw,
];
const WORDS: [Op; 12] = [
    Op::Addw,
    Op::Addiw,
    Op::Subw,
    Op::Sllw,
    Op::Slliw,
    Op::Mulw,
    Op::Roriw,
    Op::Rolw,
    Op::Rorw,
    Op::Srlw,
    Op::Sraiw,
    Op::Divuw,
];
const QUOTIENTS: [Op; 4] = [Op::Div, Op::Divu, Op::Divw, Op::Divuw];
const REMAINDERS: [Op; 4] = [Op::Rem, Op::Remu, Op::Remw, Op::Remuw];
const BRANCHES: [Op; 6] = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];

/// The registers of a template: two that are written, three that are read.
struct Roles {
    c: Reg,
    d: Reg,
    a: Reg,
    b: Reg,
    x: Reg,
}

impl Author {
    fn roles(&mut self) -> Roles {
        let (c, mut d) = (self.target(), self.target());
        if self.random.once_in(12) {
            d = c;
        }
        let mut read = || {
            let any = self.source();
            self.random.pick(&[any, any, any, any, c, d])
        };
        let (mut a, b, x) = (read(), read(), read());
        if self.random.once_in(12) {
            a = b;
        }
        Roles { c, d, a, b, x }
    }

    /// An operation on these registers with any immediate.
    fn any_imm(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg) {
        let imm = self.random.immediate(op.format());
        let imm = if self.random.once_in(3) {
            let few = self.random.pick(&[0, 1, 2, 31]);
            few.min(imm.max(0))
        } else {
            imm
        };
        self.op(op, rd, rs1, rs2, imm);
    }

    /// Neighbours of one kind or another, without a jump.
    pub(super) fn neighbours(&mut self) {
        let roles = self.roles();
        match self.random.below(10) {
            0 | 1 => self.product(&roles),
            2 | 3 => self.carry(&roles),
            4 => self.borrow(&roles),
            5 | 6 => self.low_half(&roles),
            7 => self.select(&roles),
            8 => self.quotient(&roles),
            _ => self.rotate_or_extend(&roles),
        }
    }

    fn product(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        let halves = self.random.pick(&[
            [Op::Mul, Op::Mulhu],
            [Op::Mulhu, Op::Mul],
            [Op::Mulhu, Op::Mul],
            [Op::Mulh, Op::Mul],
        ]);
        self.op(halves[0], c, a, b, 0);
        let result = self.target();
        let (to, from) = (
            self.random.pick(&[result, result, c, d, a]),
            self.random.pick(&[x, c, d]),
        );
        let to = if self.may_write(to) { to } else { result };
        match self.random.below(6) {
            0 => {}
            1 | 2 => {
                let op = self.random.pick(&RESULTS);
                self.any_imm(op, to, from, x);
            }
            3 => self.access(),
            4 => {
                let op = self.random.pick(&[Op::Ld, Op::Lw, Op::Lbu, Op::Sd, Op::Sb]);
                self.op(op, to, Reg::SP, from, 8);
            }
            _ => self.compute(),
        }
        let [a, b] = self.random.pick(&[[a, b], [a, b], [b, a], [a, x]]);
        self.op(halves[1], d, a, b, 0);
    }

    fn carry(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        let sum = self.random.pick(&SUMS);
        self.any_imm(sum, d, a, b);
        let with = self.random.pick(&[a, a, b, x]);
        let [e, f] = self.random.pick(&[[d, with], [d, with], [with, d]]);
        self.op(Op::Sltu, c, e, f, 0);
        self.absorb(Op::Add, c, x);
    }

    fn borrow(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        self.op(Op::Sltu, c, a, b, 0);
        let [e, f] = self.random.pick(&[[a, b], [a, b], [a, b], [b, a]]);
        self.op(Op::Sub, d, e, f, 0);
        self.absorb(Op::Sub, c, x);
    }

    /// The third of a carry chain, or not.
    fn absorb(&mut self, op: Op, c: Reg, x: Reg) {
        let op = self.random.pick(&[op, op, op, Op::Add, Op::Sub]);
        let other = self.target();
        let to = self.random.pick(&[c, c, c, other]);
        let [a, b] = self.random.pick(&[[c, x], [x, c], [x, c], [c, c]]);
        if !self.random.once_in(3) {
            self.op(op, to, a, b, 0);
        }
    }

    fn low_half(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        let first = self.random.pick(&WORDS);
        self.any_imm(first, c, a, b);
        // One that computes, or again one with a short result; twice, for chains.
        for _ in 0..1 + self.random.below(2) {
            let second = if self.random.once_in(2) {
                self.random.pick(&WORDS)
            } else {
                self.computation()
            };
            let to = self.random.pick(&[c, c, c, d]);
            let [e, f] = self.random.pick(&[[c, x], [x, c], [c, c], [x, d]]);
            self.any_imm(second, to, e, f);
        }
    }

    fn select(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        let both = [Op::CzeroEqz, Op::CzeroNez];
        let [first, second] = self
            .random
            .pick(&[both, both, [both[1], both[0]], [both[0]; 2]]);
        self.op(first, c, a, x, 0);
        self.op(second, d, b, x, 0);
        let other = self.target();
        let to = self.random.pick(&[c, d, c, d, other]);
        let [e, f] = self.random.pick(&[[c, d], [d, c]]);
        self.op(Op::Or, to, e, f, 0);
    }

    fn quotient(&mut self, &Roles { c, d, a, b, x }: &Roles) {
        let kind = self.random.below(4) as usize;
        self.op(QUOTIENTS[kind], c, a, b, 0);
        let any = self.random.pick(&REMAINDERS);
        let remainder = self.random.pick(&[REMAINDERS[kind], REMAINDERS[kind], any]);
        let f = self.random.pick(&[b, b, b, x]);
        self.op(remainder, d, a, f, 0);
    }

    fn rotate_or_extend(&mut self, &Roles { c, d, a, b, .. }: &Roles) {
        if self.random.once_in(2) {
            // The count's place in the host may be any of these.
            let rotate =
                self.random
                    .pick(&[Op::Rol, Op::Ror, Op::Rolw, Op::Rorw, Op::Sll, Op::Sraw]);
            let one = Reg::A1;
            let [d, a, b] = self.random.pick(&[
                [d, a, one],
                [d, one, b],
                [one, a, b],
                [one, one, b],
                [one; 3],
            ]);
            let d = if self.may_write(d) { d } else { c };
            return self.op(rotate, d, a, b, 0);
        }
        let amount = self.random.pick(&[32, 48, 56, 63, 1, 0, 33]);
        let again = self.random.pick(&[amount, amount, amount, 32]);
        self.op(Op::Slli, c, a, b, amount);
        let shift = self.random.pick(&[Op::Srli, Op::Srai]);
        let to = self.random.pick(&[c, c, c, d]);
        self.op(shift, to, c, b, again);
    }

    /// A computation and the operands of a branch on its result.
    pub(super) fn result_to_branch_on(&mut self) -> (Op, [Reg; 2]) {
        let Roles { c, a, b, x, .. } = self.roles();
        let ops = if self.random.once_in(2) {
            &SETS[..]
        } else {
            &RESULTS[..]
        };
        let op = self.random.pick(ops);
        self.any_imm(op, c, a, b);
        let zero = Reg::ZERO;
        let operands = self
            .random
            .pick(&[[c, zero], [c, zero], [c, zero], [zero, c], [c, x]]);
        (self.random.pick(&BRANCHES), operands)
    }
}
