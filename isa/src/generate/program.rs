//! The shape of a valid program: bodies with forward branches, counted loops, functions.
//!
//! ```text
//!  entry: (body, counted loop that may call)*  end
//!  f0:    save ra; body; call f1…; loop or recursion; restore ra; return
//! ```
//!
//! It ends: jumps back only close loops on counters, a function calls later ones only, or itself
//! as often as a counter says. Nothing but these instructions writes link, stack and counters.

use super::access::Spread;
use super::registers::Registers;
use super::writer::{Label, Size, Writer};
use super::{AMPLE_GAS, HAND_OVER, Run, STACK};
use crate::arbitrary::Random;
use crate::{CompressedForm, Flow, Inst, Op, Reg, SLOTS, compressed_forms};
use alloc::vec::Vec;

const BRANCHES: [Op; 6] = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
const SETS: [Op; 4] = [Op::Slt, Op::Sltu, Op::Slti, Op::Sltiu];

/// Pages that the stores of a program with few of them go to: often the stack's.
const NEAR: [u64; 6] = [
    STACK_PAGE,
    STACK_PAGE,
    STACK_PAGE,
    0x1001_1000,
    0x1000_2000,
    0x2000_0000,
];
const STACK_PAGE: u64 = STACK & !0xFFF;

/// Bytes of a function's frame; the link is in the last eight, the rest is free for any use.
const FRAME: i32 = 144;

/// What straight code is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mix {
    /// Anything.
    Usual,
    /// Mostly neighbours whose operands match.
    Neighbours,
}

/// What comes behind the end of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Nothing: it halts or traps.
    End,
    /// The next program of this author, after an exit.
    Next,
}

/// Whether an operation neither jumps nor accesses memory.
fn computes(op: Op) -> bool {
    op.flow() == Flow::Next && !op.is_load() && !op.is_store()
}

/// Programs being written, one behind the other.
pub(super) struct Author {
    pub(super) mix: Mix,
    pub(super) random: Random,
    pub(super) writer: Writer,
    pub(super) registers: Registers,
    /// What only computes: operations and compressed forms.
    pub(super) computations: Vec<Op>,
    pub(super) short_computations: Vec<&'static CompressedForm>,
    pub(super) spread: Spread,
    /// Once in so many programs functions lie far from each other, and ten times as often the
    /// first block crosses a page.
    far: u64,
    /// Where the program before hands over to the one that is written next.
    next: Option<Label>,
    /// Random bits for small choices, of which most of the work is made, below a one.
    spare: u64,
}

impl Author {
    /// Nothing yet, for some `capacity` bytes of code; padding once in `far` programs.
    pub(super) fn new(mix: Mix, capacity: usize, far: u64) -> Self {
        Self {
            mix,
            random: Random::new(0),
            writer: Writer::new(capacity),
            registers: Registers::new([Reg::ZERO; 2], [Reg::ZERO; 4]),
            computations: Op::ALL.iter().copied().filter(|op| computes(*op)).collect(),
            short_computations: compressed_forms()
                .iter()
                .filter(|form| computes(form.op()))
                .collect(),
            spread: Spread::Wide,
            far,
            next: None,
            spare: 1,
        }
    }

    /// Chooses the character of the program that is written next.
    fn begin(&mut self, mut random: Random) {
        // Not among a0 to a5, which host calls change.
        let counters = [random.pick(&[3, 5, 8, 9]), random.pick(&[4, 6, 7])];
        let counters = counters.map(Reg::from_bits);
        self.registers = Registers::new(counters, [0; 4].map(|_| random.reg()));
        self.spread = if random.once_in(24) {
            Spread::Wide
        } else {
            Spread::Near(random.pick(&NEAR))
        };
        self.random = random;
        self.spare = 1;
    }

    /// Some random bits, at most eight.
    pub(super) fn few_bits(&mut self, count: u32) -> usize {
        if self.spare >> count == 0 {
            self.spare = self.random.bits() | 1 << 63;
        }
        let bits = self.spare & ((1 << count) - 1);
        self.spare >>= count;
        bits as usize
    }

    /// Which encoding an instruction gets: mostly a short one.
    pub(super) fn size(&mut self) -> Size {
        match self.few_bits(2) {
            0 => Size::Word,
            _ => Size::Least,
        }
    }

