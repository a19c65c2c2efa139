//! Finds jumps through distances between labels that the assembler has folded into constants.
//!
//! `&&a - &&b` in C, or `.word .La - .Lb` in assembly, is a number without relocation if the
//! assembler knows that nothing between the labels can change its length: always with
//! `-mno-relax`, and otherwise where no relaxable instruction lies between them. Code between the
//! labels can still grow here, and then the number is silently wrong. Nothing in the file marks
//! such numbers, so they are found by how they are used:
//!
//! 1. a function takes the address of a place inside itself (the base that is added), and
//! 2. it has an indirect jump whose register comes from an addition, or it adds to that address;
//! 3. then each table it refers to must have a relocation in every word that is not zero, and
//!    there must be such a table.
//!
//! Tables of absolute addresses and tables of distances from the table itself are not affected:
//! their labels lie in another section than the table, so assemblers cannot fold them. Code of a
//! `-mno-relax` object that takes the address of its own section has an `auipc` without
//! relocation, which is refused before this unless it is a call (`bare_calls.rs`).

use std::collections::HashMap;

use rivet_isa::{Flow, Inst, Op, Reg};

use crate::code_refs::{CodeRefs, Fix, note};
use crate::data_refs::DataRefs;
use crate::elf::reloc::Width;
use crate::elf::symbols::{Home, SymbolKind};
use crate::error::LinkError;
use crate::program::{Program, Target};

/// Instructions of one function: first, and one past the last.
type Function = (u32, u32);

/// Refuses `auipc`s without relocation and jumps by folded distances.
pub(crate) fn check(
    program: &Program<'_>,
    refs: &CodeRefs,
    data: &DataRefs,
) -> Result<(), LinkError> {
    let functions = functions(program);
    unrelocated(program, refs, &functions)?;
    let mut objects = None;
    for &function in &functions {
        let Some(jump) = suspicious(program, refs, function) else {
            continue;
        };
        let objects = objects.get_or_insert_with(|| Objects::collect(program));
        if let Some(table) = folded_table(program, refs, data, function, objects) {
            let at = Box::new(program.inst_site(jump));
            return Err(match assembled_without_relax(refs, function) {
                true => LinkError::NoRelaxObject { at },
                false => LinkError::FoldedDifference { at, table },
            });
        }
    }
    Ok(())
}

