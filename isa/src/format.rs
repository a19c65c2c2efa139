//! Operand formats of the 32-bit encodings (ISA §6.1).
//!
//! A [`Format`] says where the operands of a word are and which registers must exist; the structs
//! are what visitors receive. Immediates are already sign-extended and in bytes: a branch or jump
//! offset is added to the pc as it is, an upper immediate already has its twelve low zeros.

use crate::inst::{Inst, Op};
use crate::pattern::Pattern;
use crate::reg::Reg;

/// Layout of a 32-bit encoding, by the names of ISA §6.1; `Sel` is N with a selector in 31:20.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Format {
    /// rd, rs1, rs2.
    R,
    /// rd, rs1, signed 12-bit immediate.
    I,
    /// rd, rs1, 6-bit amount.
    I6,
    /// rd, rs1, 5-bit amount.
    I5,
    /// rd, rs1.
    I1,
    /// rs1, rs2, signed 12-bit immediate.
    S,
    /// rs1, rs2, signed 13-bit even offset.
    B,
    /// rd, 20 upper bits.
    U,
    /// rd, signed 21-bit even offset.
    J,
    /// Signed 12-bit selector.
    Sel,
    /// No operands.
    N,
}

const RD: u32 = 0xF80;
const RS1: u32 = 0xF_8000;
const RS2: u32 = 0x1F0_0000;

/// `width` bits of `word` from bit `low` up.
#[inline(always)]
const fn bits(word: u32, low: u32, width: u32) -> u32 {
    (word >> low) & ((1 << width) - 1)
}

/// Where a word has some bits of the immediate: those under `mask`, once it is rotated left.
#[derive(Clone, Copy)]
struct Run {
    left: u32,
    mask: u32,
}

impl Run {
    const NONE: Self = Self { left: 0, mask: 0 };

    #[inline(always)]
    const fn place(self, imm: u32) -> u32 {
        imm.rotate_left(self.left) & self.mask
    }
}

/// What immediates of a format are and where a word has them. A table, because which format comes
/// next cannot be foretold.
#[derive(Clone, Copy)]
struct Places {
    range: (i64, i64, i64),
    runs: [Run; 4],
}

impl Places {
    const fn of(format: Format) -> Self {
        const fn run(left: u32, mask: u32) -> Run {
            Run { left, mask }
        }
        const NONE: Run = Run::NONE;
        let (range, runs) = match format {
            Format::I | Format::Sel => ((-2048, 2047, 1), [run(20, 0xFFF0_0000), NONE, NONE, NONE]),
            Format::I6 => ((0, 63, 1), [run(20, 0x03F0_0000), NONE, NONE, NONE]),
            Format::I5 => ((0, 31, 1), [run(20, 0x01F0_0000), NONE, NONE, NONE]),
            Format::S => (
                (-2048, 2047, 1),
                [run(20, 0xFE00_0000), run(7, 0xF80), NONE, NONE],
            ),
            Format::B => (
                (-4096, 4094, 2),
                [
                    run(19, 0x8000_0000),
                    run(20, 0x7E00_0000),
                    run(7, 0xF00),
                    run(28, 0x80),
                ],
            ),
            Format::U => (
                (i32::MIN as i64, 0x7FFF_F000, 4096),
                [run(0, 0xFFFF_F000), NONE, NONE, NONE],
            ),
            Format::J => (
                (-(1 << 20), (1 << 20) - 2, 2),
                [
                    run(11, 0x8000_0000),
                    run(20, 0x7FE0_0000),
                    run(9, 0x10_0000),
                    run(0, 0xF_F000),
                ],
            ),
            Format::R | Format::I1 | Format::N => ((0, 0, 1), [NONE; 4]),
        };
        Self { range, runs }
    }
}

const FORMATS: [Format; 11] = [
    Format::R,
    Format::I,
    Format::I6,
    Format::I5,
    Format::I1,
    Format::S,
    Format::B,
    Format::U,
    Format::J,
    Format::Sel,
    Format::N,
];

