//! Bytes to instructions (ISA §5, §6, §7). Total: every word and halfword decodes to something,
//! and nothing allocates or fails.
//!
//! A word is looked up in two steps. Opcode and funct3 select a *bucket*; where funct7 decides
//! further, the bucket points to a table over it. What remains is a chain of at most a few rows,
//! each tested exactly, so the tables below only need to be complete, not precise.

use crate::compressed;
use crate::inst::{Inst, Op, ROWS};
use crate::reg::Reg;

/// Length of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Len {
    /// Compressed: two bytes.
    Two,
    /// Four bytes.
    Four,
}

impl Len {
    /// The length in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// An instruction and how many bytes it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Decoded {
    /// The operation and its operands.
    pub inst: Inst,
    /// Two or four bytes.
    pub len: Len,
}

/// The complete instruction at offset `at`, or `None` where the walk stops: at the end of the code
/// or at a partial tail (ISA §5.3).
#[inline]
pub fn decode(code: &[u8], at: usize) -> Option<Decoded> {
    match fetch(code, at)? {
        Fetched::Half(half) => Some(Decoded {
            inst: decode_halfword(half),
            len: Len::Two,
        }),
        Fetched::Word(word) => Some(Decoded {
            inst: decode_word(word),
            len: Len::Four,
        }),
    }
}

/// Like [`decode`] without the operands, for walks that only look for block starts.
#[inline]
pub fn decode_op(code: &[u8], at: usize) -> Option<(Op, Len)> {
    match fetch(code, at)? {
        Fetched::Half(half) => Some((compressed::lookup_op(half), Len::Two)),
        Fetched::Word(word) => Some((lookup(word), Len::Four)),
    }
}

enum Fetched {
    Half(u16),
    Word(u32),
}

#[inline(always)]
fn fetch(code: &[u8], at: usize) -> Option<Fetched> {
    let rest = code.get(at..)?;
    if let Some(bytes) = rest.first_chunk::<4>() {
        let word = u32::from_le_bytes(*bytes);
        return Some(if word & 3 == 3 {
            Fetched::Word(word)
        } else {
            Fetched::Half(word as u16)
        });
    }
    let half = u16::from_le_bytes(*rest.first_chunk::<2>()?);
    if half & 3 == 3 {
        None
    } else {
        Some(Fetched::Half(half))
    }
}

/// Decodes a 32-bit word. A word whose low two bits are not `11` is not one and is reserved.
#[inline]
pub fn decode_word(word: u32) -> Inst {
    let op = lookup(word);
    let format = op.format();
    let field = |has: bool, shift: u32| Reg::from_bits(if has { word >> shift & 15 } else { 0 });
    Inst::assemble(
        op,
        field(format.has_rd(), 7),
        field(format.has_rs1(), 15),
        field(format.has_rs2(), 20),
        format.immediate(word),
    )
}

/// Decodes a 16-bit halfword. One whose low two bits are `11` is half an instruction and is
/// reserved.
#[inline]
pub fn decode_halfword(half: u16) -> Inst {
    compressed::expand(half)
}

const ROW_COUNT: usize = ROWS.len();
const NONE: u8 = u8::MAX;
const _: () = assert!(ROW_COUNT < NONE as usize);

/// Buckets by opcode (bits 6:2) and funct3 (bits 14:12).
const BUCKETS: usize = 256;

const fn bucket(word: u32) -> usize {
    ((word >> 2 & 31) << 3 | (word >> 12 & 7)) as usize
}

/// Bits that select a bucket.
const BUCKET_BITS: u32 = 0x707F;
/// funct7.
const FUNCT7_BITS: u32 = 0xFE00_0000;

/// The rows of one bucket or of one funct7 within it form a chain; `NEXT` continues it.
struct Tables {
    /// First row of a bucket's chain, when funct7 does not matter.
    first: [u8; BUCKETS],
    /// Index into `by_funct7`, or `NONE`.
    split: [u8; BUCKETS],
    by_funct7: [[u8; 128]; SPLITS],
    next: [u8; ROW_COUNT],
}

/// Buckets that are split by funct7: OP and OP-32 in full, and the shift places of OP-IMM and
/// OP-IMM-32. The build asserts the number.
const SPLITS: usize = 19;

/// Whether row `row` can match a word with these bits.
const fn possible(row: usize, bits: u32, known: u32) -> bool {
    let pattern = &ROWS[row].pattern;
    pattern.mask & known & (pattern.bits ^ bits) == 0
}

static TABLES: Tables = {
    let mut tables = Tables {
        first: [NONE; BUCKETS],
        split: [NONE; BUCKETS],
        by_funct7: [[NONE; 128]; SPLITS],
        next: [NONE; ROW_COUNT],
    };
    let mut splits = 0;
    let mut index = 0;
    while index < BUCKETS {
        let bits = ((index as u32 >> 3) << 2) | ((index as u32 & 7) << 12) | 3;
        if needs_split(bits) {
            tables.split[index] = splits as u8;
            let mut funct7 = 0;
            while funct7 < 128 {
                let known = BUCKET_BITS | FUNCT7_BITS;
                let (first, next) = chain(tables.next, bits | (funct7 as u32) << 25, known);
                tables.by_funct7[splits][funct7] = first;
                tables.next = next;
                funct7 += 1;
            }
            splits += 1;
        } else {
            let (first, next) = chain(tables.next, bits, BUCKET_BITS);
            tables.first[index] = first;
            tables.next = next;
        }
        index += 1;
    }
    assert!(splits == SPLITS);
    tables
};

/// Whether some row of the bucket fixes a bit of funct7.
const fn needs_split(bits: u32) -> bool {
    let mut row = 0;
    while row < ROW_COUNT {
        if possible(row, bits, BUCKET_BITS) && ROWS[row].pattern.mask & FUNCT7_BITS != 0 {
            return true;
        }
        row += 1;
    }
    false
}

/// Links all rows that can match into a chain and returns its head. A row met twice must be
/// followed by the same row, which the table guarantees because rows that share a key agree on
/// all of funct7 or fill it; the assertion keeps it so.
const fn chain(mut next: [u8; ROW_COUNT], bits: u32, known: u32) -> (u8, [u8; ROW_COUNT]) {
    let mut first = NONE;
    let mut last = NONE;
    let mut row = 0;
    while row < ROW_COUNT {
        if possible(row, bits, known) {
            if last == NONE {
                first = row as u8;
            } else {
                let link = &mut next[last as usize];
                assert!(*link == NONE || *link == row as u8, "row chains disagree");
                *link = row as u8;
            }
            last = row as u8;
        }
        row += 1;
    }
    (first, next)
}

/// The operation of a word, after the register check of ISA §6.2.
#[inline]
fn lookup(word: u32) -> Op {
    if word & 3 != 3 {
        return Op::Reserved;
    }
    let index = bucket(word);
    let split = TABLES.split[index];
    let mut row = if split == NONE {
        TABLES.first[index]
    } else {
        TABLES.by_funct7[split as usize][(word >> 25) as usize]
    };
    while row != NONE {
        let candidate = &ROWS[row as usize];
        if candidate.pattern.matches(word) {
            let absent = candidate.format.absent_registers();
            return if word & absent == 0 {
                candidate.op
            } else {
                Op::Reserved
            };
        }
        row = TABLES.next[row as usize];
    }
    Op::Reserved
}
