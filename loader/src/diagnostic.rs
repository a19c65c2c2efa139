//! A refusal as a person reads it: what, where, why, and how to fix it.
//!
//! ```text
//! error[auipc-without-relocation]: .text+0x10 (address 0x400010) in `main`: this auipc has …
//!   --> prog.elf: .text+0x10
//!    |
//!    | 400010: auipc a0, 0x0
//!    |
//!    = help: …
//! ```

use std::fmt;

use crate::error::{FlagFault, LinkError, Site};

/// How guests are compiled and linked, for remedies.
const LINK_FLAGS: &str = "-Wl,--no-relax -Wl,--emit-relocs";

impl LinkError {
    /// A short stable name of the reason, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotElf { .. } => "not-elf",
            Self::Truncated { .. } => "truncated",
            Self::EntrySize { .. } => "entry-size",
            Self::WrongClass { .. } => "wrong-class",
            Self::WrongEndian { .. } => "wrong-endian",
            Self::WrongVersion { .. } => "wrong-version",
            Self::WrongMachine { .. } => "wrong-machine",
            Self::WrongType { .. } => "wrong-type",
            Self::WrongFlags { .. } => "wrong-flags",
            Self::Dynamic { .. } => "dynamic",
            Self::Tls { .. } => "thread-local",
            Self::Ifunc { .. } => "indirect-function",
            Self::WritableCode { .. } => "writable-code",
            Self::Overlap { .. } => "overlap",
            Self::OutsideAddressSpace { .. } => "outside-address-space",
            Self::SegmentSize { .. } => "segment-size",
            Self::NotLoaded { .. } => "not-loaded",
            Self::NoSections => "no-sections",
            Self::NoCode => "no-code",
            Self::EmptyCode { .. } => "empty-code",
            Self::CodeTooLarge { .. } => "code-too-large",
            Self::NoRoom { .. } => "no-room",
            Self::TooMany { .. } => "too-many",
            Self::Alignment { .. } => "alignment",
            Self::BadIndex { .. } => "bad-index",
            Self::Undefined { .. } => "undefined-symbol",
            Self::SymbolOutside { .. } => "symbol-outside",
            Self::RelocationsMissing { .. } => "relocations-missing",
            Self::AuipcWithoutRelocation { .. } => "auipc-without-relocation",
            Self::NoRelaxObject { .. } => "no-relax-object",
            Self::FoldedDifference { .. } => "folded-difference",
            Self::UnsupportedRelocation { .. } => "unsupported-relocation",
            Self::RelocationMismatch { .. } => "relocation-mismatch",
            Self::MisplacedRelocation { .. } => "misplaced-relocation",
            Self::RelocatedTwice { .. } => "relocated-twice",
            Self::OrphanPart { .. } => "orphan-part",
            Self::GpRelaxed { .. } => "gp-relaxed",
            Self::UnwindingUsed { .. } => "unwinding-used",
            Self::InsideInstruction { .. } => "inside-instruction",
            Self::TargetNotCode { .. } => "target-not-code",
            Self::FallsIntoData { .. } => "falls-into-data",
            Self::PartialInstruction { .. } => "partial-instruction",
            Self::OutOfReach { .. } => "out-of-reach",
            Self::NoEntry { .. } => "no-entry",
            Self::BadEndpoint { .. } => "bad-endpoint",
            Self::AbsoluteMoved { .. } => "absolute-moved",
            Self::BadMemorySymbol { .. } => "bad-memory-symbol",
            Self::Image(_) | Self::Data(_) => "image",
            Self::Proof { .. } => "proof",
        }
    }

    /// Where in the executable, if the reason has one place.
    #[must_use]
    pub fn site(&self) -> Option<&Site> {
        match self {
            Self::Tls { at }
            | Self::Ifunc { at }
            | Self::WritableCode { at }
            | Self::OutsideAddressSpace { at, .. }
            | Self::SegmentSize { at, .. }
            | Self::NotLoaded { at }
            | Self::EmptyCode { at }
            | Self::Alignment { at, .. }
            | Self::BadIndex { at, .. }
            | Self::Undefined { at, .. }
            | Self::SymbolOutside { at, .. }
            | Self::RelocationsMissing { at }
            | Self::AuipcWithoutRelocation { at }
            | Self::NoRelaxObject { at }
            | Self::FoldedDifference { at, .. }
            | Self::UnsupportedRelocation { at, .. }
            | Self::RelocationMismatch { at, .. }
            | Self::MisplacedRelocation { at, .. }
            | Self::RelocatedTwice { at }
            | Self::OrphanPart { at, .. }
            | Self::GpRelaxed { at }
            | Self::UnwindingUsed { at, .. }
            | Self::InsideInstruction { at, .. }
            | Self::TargetNotCode { at, .. }
            | Self::FallsIntoData { at, .. }
            | Self::PartialInstruction { at }
            | Self::OutOfReach { at, .. }
            | Self::AbsoluteMoved { at, .. }
            | Self::Proof { at, .. } => Some(at),
            _ => None,
        }
    }

    /// How to fix it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::WrongFlags { fault, .. } => return flags_remedy(*fault).to_owned(),
            Self::WrongType { found: 1 } => "link the object: clang … -nostdlib -static",
            Self::WrongType { found: 3 } => {
                "link without -pie and -shared: add -static -no-pie; objects may stay -fpie"
            }
            Self::Undefined { .. } => "define the symbol, or declare it weak if it may be missing",
            Self::RelocationsMissing { .. } => {
                return format!("link with {LINK_FLAGS}, and do not strip the executable");
            }
            Self::AuipcWithoutRelocation { .. } => {
                return format!(
                    "link with {LINK_FLAGS} and assemble without -mno-relax and .option norelax \
                     (Rust: -C target-feature=+relax), so that the assembler leaves a relocation"
                );
            }
            Self::NoRelaxObject { .. } => {
                "compile this object without -mno-relax (assembly: without .option norelax; \
                 Rust: with -C target-feature=+relax), and pass --no-relax only to the linker"
            }
            Self::FoldedDifference { .. } => {
                "use a table of addresses (`&&label`) instead of distances (`&&a - &&b`), or \
                 compile the function with -fno-jump-tables if the compiler made the table"
            }
            Self::RelocationMismatch { .. } | Self::MisplacedRelocation { .. } => {
                return format!(
                    "link with {LINK_FLAGS}: a linker that relaxes changes code after the \
                     relocations were written, and tools that patch the executable do too"
                );
            }
            Self::GpRelaxed { .. } => "link with -Wl,--no-relax, which keeps code off gp",
            Self::OutOfReach { .. } => {
                "let the branch be a call or tail call through auipc and jalr, split the function, \
                 or use a larger type for the distance in the table"
            }
            other => plain_remedy(other),
        };
        text.to_owned()
    }

    /// The refusal with everything a person needs, for an executable of this name.
    #[must_use]
    pub fn diagnostic<'e>(&'e self, file: &'e str) -> Diagnostic<'e> {
        Diagnostic { error: self, file }
    }
}