/// Splits the code where functions and input sections begin.
fn functions(program: &Program<'_>) -> Vec<Function> {
    let text = &program.text;
    let mut starts = Vec::new();
    for symbol in program.object.symbols.iter() {
        let Home::Section(home) = symbol.home else {
            continue;
        };
        let begins = symbol.kind == SymbolKind::Function
            || program.object.symbols.name_start(symbol).starts_with(b"$x");
        if !begins {
            continue;
        }
        let at = text
            .ordinal(home as usize)
            .map(|ordinal| text.spot(ordinal, symbol.value));
        if let Some(crate::text::Spot::Inst(inst)) = at {
            starts.push(inst);
        }
    }
    starts.extend(text.sections.iter().map(|code| code.insts.0));
    starts.sort_unstable();
    starts.dedup();
    let ends = starts
        .iter()
        .skip(1)
        .copied()
        .chain([text.insts.len() as u32]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .filter(|(start, end)| start < end)
        .collect()
}

/// Whether relaxable places of a function lack the mark of relaxable code.
fn assembled_without_relax(refs: &CodeRefs, (start, end): Function) -> bool {
    let notes = &refs.notes[start as usize..end as usize];
    let relaxable = notes.iter().any(|note| note & note::RELAXABLE != 0);
    relaxable && notes.iter().all(|note| note & note::RELAX == 0)
}

/// Every `auipc` must have a relocation, or nobody knows what it refers to.
fn unrelocated(
    program: &Program<'_>,
    refs: &CodeRefs,
    functions: &[Function],
) -> Result<(), LinkError> {
    let any_relocations = !program.object.relocations.is_empty();
    let mut fixes = refs.fixes.iter().map(|&(inst, _)| inst).peekable();
    for &function in functions {
        for inst in function.0..function.1 {
            let has_fix = fixes.next_if_eq(&inst).is_some();
            let source = program.text.insts[inst as usize].inst;
            let depends =
                source.op() == Op::Auipc || (is_computed_jump(source) && !any_relocations);
            if has_fix || !depends {
                continue;
            }
            let at = Box::new(program.inst_site(inst));
            return Err(if !any_relocations {
                LinkError::RelocationsMissing { at }
            } else if assembled_without_relax(refs, function) {
                LinkError::NoRelaxObject { at }
            } else {
                LinkError::AuipcWithoutRelocation { at }
            });
        }
    }
    Ok(())
}

/// An indirect jump that is not a return.
fn is_computed_jump(inst: Inst) -> bool {
    let link = inst.rs1() == Reg::RA || inst.rs1() == Reg::T0;
    inst.flow() == Flow::JumpIndirect && !(inst.rd().is_zero() && link)
}

/// The jump of a function that may go by distances between its labels.
fn suspicious(program: &Program<'_>, refs: &CodeRefs, function: Function) -> Option<u32> {
    let fixes = fixes_of(refs, function);
    let takes_own_label = |fix: &Fix| match *fix {
        Fix::High { target, .. } | Fix::AbsLow { target } => own_place(program, function, target),
        Fix::Low { .. } => false,
    };
    if !fixes.iter().any(|(_, fix)| takes_own_label(fix)) {
        return None;
    }
    let insts = &program.text.insts;
    let jumps: Vec<u32> = (function.0..function.1)
        .filter(|&inst| is_computed_jump(insts[inst as usize].inst) && refs.fix(inst).is_none())
        .collect();
    let first = *jumps.first()?;
    let by_sum = jumps
        .iter()
        .copied()
        .find(|&jump| jumps_by_sum(program, refs, function, jump));
    let label_is_added = || {
        fixes.iter().any(|&(inst, fix)| match fix {
            Fix::Low { high } => {
                let label = refs.fix(high).is_some_and(takes_own_label);
                label && added_to(program, function, inst)
            }
            Fix::AbsLow { .. } => takes_own_label(&fix) && added_to(program, function, inst),
            Fix::High { .. } => false,
        })
    };
    by_sum.or_else(|| label_is_added().then_some(first))
}

fn fixes_of(refs: &CodeRefs, (start, end): Function) -> &[(u32, Fix)] {
    let first = refs.fixes.partition_point(|&(inst, _)| inst < start);
    let last = refs.fixes.partition_point(|&(inst, _)| inst < end);
    &refs.fixes[first..last]
}

/// Whether a target is code or embedded data of this very function.
fn own_place(program: &Program<'_>, (start, end): Function, target: Target) -> bool {
    let insts = &program.text.insts;
    let from = insts[start as usize].at;
    let to = insts
        .get(end as usize)
        .map_or(program.text.bytes.len() as u32, |next| next.at);
    match target {
        Target::Inst(inst) => (start..end).contains(&inst),
        Target::Embedded(at) => (from..to).contains(&at),
        _ => false,
    }
}

/// Whether the register of an indirect jump was last written by an addition in the same block.
fn jumps_by_sum(program: &Program<'_>, refs: &CodeRefs, (start, _): Function, jump: u32) -> bool {
    let insts = &program.text.insts;
    let source = insts[jump as usize].inst;
    let mut register = source.rs1();
    if source.imm() != 0 {
        return true;
    }
    for index in (start..jump).rev() {
        let inst = insts[index as usize].inst;
        if inst.flow() != Flow::Next {
            return false;
        }
        if inst.rd() != register {
            continue;
        }
        if refs.fix(index).is_some() {
            // A whole address, made of two relocated parts or loaded through one.
            return false;
        }
        match copied_from(inst) {
            Some(from) => register = from,
            None => return is_sum(inst),
        }
    }
    false
}

/// Whether the register that `inst` writes is used in an addition before it is written again.
fn added_to(program: &Program<'_>, (_, end): Function, inst: u32) -> bool {
    let insts = &program.text.insts;
    if insts[inst as usize].inst.op() != Op::Addi {
        return false;
    }
    let register = insts[inst as usize].inst.rd();
    for next in inst + 1..end {
        let next = insts[next as usize].inst;
        let reads = next.rs1() == register || next.rs2() == register;
        if reads && is_sum(next) && copied_from(next).is_none() {
            return true;
        }
        if next.rd() == register || next.flow() != Flow::Next {
            return false;
        }
    }
    false
}

/// The source of a register move.
fn copied_from(inst: Inst) -> Option<Reg> {
    match inst.op() {
        Op::Addi if inst.imm() == 0 => Some(inst.rs1()),
        Op::Add if inst.rs1().is_zero() => Some(inst.rs2()),
        Op::Add if inst.rs2().is_zero() => Some(inst.rs1()),
        _ => None,
    }
}

fn is_sum(inst: Inst) -> bool {
    matches!(
        inst.op(),
        Op::Add
            | Op::Addw
            | Op::Addi
            | Op::Addiw
            | Op::AddUw
            | Op::Sub
            | Op::Subw
            | Op::Sh1add
            | Op::Sh2add
            | Op::Sh3add
            | Op::Sh1addUw
            | Op::Sh2addUw
            | Op::Sh3addUw
    )
}

/// What a data object can be to a jump by distances.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No table of distances, or one whose every word is folded.
    Unrelocated,
    /// A table that moves with the code.
    Relocated,
    /// A table of which a part is folded.
    Folded,
}

