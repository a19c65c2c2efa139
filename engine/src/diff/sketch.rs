//! A case as a list of instructions that can be deleted and changed: static jumps keep going where
//! they went.

use rivet_isa::generate::Case;
use rivet_isa::{Flow, Inst, Len, Reg, compress, decode, encode};
use std::ops::Range;

/// An instruction, or the bytes behind the last one.
#[derive(Clone, Debug)]
struct Item {
    bytes: Vec<u8>,
    inst: Option<Inst>,
    len: Len,
    /// The item that a branch or `jal` goes to, one past the last included.
    target: Option<usize>,
}

/// A case taken apart.
pub(super) struct Sketch<'a> {
    case: &'a Case,
    items: Vec<Item>,
    /// The item of the first run's entry.
    entry: Option<usize>,
}

impl<'a> Sketch<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        let mut offsets = Vec::new();
        let mut items = Vec::new();
        let mut at = 0;
        while let Some(decoded) = decode(&case.code, at) {
            let end = at + decoded.len.bytes() as usize;
            offsets.push(at as u64);
            items.push(Item {
                bytes: case.code[at..end].to_vec(),
                inst: (decoded.inst.flow() != Flow::Reserved).then_some(decoded.inst),
                len: decoded.len,
                target: None,
            });
            at = end;
        }
        let count = items.len();
        let end = at as u64;
        let find = |offset: u64| match offsets.binary_search(&offset) {
            Ok(index) => Some(index),
            Err(_) => (offset == end).then_some(count),
        };
        for (item, at) in items.iter_mut().zip(&offsets) {
            let inst = item.inst.filter(|inst| is_static_jump(*inst));
            let to = inst.map(|inst| at.wrapping_add(i64::from(inst.imm()) as u64));
            item.target = to.and_then(find);
        }
        if at < case.code.len() {
            items.push(Item {
                bytes: case.code[at..].to_vec(),
                inst: None,
                len: Len::Two,
                target: None,
            });
        }
        let entry = case.runs.first().and_then(|run| find(run.entry));
        Self { case, items, entry }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Number of the instruction at the entry.
    pub(super) fn entry(&self) -> Option<usize> {
        self.entry
    }

    /// The case without these instructions. What went to one of them goes to what comes next.
    pub(super) fn without(&self, range: Range<usize>) -> Case {
        let gone = range.len();
        let moved = |index: usize| match index {
            _ if index < range.start => index,
            _ if index < range.end => range.start,
            _ => index - gone,
        };
        let kept = self.items.iter().enumerate();
        let kept = kept.filter(|(i, _)| !range.contains(i));
        let items = kept.map(|(_, item)| Item {
            target: item.target.map(moved),
            ..item.clone()
        });
        self.rebuilt(items.collect(), self.entry.map(moved))
    }

    /// Cases in which one instruction is simpler.
    pub(super) fn simpler(&self, at: usize) -> Vec<Case> {
        let Some((item, inst)) = self.items.get(at).and_then(|item| Some((item, item.inst?)))
        else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut push = |changed: Inst, len: Len| {
            if (changed, len) == (inst, item.len) {
                return;
            }
            let mut items = self.items.clone();
            items[at].inst = Some(changed);
            items[at].len = len;
            if let Some(bytes) = bytes_of(changed, len) {
                items[at].bytes = bytes;
                out.push(self.rebuilt(items, self.entry));
            }
        };
        push(inst, Len::Four);
        let (rd, rs1, rs2) = (inst.rd(), inst.rs1(), inst.rs2());
        if item.target.is_none() {
            for imm in [0_i32, 1, 8, -1] {
                if imm.unsigned_abs() <= inst.imm().unsigned_abs() {
                    push(Inst::from_parts(inst.op(), rd, rs1, rs2, imm), Len::Four);
                }
            }
        }
        for [rd, rs1, rs2] in [
            [Reg::ZERO, rs1, rs2],
            [rd, Reg::ZERO, rs2],
            [rd, rs1, Reg::ZERO],
        ] {
            push(
                Inst::from_parts(inst.op(), rd, rs1, rs2, inst.imm()),
                Len::Four,
            );
        }
        out
    }

    /// The case with these items: static jumps get the distances they need now, in full length
    /// where the short form does not reach.
    fn rebuilt(&self, mut items: Vec<Item>, entry: Option<usize>) -> Case {
        // Lengths only grow, so this settles.
        loop {
            let offsets = offsets(&items);
            let mut grown = false;
            for (i, item) in items.iter_mut().enumerate() {
                let (Some(inst), Some(target)) = (item.inst, item.target) else {
                    continue;
                };
                let distance = offsets[target] as i64 - offsets[i] as i64;
                let imm = i32::try_from(distance).unwrap_or(i32::MAX);
                let inst = Inst::from_parts(inst.op(), inst.rd(), inst.rs1(), inst.rs2(), imm);
                match bytes_of(inst, item.len) {
                    Some(bytes) => item.bytes = bytes,
                    None if item.len == Len::Two => {
                        item.len = Len::Four;
                        item.bytes = vec![0; 4];
                        grown = true;
                    }
                    // Out of reach altogether: leave what was there.
                    None => {}
                }
            }
            if !grown {
                break;
            }
        }
        let offsets = offsets(&items);
        let mut case = Case {
            code: items.iter().flat_map(|item| item.bytes.clone()).collect(),
            map: self.case.map.clone(),
            runs: self.case.runs.clone(),
        };
        if let (Some(run), Some(entry)) = (case.runs.first_mut(), entry) {
            run.entry = offsets[entry];
        }
        case
    }
}

fn is_static_jump(inst: Inst) -> bool {
    matches!(inst.flow(), Flow::Branch | Flow::Jump)
}

/// Offsets of the items and of the end.
fn offsets(items: &[Item]) -> Vec<u64> {
    let mut at = 0;
    let mut out = Vec::with_capacity(items.len() + 1);
    for item in items {
        out.push(at);
        at += item.bytes.len() as u64;
    }
    out.push(at);
    out
}

fn bytes_of(inst: Inst, len: Len) -> Option<Vec<u8>> {
    match len {
        Len::Two => compress(inst).map(|half| half.to_le_bytes().to_vec()),
        Len::Four => encode(inst).ok().map(|word| word.to_le_bytes().to_vec()),
    }
}
