//! Bit patterns as text, read at compile time.
//!
//! A pattern such as `"0000000 bbbbb aaaaa 000 ddddd 0110011"` lists bits from the highest down.
//! `0` and `1` are fixed, a letter names the field a bit belongs to (`d` rd, `a` rs1, `b` rs2,
//! `D` rd and rs1 at once, `i` immediate), `-` is ignored when decoding and written as zero, and
//! spaces only help the eye.

/// A parsed pattern: which bits are fixed, to what, and where each field lies.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) mask: u32,
    pub(crate) bits: u32,
    pub(crate) rd: u32,
    pub(crate) rs1: u32,
    pub(crate) rs2: u32,
    pub(crate) imm: u32,
}

impl Pattern {
    /// Parses a pattern of exactly `width` bits; anything else does not compile.
    pub(crate) const fn parse(text: &str, width: u32) -> Self {
        let mut out = Self {
            mask: 0,
            bits: 0,
            rd: 0,
            rs1: 0,
            rs2: 0,
            imm: 0,
        };
        let bytes = text.as_bytes();
        let mut left = width;
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] != b' ' {
                assert!(left > 0, "pattern has too many bits");
                left -= 1;
                let bit = 1 << left;
                match bytes[i] {
                    b'0' => out.mask |= bit,
                    b'1' => {
                        out.mask |= bit;
                        out.bits |= bit;
                    }
                    b'd' => out.rd |= bit,
                    b'a' => out.rs1 |= bit,
                    b'b' => out.rs2 |= bit,
                    b'D' => {
                        out.rd |= bit;
                        out.rs1 |= bit;
                    }
                    b'i' => out.imm |= bit,
                    b'-' => {}
                    _ => panic!("pattern letter is not one of 0 1 d a b D i -"),
                }
            }
            i += 1;
        }
        assert!(left == 0, "pattern has too few bits");
        out
    }

    /// Whether `word` matches the fixed bits.
    pub(crate) const fn matches(&self, word: u32) -> bool {
        word & self.mask == self.bits
    }

    /// Whether some word matches both patterns.
    pub(crate) const fn overlaps(&self, other: &Self) -> bool {
        self.mask & other.mask & (self.bits ^ other.bits) == 0
    }
}
