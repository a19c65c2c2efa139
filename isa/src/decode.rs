//! Bytes to instructions (ISA §5, §6, §7). Total: every word and halfword decodes to something,
//! and nothing allocates or fails.
//!
//! A halfword is looked up (`halfword.rs`). A word is looked up in two steps: opcode and funct3
//! select a *bucket*; where funct7 decides further, the bucket has a key for each of its values,
//! and where bits 24:20 do too, the key has 32 more. A key names the one operation its words can
//! be, whose [`Shape`] then takes the operands out without a branch.

use crate::halfword;
use crate::inst::{Inst, Op, ROWS};
use crate::shape::Shape;
use rivet_mutants::mutant;

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
        Fetched::Half(half) => Some((halfword::expand(half).op(), Len::Two)),
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
        mutant!(PartialTailDecoded, None, Some(Fetched::Half(half)))
    } else {
        Some(Fetched::Half(half))
    }
}

/// Decodes a 32-bit word. A word whose low two bits are not `11` is not one and is reserved.
#[inline]
pub fn decode_word(word: u32) -> Inst {
    let op = lookup(word);
    let inst = Shape::of(op).take(op, word);
    let (rd, rs1, rs2) = (inst.rd(), inst.rs1(), inst.rs2());
    mutant!(
        ImmediateUnsigned,
        inst,
        Inst::from_parts(op, rd, rs1, rs2, inst.imm() & 0xFFF)
    )
}

/// Decodes a 16-bit halfword. One whose low two bits are `11` is half an instruction and is
/// reserved.
#[inline]
pub fn decode_halfword(half: u16) -> Inst {
    let hint = mutant!(HintsReserved, false, half & 0xEF83 == 1 && half != 1);
    if hint {
        Inst::RESERVED
    } else {
        halfword::expand(half)
    }
}

/// Buckets by opcode (bits 6:2) and funct3 (bits 14:12).
const BUCKETS: usize = 256;

#[inline(always)]
const fn bucket(word: u32) -> usize {
    ((word >> 2 & 31) << 3 | (word >> 12 & 7)) as usize
}

/// Bits that select a bucket.
const BUCKET_BITS: u32 = 0x707F;
/// funct7.
const FUNCT7_BITS: u32 = 0xFE00_0000;
/// Where operations with one source have a number instead of rs2.
const RS2_BITS: u32 = 0x01F0_0000;

/// The keys of one bucket: one, or one for each funct7.
#[derive(Clone, Copy)]
struct Bucket {
    first: u16,
    /// 0 or 127: what counts of funct7.
    mask: u16,
}

/// What is known of a word by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// This operation and no other, if the registers exist.
    Only(Op),
    /// Bits 24:20 count as well: the answer is in this row of `unary`.
    Unary(u8),
}

/// Room for every key, a power of two so that an index is cut to it by a mask.
const KEYS: usize = 4096;
/// Keys that bits 24:20 decide further: the places of operations with one source. The build
/// asserts the number.
const UNARIES: usize = 5;

struct Tables {
    buckets: [Bucket; BUCKETS],
    keys: [Key; KEYS],
    unary: [[Op; 32]; UNARIES],
}

static TABLES: Tables = {
    let mut tables = Tables {
        buckets: [Bucket { first: 0, mask: 0 }; BUCKETS],
        keys: [Key::Only(Op::Reserved); KEYS],
        unary: [[Op::Reserved; 32]; UNARIES],
    };
    let (mut used, mut unaries) = (0, 0);
    let mut index = 0;
    while index < BUCKETS {
        let bits = ((index as u32 >> 3) << 2) | ((index as u32 & 7) << 12) | 3;
        let split = needs_split(bits);
        let (mask, known) = if split {
            (127, BUCKET_BITS | FUNCT7_BITS)
        } else {
            (0, BUCKET_BITS)
        };
        let first = used as u16;
        tables.buckets[index] = Bucket { first, mask };
        let mut funct7 = 0;
        while funct7 <= mask as u32 {
            let bits = bits | funct7 << 25;
            tables.keys[used] = match only(bits, known) {
                Some(op) => Key::Only(op),
                None => {
                    unaries += 1;
                    tables.unary[unaries - 1] = by_rs2(bits);
                    Key::Unary(unaries as u8 - 1)
                }
            };
            used += 1;
            funct7 += 1;
        }
        index += 1;
    }
    assert!(unaries == UNARIES);
    tables
};

/// Whether row `row` can match a word of which the `known` bits are `bits`.
const fn possible(row: usize, bits: u32, known: u32) -> bool {
    let pattern = &ROWS[row].pattern;
    pattern.mask & known & (pattern.bits ^ bits) == 0
}

