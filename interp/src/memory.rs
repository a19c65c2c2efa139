//! What a run needs of guest memory.

use core::fmt;
use rivet_isa::{GuestAddr, PageIndex};

/// Bytes of one access.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Width {
    /// One byte.
    One,
    /// Two bytes.
    Two,
    /// Four bytes.
    Four,
    /// Eight bytes.
    Eight,
}

impl Width {
    /// 1, 2, 4 or 8.
    #[inline]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// Why an access did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessError<E> {
    /// The guest may not: the first inaccessible page in access order (ISA §10).
    Fault(PageIndex),
    /// The host cannot, which says nothing about the guest.
    Host(E),
}

impl<E: fmt::Display> fmt::Display for AccessError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(page) => write!(f, "page {page} is not accessible this way"),
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for AccessError<E> {}

/// Guest memory as loads and stores see it.
///
/// An implementation applies the access rule of ISA §10: bytes are at addresses modulo 2^32, an
/// access touches one page or two, and if one of them is not accessible nothing changes and the
/// error names the first such page in access order. It runs on every guest access, so the common
/// case should inline.
pub trait Memory {
    /// A failure of the host. After one, memory is in an unspecified state.
    type Error;

    /// Reads little-endian, zero-extended.
    fn load(&mut self, addr: GuestAddr, width: Width) -> Result<u64, AccessError<Self::Error>>;

    /// Writes the low bytes of `value` little-endian and returns the price, in gas, of the pages
    /// that became private by it, at most two (gas §10). A faulting store makes no page private.
    fn store(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, AccessError<Self::Error>>;
}
