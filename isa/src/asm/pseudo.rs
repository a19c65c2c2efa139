//! Pseudo instructions: names for common uses of other instructions.

use super::operand::Operands;
use super::{AsmErrorKind, Item, Parsed};
use crate::inst::{Inst, Op};
use crate::reg::Reg;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// The instructions a pseudo instruction stands for.
pub(super) fn expand(name: &str, ops: &mut Operands<'_>) -> Parsed {
    let zero = Reg::ZERO;
    let inst =
        |op, rd, rs1, rs2, imm| Ok(vec![Item::Inst(Inst::from_parts(op, rd, rs1, rs2, imm))]);
    match name {
        "nop" => inst(Op::Addi, zero, zero, zero, 0),
        "li" => {
            let rd = ops.reg()?;
            let value = ops.number()?;
            let mut out = Vec::new();
            load_immediate(rd, value as u64 as i64, &mut out);
            Ok(out)
        }
        "la" => Ok(vec![Item::Address(ops.reg()?, ops.target()?)]),
        "mv" => inst(Op::Addi, ops.reg()?, ops.reg()?, zero, 0),
        "not" => inst(Op::Xori, ops.reg()?, ops.reg()?, zero, -1),
        "neg" => inst(Op::Sub, ops.reg()?, zero, ops.reg()?, 0),
        "negw" => inst(Op::Subw, ops.reg()?, zero, ops.reg()?, 0),
        "sext.w" => inst(Op::Addiw, ops.reg()?, ops.reg()?, zero, 0),
        "zext.w" => inst(Op::AddUw, ops.reg()?, ops.reg()?, zero, 0),
        "seqz" => inst(Op::Sltiu, ops.reg()?, ops.reg()?, zero, 1),
        "snez" => inst(Op::Sltu, ops.reg()?, zero, ops.reg()?, 0),
        "sltz" => inst(Op::Slt, ops.reg()?, ops.reg()?, zero, 0),
        "sgtz" => inst(Op::Slt, ops.reg()?, zero, ops.reg()?, 0),
        "jr" => inst(Op::Jalr, zero, ops.reg()?, zero, 0),
        "ret" => inst(Op::Jalr, zero, Reg::RA, zero, 0),
        "j" => relative(Inst::from_parts(Op::Jal, zero, zero, zero, 0), ops),
        "call" => relative(Inst::from_parts(Op::Jal, Reg::RA, zero, zero, 0), ops),
        "c.nop" => Ok(vec![Item::Bytes(vec![1, 0])]),
        _ => branch(name, ops),
    }
}

fn relative(inst: Inst, ops: &mut Operands<'_>) -> Parsed {
    Ok(vec![Item::Relative(inst, ops.target()?)])
}

/// Which place the written register takes in a branch.
enum Shape {
    /// `rs, zero`.
    WithZero,
    /// `zero, rs`.
    ZeroWith,
    /// Two registers, in the other order.
    Swapped,
}

fn branch(name: &str, ops: &mut Operands<'_>) -> Parsed {
    use Shape::{Swapped, WithZero, ZeroWith};
    let (op, shape) = match name {
        "beqz" => (Op::Beq, WithZero),
        "bnez" => (Op::Bne, WithZero),
        "bltz" => (Op::Blt, WithZero),
        "bgez" => (Op::Bge, WithZero),
        "bgtz" => (Op::Blt, ZeroWith),
        "blez" => (Op::Bge, ZeroWith),
        "bgt" => (Op::Blt, Swapped),
        "ble" => (Op::Bge, Swapped),
        "bgtu" => (Op::Bltu, Swapped),
        "bleu" => (Op::Bgeu, Swapped),
        _ => return Err(AsmErrorKind::UnknownMnemonic(name.to_string())),
    };
    let first = ops.reg()?;
    let (rs1, rs2) = match shape {
        WithZero => (first, Reg::ZERO),
        ZeroWith => (Reg::ZERO, first),
        Swapped => (ops.reg()?, first),
    };
    relative(Inst::from_parts(op, Reg::ZERO, rs1, rs2, 0), ops)
}

/// Builds a constant: `addi`, or `lui` and `addiw`, or the upper part shifted left and added to.
fn load_immediate(rd: Reg, value: i64, out: &mut Vec<Item>) {
    let mut put = |op, rs1, imm| out.push(Item::Inst(Inst::from_parts(op, rd, rs1, rd, imm)));
    let low = ((value << 52) >> 52) as i32;
    if value == i64::from(low) {
        put(Op::Addi, Reg::ZERO, low);
        return;
    }
    if let Ok(word) = i32::try_from(value) {
        put(Op::Lui, rd, word.wrapping_sub(low));
        if low != 0 {
            put(Op::Addiw, rd, low);
        }
        return;
    }
    load_immediate(rd, value.wrapping_sub(i64::from(low)) >> 12, out);
    let mut put = |op, imm| out.push(Item::Inst(Inst::from_parts(op, rd, rd, rd, imm)));
    put(Op::Slli, 12);
    if low != 0 {
        put(Op::Addi, low);
    }
}
