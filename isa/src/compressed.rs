//! Compressed encodings (ISA §7): 16-bit patterns that expand to rows of the main table.
//!
//! A row gives the pattern, the operation it expands to, the registers the pattern does not name,
//! and which immediate bits the `i` letters hold, from the highest letter down, in the notation of
//! the RISC-V manual (`s` marks a signed immediate). There are no semantics here: a compressed
//! instruction behaves and is priced as its expansion, only two bytes long.

use crate::halfword::{HALFWORDS, place};
use crate::inst::{Inst, Op};
use crate::pattern::Pattern;
use crate::reg::Reg;

/// One run of immediate bits: `width` bits at `from` in the halfword are bits `to` and up of the
/// immediate.
#[derive(Clone, Copy)]
struct Run {
    from: u8,
    width: u8,
    to: u8,
}

/// No row has more runs than `c.j`.
const MAX_RUNS: usize = 8;

#[derive(Clone, Copy)]
struct Immediate {
    runs: [Run; MAX_RUNS],
    count: usize,
    /// Bits of the immediate, the highest one its sign; 32 for one that is not negative.
    width: u32,
    /// The bits of the immediate that the runs hold.
    held: u32,
}

impl Immediate {
    /// Where the halfword has the bits of a value; `None` if it cannot hold the value.
    fn place(&self, value: i32) -> Option<u32> {
        let bits = value as u32 & u32::MAX >> (32 - self.width);
        if self.extend(bits) != value {
            return None;
        }
        if bits & !self.held != 0 {
            return None;
        }
        // All of them, used or not: how many there are cannot be foretold.
        Some(self.runs.iter().fold(0, |half, run| {
            half | (bits >> run.to & ((1 << run.width) - 1)) << run.from
        }))
    }

    /// The value of these bits.
    const fn extend(&self, bits: u32) -> i32 {
        let above = 32 - self.width;
        (bits << above) as i32 >> above
    }
}

/// Where a register operand comes from: the bits `mask` at `at` are its number less `base`.
#[derive(Clone, Copy)]
struct Field {
    at: u8,
    mask: u8,
    base: u8,
    /// The registers that this can name, one bit each.
    names: u16,
}

impl Field {
    /// Always this register.
    const fn fixed(number: u8) -> Self {
        Self {
            at: 0,
            mask: 0,
            base: number,
            names: 1 << number,
        }
    }

    /// The field of these bits: three name x8..x15, five any register, none is always `fixed`.
    const fn new(mask: u32, fixed: u8) -> Self {
        let at = mask.trailing_zeros() as u8;
        let (mask, base, names) = match mask.count_ones() {
            0 => return Self::fixed(fixed),
            3 => (7, 8, 0xFF00),
            5 => (31, 0, 0xFFFF),
            _ => panic!("a register field has three or five bits"),
        };
        Self {
            at,
            mask,
            base,
            names,
        }
    }

    const fn register(self, half: u32) -> Reg {
        Reg::from_bits(self.base as u32 + (half >> self.at & self.mask as u32))
    }

    const fn can_name(self, reg: Reg) -> bool {
        self.names >> reg.number() & 1 != 0
    }

    /// The bits of a register that this can name.
    const fn put(self, reg: Reg) -> u32 {
        ((reg.number() as u32).wrapping_sub(self.base as u32) & self.mask as u32) << self.at
    }
}

/// One compressed form.
#[derive(Clone, Copy)]
pub struct CompressedForm {
    mnemonic: &'static str,
    pattern: Pattern,
    op: Op,
    imm: Immediate,
    rd: Field,
    rs1: Field,
    rs2: Field,
    /// The row does not apply where one of these (mask, bits) holds; (0, 1) never does.
    unless: [(u32, u32); 2],
    /// High bits of 5-bit register fields, which RV64E does not have.
    absent: u32,
}

