//! Text to code bytes: the inverse of the disassembler, for tests and tools.
//!
//! One statement a line; `#` and `//` start comments; `name:` defines a label, which branches,
//! jumps and `la` may use as targets. `.word`, `.half` and `.byte` place raw numbers. Every
//! operation of the table and every compressed form (`c.addi` and so on) is accepted, and the
//! usual pseudo instructions (`pseudo.rs`). Nothing is compressed unless written so, and no
//! `fallthrough` is inserted: what is written is what is produced.
//!
//! ```
//! let code = rivet_isa::asm::assemble("loop: addi a0, a0, -1\n bnez a0, loop\n ecalli 0")?;
//! assert_eq!(code.len(), 12);
//! # Ok::<(), rivet_isa::asm::AsmError>(())
//! ```

mod operand;
mod pseudo;

use crate::compressed::{CompressedForm, compressed_forms};
use crate::encode::encode;
use crate::format::Format;
use crate::inst::{Inst, Op};
use crate::reg::Reg;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use operand::Operands;

/// Why a text cannot be assembled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsmError {
    /// Line number, counting from 1.
    pub line: usize,
    /// What is wrong there.
    pub kind: AsmErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AsmErrorKind {
    /// No operation, compressed form, pseudo instruction or directive has this name.
    UnknownMnemonic(String),
    /// An operand is missing, left over, or not of the kind that stands here.
    Operand {
        /// What should stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A label is used and never defined.
    UnknownLabel(String),
    /// A label is defined twice.
    DuplicateLabel(String),
    /// A value does not fit the encoding.
    OutOfRange(String),
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.kind {
            AsmErrorKind::UnknownMnemonic(name) => write!(f, "unknown mnemonic `{name}`"),
            AsmErrorKind::Operand { expected, found } => {
                write!(f, "expected {expected}, found `{found}`")
            }
            AsmErrorKind::UnknownLabel(name) => write!(f, "label `{name}` is not defined"),
            AsmErrorKind::DuplicateLabel(name) => write!(f, "label `{name}` is defined twice"),
            AsmErrorKind::OutOfRange(what) => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for AsmError {}

/// A place in the code: an offset from the own pc, or a label.
#[derive(Clone, Debug)]
enum Target {
    Offset(i64),
    Label(String),
}

/// What a statement produces; its length is known before labels are.
enum Item {
    Bytes(Vec<u8>),
    Inst(Inst),
    /// An instruction whose immediate is a target.
    Relative(Inst, Target),
    Compressed(&'static CompressedForm, Inst),
    CompressedRelative(&'static CompressedForm, Inst, Target),
    /// `auipc` and `addi` that form a label's address.
    Address(Reg, Target),
}

impl Item {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Inst(_) | Self::Relative(..) => 4,
            Self::Compressed(..) | Self::CompressedRelative(..) => 2,
            Self::Address(..) => 8,
        }
    }
}

type Parsed = Result<Vec<Item>, AsmErrorKind>;

/// Assembles a text into code bytes.
pub fn assemble(text: &str) -> Result<Vec<u8>, AsmError> {
    assemble_with_labels(text).map(|(code, _)| code)
}

/// Assembles a text and also returns the offset of each label.
pub fn assemble_with_labels(text: &str) -> Result<(Vec<u8>, BTreeMap<String, u64>), AsmError> {
    let mut labels = BTreeMap::new();
    let mut items = Vec::new();
    let mut at = 0;
    for (index, line) in text.lines().enumerate() {
        let fail = |kind| AsmError {
            line: index + 1,
            kind,
        };
        let mut rest = strip_comment(line).trim();
        while let Some((label, after)) = rest.split_once(':') {
            let label = label.trim();
            if labels.insert(label.to_string(), at).is_some() {
                return Err(fail(AsmErrorKind::DuplicateLabel(label.to_string())));
            }
            rest = after.trim();
        }
        if rest.is_empty() {
            continue;
        }
        for item in statement(rest).map_err(fail)? {
            let len = item.len();
            items.push((index + 1, at, item));
            at += len;
        }
    }
    let mut code = Vec::new();
    for (line, at, item) in items {
        emit(&mut code, at, item, &labels).map_err(|kind| AsmError { line, kind })?;
    }
    Ok((code, labels))
}

fn strip_comment(line: &str) -> &str {
    let end = line.find('#').into_iter().chain(line.find("//")).min();
    &line[..end.unwrap_or(line.len())]
}

fn statement(text: &str) -> Parsed {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mut ops = Operands::new(rest);
    let items = if let Some(width) = directive(name) {
        data(&mut ops, width)?
    } else if let Some(op) = Op::ALL.iter().copied().find(|op| op.mnemonic() == name) {
        operation(op, &mut ops)?
    } else if let Some(form) = compressed_forms()
        .iter()
        .find(|form| form.mnemonic() == name)
    {
        compressed(form, &mut ops)?
    } else {
        pseudo::expand(name, &mut ops)?
    };
    ops.finish()?;
    Ok(items)
}

fn directive(name: &str) -> Option<usize> {
    Some(match name {
        ".byte" => 1,
        ".half" => 2,
        ".word" => 4,
        ".dword" => 8,
        _ => return None,
    })
}

fn data(ops: &mut Operands<'_>, width: usize) -> Parsed {
    let mut bytes = Vec::new();
    while !ops.is_empty() {
        let value = ops.number()?;
        let bits = 8 * width as u32;
        let fits = bits == 64 || (-(1i128 << (bits - 1))..1i128 << bits).contains(&value);
        if !fits {
            return Err(AsmErrorKind::OutOfRange(alloc::format!(
                "{value} needs over {bits} bits"
            )));
        }
        bytes.extend_from_slice(&(value as u64).to_le_bytes()[..width]);
    }
    Ok(alloc::vec![Item::Bytes(bytes)])
}

fn operation(op: Op, ops: &mut Operands<'_>) -> Parsed {
    let zero = Reg::ZERO;
    let part = |rd, rs1, rs2, imm| Item::Inst(Inst::from_parts(op, rd, rs1, rs2, imm));
    let item = match op.format() {
        Format::R => part(ops.reg()?, ops.reg()?, ops.reg()?, 0),
        Format::I if op.is_load() || op == Op::Jalr => {
            let rd = ops.reg()?;
            let (imm, base) = ops.memory()?;
            part(rd, base, zero, imm)
        }
        Format::I | Format::I6 | Format::I5 => part(ops.reg()?, ops.reg()?, zero, ops.imm()?),
        Format::I1 => part(ops.reg()?, ops.reg()?, zero, 0),
        Format::S => {
            let value = ops.reg()?;
            let (imm, base) = ops.memory()?;
            part(zero, base, value, imm)
        }
        Format::B => {
            let inst = Inst::from_parts(op, zero, ops.reg()?, ops.reg()?, 0);
            Item::Relative(inst, ops.target()?)
        }
        Format::U => part(ops.reg()?, zero, zero, ops.upper()?),
        Format::J => {
            let rd = if ops.len() == 1 { Reg::RA } else { ops.reg()? };
            Item::Relative(Inst::from_parts(op, rd, zero, zero, 0), ops.target()?)
        }
        Format::Sel => part(zero, zero, zero, ops.imm()?),
        Format::N => part(zero, zero, zero, 0),
    };
    Ok(alloc::vec![item])
}

fn compressed(form: &'static CompressedForm, ops: &mut Operands<'_>) -> Parsed {
    let zero = Reg::ZERO;
    let op = form.op();
    let part = |rd, rs1, rs2, imm| Item::Compressed(form, Inst::from_parts(op, rd, rs1, rs2, imm));
    let item = match (form.mnemonic(), op.format()) {
        (_, Format::J) => {
            let inst = Inst::from_parts(op, zero, zero, zero, 0);
            Item::CompressedRelative(form, inst, ops.target()?)
        }
        (_, Format::B) => {
            let inst = Inst::from_parts(op, zero, ops.reg()?, zero, 0);
            Item::CompressedRelative(form, inst, ops.target()?)
        }
        (_, Format::S) => {
            let value = ops.reg()?;
            let (imm, base) = ops.memory()?;
            part(zero, base, value, imm)
        }
        ("c.jr", _) => part(zero, ops.reg()?, zero, 0),
        ("c.jalr", _) => part(Reg::RA, ops.reg()?, zero, 0),
        ("c.mv", _) => part(ops.reg()?, zero, ops.reg()?, 0),
        ("c.li", _) => part(ops.reg()?, zero, zero, ops.imm()?),
        ("c.lui", _) => part(ops.reg()?, zero, zero, ops.upper()?),
        ("c.addi4spn", _) => part(ops.reg()?, ops.reg()?, zero, ops.imm()?),
        (_, Format::I) if op.is_load() => {
            let rd = ops.reg()?;
            let (imm, base) = ops.memory()?;
            part(rd, base, zero, imm)
        }
        (_, Format::R) => {
            let rd = ops.reg()?;
            part(rd, rd, ops.reg()?, 0)
        }
        _ => {
            let rd = ops.reg()?;
            part(rd, rd, zero, ops.imm()?)
        }
    };
    Ok(alloc::vec![item])
}

fn emit(
    code: &mut Vec<u8>,
    at: u64,
    item: Item,
    labels: &BTreeMap<String, u64>,
) -> Result<(), AsmErrorKind> {
    match item {
        Item::Bytes(bytes) => code.extend_from_slice(&bytes),
        Item::Inst(inst) => put(code, inst)?,
        Item::Relative(inst, target) => put(code, aimed(inst, resolve(&target, at, labels)?)?)?,
        Item::Compressed(form, inst) => put_compressed(code, form, inst)?,
        Item::CompressedRelative(form, inst, target) => {
            put_compressed(code, form, aimed(inst, resolve(&target, at, labels)?)?)?;
        }
        Item::Address(rd, target) => {
            let delta = resolve(&target, at, labels)?;
            let high = (delta + 0x800) >> 12 << 12;
            let upper = i32::try_from(high)
                .map_err(|_| AsmErrorKind::OutOfRange(alloc::format!("{delta} is too far")))?;
            put(code, Inst::from_parts(Op::Auipc, rd, rd, rd, upper))?;
            put(
                code,
                Inst::from_parts(Op::Addi, rd, rd, rd, (delta - high) as i32),
            )?;
        }
    }
    Ok(())
}

fn resolve(target: &Target, at: u64, labels: &BTreeMap<String, u64>) -> Result<i64, AsmErrorKind> {
    match target {
        Target::Offset(offset) => Ok(*offset),
        Target::Label(name) => labels
            .get(name)
            .map(|place| *place as i64 - at as i64)
            .ok_or_else(|| AsmErrorKind::UnknownLabel(name.clone())),
    }
}

fn aimed(inst: Inst, offset: i64) -> Result<Inst, AsmErrorKind> {
    let imm = i32::try_from(offset)
        .map_err(|_| AsmErrorKind::OutOfRange(alloc::format!("offset {offset} is too far")))?;
    Ok(Inst::from_parts(
        inst.op(),
        inst.rd(),
        inst.rs1(),
        inst.rs2(),
        imm,
    ))
}

fn put(code: &mut Vec<u8>, inst: Inst) -> Result<(), AsmErrorKind> {
    let word = encode(inst).map_err(|error| AsmErrorKind::OutOfRange(error.to_string()))?;
    code.extend_from_slice(&word.to_le_bytes());
    Ok(())
}

fn put_compressed(
    code: &mut Vec<u8>,
    form: &CompressedForm,
    inst: Inst,
) -> Result<(), AsmErrorKind> {
    let half = form.encode(inst).ok_or_else(|| {
        AsmErrorKind::OutOfRange(alloc::format!(
            "{} cannot express `{inst}`",
            form.mnemonic()
        ))
    })?;
    code.extend_from_slice(&half.to_le_bytes());
    Ok(())
}