/// The table a suspicious function may jump by that is not fully relocated, if there is one.
fn folded_table(
    program: &Program<'_>,
    refs: &CodeRefs,
    data: &DataRefs,
    function: Function,
    objects: &mut Objects,
) -> Option<String> {
    let mut relocated = false;
    let mut unrelocated = None;
    for (_, fix) in fixes_of(refs, function) {
        let Fix::High { target, .. } = *fix else {
            continue;
        };
        let address = match target {
            Target::Data(address) => address,
            Target::Embedded(_) => program.old_address(target),
            _ => continue,
        };
        let (start, end) = objects.around(address);
        let verdict = *objects
            .verdicts
            .entry(start)
            .or_insert_with(|| judge(program, data, start, end));
        match verdict {
            Verdict::Unrelocated => unrelocated = Some(start),
            Verdict::Relocated => relocated = true,
            Verdict::Folded => return Some(program.address_site(start).to_string()),
        }
    }
    let name = unrelocated.map_or_else(
        || "data".to_owned(),
        |start| program.address_site(start).to_string(),
    );
    (!relocated).then_some(name)
}

fn judge(program: &Program<'_>, data: &DataRefs, start: u64, end: u64) -> Verdict {
    let differences = data
        .in_range(start, end)
        .iter()
        .filter(|word| data.terms(word).len() > 1);
    let Some(first) = differences.clone().next() else {
        return Verdict::Unrelocated;
    };
    // Distances from data to code lead from section to section and cannot be folded.
    let from_code = |target| matches!(target, Target::Inst(_) | Target::Embedded(_));
    let counted_from_code = differences
        .flat_map(|word| data.terms(word))
        .any(|term| term.minus && from_code(term.target));
    match first.width {
        Width::Bytes(step)
            if counted_from_code && !fully_relocated(program, data, start, end, step.into()) =>
        {
            Verdict::Folded
        }
        _ => Verdict::Relocated,
    }
}

/// Whether every word of a table that could be a distance has a relocation. Zero is one that no
/// move changes; an odd number is none, since instructions lie at even addresses, but for example
/// a no-op that pads the table.
fn fully_relocated(
    program: &Program<'_>,
    data: &DataRefs,
    start: u64,
    end: u64,
    step: u64,
) -> bool {
    let Some(section) = program.section_holding(start) else {
        return true;
    };
    let section = &program.object.sections[section];
    (start..end).step_by(step as usize).all(|address| {
        let offset = (address - section.address) as usize;
        let bytes = section
            .bytes
            .get(offset..offset + step as usize)
            .unwrap_or(&[]);
        let even = bytes.first().is_some_and(|byte| byte & 1 == 0);
        !even
            || bytes.iter().all(|&byte| byte == 0)
            || !data.in_range(address, address + step).is_empty()
    })
}

/// Extents of data objects.
struct Objects {
    /// What has a size, by start.
    sized: Vec<(u64, u64)>,
    /// Every address where something begins or a section ends.
    marks: Vec<u64>,
    /// By start, so that no object is judged twice.
    verdicts: HashMap<u64, Verdict>,
}

impl Objects {
    fn collect(program: &Program<'_>) -> Self {
        let sections = &program.object.sections;
        let (mut sized, mut marks) = (Vec::new(), Vec::new());
        for symbol in program.object.symbols.iter() {
            let Home::Section(home) = symbol.home else {
                continue;
            };
            let Some(section) = sections.get(home as usize) else {
                continue;
            };
            marks.push(symbol.value);
            let fits = symbol.value >= section.address
                && symbol
                    .value
                    .checked_add(symbol.size)
                    .is_some_and(|end| end <= section.end());
            if symbol.kind == SymbolKind::Object && symbol.size != 0 && fits {
                sized.push((symbol.value, symbol.value + symbol.size));
            }
        }
        for piece in &program.text.embedded {
            let start = program.old_address(Target::Embedded(piece.start));
            sized.push((start, start + u64::from(piece.end - piece.start)));
        }
        marks.extend(
            sections
                .iter()
                .filter(|one| one.in_memory())
                .map(|one| one.end()),
        );
        sized.sort_unstable();
        marks.sort_unstable();
        Self {
            sized,
            marks,
            verdicts: HashMap::new(),
        }
    }

    /// The object that holds an address, or from there to where something else begins.
    fn around(&self, address: u64) -> (u64, u64) {
        let after = self.sized.partition_point(|&(start, _)| start <= address);
        // Objects hardly ever nest; a bound keeps the search short where they do.
        let nearest = self.sized[..after].iter().rev().take(64).copied();
        let mut holding = nearest.filter(|&(_, end)| address < end);
        holding.next().unwrap_or_else(|| {
            let next = self.marks.partition_point(|&mark| mark <= address);
            (address, self.marks.get(next).copied().unwrap_or(address))
        })
    }
}