/// Whether some row of the bucket fixes a bit of funct7.
const fn needs_split(bits: u32) -> bool {
    let mut row = 0;
    while row < ROWS.len() {
        if possible(row, bits, BUCKET_BITS) && ROWS[row].pattern.mask & FUNCT7_BITS != 0 {
            return true;
        }
        row += 1;
    }
    false
}

/// The one operation of words whose `known` bits are `bits`; `None` if other bits count.
const fn only(bits: u32, known: u32) -> Option<Op> {
    let mut row = 0;
    while row < ROWS.len() {
        if possible(row, bits, known) {
            // Rows exclude one another, so one that fixes nothing else is the only one.
            let decided = ROWS[row].pattern.mask & !known == 0;
            return if decided { Some(ROWS[row].op) } else { None };
        }
        row += 1;
    }
    Some(Op::Reserved)
}

/// The operations of words with these bits elsewhere, by bits 24:20.
const fn by_rs2(bits: u32) -> [Op; 32] {
    let mut out = [Op::Reserved; 32];
    let mut rs2 = 0;
    while rs2 < 32 {
        let known = BUCKET_BITS | FUNCT7_BITS | RS2_BITS;
        out[rs2] = match only(bits | (rs2 as u32) << 20, known) {
            Some(op) => op,
            None => panic!("a row that fixes bits of rd or rs1"),
        };
        rs2 += 1;
    }
    out
}

/// The operation of a word, after the register check of ISA §6.2.
#[inline]
fn lookup(word: u32) -> Op {
    if word & 3 == 3 {
        lookup_whole(word)
    } else {
        Op::Reserved
    }
}

/// Where a word whose low two bits are `11` has its key. For others the answer means nothing.
#[inline(always)]
fn key_index(word: u32) -> usize {
    let Bucket { first, mask } = TABLES.buckets[bucket(word)];
    (usize::from(first) + ((word >> 25) as usize & usize::from(mask))) % KEYS
}

/// [`lookup`] for a word whose low two bits are `11`.
#[inline(always)]
fn lookup_whole(word: u32) -> Op {
    let op = match TABLES.keys[key_index(word)] {
        Key::Only(op) => op,
        Key::Unary(row) => TABLES.unary[usize::from(row)][(word >> 20 & 31) as usize],
    };
    if word & mutant!(RegistersMasked, Shape::of(op).absent, 0) == 0 {
        op
    } else {
        Op::Reserved
    }
}

/// The lowest 16 bits of an instruction say nearly everything about its role. A halfword is all
/// there; of a word they hold opcode, funct3, rd and the lowest bit of rs1.
///
/// ```text
///   15 … 8   row of `BY_FUNCT7` that says more; row 0 says nothing
///   7 … 0    flags
/// ```
static BY_LOW_HALF: [u16; 1 << 16] = {
    let mut roles = [0; 1 << 16];
    let (mut rows, mut index) = (0, 0);
    while index < BUCKETS {
        let Bucket { first, mask } = TABLES.buckets[index];
        let (flags, absent_rd) = if mask == 0 {
            let key = TABLES.keys[first as usize];
            (key_flags(key) as u16, key_absent(key) & RD_HIGH)
        } else {
            // All that have funct7 have rd.
            rows += 1;
            ((rows as u16) << 8, RD_HIGH)
        };
        // The other bits of a half: rd, and the lowest bit of rs1.
        let mut rest = 0;
        while rest < 64 {
            let low = (index >> 3) << 2 | (index & 7) << 12 | (rest & 31) << 7 | (rest >> 5) << 15;
            let absent = low as u32 & absent_rd != 0;
            roles[low | 3] = if absent { ENDS as u16 } else { flags };
            rest += 1;
        }
        index += 1;
    }
    let mut half = 0;
    while half < 1 << 16 {
        if half & 3 != 3 && halfword::ends(half as u16) {
            roles[half] = ENDS as u16;
        }
        half += 1;
    }
    roles
};

/// What funct7 adds, by the rows that [`BY_LOW_HALF`] names.
static BY_FUNCT7: [[u8; 128]; 64] = {
    let mut roles = [[0; 128]; 64];
    let (mut rows, mut index) = (0, 0);
    while index < BUCKETS {
        let Bucket { first, mask } = TABLES.buckets[index];
        if mask != 0 {
            rows += 1;
            let mut funct7 = 0;
            while funct7 < 128 {
                let key = TABLES.keys[first as usize + funct7];
                if let Key::Only(op) = key {
                    let reserved = matches!(op, Op::Reserved);
                    assert!(reserved || key_absent(key) & RD_HIGH != 0);
                }
                roles[rows][funct7] = key_flags(key);
                funct7 += 1;
            }
        }
        index += 1;
    }
    roles
};

/// The highest bits of the register fields, which must be zero (ISA §6.2).
const RD_HIGH: u32 = 1 << 11;
const RS1_HIGH: u32 = 1 << RS1_HIGH_AT;
const RS2_HIGH: u32 = 1 << 24;
const RS1_HIGH_AT: u32 = 19;

