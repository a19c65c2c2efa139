//! Which registers the instructions of a program name.
//!
//! Half of all operands are one of four registers, so that results are used again. Tables of one
//! entry for each way a draw can end, because there are several draws for each instruction.

use crate::Reg;

/// Entries of a table, a power of two.
const ENTRIES: usize = 1 << BITS;

/// Random bits of a draw.
pub(super) const BITS: u32 = 5;

/// The registers of one program.
pub(super) struct Registers {
    /// Registers that ordinary instructions leave alone: link, stack, two counters.
    pub(super) kept: [Reg; 4],
    sources: [Reg; ENTRIES],
    targets: [Reg; ENTRIES],
    pointers: [Reg; ENTRIES],
}

impl Registers {
    /// Those of a program with these counters, four of them used more often than others.
    pub(super) fn new(counters: [Reg; 2], few: [Reg; 4]) -> Self {
        let kept = [Reg::RA, Reg::SP, counters[0], counters[1]];
        let sources = core::array::from_fn(|i| match i % 2 {
            0 => few[i / 2 % few.len()],
            _ => Reg::from_bits(i as u32 / 2),
        });
        let targets = repeated(&sources, |reg| !kept.contains(&reg));
        Self {
            kept,
            sources,
            targets,
            pointers: repeated(&targets, |reg| !reg.is_zero()),
        }
    }

    /// A register to read.
    pub(super) fn source(&self, draw: usize) -> Reg {
        self.sources[draw % ENTRIES]
    }

    /// A register to write: not one that the program's own course depends on.
    pub(super) fn target(&self, draw: usize) -> Reg {
        self.targets[draw % ENTRIES]
    }

    /// A register to write and to read the written value from.
    pub(super) fn pointer(&self, draw: usize) -> Reg {
        self.pointers[draw % ENTRIES]
    }
}

/// Those of `all` that may be had, over and over. Among `all` are all registers.
fn repeated(all: &[Reg; ENTRIES], may: impl Fn(Reg) -> bool) -> [Reg; ENTRIES] {
    let mut out = [Reg::ZERO; ENTRIES];
    let mut count = 0;
    for reg in all {
        if may(*reg) {
            out[count] = *reg;
            count += 1;
        }
    }
    for i in count..ENTRIES {
        out[i] = out[i - count];
    }
    out
}
