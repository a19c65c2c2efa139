//! Writing x86-64 instructions.
//!
//! ```text
//!  lower/*  ── verbs ──▶  Asm (x64, jump, memory)  ── bytes ──▶  CodeBuffer  ──▶  code memory
//!           ── dynasm! ────────────────────────────────────────▶
//! ```
//!
//! Sequences over fixed registers are written with `dynasm!`. Forms whose registers are known
//! only at translation time have verbs of their own, because dynasm encodes such operands in
//! their longest form: a redundant REX and SIB byte in most instructions, two bytes in seven.

mod buffer;
mod jump;
mod memory;
mod x64;

pub(crate) use buffer::{BUFFER, INSTRUCTION_ROOM};
pub(crate) use jump::{Rel8, Rel32};
pub(crate) use memory::{Indexed, Load, Store};
pub(crate) use x64::{Alu, Asm, BitOp, Cond, Count, F7, Host, Rotate, Shift, ShiftX, Width};