/// Reads an immediate such as `"s11|4|9:8"` against the mask of the pattern's `i` letters.
const fn immediate(text: &str, mask: u32) -> Immediate {
    let bytes = text.as_bytes();
    let none = Run {
        from: 0,
        width: 0,
        to: 0,
    };
    let mut out = Immediate {
        runs: [none; MAX_RUNS],
        count: 0,
        width: 32,
        held: 0,
    };
    let mut left = mask;
    let mut i = 0;
    let mut signed = false;
    let mut numbers = [0u32; 2];
    let mut have = 0;
    while i <= bytes.len() {
        let byte = if i < bytes.len() { bytes[i] } else { b'|' };
        match byte {
            b's' => signed = true,
            b'0'..=b'9' => numbers[have] = numbers[have] * 10 + (byte - b'0') as u32,
            b':' => have = 1,
            b'|' if bytes.is_empty() => {}
            b'|' => {
                let high = numbers[0];
                let low = if have == 1 { numbers[1] } else { high };
                let mut bit = high + 1;
                while bit > low {
                    bit -= 1;
                    let from = 31 - left.leading_zeros();
                    left &= !(1 << from);
                    push_bit(&mut out, from as u8, bit as u8);
                    if signed && out.width == 32 {
                        out.width = bit + 1;
                    }
                }
                numbers = [0; 2];
                have = 0;
            }
            _ => panic!("immediate text is made of s, digits, colons and bars"),
        }
        i += 1;
    }
    assert!(left == 0, "immediate does not use every i letter");
    out
}

/// Adds a bit, extending the last run downwards where the two are neighbours.
const fn push_bit(imm: &mut Immediate, from: u8, to: u8) {
    imm.held |= 1 << to;
    if imm.count > 0 {
        let last = &mut imm.runs[imm.count - 1];
        if last.from == from + 1 && last.to == to + 1 {
            last.from = from;
            last.to = to;
            last.width += 1;
            return;
        }
    }
    imm.runs[imm.count] = Run { from, width: 1, to };
    imm.count += 1;
}

const fn form(mnemonic: &'static str, pattern: &str, op: Op, imm: &str) -> CompressedForm {
    let pattern = Pattern::parse(pattern, 16);
    CompressedForm {
        mnemonic,
        pattern,
        op,
        imm: immediate(imm, pattern.imm),
        rd: Field::new(pattern.rd, 0),
        rs1: Field::new(pattern.rs1, 0),
        rs2: Field::new(pattern.rs2, 0),
        unless: [(0, 1); 2],
        absent: top_of_full(pattern.rd) | top_of_full(pattern.rs1) | top_of_full(pattern.rs2),
    }
}

/// The highest bit of a 5-bit field, 0 for other fields.
const fn top_of_full(mask: u32) -> u32 {
    if mask.count_ones() == 5 {
        1 << (31 - mask.leading_zeros())
    } else {
        0
    }
}

impl CompressedForm {
    const fn rd(mut self, number: u8) -> Self {
        self.rd = Field::fixed(number);
        self
    }

    const fn rs1(mut self, number: u8) -> Self {
        self.rs1 = Field::fixed(number);
        self
    }

    const fn except(mut self, mask: u32, bits: u32) -> Self {
        if self.unless[0].0 == 0 {
            self.unless[0] = (mask, bits);
        } else {
            self.unless[1] = (mask, bits);
        }
        self
    }

    /// The form is reserved where its immediate is zero.
    const fn nonzero_imm(self) -> Self {
        let mask = self.pattern.imm;
        self.except(mask, 0)
    }

    /// The form is another one, or reserved, where the field h[11:7] is this register.
    const fn not_11_7(self, number: u32) -> Self {
        self.except(0xF80, number << 7)
    }

    /// The form is another one, or reserved, where the field h[6:2] is zero.
    const fn nonzero_6_2(self) -> Self {
        self.except(0x7C, 0)
    }

    const fn matches(&self, half: u32) -> bool {
        self.pattern.matches(half)
            && half & self.unless[0].0 != self.unless[0].1
            && half & self.unless[1].0 != self.unless[1].1
    }

    /// Whether some halfword could match both forms: their fixed bits agree and no exception of
    /// either covers everything they share.
    const fn overlaps(&self, other: &Self) -> bool {
        let mask = self.pattern.mask | other.pattern.mask;
        let bits = self.pattern.bits | other.pattern.bits;
        self.pattern.overlaps(&other.pattern)
            && !excludes(&self.unless, mask, bits)
            && !excludes(&other.unless, mask, bits)
    }