    /// The code, everything filled in.
    pub(super) fn finish(self) -> Vec<u8> {
        self.writer.finish()
    }

    /// One whole program and how to start it.
    pub(super) fn program(&mut self, random: Random, then: Then) -> Run {
        self.begin(random);
        if self.random.once_in(self.far.div_ceil(10)) {
            let left = 0x1000 - self.writer.at() % 0x1000;
            let pad = (left / 2).saturating_sub(self.random.below(8) as usize);
            self.writer.gap(pad.min(512));
        }
        // A gap would run into the program, so it is entered behind a terminator.
        self.fallthrough();
        let entry = self.writer.at() as u64;
        if let Some(label) = self.next.take() {
            self.writer.bind(label);
            self.fresh_values();
        }
        self.whole(then);
        let mut slots = [0; SLOTS];
        for slot in &mut slots {
            *slot = self.random.value();
        }
        let dirty = self.random.pick(&[0, 0xFFFF_FFFF, 0x8000_0001]) << 32;
        slots[1] = dirty | STACK;
        Run {
            entry,
            slots,
            gas: AMPLE_GAS,
        }
    }

    fn fallthrough(&mut self) {
        self.op(Op::Fallthrough, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
    }

    /// A place that jumps can reach; once in a while one that they cannot.
    fn place(&mut self, label: Label) {
        if !self.random.once_in(300) {
            self.fallthrough();
        }
        self.writer.bind(label);
    }

    fn to(&mut self, op: Op, regs: [Reg; 3], label: Label) {
        let size = self.size();
        let [rd, rs1, rs2] = regs;
        self.writer
            .to(Inst::from_parts(op, rd, rs1, rs2, 0), size, label);
    }

    /// Puts edges of both widths into some registers, where a run begins with what the program
    /// before has left there.
    fn fresh_values(&mut self) {
        for _ in 0..self.random.below(5) {
            let (reg, value) = (self.pointer(Reg::ZERO), self.random.value());
            self.constant(reg, value);
            if self.random.once_in(2) {
                self.op(Op::Slli, reg, reg, Reg::ZERO, 32);
            }
        }
    }

    fn whole(&mut self, then: Then) {
        let functions: Vec<Label> = (0..self.random.below(4))
            .map(|_| self.writer.label())
            .collect();
        for _ in 0..1 + self.random.below(3) {
            self.body();
            let callee = (!functions.is_empty()).then(|| self.random.pick(&functions));
            let counter = self.registers.kept[2];
            self.counted(counter, |this| {
                this.straight();
                if let Some(callee) = callee {
                    this.call(callee);
                }
                this.straight();
            });
        }
        match then {
            Then::End => {
                let ends = [Op::Ecalli, Op::Ecalli, Op::Ecalli, Op::Trap];
                let last = self.random.pick(&ends);
                self.op(last, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
            }
            Then::Next => {
                let next = self.writer.label();
                let selector = HAND_OVER as i32;
                self.op(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, selector);
                self.to(Op::Jal, [Reg::ZERO; 3], next);
                self.next = Some(next);
            }
        }
        let wide = self.random.once_in(self.far);
        for (i, label) in functions.iter().enumerate() {
            if wide {
                let count = self.random.pick(&[100, 3000, 30_000, 33_000]);
                self.writer.gap(count);
            }
            self.function(*label, &functions[i + 1..]);
        }
    }

    fn branch(&mut self, label: Label) {
        if self.mix == Mix::Neighbours && !self.random.once_in(4) {
            let (op, [a, b]) = self.result_to_branch_on();
            return self.to(op, [Reg::ZERO, a, b], label);
        }
        let op = self.random.pick(&BRANCHES);
        let (mut a, mut b) = (self.source(), self.source());
        match self.random.below(4) {
            0 => {
                let set = self.random.pick(&SETS);
                let rd = self.target();
                let imm = self.random.immediate(set.format());
                self.op(set, rd, a, b, imm);
                (a, b) = (rd, Reg::ZERO);
            }
            1 => b = Reg::ZERO,
            _ => {}
        }
        self.to(op, [Reg::ZERO, a, b], label);
    }

    /// Straight code with forward branches over parts of it.
    fn body(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            self.straight();
            let over = self.writer.label();
            if self.random.once_in(8) {
                self.jump(over);
            } else {
                self.branch(over);
            }
            self.straight();
            self.place(over);
            if self.random.once_in(12) {
                self.return_to_next();
            }
        }
    }

    /// A jump ahead that may leave a link anywhere.
    fn jump(&mut self, label: Label) {
        let any = self.target();
        let link = self.random.pick(&[Reg::ZERO, Reg::ZERO, any]);
        if self.random.once_in(3) {
            let via = self.pointer(Reg::ZERO);
            let jump = Inst::from_parts(Op::Jalr, link, via, Reg::ZERO, 0);
            self.writer.far(via, jump, label);
        } else {
            self.to(Op::Jal, [link, Reg::ZERO, Reg::ZERO], label);
        }
    }

    /// A return that nothing called for, to the code behind it.
    fn return_to_next(&mut self) {
        let next = self.writer.label();
        let add = Inst::from_parts(Op::Addi, Reg::RA, Reg::RA, Reg::ZERO, 0);
        self.writer.far(Reg::RA, add, next);
        self.op(Op::Jalr, Reg::ZERO, Reg::RA, Reg::ZERO, 0);
        self.writer.bind(next);
    }

    fn call(&mut self, label: Label) {
        let link = Reg::RA;
        match self.random.below(4) {
            0 | 1 => self.to(Op::Jal, [link, Reg::ZERO, Reg::ZERO], label),
            2 => {
                let any = self.pointer(Reg::ZERO);
                let via = self.random.pick(&[Reg::RA, Reg::RA, any]);
                let jump = Inst::from_parts(Op::Jalr, link, via, Reg::ZERO, 0);
                self.writer.far(via, jump, label);
            }
            _ => {
                let via = self.pointer(Reg::ZERO);
                let add = Inst::from_parts(Op::Addi, via, via, Reg::ZERO, 0);
                self.writer.far(via, add, label);
                // Bit 0 of the target is dropped; two bytes further there is rarely a start.
                let imm = if self.random.once_in(40) { 2 } else { 0 };
                let imm = self.random.pick(&[0, imm, imm + 1]);
                self.op(Op::Jalr, link, via, Reg::ZERO, imm);
            }
        }
    }

    fn counted(&mut self, counter: Reg, inner: impl FnOnce(&mut Self)) {
        let times = 1 + self.random.below(6) as i32;
        self.op(Op::Addi, counter, Reg::ZERO, Reg::ZERO, times);
        let again = self.writer.label();
        self.place(again);
        inner(self);
        self.op(Op::Addi, counter, counter, Reg::ZERO, -1);
        self.to(Op::Bne, [Reg::ZERO, counter, Reg::ZERO], again);
    }

    fn function(&mut self, label: Label, rest: &[Label]) {
        self.place(label);
        self.op(Op::Addi, Reg::SP, Reg::SP, Reg::ZERO, -FRAME);
        self.op(Op::Sd, Reg::ZERO, Reg::SP, Reg::RA, FRAME - 8);
        self.body();
        if !rest.is_empty() && !self.random.once_in(3) {
            let callee = self.random.pick(rest);
            self.call(callee);
        }
        if self.random.once_in(2) {
            let counter = self.registers.kept[3];
            self.counted(counter, Self::straight);
        } else if self.random.once_in(3) {
            self.recursion(label);
        }
        let back = self.random.pick(&[Reg::RA, Reg::RA, Reg::RA, Reg::T0]);
        let back = if self.registers.kept[2..].contains(&back) {
            Reg::RA
        } else {
            back
        };
        self.op(Op::Ld, back, Reg::SP, Reg::ZERO, FRAME - 8);
        self.op(Op::Addi, Reg::SP, Reg::SP, Reg::ZERO, FRAME);
        self.op(Op::Jalr, Reg::ZERO, back, Reg::ZERO, 0);
    }

    /// Calls the function again until the second counter is used up.
    fn recursion(&mut self, label: Label) {
        let (counter, out) = (self.registers.kept[3], self.writer.label());
        let deep = if self.random.once_in(30) { 255 } else { 7 };
        let depth = self.random.pick(&[3, 7, deep]);
        self.op(Op::Andi, counter, counter, Reg::ZERO, depth);
        self.to(Op::Beq, [Reg::ZERO, counter, Reg::ZERO], out);
        self.op(Op::Addi, counter, counter, Reg::ZERO, -1);
        self.call(label);
        self.place(out);
    }
}
