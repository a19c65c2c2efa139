//! The layout of the canonical bytes, in one place. All numbers are little-endian.
//!
//! ```text
//!    0    8  magic
//!    8    2  format version            16  32  address of the image
//!   10    2  ISA version               48  32  identity of the cost parameters
//!   12    1  kind                      80   8  pc
//!   13    1  pending call              88   8  gas
//!   14    2  zero                      96 120  slots 0 to 14
//!  216    4  selector of a pending ecalli, sign-extended, else zero
//!  220    4  bytes of the page table
//!  224   64  delta only: address of the base, address of the result
//!    …       page table: sets of pages as bits (see `bits`), padded with zero bits to a byte;
//!            delta only: pages that are unchanged again; then base pages; then private pages
//!    …       4096 bytes for each base page, then for each private page, in ascending order
//! ```

use crate::call::Call;
use crate::snapshot::value::Pending;
use rivet_isa::Payment;

/// Version of the format this library writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

/// Version of the instruction set and gas specifications the state is a state of: PVM2.
pub const ISA_VERSION: u16 = 2;

/// First bytes. The first is no text and the last is a line feed, so transfers as text show.
pub(super) const MAGIC: [u8; 8] = *b"\x89RVSNAP\n";

/// Bytes in front of the page table of a snapshot.
pub(super) const HEAD_LEN: usize = 224;
/// Bytes of the two addresses of a delta.
pub(super) const LINK_LEN: usize = 64;

/// What the bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Snapshot,
    Delta,
}

impl Kind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Snapshot => 0,
            Self::Delta => 1,
        }
    }
}

/// Code and selector of a pending call.
pub(super) const fn pending_code(pending: Option<Pending>) -> (u8, u32) {
    match pending {
        None => (0, 0),
        Some(Pending { call, payment }) => {
            let paid = matches!(payment, Payment::Paid) as u8;
            match call {
                Call::Host { selector } => (1 + paid, selector),
                Call::Kernel => (3 + paid, 0),
            }
        }
    }
}

/// The reverse; `None` for what the forward direction never gives.
pub(super) fn pending_of(code: u8, selector: u32) -> Option<Option<Pending>> {
    let call = match code {
        0 | 3 | 4 if selector != 0 => return None,
        0 => return Some(None),
        // Twelve bits, sign-extended.
        1 | 2 if (selector << 20) as i32 >> 20 == selector as i32 => Call::Host { selector },
        3 | 4 => Call::Kernel,
        _ => return None,
    };
    let payment = if code.is_multiple_of(2) {
        Payment::Paid
    } else {
        Payment::Unpaid
    };
    Some(Some(Pending { call, payment }))
}
