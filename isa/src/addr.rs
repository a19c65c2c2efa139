//! The memory map and the number types that must not be mixed up (ISA §3, §4).
//!
//! ```text
//! 0           CODE_BASE                      DATA_BASE                      2^32
//! │ null guard │ code, zero padded │ nothing │ data mappings, else unmapped │
//! ```
//!
//! A [`Pc`] is an offset into the code, never an address; a [`GuestAddr`] is an address already
//! reduced modulo 2^32, which is the alias rule; a [`PageIndex`] names a 4 KiB page of that space.

use core::fmt;

/// Bytes of a page, the only page size visible to consensus (ISA §4).
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Address of code offset 0 (ISA §4).
pub const CODE_BASE: u64 = 0x0040_0000;
/// Lowest address a data mapping may use (ISA §4).
pub const DATA_BASE: u64 = 0x1000_0000;
/// Most code bytes a program may have (ISA §4).
pub const MAX_CODE_SIZE: u64 = DATA_BASE - CODE_BASE;
/// Bytes of guest memory; addresses count modulo this (ISA §4).
pub const ADDRESS_SPACE: u64 = 1 << 32;

macro_rules! hex_debug {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )* };
}
hex_debug!(Pc, GuestAddr);

/// Byte offset of an instruction inside the code. Full width: an entry pc is never truncated
/// (ISA D-13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pc(u64);

impl Pc {
    /// The offset `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The offset as a number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The offset `bytes` further on, modulo 2^64.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// The guest-visible address of this offset, as `auipc` and link registers hold it.
    pub const fn address(self) -> u64 {
        CODE_BASE.wrapping_add(self.0)
    }
}

/// A guest address modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GuestAddr(u32);

impl GuestAddr {
    /// This address.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// A 64-bit effective address reduced by the alias rule (ISA §4).
    pub const fn wrapping(effective: u64) -> Self {
        Self(effective as u32)
    }

    /// The address as a number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The page this byte lies in.
    pub const fn page(self) -> PageIndex {
        PageIndex(self.0 >> PAGE_SHIFT)
    }

    /// The address `bytes` further on, modulo 2^32.
    #[must_use]
    pub const fn wrapping_add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// Number of a 4 KiB page of the address space, below 2^20.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PageIndex(u32);

impl PageIndex {
    /// Number of pages in the address space.
    pub const COUNT: u32 = 1 << (32 - PAGE_SHIFT);

    /// The page with this number, or `None` at [`PageIndex::COUNT`] and above.
    pub const fn new(index: u32) -> Option<Self> {
        if index < Self::COUNT {
            Some(Self(index))
        } else {
            None
        }
    }

    /// The page's number.
    pub const fn index(self) -> u32 {
        self.0
    }

    /// Address of the page's first byte.
    pub const fn base(self) -> GuestAddr {
        GuestAddr(self.0 << PAGE_SHIFT)
    }

    /// The following page; the last one is followed by page 0.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) % Self::COUNT)
    }
}

impl fmt::Display for PageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.base().value())
    }
}

/// An amount of gas, 0..=2^63−1 (ISA D-19).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Gas(u64);

impl Gas {
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX as u64);
    /// None at all.
    pub const ZERO: Self = Self(0);

    /// This amount, or `None` above [`Gas::MAX`].
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The amount as a number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// What is left after paying `amount`, or `None` if it cannot be paid.
    #[inline]
    pub const fn checked_sub(self, amount: u64) -> Option<Self> {
        match self.0.checked_sub(amount) {
            Some(left) => Some(Self(left)),
            None => None,
        }
    }
}

impl fmt::Display for Gas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_map_has_the_numbers_of_isa_section_4() {
        assert_eq!(CODE_BASE, 0x0040_0000);
        assert_eq!(DATA_BASE, 0x1000_0000);
        assert_eq!(MAX_CODE_SIZE, 0x0FC0_0000);
        assert_eq!(PAGE_SIZE, 4096);
    }

    #[test]
    fn addresses_alias_modulo_two_to_the_32() {
        assert_eq!(
            GuestAddr::wrapping(0xFFFF_FFFF_1234_5678).value(),
            0x1234_5678
        );
        assert_eq!(GuestAddr::new(u32::MAX).wrapping_add(1).value(), 0);
        assert_eq!(GuestAddr::new(u32::MAX).page().next().index(), 0);
    }

    #[test]
    fn gas_ends_at_two_to_the_63() {
        assert_eq!(Gas::new(1 << 63), None);
        assert_eq!(Gas::new((1 << 63) - 1), Some(Gas::MAX));
        assert_eq!(Gas::ZERO.checked_sub(1), None);
    }
}