/// By format.
static PLACES: [Places; FORMATS.len()] = {
    let mut out = [Places::of(Format::N); FORMATS.len()];
    let mut i = 0;
    while i < FORMATS.len() {
        out[FORMATS[i] as usize] = Places::of(FORMATS[i]);
        i += 1;
    }
    out
};

impl Format {
    /// Masks of the fields rd, rs1, rs2 and immediate that a pattern of this format must have.
    const fn fields(self) -> (u32, u32, u32, u32) {
        match self {
            Self::R => (RD, RS1, RS2, 0),
            Self::I => (RD, RS1, 0, 0xFFF0_0000),
            Self::I6 => (RD, RS1, 0, 0x03F0_0000),
            Self::I5 => (RD, RS1, 0, 0x01F0_0000),
            Self::I1 => (RD, RS1, 0, 0),
            Self::S | Self::B => (0, RS1, RS2, 0xFE00_0F80),
            Self::U | Self::J => (RD, 0, 0, 0xFFFF_F000),
            Self::Sel => (0, 0, 0, 0xFFF0_0000),
            Self::N => (0, 0, 0, 0),
        }
    }

    /// Whether a pattern has exactly the fields of this format.
    pub(crate) const fn agrees_with(self, pattern: &Pattern) -> bool {
        let (rd, rs1, rs2, imm) = self.fields();
        pattern.rd == rd && pattern.rs1 == rs1 && pattern.rs2 == rs2 && pattern.imm == imm
    }

    /// High bits of the register fields: a word with one of them set names x16..x31 (ISA §6.2).
    pub(crate) const fn absent_registers(self) -> u32 {
        let (rd, rs1, rs2, _) = self.fields();
        (rd & 0x800) | (rs1 & 0x8_0000) | (rs2 & 0x100_0000)
    }

    /// Smallest and largest immediate and the power of two it must be a multiple of.
    pub(crate) const fn immediate_range(self) -> (i64, i64, i64) {
        PLACES[self as usize].range
    }

    /// The immediate of a word of this format.
    #[inline]
    pub(crate) const fn immediate(self, word: u32) -> i32 {
        let signed = word as i32;
        let unsigned = match self {
            Self::I | Self::Sel => return signed >> 20,
            Self::I6 => bits(word, 20, 6),
            Self::I5 => bits(word, 20, 5),
            Self::S => return ((signed >> 25) << 5) | bits(word, 7, 5) as i32,
            Self::B => {
                let low = bits(word, 7, 1) << 11 | bits(word, 25, 6) << 5 | bits(word, 8, 4) << 1;
                return ((signed >> 31) << 12) | low as i32;
            }
            Self::U => word & 0xFFFF_F000,
            Self::J => {
                let low = (word & 0xF_F000) | bits(word, 20, 1) << 11 | bits(word, 21, 10) << 1;
                return ((signed >> 31) << 20) | low as i32;
            }
            Self::R | Self::I1 | Self::N => 0,
        };
        unsigned as i32
    }

    /// Inverse of [`Format::immediate`] for a value in range.
    pub(crate) const fn place_immediate(self, imm: i32) -> u32 {
        let [a, b, c, d] = PLACES[self as usize].runs;
        let v = imm as u32;
        a.place(v) | b.place(v) | c.place(v) | d.place(v)
    }

    /// Whether the format has an rd operand.
    pub const fn has_rd(self) -> bool {
        self.fields().0 != 0
    }

    /// Whether the format has an rs1 operand.
    pub const fn has_rs1(self) -> bool {
        self.fields().1 != 0
    }

    /// Whether the format has an rs2 operand.
    pub const fn has_rs2(self) -> bool {
        self.fields().2 != 0
    }

    /// Whether the format has an immediate.
    pub const fn has_immediate(self) -> bool {
        self.fields().3 != 0
    }
}

/// Operands of one format: taken out of an [`Inst`], or put into one.
pub(crate) trait Operands: Copy {
    fn of(inst: Inst) -> Self;
}

