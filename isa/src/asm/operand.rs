//! Operands of one statement, taken from left to right.

use super::{AsmErrorKind, Target};
use crate::reg::Reg;
use alloc::string::ToString;
use alloc::vec::Vec;

/// The comma-separated operands that have not been taken yet.
pub(super) struct Operands<'a> {
    rest: Vec<&'a str>,
    next: usize,
}

impl<'a> Operands<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim();
        let rest = if text.is_empty() {
            Vec::new()
        } else {
            text.split(',').map(str::trim).collect()
        };
        Self { rest, next: 0 }
    }

    /// How many operands are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len() - self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&mut self) -> &'a str {
        let text = self.rest.get(self.next).copied().unwrap_or("");
        self.next = (self.next + 1).min(self.rest.len());
        text
    }

    pub(super) fn reg(&mut self) -> Result<Reg, AsmErrorKind> {
        let text = self.take();
        Reg::parse(text).ok_or_else(|| expected("a register x0..x15", text))
    }

    /// A signed or unsigned number, decimal or hexadecimal, of at most 64 bits.
    pub(super) fn number(&mut self) -> Result<i128, AsmErrorKind> {
        let text = self.take();
        number(text).ok_or_else(|| expected("a number", text))
    }

    pub(super) fn imm(&mut self) -> Result<i32, AsmErrorKind> {
        let text = self.take();
        let value = number(text).and_then(|value| i32::try_from(value).ok());
        value.ok_or_else(|| expected("a 32-bit number", text))
    }

    /// The twenty bits of an upper immediate, signed or unsigned, as the number they stand for.
    pub(super) fn upper(&mut self) -> Result<i32, AsmErrorKind> {
        let text = self.take();
        let value = number(text).filter(|value| (-(1 << 19)..1 << 20).contains(value));
        let value = value.ok_or_else(|| expected("a 20-bit number", text))?;
        Ok(((value as u32) << 12) as i32)
    }

    /// `imm(reg)`, or `(reg)` for offset 0.
    pub(super) fn memory(&mut self) -> Result<(i32, Reg), AsmErrorKind> {
        let text = self.take();
        let parse = || {
            let (imm, base) = text.strip_suffix(')')?.split_once('(')?;
            let imm = if imm.trim().is_empty() {
                0
            } else {
                number(imm.trim())?
            };
            Some((i32::try_from(imm).ok()?, Reg::parse(base.trim())?))
        };
        parse().ok_or_else(|| expected("an operand like 8(sp)", text))
    }

    /// A label, or an offset from the own pc.
    pub(super) fn target(&mut self) -> Result<Target, AsmErrorKind> {
        let text = self.take();
        if let Some(value) = number(text).and_then(|value| i64::try_from(value).ok()) {
            return Ok(Target::Offset(value));
        }
        let names = |c: char| c.is_alphanumeric() || "_.$".contains(c);
        if text.is_empty() || !text.chars().all(names) {
            return Err(expected("a label or an offset", text));
        }
        Ok(Target::Label(text.to_string()))
    }

    /// Refuses operands that nobody took.
    pub(super) fn finish(mut self) -> Result<(), AsmErrorKind> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(expected("end of line", self.take()))
        }
    }
}

fn expected(what: &'static str, found: &str) -> AsmErrorKind {
    AsmErrorKind::Operand {
        expected: what,
        found: found.to_string(),
    }
}

fn number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse::<u64>(),
    };
    let value = i128::from(value.ok().filter(|_| !digits.starts_with('+'))?);
    Some(if negative { -value } else { value })
}
