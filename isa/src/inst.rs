//! Operations and instructions, made from the table.
//!
//! [`Op`] is the flat list of operations, [`Inst`] one of them with its operands in eight bytes.
//! Consumers implement the visitor traits, one per extension; a forgotten operation is a missing
//! trait method and does not compile.

use crate::format::*;
use crate::gas::Class;
use crate::pattern::Pattern;
use crate::reg::Reg;
use crate::table::for_each_inst;

/// Where control goes after an instruction (ISA §8, §9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Flow {
    /// To the next instruction; the only flow that does not end a block.
    Next,
    /// To a static target or to the next instruction.
    Branch,
    /// To a static target.
    Jump,
    /// To an address in a register.
    JumpIndirect,
    /// To the host and back: `ecalli`.
    HostCall,
    /// To the kernel and back: `ecall.jar`.
    KernelCall,
    /// Nowhere: `trap`.
    Trap,
    /// To the next instruction, in a new block.
    Fallthrough,
    /// Nowhere: a reserved or fatal encoding.
    Reserved,
}

impl Flow {
    /// Whether the instruction ends its block (ISA §9.1).
    pub const fn is_terminator(self) -> bool {
        !matches!(self, Self::Next)
    }

    /// Whether the instruction is a block by itself with a dynamic price (ISA §9.2, gas §9).
    pub const fn is_call(self) -> bool {
        matches!(self, Self::HostCall | Self::KernelCall)
    }
}

/// What a row of the table says beyond its name.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) op: Op,
    pub(crate) pattern: Pattern,
    pub(crate) format: Format,
    pub(crate) flow: Flow,
    pub(crate) class: Class,
}

/// A visitor of instructions; `Out` is what each method returns.
pub trait Visitor {
    /// Result of visiting one instruction.
    type Out;
}

/// The mnemonic of a Rust identifier: `_` stands for `.`.
const fn dotted<const N: usize>(name: &str) -> [u8; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = match name.as_bytes()[i] {
            b'_' => b'.',
            other => other,
        };
        i += 1;
    }
    out
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("mnemonics are ASCII"),
    }
}

