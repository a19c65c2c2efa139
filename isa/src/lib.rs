//! The PVM2 instruction set as data: one table, and all that derives from it.
//!
//! ```text
//!                      table.rs  (one row per instruction)
//!                          │
//!   ┌────────┬─────────┬───┴────┬─────────┬─────────┬──────────┐
//!   Op, Inst decode    encode   Display   asm       block      gas
//!   visitors           compress (disasm)  (text in) (bb_starts)(cost, reserve)
//! ```
//!
//! * `table.rs` owns the 32-bit encodings, `compressed.rs` the 16-bit ones, and neither repeats
//!   the other: a compressed row names the operation it expands to.
//! * `gas/` owns every charging constant and the pipeline model.
//! * `addr.rs` owns the memory map constants and the address newtypes.
//! * `exit.rs` owns how execution stops; both engines use that one type.
//!
//! The crate executes nothing and allocates only in the `asm` feature and in
//! [`BlockStarts`]; it is `no_std`, depends on nothing but the switch of planted mistakes, and forbids `unsafe`.
//!
//! Section numbers in these docs refer to the PVM2 instruction set ("ISA") and gas ("gas")
//! specifications.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod addr;
pub mod arbitrary;
#[cfg(feature = "asm")]
pub mod asm;
pub mod block;
mod compressed;
mod decode;
mod disasm;
mod encode;
pub mod exit;
mod format;
pub mod gas;
#[cfg(feature = "generate")]
pub mod generate;
mod halfword;
mod inst;
mod pattern;
pub mod reg;
mod shape;
mod table;

pub use addr::{
    ADDRESS_SPACE, CODE_BASE, DATA_BASE, Gas, GuestAddr, MAX_CODE_SIZE, PAGE_SHIFT, PAGE_SIZE,
    PageIndex, Pc,
};
pub use block::{Block, BlockStarts};
pub use compressed::{CompressedForm, compress, compressed_forms};
pub use decode::{Decoded, Len, decode, decode_halfword, decode_op, decode_word};
pub use encode::{EncodeError, encode};
pub use exit::{Exit, Payment};
pub use format::{B, Format, I, I1, I5, I6, J, N, R, S, Sel, Selector, Shift, U, Unary};
pub use inst::{
    Ext, Flow, Inst, Op, Visit, VisitI, VisitM, VisitXjar, VisitZba, VisitZbb, VisitZbs,
    VisitZicond, Visitor,
};
pub use reg::{Reg, Regs, SLOTS, Slot};