/// Flags of a role; those for registers stand where the bits of the word do that must be zero,
/// once it is shifted right by [`RS1_HIGH_AT`].
const HAS_RS1: u8 = (RS1_HIGH >> RS1_HIGH_AT) as u8;
const HAS_RS2: u8 = (RS2_HIGH >> RS1_HIGH_AT) as u8;
const ENDS: u8 = 1 << 1;
const UNDECIDED: u8 = 1 << 2;

const fn key_absent(key: Key) -> u32 {
    match key {
        Key::Only(op) => op.row().format.absent_registers(),
        Key::Unary(_) => 0,
    }
}

const fn key_flags(key: Key) -> u8 {
    let Key::Only(op) = key else {
        return UNDECIDED;
    };
    let (absent, flow) = (key_absent(key), op.row().flow);
    // Few are calls, so nobody else pays for telling them.
    if flow.is_call() {
        return UNDECIDED;
    }
    let mut flags = 0;
    if absent & RS1_HIGH != 0 {
        flags |= HAS_RS1;
    }
    if absent & RS2_HIGH != 0 {
        flags |= HAS_RS2;
    }
    if flow.is_terminator() {
        flags |= ENDS;
    }
    flags
}

/// What an instruction does to the division of code into blocks, as numbers that are 0 or 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Role {
    /// It ends its block.
    pub(crate) ends: u64,
    /// It is a block by itself.
    pub(crate) call: u64,
}

/// The role of the instruction that begins with these four bytes.
#[inline(always)]
pub(crate) fn role(word: u32) -> Role {
    let low = BY_LOW_HALF[(word & 0xFFFF) as usize];
    let row = &BY_FUNCT7[usize::from(low >> 8) % BY_FUNCT7.len()];
    let flags = low as u8 | row[(word >> 25) as usize];
    if flags & UNDECIDED != 0 {
        return undecided_role(word);
    }
    let absent = word >> RS1_HIGH_AT & u32::from(flags & (HAS_RS1 | HAS_RS2));
    let absent = u64::from(absent != 0);
    Role {
        ends: u64::from(flags / ENDS % 2) | mutant!(ReservedContinues, absent, 0),
        call: 0,
    }
}

/// The role of a call, or of a word with one source, whose other bits decide what it is.
#[cold]
#[inline(never)]
fn undecided_role(word: u32) -> Role {
    let flow = lookup(word).flow();
    Role {
        ends: u64::from(flow.is_terminator()),
        call: u64::from(flow.is_call()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary::Random;
    use crate::reg::Reg;

    /// A word read by trying every row, and its operands by the definition of its format.
    fn by_rows(word: u32) -> Inst {
        let found = ROWS.iter().find(|row| row.pattern.matches(word));
        let Some(row) = found.filter(|row| word & row.format.absent_registers() == 0) else {
            return Inst::RESERVED;
        };
        let field = |at: u32| Reg::from_bits(word >> at & 31);
        let imm = row.format.immediate(word);
        Inst::from_parts(row.op, field(7), field(15), field(20), imm)
    }

    #[test]
    fn words_of_every_key_decode_as_trying_every_row_does_and_play_its_role() {
        let mut random = Random::new(0x5EED_0001);
        for key in 0..1u32 << 20 {
            let (bucket, rest) = (key >> 12, key & 0xFFF);
            let fixed = (bucket >> 3) << 2 | (bucket & 7) << 12 | rest << 20 | 3;
            // The fields of rd and rs1: mostly registers that exist, and sometimes not.
            let mut others = random.bits() as u32 & 0x000F_8F80;
            if !random.once_in(8) {
                others &= !(1 << 19 | 1 << 11);
            }
            let word = fixed | others;
            let plain = by_rows(word);
            assert_eq!(decode_word(word), plain, "{word:#010x}");
            assert_eq!(lookup(word), plain.op(), "{word:#010x}");
            let expected = Role {
                ends: u64::from(plain.flow().is_terminator()),
                call: u64::from(plain.flow().is_call()),
            };
            assert_eq!(role(word), expected, "{word:#010x}");
        }
    }

    #[test]
    fn every_halfword_plays_the_role_of_its_expansion_whatever_follows_it() {
        for half in (0..=u16::MAX).filter(|half| half & 3 != 3) {
            let flow = decode_halfword(half).flow();
            let expected = Role {
                ends: u64::from(flow.is_terminator()),
                call: 0,
            };
            for follower in [0u32, 0xFFFF, 0x8000, 0x0050] {
                assert_eq!(
                    role(u32::from(half) | follower << 16),
                    expected,
                    "{half:#06x}"
                );
            }
        }
    }
}