    /// Mnemonic, such as `c.addi`.
    pub fn mnemonic(&self) -> &'static str {
        self.mnemonic
    }

    /// The operation the form expands to.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The halfword of this form that expands to `inst`, if there is one.
    pub fn encode(&self, inst: Inst) -> Option<u16> {
        if inst.op() != self.op {
            return None;
        }
        let fields = [
            (self.rd, inst.rd()),
            (self.rs1, inst.rs1()),
            (self.rs2, inst.rs2()),
        ];
        if !fields
            .iter()
            .fold(true, |all, (field, reg)| all & field.can_name(*reg))
        {
            return None;
        }
        let put = |half, (field, reg): &(Field, Reg)| half | field.put(*reg);
        let mut half = fields.iter().fold(self.pattern.bits, put);
        // Two operands of one field must be one register.
        let same = |(field, reg): &(Field, Reg)| field.register(half) == *reg;
        if !fields.iter().fold(true, |all, field| all & same(field)) {
            return None;
        }
        half |= self.imm.place(inst.imm())?;
        self.matches(half).then_some(half as u16)
    }

    /// The halfword of this form with these bits where the form leaves a choice, and what it
    /// expands to; `None` if that is another form or reserved.
    #[cfg(feature = "generate")]
    pub(crate) fn filled(&self, bits: u16) -> Option<(u16, Inst)> {
        let half = self.pattern.bits | u32::from(bits) & !self.pattern.mask;
        self.matches(half)
            .then(|| (half as u16, self.decode(half)))
            .filter(|(_, inst)| inst.op() == self.op)
    }

    const fn decode(&self, half: u32) -> Inst {
        if half & self.absent != 0 {
            return Inst::RESERVED;
        }
        let mut imm = 0u32;
        let mut i = 0;
        while i < self.imm.count {
            let run = self.imm.runs[i];
            imm |= (half >> run.from & ((1 << run.width) - 1)) << run.to;
            i += 1;
        }
        Inst::assemble(
            self.op,
            self.rd.register(half),
            self.rs1.register(half),
            self.rs2.register(half),
            self.imm.extend(imm),
        )
    }
}

const fn excludes(unless: &[(u32, u32); 2], mask: u32, bits: u32) -> bool {
    let mut i = 0;
    while i < 2 {
        let (m, b) = unless[i];
        if m != 0 && m & mask == m && bits & m == b {
            return true;
        }
        i += 1;
    }
    false
}

