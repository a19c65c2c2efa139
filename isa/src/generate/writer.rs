//! Code with labels, written in one pass: a forward jump is left open and filled in at the end.

use crate::{Inst, Op, Reg, compressed_forms, encode};
use alloc::vec::Vec;

/// `c.nop`
const NOP: [u8; 2] = [1, 0];

/// A place in the code, perhaps not known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(usize);

/// What is left open, with the instruction to complete.
#[derive(Clone, Copy, Debug)]
enum Open {
    Half(Inst),
    Word(Inst),
    /// `auipc` into this register and the instruction that adds the rest.
    Far(Reg, Inst),
}

/// Which encoding an instruction gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    Word,
    /// 16 bits where a form exists.
    Least,
}

pub(super) struct Writer {
    code: Vec<u8>,
    labels: Vec<Option<usize>>,
    open: Vec<(usize, Label, Open)>,
    forms: Forms,
}

/// Most compressed forms that expand to one operation.
const FORMS_PER_OP: usize = 6;

/// The compressed forms of each operation, as numbers of `compressed_forms`.
struct Forms([[Option<u8>; FORMS_PER_OP]; Op::ALL.len() + 1]);

impl Forms {
    fn new() -> Self {
        let mut table = [[None; FORMS_PER_OP]; Op::ALL.len() + 1];
        for (number, form) in compressed_forms().iter().enumerate() {
            let free = table[form.op() as usize]
                .iter_mut()
                .find(|place| place.is_none());
            if let Some(place) = free {
                *place = Some(number as u8);
            }
        }
        Self(table)
    }

    /// The first 16-bit form of an instruction, HINTs included.
    fn half(&self, inst: Inst) -> Option<u16> {
        let numbers = self.0[inst.op() as usize]
            .iter()
            .map_while(|number| *number);
        let mut forms = numbers.map(|number| &compressed_forms()[usize::from(number)]);
        forms.find_map(|form| form.encode(inst))
    }
}

/// The same instruction with another immediate.
fn with(inst: Inst, imm: i64) -> Inst {
    Inst::from_parts(inst.op(), inst.rd(), inst.rs1(), inst.rs2(), imm as i32)
}

impl Writer {
    /// Room for some `capacity` bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            code: Vec::with_capacity(capacity),
            labels: Vec::new(),
            open: Vec::new(),
            forms: Forms::new(),
        }
    }

    /// Offset of the next instruction.
    pub(super) fn at(&self) -> usize {
        self.code.len()
    }

    pub(super) fn halfword(&mut self, bits: u16) {
        self.code.extend_from_slice(&bits.to_le_bytes());
    }

    /// This many no-ops of two bytes, to put what follows far away.
    pub(super) fn gap(&mut self, count: usize) {
        self.code.extend(NOP.into_iter().cycle().take(2 * count));
    }

    /// An instruction, which has an encoding because its operands came from its format.
    pub(super) fn inst(&mut self, inst: Inst, size: Size) {
        match size {
            Size::Least => match self.forms.half(inst) {
                Some(bits) => self.halfword(bits),
                None => self.word(inst),
            },
            Size::Word => self.word(inst),
        }
    }

    fn word(&mut self, inst: Inst) {
        let nop = u32::from_le_bytes([NOP[0], NOP[1], NOP[0], NOP[1]]);
        let word = encode(inst).unwrap_or(nop);
        self.code.extend_from_slice(&word.to_le_bytes());
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label is here.
    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// A branch or `jal` to a label.
    pub(super) fn to(&mut self, inst: Inst, size: Size, label: Label) {
        let at = self.code.len();
        if let Some(target) = self.labels[label.0] {
            return self.inst(with(inst, target as i64 - at as i64), size);
        }
        // Whether a short form reaches is not known yet; distance 2 says whether there is one.
        let short = size == Size::Least && self.forms.half(with(inst, 2)).is_some();
        let open = if short {
            self.halfword(0);
            Open::Half(inst)
        } else {
            self.word(Inst::RESERVED);
            Open::Word(inst)
        };
        self.open.push((at, label, open));
    }

    /// `auipc via` and `inst`, whose immediate becomes the rest of the distance to a label.
    pub(super) fn far(&mut self, via: Reg, inst: Inst, label: Label) {
        self.open
            .push((self.code.len(), label, Open::Far(via, inst)));
        self.word(Inst::RESERVED);
        self.word(Inst::RESERVED);
    }

    /// The code with everything filled in. A short branch that does not reach becomes a no-op.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for (at, label, open) in core::mem::take(&mut self.open) {
            let target = self.labels[label.0].unwrap_or(at);
            let distance = target as i64 - at as i64;
            match open {
                Open::Half(inst) => {
                    let bits = self.forms.half(with(inst, distance));
                    let bits = bits.map_or(NOP, u16::to_le_bytes);
                    self.code[at..at + 2].copy_from_slice(&bits);
                }
                Open::Word(inst) => self.fill(at, with(inst, distance)),
                Open::Far(via, inst) => {
                    let high = (distance + 0x800) & !0xFFF;
                    let auipc = Inst::from_parts(Op::Auipc, via, Reg::ZERO, Reg::ZERO, high as i32);
                    self.fill(at, auipc);
                    self.fill(at + 4, with(inst, distance - high));
                }
            }
        }
        self.code
    }

    fn fill(&mut self, at: usize, inst: Inst) {
        let nop = [NOP[0], NOP[1], NOP[0], NOP[1]];
        let bytes = encode(inst).map_or(nop, u32::to_le_bytes);
        self.code[at..at + 4].copy_from_slice(&bytes);
    }
}
