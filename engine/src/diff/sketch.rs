//! A case as a list of instructions that can be deleted and changed: static jumps keep going where
//! they went, and so do addresses made by `auipc` and the instruction behind it.

use rivet_isa::generate::Case;
use rivet_isa::{Flow, Inst, Len, Op, Reg, compress, decode, encode};
use std::ops::Range;

/// An instruction, or the bytes behind the last one.
#[derive(Clone, Debug)]
struct Item {
    bytes: Vec<u8>,
    inst: Option<Inst>,
    len: Len,
    /// The item that it leads to, one past the last included.
    target: Option<usize>,
    /// Where that distance counts from.
    base: Base,
}

/// Where the distance to a target counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Base {
    /// The instruction itself: a branch or `jal`.
    Itself,
    /// The `auipc` in front of it, which has the upper part of the distance.
    Before,
}

/// A case taken apart.
pub(super) struct Sketch<'a> {
    case: &'a Case,
    items: Vec<Item>,
    /// The item of each run's entry.
    entries: Vec<Option<usize>>,
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
                base: Base::Itself,
            });
            at = end;
        }
        let count = items.len();
        let end = at as u64;
        let find = |offset: u64| match offsets.binary_search(&offset) {
            Ok(index) => Some(index),
            Err(_) => (offset == end).then_some(count),
        };
        let mut before: Option<(Inst, u64)> = None;
        for (item, at) in items.iter_mut().zip(&offsets) {
            let Some(inst) = item.inst else {
                before = None;
                continue;
            };
            let imm = i64::from(inst.imm()) as u64;
            if is_static_jump(inst) {
                item.target = find(at.wrapping_add(imm));
            } else if let Some((auipc, base)) = before.filter(|(auipc, _)| is_far(*auipc, inst)) {
                let high = i64::from(auipc.imm()) as u64;
                // `jalr` drops the lowest bit, and what has one was made to show that.
                item.target = find(base.wrapping_add(high).wrapping_add(imm));
                item.base = Base::Before;
            }
            before = Some((inst, *at));
        }
        if at < case.code.len() {
            items.push(Item {
                bytes: case.code[at..].to_vec(),
                inst: None,
                len: Len::Two,
                target: None,
                base: Base::Itself,
            });
        }
        let entries = case.runs.iter().map(|run| find(run.entry)).collect();
        Self {
            case,
            items,
            entries,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// One of the instructions; none where the encoding is reserved.
    pub(super) fn inst(&self, at: usize) -> Option<Inst> {
        self.items.get(at)?.inst
    }

    /// Number of the first instruction at which a run begins.
    pub(super) fn entry(&self) -> Option<usize> {
        self.entries.iter().flatten().min().copied()
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
        let items = kept.map(|(i, item)| Item {
            // Behind something else, it means something else.
            target: (i == 0 || item.base == Base::Itself || !range.contains(&(i - 1)))
                .then(|| item.target.map(moved))
                .flatten(),
            ..item.clone()
        });
        let entries = self.entries.iter().map(|entry| entry.map(moved));
        self.rebuilt(items.collect(), &entries.collect::<Vec<_>>())
    }

    /// The case with instructions that do nothing, as long as these, in their place: nothing moves,
    /// so that addresses in memory still lead where they led.
    pub(super) fn blanked(&self, range: Range<usize>) -> Case {
        let zero = Reg::ZERO;
        let nop = Inst::from_parts(Op::Addi, zero, zero, zero, 0);
        let mut items = self.items.clone();
        for item in items.iter_mut().skip(range.start).take(range.len()) {
            if let Some(bytes) = bytes_of(nop, item.len).filter(|b| b.len() == item.bytes.len()) {
                (item.bytes, item.inst, item.target) = (bytes, Some(nop), None);
            }
        }
        self.rebuilt(items, &self.entries)
    }

    /// Cases in which one instruction is simpler.
    pub(super) fn simpler(&self, at: usize) -> Vec<Case> {
        let Some((item, inst)) = self.items.get(at).and_then(|item| Some((item, item.inst?)))
        else {
            return Vec::new();
        };
        let mut out = Vec::new();
        if let Some(target) = self.jump_target(at) {
            let mut items = self.items.clone();
            let zero = Reg::ZERO;
            items[at].target = Some(target);
            items[at].inst = Some(Inst::from_parts(Op::Jal, inst.rd(), zero, zero, 0));
            (items[at].len, items[at].base) = (Len::Four, Base::Itself);
            out.push(self.rebuilt(items, &self.entries));
        }
        let mut push = |changed: Inst, len: Len| {
            if (changed, len) == (inst, item.len) {
                return;
            }
            let mut items = self.items.clone();
            items[at].inst = Some(changed);
            items[at].len = len;
            if let Some(bytes) = bytes_of(changed, len) {
                items[at].bytes = bytes;
                out.push(self.rebuilt(items, &self.entries));
            }
        };
        push(inst, Len::Four);
        let (rd, rs1, rs2) = (inst.rd(), inst.rs1(), inst.rs2());
        if item.target.is_none() {
            // Each may become what stands before it, so that this ends.
            let simplest = [0_i32, 1, 8, -1];
            let rank = simplest.iter().position(|imm| *imm == inst.imm());
            for imm in &simplest[..rank.unwrap_or(simplest.len())] {
                if rank.is_some() || imm.unsigned_abs() <= inst.imm().unsigned_abs() {
                    let imm = *imm;
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

    /// Where a `jalr` goes, as far as its address was made by instructions in front of it.
    fn jump_target(&self, at: usize) -> Option<usize> {
        let jump = self.items[at].inst.filter(|inst| inst.op() == Op::Jalr)?;
        let makes = |item: &&Item| {
            let result = item.inst.map(Inst::rd);
            item.base == Base::Before && result == Some(jump.rs1())
        };
        let made = || self.items[..at].iter().rev().find(makes)?.target;
        self.items[at].target.or_else(made)
    }

    /// The case with these items: static jumps get the distances they need now, in full length
    /// where the short form does not reach.
    fn rebuilt(&self, mut items: Vec<Item>, entries: &[Option<usize>]) -> Case {
        // Lengths only grow, so this settles.
        loop {
            let offsets = offsets(&items);
            let mut grown = false;
            for i in 0..items.len() {
                let (Some(inst), Some(target)) = (items[i].inst, items[i].target) else {
                    continue;
                };
                let distance = |from: usize| {
                    let distance = offsets[target] as i64 - offsets[from] as i64;
                    i32::try_from(distance).unwrap_or(i32::MAX >> 1)
                };
                let imm = match items[i].base {
                    Base::Itself => distance(i),
                    Base::Before => {
                        let distance = distance(i - 1);
                        let high = (distance + 0x800) & !0xFFF;
                        items[i - 1].set_distance(high);
                        distance - high
                    }
                };
                let item = &mut items[i];
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
        for (run, entry) in case.runs.iter_mut().zip(entries) {
            if let Some(entry) = *entry {
                run.entry = offsets[entry];
            }
        }
        case
    }
}

impl Item {
    /// Gives an `auipc` another immediate.
    fn set_distance(&mut self, high: i32) {
        let Some(inst) = self.inst else { return };
        let zero = Reg::ZERO;
        let inst = Inst::from_parts(inst.op(), inst.rd(), zero, zero, high);
        if let Some(bytes) = bytes_of(inst, Len::Four) {
            (self.bytes, self.inst) = (bytes, Some(inst));
        }
    }
}

/// Whether the second instruction adds the rest to the address that the first one begins.
fn is_far(auipc: Inst, next: Inst) -> bool {
    auipc.op() == Op::Auipc
        && matches!(next.op(), Op::Jalr | Op::Addi)
        && next.rs1() == auipc.rd()
        && !auipc.rd().is_zero()
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