macro_rules! operands {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $get:expr),* }
     |$inst:ident, $this:ident| put($rd:expr, $rs1:expr, $rs2:expr, $imm:expr)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

        impl Operands for $name {
            #[inline(always)]
            fn of($inst: Inst) -> Self {
                Self { $($field: $get),* }
            }
        }

        impl $name {
            /// The instruction `op` with these operands.
            pub(crate) const fn with(self, op: Op) -> Inst {
                let $this = self;
                Inst::assemble(op, $rd, $rs1, $rs2, $imm)
            }
        }
    };
}

operands!(
    /// Two sources and a destination.
    R {
        /// Destination.
        rd: Reg = inst.rd(),
        /// First source.
        rs1: Reg = inst.rs1(),
        /// Second source.
        rs2: Reg = inst.rs2()
    } |inst, this| put(this.rd, this.rs1, this.rs2, 0)
);
operands!(
    /// One source, a signed 12-bit immediate and a destination.
    I {
        /// Destination.
        rd: Reg = inst.rd(),
        /// Source, or base of an address.
        rs1: Reg = inst.rs1(),
        /// −2048..=2047.
        imm: i32 = inst.imm()
    } |inst, this| put(this.rd, this.rs1, Reg::ZERO, this.imm)
);
operands!(
    /// One source, a constant amount and a destination.
    Shift {
        /// Destination.
        rd: Reg = inst.rd(),
        /// Source.
        rs1: Reg = inst.rs1(),
        /// 0..=63, or 0..=31 in the W forms.
        amount: u8 = inst.imm() as u8
    } |inst, this| put(this.rd, this.rs1, Reg::ZERO, this.amount as i32)
);
operands!(
    /// One source and a destination.
    Unary {
        /// Destination.
        rd: Reg = inst.rd(),
        /// Source.
        rs1: Reg = inst.rs1()
    } |inst, this| put(this.rd, this.rs1, Reg::ZERO, 0)
);
operands!(
    /// A store: the address is rs1 + imm, the value rs2.
    S {
        /// Base of the address.
        rs1: Reg = inst.rs1(),
        /// Value.
        rs2: Reg = inst.rs2(),
        /// −2048..=2047.
        imm: i32 = inst.imm()
    } |inst, this| put(Reg::ZERO, this.rs1, this.rs2, this.imm)
);
operands!(
    /// A conditional branch.
    B {
        /// Left operand.
        rs1: Reg = inst.rs1(),
        /// Right operand.
        rs2: Reg = inst.rs2(),
        /// Offset from the own pc, −4096..=4094, even.
        imm: i32 = inst.imm()
    } |inst, this| put(Reg::ZERO, this.rs1, this.rs2, this.imm)
);
operands!(
    /// A destination and the upper twenty bits of a 32-bit number.
    U {
        /// Destination.
        rd: Reg = inst.rd(),
        /// The number: imm20 << 12.
        imm: i32 = inst.imm()
    } |inst, this| put(this.rd, Reg::ZERO, Reg::ZERO, this.imm)
);
operands!(
    /// A direct jump.
    J {
        /// Link register.
        rd: Reg = inst.rd(),
        /// Offset from the own pc, −2^20..2^20, even.
        imm: i32 = inst.imm()
    } |inst, this| put(this.rd, Reg::ZERO, Reg::ZERO, this.imm)
);
operands!(
    /// A host call.
    Selector {
        /// The 12-bit selector, sign-extended, as the host sees it (ISA D-01).
        selector: u32 = inst.imm() as u32
    } |inst, this| put(Reg::ZERO, Reg::ZERO, Reg::ZERO, this.selector as i32)
);
/// No operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct N;

impl Operands for N {
    fn of(_: Inst) -> Self {
        Self
    }
}

impl N {
    /// The instruction `op`.
    pub(crate) const fn with(self, op: Op) -> Inst {
        Inst::assemble(op, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0)
    }
}

/// Operands of format I6.
pub type I6 = Shift;
/// Operands of format I5.
pub type I5 = Shift;
/// Operands of format I1.
pub type I1 = Unary;
/// Operands of format Sel.
pub type Sel = Selector;