macro_rules! define {
    ($($(#[$ext_doc:meta])* $ext:ident by $visit:ident {
        $($(#[$doc:meta])* $name:ident = $op:ident ($format:ident) $pattern:literal, $flow:ident, $class:ident;)*
    })*) => {
        /// An operation of the table, or [`Op::Reserved`] for every encoding that is none.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Op {
            $($($(#[$doc])* $op,)*)*
            /// A reserved or fatal encoding: executing it ends the run with Panic (ISA §2).
            Reserved,
        }

        /// An extension: a group of rows, and the file name in each engine.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Ext {
            $($(#[$ext_doc])* $ext,)*
        }

        impl Op {
            /// Every operation of the table in its order, without [`Op::Reserved`].
            pub const ALL: &[Op] = &[$($(Op::$op,)*)*];

            /// The mnemonic in standard syntax.
            pub const fn mnemonic(self) -> &'static str {
                match self {
                    $($(Op::$op => {
                        const BYTES: [u8; stringify!($name).len()] = dotted(stringify!($name));
                        text(&BYTES)
                    })*)*
                    Op::Reserved => "reserved",
                }
            }

            /// The extension whose row this is; reserved encodings count as Xjar, whose rules
            /// decide what they do.
            pub const fn ext(self) -> Ext {
                match self {
                    $($(Op::$op)|* => Ext::$ext,)*
                    Op::Reserved => Ext::Xjar,
                }
            }
        }

        pub(crate) const ROWS: [Row; Op::ALL.len()] = [$($(
            Row {
                op: Op::$op,
                pattern: Pattern::parse($pattern, 32),
                format: Format::$format,
                flow: Flow::$flow,
                class: Class::$class,
            },
        )*)*];

        $(
            $(#[$ext_doc])*
            pub trait $visit: Visitor {
                $($(#[$doc])* fn $name(&mut self, operands: $format) -> Self::Out;)*
            }
        )*

        /// A visitor of the whole instruction set.
        pub trait Visit: $($visit +)* {
            /// A reserved or fatal encoding: Panic with the own pc.
            fn reserved(&mut self) -> Self::Out;
        }

        impl Inst {
            $($(
                $(#[$doc])*
                pub const fn $name(operands: $format) -> Self {
                    operands.with(Op::$op)
                }
            )*)*

            /// Calls the visitor's method for this operation.
            #[inline(always)]
            pub fn visit<V: Visit>(self, visitor: &mut V) -> V::Out {
                match self.op {
                    $($(Op::$op => visitor.$name(<$format as Operands>::of(self)),)*)*
                    Op::Reserved => visitor.reserved(),
                }
            }
        }
    };
}
for_each_inst!(define);

const RESERVED: Row = Row {
    op: Op::Reserved,
    pattern: Pattern {
        mask: 0,
        bits: 0,
        rd: 0,
        rs1: 0,
        rs2: 0,
        imm: 0,
    },
    format: Format::N,
    flow: Flow::Reserved,
    class: Class::Stop,
};

/// [`ROWS`] followed by the row of reserved encodings, so that an operation is an index.
static BY_OP: [Row; Op::ALL.len() + 1] = {
    let mut rows = [RESERVED; Op::ALL.len() + 1];
    let mut i = 0;
    while i < ROWS.len() {
        assert!(
            ROWS[i].op as usize == i,
            "rows stand in the order of the enum"
        );
        rows[i] = ROWS[i];
        i += 1;
    }
    rows
};

/// The flows of [`BY_OP`] close together: walks ask for nothing else.
static FLOWS: [Flow; Op::ALL.len() + 1] = {
    let mut flows = [Flow::Reserved; Op::ALL.len() + 1];
    let mut i = 0;
    while i < ROWS.len() {
        flows[i] = ROWS[i].flow;
        i += 1;
    }
    flows
};

const _: () = {
    let mut i = 0;
    while i < ROWS.len() {
        assert!(
            ROWS[i].format.agrees_with(&ROWS[i].pattern),
            "pattern and format disagree"
        );
        let mut j = 0;
        while j < i {
            assert!(
                !ROWS[i].pattern.overlaps(&ROWS[j].pattern),
                "two rows match one word"
            );
            j += 1;
        }
        i += 1;
    }
};

impl Op {
    #[inline]
    pub(crate) const fn row(self) -> &'static Row {
        &BY_OP[self as usize]
    }

    /// Layout of the 32-bit encoding.
    pub fn format(self) -> Format {
        self.row().format
    }

    /// Where control goes afterwards.
    #[inline]
    pub fn flow(self) -> Flow {
        FLOWS[self as usize]
    }

    /// Gas class (gas §6).
    pub fn class(self) -> Class {
        self.row().class
    }

    /// Whether this is one of the four stores, which reserve gas for page copies (gas §8).
    #[inline]
    pub const fn is_store(self) -> bool {
        matches!(self, Self::Sb | Self::Sh | Self::Sw | Self::Sd)
    }

    /// Whether this is one of the seven loads.
    #[inline]
    pub const fn is_load(self) -> bool {
        matches!(
            self,
            Self::Lb | Self::Lh | Self::Lw | Self::Ld | Self::Lbu | Self::Lhu | Self::Lwu
        )
    }
}

/// One instruction: an operation and its operands. A field its format lacks is x0 or 0, so equal
/// instructions are equal values whatever bytes they came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inst {
    op: Op,
    rd: Reg,
    rs1: Reg,
    rs2: Reg,
    imm: i32,
}

impl Inst {
    /// The instruction every reserved encoding decodes to.
    pub const RESERVED: Self = N.with(Op::Reserved);

    /// Puts the parts together; the caller has them from the operation's format.
    #[inline(always)]
    pub(crate) const fn assemble(op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) -> Self {
        Self {
            op,
            rd,
            rs1,
            rs2,
            imm,
        }
    }

    /// An instruction from an operation and all four parts; those its format lacks are dropped.
    pub fn from_parts(op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) -> Self {
        let format = op.format();
        let pick = |has: bool, reg: Reg| if has { reg } else { Reg::ZERO };
        Self {
            op,
            rd: pick(format.has_rd(), rd),
            rs1: pick(format.has_rs1(), rs1),
            rs2: pick(format.has_rs2(), rs2),
            imm: if format.has_immediate() { imm } else { 0 },
        }
    }

    /// The operation.
    #[inline]
    pub const fn op(self) -> Op {
        self.op
    }

    /// Destination register, x0 where the format has none.
    #[inline]
    pub const fn rd(self) -> Reg {
        self.rd
    }

    /// First source register, x0 where the format has none.
    #[inline]
    pub const fn rs1(self) -> Reg {
        self.rs1
    }

    /// Second source register, x0 where the format has none.
    #[inline]
    pub const fn rs2(self) -> Reg {
        self.rs2
    }

    /// Immediate: an offset in bytes, an amount, a number with its low zeros, or a selector.
    #[inline]
    pub const fn imm(self) -> i32 {
        self.imm
    }

    /// Where control goes afterwards.
    #[inline]
    pub fn flow(self) -> Flow {
        self.op.flow()
    }
}
