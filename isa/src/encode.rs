//! Instructions to 32-bit words, from the same rows the decoder reads.
//! The 16-bit direction is [`compress`](crate::compress).

use crate::inst::{Inst, Op};
use core::fmt;

/// Why an instruction has no 32-bit encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EncodeError {
    /// The immediate does not fit the operation's format.
    Immediate {
        /// The operation.
        op: Op,
        /// The value that does not fit.
        value: i32,
        /// Smallest value that would.
        min: i64,
        /// Largest value that would.
        max: i64,
        /// What it must be a multiple of.
        multiple: i64,
    },
    /// [`Op::Reserved`] stands for many encodings and so has none of its own.
    Reserved,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Immediate {
                op,
                value,
                min,
                max,
                multiple,
            } => write!(
                f,
                "immediate {value} of {} is not a multiple of {multiple} in {min}..={max}",
                op.mnemonic()
            ),
            Self::Reserved => f.write_str("a reserved encoding cannot be produced by name"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// The canonical 32-bit word of an instruction; ignored fields are zero (ISA D-02).
pub fn encode(inst: Inst) -> Result<u32, EncodeError> {
    let op = inst.op();
    if op == Op::Reserved {
        return Err(EncodeError::Reserved);
    }
    let row = op.row();
    let (min, max, multiple) = row.format.immediate_range();
    let value = i64::from(inst.imm());
    // Of two's complement, so the sign does not matter.
    if value < min || value > max || value & (multiple - 1) != 0 {
        return Err(EncodeError::Immediate {
            op,
            value: inst.imm(),
            min,
            max,
            multiple,
        });
    }
    Ok(row.pattern.bits
        | u32::from(inst.rd().number()) << 7
        | u32::from(inst.rs1().number()) << 15
        | u32::from(inst.rs2().number()) << 20
        | row.format.place_immediate(inst.imm()))
}
