//! Taking the operands out of a word without a branch: the formats as masks.
//!
//! Every format's immediate is an OR of five rearrangements of the word, each under a mask:
//!
//! ```text
//!   word                  31 … 25 │ 24 … 20 │ 19 … 12 │ 11 … 7 │ 6 … 0
//!   in place              U: 31:12                    J: 19:12
//!   word >> 20, signed    I, Sel, amounts;            J: sign and 10:1
//!   the same, low five    S; B without bit 11
//!     bits from 11:7
//!   word << 4             B: bit 11
//!   word >> 9             J: bit 11
//! ```
//!
//! `format.rs` is the definition. That the masks say the same is checked for each bit of a word
//! when the crate is compiled, which is enough, because both are ORs over the bits.

use crate::format::Format;
use crate::inst::{Inst, Op, ROWS};
use crate::reg::Reg;

/// Masks of the rearrangements of an immediate.
#[derive(Clone, Copy)]
struct Immediate {
    in_place: u32,
    upper: u32,
    stored: u32,
    left: u32,
    right: u32,
}

impl Immediate {
    const fn of(format: Format) -> Self {
        let none = Self {
            in_place: 0,
            upper: 0,
            stored: 0,
            left: 0,
            right: 0,
        };
        match format {
            Format::R | Format::I1 | Format::N => none,
            Format::I | Format::Sel => Self {
                upper: u32::MAX,
                ..none
            },
            Format::I6 => Self { upper: 63, ..none },
            Format::I5 => Self { upper: 31, ..none },
            Format::S => Self {
                stored: u32::MAX,
                ..none
            },
            Format::B => Self {
                stored: 0xFFFF_F7FE,
                left: 0x800,
                ..none
            },
            Format::U => Self {
                in_place: 0xFFFF_F000,
                ..none
            },
            Format::J => Self {
                in_place: 0xF_F000,
                upper: 0xFFF0_07FE,
                right: 0x800,
                ..none
            },
        }
    }

    #[inline(always)]
    const fn take(&self, word: u32) -> i32 {
        let upper = (word as i32 >> 20) as u32;
        let stored = (upper & !31) | (word >> 7 & 31);
        let out = (word & self.in_place)
            | (upper & self.upper)
            | (stored & self.stored)
            | (word << 4 & self.left)
            | (word >> 9 & self.right);
        out as i32
    }
}

/// What decoding needs of an operation, at a distance that is a shift away.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(crate) struct Shape {
    /// A word with one of these bits set names a register that does not exist (ISA §6.2).
    pub(crate) absent: u32,
    /// Which of rd, rs1 and rs2 there are, rd in the lowest four bits.
    registers: u16,
    immediate: Immediate,
}

static SHAPES: [Shape; ROWS.len() + 1] = {
    let mut shapes = [Shape::new(Op::Reserved); ROWS.len() + 1];
    let mut i = 0;
    while i < ROWS.len() {
        shapes[i] = Shape::new(Op::ALL[i]);
        i += 1;
    }
    shapes
};

impl Shape {
    const fn new(op: Op) -> Self {
        let format = op.row().format;
        let immediate = Immediate::of(format);
        assert!(immediate.take(0) == 0 && format.immediate(0) == 0);
        let mut bit = 0;
        while bit < 32 {
            let word = 1 << bit;
            assert!(immediate.take(word) == format.immediate(word));
            bit += 1;
        }
        let registers = if format.has_rd() { 0xF } else { 0 }
            | if format.has_rs1() { 0xF0 } else { 0 }
            | if format.has_rs2() { 0xF00 } else { 0 };
        Self {
            absent: format.absent_registers(),
            registers,
            immediate,
        }
    }

    /// The shape of an operation.
    #[inline(always)]
    pub(crate) fn of(op: Op) -> &'static Self {
        &SHAPES[op as usize]
    }

    /// The instruction `op`, whose shape this is, with the operands of `word`.
    #[inline(always)]
    pub(crate) fn take(&self, op: Op, word: u32) -> Inst {
        let registers = u32::from(self.registers);
        Inst::assemble(
            op,
            Reg::from_bits(word >> 7 & registers),
            Reg::from_bits(word >> 15 & registers >> 4),
            Reg::from_bits(word >> 20 & registers >> 8),
            self.immediate.take(word),
        )
    }
}