/// The forms of ISA §7.1. Where several can express one instruction the first one is preferred.
const FORMS: [CompressedForm; 31] = [
    form("c.addi4spn", "000 iiiiiiii ddd 00", Op::Addi, "5:4|9:6|2|3")
        .rs1(2)
        .nonzero_imm(),
    form("c.lw", "010 iii aaa ii ddd 00", Op::Lw, "5:3|2|6"),
    form("c.ld", "011 iii aaa ii ddd 00", Op::Ld, "5:3|7:6"),
    form("c.sw", "110 iii aaa ii bbb 00", Op::Sw, "5:3|2|6"),
    form("c.sd", "111 iii aaa ii bbb 00", Op::Sd, "5:3|7:6"),
    form("c.addi", "000 i DDDDD iiiii 01", Op::Addi, "s5|4:0"),
    form("c.addiw", "001 i DDDDD iiiii 01", Op::Addiw, "s5|4:0").not_11_7(0),
    form("c.li", "010 i ddddd iiiii 01", Op::Addi, "s5|4:0"),
    form(
        "c.addi16sp",
        "011 i 00010 iiiii 01",
        Op::Addi,
        "s9|4|6|8:7|5",
    )
    .rd(2)
    .rs1(2)
    .nonzero_imm(),
    form("c.lui", "011 i ddddd iiiii 01", Op::Lui, "s17|16:12")
        .not_11_7(2)
        .nonzero_imm(),
    form("c.srli", "100 i 00 DDD iiiii 01", Op::Srli, "5|4:0"),
    form("c.srai", "100 i 01 DDD iiiii 01", Op::Srai, "5|4:0"),
    form("c.andi", "100 i 10 DDD iiiii 01", Op::Andi, "s5|4:0"),
    form("c.sub", "100 0 11 DDD 00 bbb 01", Op::Sub, ""),
    form("c.xor", "100 0 11 DDD 01 bbb 01", Op::Xor, ""),
    form("c.or", "100 0 11 DDD 10 bbb 01", Op::Or, ""),
    form("c.and", "100 0 11 DDD 11 bbb 01", Op::And, ""),
    form("c.subw", "100 1 11 DDD 00 bbb 01", Op::Subw, ""),
    form("c.addw", "100 1 11 DDD 01 bbb 01", Op::Addw, ""),
    form(
        "c.j",
        "101 iiiiiiiiiii 01",
        Op::Jal,
        "s11|4|9:8|10|6|7|3:1|5",
    ),
    form(
        "c.beqz",
        "110 iii aaa iiiii 01",
        Op::Beq,
        "s8|4:3|7:6|2:1|5",
    ),
    form(
        "c.bnez",
        "111 iii aaa iiiii 01",
        Op::Bne,
        "s8|4:3|7:6|2:1|5",
    ),
    form("c.slli", "000 i DDDDD iiiii 10", Op::Slli, "5|4:0"),
    form("c.lwsp", "010 i ddddd iiiii 10", Op::Lw, "5|4:2|7:6")
        .rs1(2)
        .not_11_7(0),
    form("c.ldsp", "011 i ddddd iiiii 10", Op::Ld, "5|4:3|8:6")
        .rs1(2)
        .not_11_7(0),
    form("c.jr", "100 0 aaaaa 00000 10", Op::Jalr, "").not_11_7(0),
    form("c.mv", "100 0 ddddd bbbbb 10", Op::Add, "").nonzero_6_2(),
    form("c.jalr", "100 1 aaaaa 00000 10", Op::Jalr, "")
        .rd(1)
        .not_11_7(0),
    form("c.add", "100 1 DDDDD bbbbb 10", Op::Add, "").nonzero_6_2(),
    form("c.swsp", "110 iiiiii bbbbb 10", Op::Sw, "5:2|7:6").rs1(2),
    form("c.sdsp", "111 iiiiii bbbbb 10", Op::Sd, "5:3|8:6").rs1(2),
];

/// Writes what every compressed halfword expands to in its place (`halfword.rs`); the rest keeps
/// its value.
pub(crate) const fn expand_all(mut out: [Inst; HALFWORDS]) -> [Inst; HALFWORDS] {
    let mut i = 0;
    while i < TABLE.len() {
        let form = &TABLE[i];
        // All halfwords that have the form's fixed bits, by counting in the others.
        let free = !form.pattern.mask & 0xFFFF;
        let mut part = 0;
        loop {
            let half = form.pattern.bits | part;
            if form.matches(half) {
                out[place(half as u16)] = form.decode(half);
            }
            if part == free {
                break;
            }
            part = part.wrapping_sub(free) & free;
        }
        i += 1;
    }
    out
}

static TABLE: [CompressedForm; FORMS.len()] = FORMS;

const _: () = {
    let mut i = 0;
    while i < FORMS.len() {
        let mut j = 0;
        while j < i {
            assert!(
                !FORMS[i].overlaps(&FORMS[j]),
                "two compressed forms match one halfword"
            );
            j += 1;
        }
        i += 1;
    }
};

/// All compressed forms.
pub fn compressed_forms() -> &'static [CompressedForm] {
    &TABLE
}

/// The 16-bit encoding of an instruction, if it has one. HINT encodings are never produced, save
/// the canonical `c.nop`.
pub fn compress(inst: Inst) -> Option<u16> {
    let writes_nothing = inst.op().format().has_rd() && inst.rd().is_zero();
    let jumps = matches!(inst.op(), Op::Jal | Op::Jalr);
    if writes_nothing && !jumps {
        let nop = inst.op() == Op::Addi && inst.rs1().is_zero() && inst.imm() == 0;
        return nop.then_some(0x0001);
    }
    let no_change = inst.imm() == 0 && inst.rd() == inst.rs1();
    if no_change && matches!(inst.op(), Op::Addi | Op::Slli | Op::Srli | Op::Srai) {
        return None;
    }
    TABLE.iter().find_map(|form| form.encode(inst))
}
