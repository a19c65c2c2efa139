//! All halfwords, looked up instead of decoded (ISA §7).
//!
//! Both tables are made from the forms of `compressed.rs` when the crate is compiled. A halfword's
//! place is itself rotated right by two, so that the low bits, which say whether it is a whole
//! instruction, come first:
//!
//! ```text
//!   place    q q i i i i i i i i i i i i i i        q = h[1:0], i = h[15:2]
//!            0 0 … 1 0   compressed
//!            1 1         first half of a word: reserved, and never touched by a walk
//! ```

use crate::compressed::expand_all;
use crate::inst::Inst;

/// Number of halfwords.
pub(crate) const HALFWORDS: usize = 1 << 16;

/// Where a halfword stands in the tables.
#[inline(always)]
pub(crate) const fn place(half: u16) -> usize {
    half.rotate_right(2) as usize
}

static EXPANDED: [Inst; HALFWORDS] = expand_all([Inst::RESERVED; HALFWORDS]);

/// The instruction a halfword expands to.
#[inline(always)]
pub(crate) fn expand(half: u16) -> Inst {
    EXPANDED[place(half)]
}

/// Whether that instruction ends its block. No halfword is a call.
pub(crate) const fn ends(half: u16) -> bool {
    let flow = EXPANDED[place(half)].op().row().flow;
    assert!(!flow.is_call(), "no halfword is a call");
    flow.is_terminator()
}