fn flags_remedy(fault: FlagFault) -> &'static str {
    match fault {
        FlagFault::NotEmbedded => {
            "compile every object with -march=rv64emc_zba_zbb_zbs_zicond -mabi=lp64e: code that \
             may use x16 to x31 cannot run"
        }
        FlagFault::FloatAbi => "compile every object with -mabi=lp64e (soft float)",
        FlagFault::Unknown => "compile with a toolchain that makes RV64E executables",
    }
}

/// Remedies that are one sentence about one reason.
fn plain_remedy(error: &LinkError) -> &'static str {
    match error {
        LinkError::NotElf { .. } => "pass an RV64E executable, or a .pvm image",
        LinkError::WrongClass { .. }
        | LinkError::WrongEndian { .. }
        | LinkError::WrongVersion { .. }
        | LinkError::WrongMachine { .. }
        | LinkError::WrongType { .. } => {
            "build it with clang --target=riscv64-unknown-elf -march=rv64emc_zba_zbb_zbs_zicond \
             -mabi=lp64e -static"
        }
        LinkError::Truncated { .. } | LinkError::EntrySize { .. } | LinkError::BadIndex { .. } => {
            "the file is damaged: build or copy it again"
        }
        LinkError::SegmentSize { .. } | LinkError::TooMany { .. } => {
            "the file is damaged or not made by a common linker: link it again with lld"
        }
        LinkError::Dynamic { .. } => "link with -static and without -pie",
        LinkError::Tls { .. } => {
            "make the variable an ordinary static: a program has one thread (Rust: no thread_local!)"
        }
        LinkError::Ifunc { .. } => "replace the resolver by a function pointer set at start",
        LinkError::WritableCode { .. } => {
            "give code and data segments of their own (no -N, no --omagic; see the linker script \
             of the guest runtime)"
        }
        LinkError::Overlap { .. } => "give every section an address of its own",
        LinkError::OutsideAddressSpace { .. } | LinkError::NoRoom { .. } => {
            "use less memory, or link the data near 0x10000000"
        }
        LinkError::NotLoaded { .. } => "let the linker make the segments (PHDRS) from the sections",
        LinkError::NoSections => "keep section headers and symbols: do not strip the executable",
        LinkError::NoCode | LinkError::EmptyCode { .. } => "link at least one function, with code",
        LinkError::CodeTooLarge { .. } => "compile with -Os, or split the program",
        LinkError::Alignment { .. } => "link the data at or above 0x10000000, where it can stay",
        LinkError::SymbolOutside { .. } => "refer to a place inside a section",
        LinkError::UnsupportedRelocation { .. } => {
            "compile with clang or rustc for riscv64 without vendor extensions, and link with \
             -Wl,--no-relax"
        }
        LinkError::RelocatedTwice { .. } | LinkError::OrphanPart { .. } => {
            "write the address with la, lla or call instead of separate parts"
        }
        LinkError::UnwindingUsed { .. } => {
            "compile with -fno-exceptions -fno-unwind-tables (Rust: panic = \"abort\") and drop \
             the unwinder"
        }
        LinkError::InsideInstruction { .. } => "use a label at the instruction itself",
        LinkError::TargetNotCode { .. } => {
            "jump to a label in an executable section, before an instruction"
        }
        LinkError::FallsIntoData { .. } => {
            "move the data behind a jump or into .rodata; write instructions with .insn"
        }
        LinkError::PartialInstruction { .. } => "pad the section with whole instructions",
        LinkError::NoEntry { .. } => "define _start, or name the start with --entry",
        LinkError::BadEndpoint { .. } => "name a function that is linked in and not stripped",
        LinkError::AbsoluteMoved { .. } => {
            "define the symbol inside a section of the linker script, or link the data at or above \
             0x10000000"
        }
        LinkError::BadMemorySymbol { .. } => {
            "place stack and heap at or above 0x10000000, below 2^32, apart from all sections"
        }
        LinkError::Image(_) | LinkError::Data(_) => "use fewer separate regions of memory",
        _ => "this is a fault of rivet: please report it with the executable",
    }
}

/// A refusal with the name of the file, to be printed.
#[derive(Clone, Copy, Debug)]
pub struct Diagnostic<'e> {
    error: &'e LinkError,
    file: &'e str,
}

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, file } = self;
        write!(f, "error[{}]: {error}", error.code())?;
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        write!(f, "\n  --> {file}")?;
        if let Some(site) = error.site() {
            write!(f, ": {site}")?;
            if let Some(instruction) = &site.instruction {
                let address = site.address.unwrap_or_default();
                write!(f, "\n   |\n   | {address:x}: {instruction}\n   |")?;
            }
        }
        writeln!(f, "\n   = help: {}", error.remedy())
    }
}
