//! Registers, slots and the register file (ISA §3).
//!
//! A *register* is what an encoding names, x0..x15. A *slot* is what an embedder and the gas
//! model see: fifteen of them, numbered so that the thirteen that compilers use come first and
//! the two that live in memory (x3, x4) come last.

use core::fmt;

/// Number of slots: x1..x15 each have one, x0 has none.
pub const SLOTS: usize = 15;

const NAMES: [&str; 16] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5",
];
const NO_SLOT: u8 = u8::MAX;
const SLOT_OF: [u8; 16] = [NO_SLOT, 0, 1, 13, 14, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const REG_OF: [u8; SLOTS] = [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4];

/// One of x0..x15.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

macro_rules! named {
    ($($name:ident = $number:literal),* $(,)?) => {
        impl Reg { $(
            #[doc = concat!("x", stringify!($number), ".")]
            pub const $name: Reg = Reg($number);
        )* }
    };
}
named!(
    ZERO = 0,
    RA = 1,
    SP = 2,
    GP = 3,
    TP = 4,
    T0 = 5,
    T1 = 6,
    T2 = 7,
    S0 = 8,
    S1 = 9,
    A0 = 10,
    A1 = 11,
    A2 = 12,
    A3 = 13,
    A4 = 14,
    A5 = 15,
);

impl Reg {
    /// The register with this number, or `None` for 16 and above, which RV64E lacks.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// A register from a field already known to be below 16; only the low four bits count.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self((bits & 15) as u8)
    }

    /// All sixteen, x0 first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..16).map(Self)
    }

    /// 0..=15.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether this is x0, which reads 0 and swallows writes.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The slot of this register; `None` for x0.
    pub const fn slot(self) -> Option<Slot> {
        match SLOT_OF[self.0 as usize & 15] {
            NO_SLOT => None,
            slot => Some(Slot(slot)),
        }
    }

    /// Whether the gas model treats the register as living in memory (x3, x4; gas §7).
    pub const fn is_spilled(self) -> bool {
        self.0 == 3 || self.0 == 4
    }

    /// ABI name, such as `a0`.
    pub const fn name(self) -> &'static str {
        NAMES[self.0 as usize & 15]
    }

    /// The register with this ABI name (`a0`) or architectural name (`x10`); `fp` is s0.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "fp" {
            return Some(Self::S0);
        }
        if let Some(digits) = text.strip_prefix('x') {
            let canonical = digits == "0" || !digits.starts_with('0');
            return digits
                .parse()
                .ok()
                .filter(|_| canonical)
                .and_then(Self::new);
        }
        NAMES
            .iter()
            .position(|name| *name == text)
            .and_then(|n| Self::new(n as u8))
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Index of a general register as an embedder sees it, 0..=14.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(u8);

impl Slot {
    /// The slot with this index, or `None` for 15 and above.
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < SLOTS {
            Some(Self(index))
        } else {
            None
        }
    }

    /// All fifteen in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..SLOTS as u8).map(Self)
    }

    /// 0..=14.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The register this slot holds.
    pub const fn reg(self) -> Reg {
        Reg(REG_OF[self.0 as usize])
    }
}

/// The fifteen 64-bit general registers, in slot order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Regs([u64; SLOTS]);

impl Regs {
    /// A register file holding these values, in slot order.
    pub const fn new(slots: [u64; SLOTS]) -> Self {
        Self(slots)
    }

    /// Value of a register; x0 reads 0.
    #[inline]
    pub const fn get(&self, reg: Reg) -> u64 {
        match reg.slot() {
            Some(slot) => self.0[slot.index()],
            None => 0,
        }
    }

    /// Writes a register; a write to x0 vanishes.
    #[inline]
    pub const fn set(&mut self, reg: Reg, value: u64) {
        if let Some(slot) = reg.slot() {
            self.0[slot.index()] = value;
        }
    }

    /// The values in slot order.
    pub const fn slots(&self) -> &[u64; SLOTS] {
        &self.0
    }

    /// The values in slot order, for writing.
    pub const fn slots_mut(&mut self) -> &mut [u64; SLOTS] {
        &mut self.0
    }
}

impl fmt::Debug for Regs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = Slot::all().map(|slot| (slot.reg(), self.0[slot.index()]));
        f.debug_map()
            .entries(entries.map(|(reg, value)| (reg, Hex(value))))
            .finish()
    }
}

struct Hex(u64);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_table_of_isa_section_3() {
        let expected = [
            (1, 0),
            (2, 1),
            (3, 13),
            (4, 14),
            (5, 2),
            (6, 3),
            (7, 4),
            (8, 5),
            (9, 6),
            (10, 7),
            (11, 8),
            (12, 9),
            (13, 10),
            (14, 11),
            (15, 12),
        ];
        for (number, slot) in expected {
            let reg = Reg::new(number).unwrap();
            assert_eq!(reg.slot(), Slot::new(slot));
            assert_eq!(Slot::new(slot).unwrap().reg(), reg);
        }
        assert_eq!(Reg::ZERO.slot(), None);
        assert_eq!(Reg::new(16), None);
        assert_eq!(Slot::new(15), None);
    }

    #[test]
    fn x0_reads_zero_and_swallows_writes() {
        let mut regs = Regs::new([7; SLOTS]);
        regs.set(Reg::ZERO, 9);
        assert_eq!(regs.get(Reg::ZERO), 0);
        assert_eq!(regs, Regs::new([7; SLOTS]));
    }

    #[test]
    fn names_parse_back_and_unknown_names_do_not() {
        for reg in Reg::all() {
            assert_eq!(Reg::parse(reg.name()), Some(reg));
            assert_eq!(Reg::parse(&std::format!("x{}", reg.number())), Some(reg));
        }
        for bad in [
            "x16", "x31", "a6", "s2", "t3", "x", "", "x01", "x00", "x-1", "A0",
        ] {
            assert_eq!(Reg::parse(bad), None, "{bad}");
        }
        assert_eq!(Reg::parse("fp"), Some(Reg::S0));
    }
}
