//! Relocation types of the RISC-V ELF ABI, sorted by what the linker does with them.

use std::fmt;

/// A relocation type as the file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u32);

impl Kind {
    /// The type of accesses to the global offset table.
    pub(crate) const GOT_HI20: Self = Self(20);
    /// The mark of aligned code; its addend is the number of bytes of no-ops.
    pub(crate) const ALIGN: Self = Self(43);
}

/// One relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reloc {
    /// Address it applies to.
    pub(crate) address: u64,
    pub(crate) kind: Kind,
    /// Index into the symbol table.
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

/// What a relocation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Says something about relaxation only.
    Ignore,
    /// Marks an instruction pair as assembled for relaxation.
    Relax,
    /// A pc-relative jump or branch inside one instruction.
    Direct,
    /// `auipc` and the `jalr` right behind it.
    Call,
    /// High part of a pc-relative address.
    PcHigh,
    /// High part of the pc-relative address of a GOT slot.
    GotHigh,
    /// Low part whose high part is at the symbol.
    PcLow,
    /// High part of an absolute address.
    AbsHigh,
    /// Low part of an absolute address.
    AbsLow,
    /// An address in this many bytes of data.
    Word(u8),
    /// A distance from here in this many bytes of data.
    Distance(u8),
    /// Adds to, subtracts from or sets a number in data.
    Sum(Sum),
    /// Thread-local storage.
    Tls,
    /// Relative to the global pointer.
    GpRelative,
    /// An indirect function.
    Ifunc,
    /// Made for a dynamic loader.
    Dynamic,
    /// Anything else.
    Unsupported,
}

/// One term of a label difference in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) term: Term,
    pub(crate) width: Width,
}

/// How a term enters the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Add,
    Sub,
    Set,
}

/// Size of a number in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// The low six bits of a byte.
    Six,
    /// Whole bytes.
    Bytes(u8),
    /// A ULEB128 of the length it already has.
    Uleb,
}

macro_rules! kinds {
    ($($number:literal $name:literal => $action:expr;)*) => {
        impl Kind {
            pub(crate) const fn action(self) -> Action {
                match self.0 {
                    $($number => $action,)*
                    _ => Action::Unsupported,
                }
            }

            /// The name the ABI gives the type, without `R_RISCV_`.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

const fn sum(term: Term, bytes: u8) -> Action {
    Action::Sum(Sum {
        term,
        width: Width::Bytes(bytes),
    })
}

kinds! {
    0 "NONE" => Action::Ignore;
    1 "32" => Action::Word(4);
    2 "64" => Action::Word(8);
    3 "RELATIVE" => Action::Dynamic;
    4 "COPY" => Action::Dynamic;
    5 "JUMP_SLOT" => Action::Dynamic;
    6 "TLS_DTPMOD32" => Action::Tls;
    7 "TLS_DTPMOD64" => Action::Tls;
    8 "TLS_DTPREL32" => Action::Tls;
    9 "TLS_DTPREL64" => Action::Tls;
    10 "TLS_TPREL32" => Action::Tls;
    11 "TLS_TPREL64" => Action::Tls;
    12 "TLSDESC" => Action::Tls;
    16 "BRANCH" => Action::Direct;
    17 "JAL" => Action::Direct;
    18 "CALL" => Action::Call;
    19 "CALL_PLT" => Action::Call;
    20 "GOT_HI20" => Action::GotHigh;
    21 "TLS_GOT_HI20" => Action::Tls;
    22 "TLS_GD_HI20" => Action::Tls;
    23 "PCREL_HI20" => Action::PcHigh;
    24 "PCREL_LO12_I" => Action::PcLow;
    25 "PCREL_LO12_S" => Action::PcLow;
    26 "HI20" => Action::AbsHigh;
    27 "LO12_I" => Action::AbsLow;
    28 "LO12_S" => Action::AbsLow;
    29 "TPREL_HI20" => Action::Tls;
    30 "TPREL_LO12_I" => Action::Tls;
    31 "TPREL_LO12_S" => Action::Tls;
    32 "TPREL_ADD" => Action::Tls;
    33 "ADD8" => sum(Term::Add, 1);
    34 "ADD16" => sum(Term::Add, 2);
    35 "ADD32" => sum(Term::Add, 4);
    36 "ADD64" => sum(Term::Add, 8);
    37 "SUB8" => sum(Term::Sub, 1);
    38 "SUB16" => sum(Term::Sub, 2);
    39 "SUB32" => sum(Term::Sub, 4);
    40 "SUB64" => sum(Term::Sub, 8);
    43 "ALIGN" => Action::Ignore;
    44 "RVC_BRANCH" => Action::Direct;
    45 "RVC_JUMP" => Action::Direct;
    47 "GPREL_I" => Action::GpRelative;
    48 "GPREL_S" => Action::GpRelative;
    49 "TPREL_I" => Action::Tls;
    50 "TPREL_S" => Action::Tls;
    51 "RELAX" => Action::Relax;
    52 "SUB6" => Action::Sum(Sum { term: Term::Sub, width: Width::Six });
    53 "SET6" => Action::Sum(Sum { term: Term::Set, width: Width::Six });
    54 "SET8" => sum(Term::Set, 1);
    55 "SET16" => sum(Term::Set, 2);
    56 "SET32" => sum(Term::Set, 4);
    57 "32_PCREL" => Action::Distance(4);
    58 "IRELATIVE" => Action::Ifunc;
    59 "PLT32" => Action::Distance(4);
    60 "SET_ULEB128" => Action::Sum(Sum { term: Term::Set, width: Width::Uleb });
    61 "SUB_ULEB128" => Action::Sum(Sum { term: Term::Sub, width: Width::Uleb });
    62 "TLSDESC_HI20" => Action::Tls;
    63 "TLSDESC_LOAD_LO12" => Action::Tls;
    64 "TLSDESC_ADD_LO12" => Action::Tls;
    65 "TLSDESC_CALL" => Action::Tls;
    256 "GPREL_I (of lld)" => Action::GpRelative;
    257 "GPREL_S (of lld)" => Action::GpRelative;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "R_RISCV_{name}"),
            None => write!(f, "R_RISCV_<{}>", self.0),
        }
    }
}
