//! Instructions as text in standard RISC-V syntax, with ABI register names and no pseudo
//! instructions. Branch and jump targets are offsets from the own pc.

use crate::format::Format;
use crate::inst::{Inst, Op};
use core::fmt;

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op();
        let (rd, rs1, rs2, imm) = (self.rd(), self.rs1(), self.rs2(), self.imm());
        let name = op.mnemonic();
        match op.format() {
            Format::R => write!(f, "{name} {rd}, {rs1}, {rs2}"),
            Format::I if op.is_load() || op == Op::Jalr => write!(f, "{name} {rd}, {imm}({rs1})"),
            Format::I | Format::I6 | Format::I5 => write!(f, "{name} {rd}, {rs1}, {imm}"),
            Format::I1 => write!(f, "{name} {rd}, {rs1}"),
            Format::S => write!(f, "{name} {rs2}, {imm}({rs1})"),
            Format::B => write!(f, "{name} {rs1}, {rs2}, {imm}"),
            Format::U => write!(f, "{name} {rd}, {:#x}", imm as u32 >> 12),
            Format::J => write!(f, "{name} {rd}, {imm}"),
            Format::Sel => write!(f, "{name} {imm}"),
            Format::N => f.write_str(name),
        }
    }
}

impl fmt::Debug for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
