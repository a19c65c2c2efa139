//! What is told about a linked program: symbols, debug information, the report.

use rivet_isa::Pc;

use crate::elf::object::Role;
use crate::elf::symbols::{Home, Symbol, SymbolKind};
use crate::emit::Moved;
use crate::error::LinkError;
use crate::layout::Backing;
use crate::place::Placement;
use crate::program::{Program, is_name};
use crate::sidecar::DebugSection;
use crate::text::Spot;

/// Most bytes of symbol names that are kept; real programs have a few megabytes.
const MAX_NAMES: u64 = 256 << 20;

/// A named place in code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSymbol {
    /// Its name, mangled as in the executable.
    pub name: String,
    /// Offset in the new code.
    pub pc: Pc,
    /// Bytes it takes in the new code; 0 if the executable does not say.
    pub size: u64,
}

/// What linking did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Bytes of code in the executable, without data between instructions.
    pub text_before: u64,
    /// Bytes of code in the image.
    pub text_after: u64,
    /// Inserted `fallthrough` instructions.
    pub fallthroughs: u32,
    /// Branches that took a larger form.
    pub widened: u32,
    /// Bytes of data taken out of code.
    pub embedded: u64,
    /// Words of data that were checked, and rewritten where what they name has moved.
    pub words: u64,
    /// Bytes of unwinding tables that were left out.
    pub unwind_dropped: u64,
    /// Distance by which data moved up to reach DATA_BASE.
    pub data_shift: u64,
    /// Initial value of the stack pointer.
    pub stack_top: u64,
    /// Memory of the image, by address.
    pub memory: Vec<MemoryReport>,
}

/// A range of memory in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: MemoryKind,
}

/// What a range of memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Constants, from a pinned slot.
    ReadOnly,
    /// Variables, from an initial slot.
    Writable,
    /// Zeros: heap, stack.
    Zero,
}

/// Named places in code, by offset; functions before other names of the same place.
pub(crate) fn symbols(
    program: &Program<'_>,
    placement: &Placement,
) -> Result<Vec<CodeSymbol>, LinkError> {
    let table = &program.object.symbols;
    let mut found = Vec::new();
    let mut names = 0u64;
    for symbol in table
        .iter()
        .filter(|symbol| is_name(table.name_start(symbol)))
    {
        if matches!(symbol.kind, SymbolKind::Section | SymbolKind::File) {
            continue;
        }
        let Some(inst) = program.inst_of(symbol) else {
            continue;
        };
        let name = table.name(symbol);
        names += name.len() as u64;
        if names > MAX_NAMES {
            let (what, limit) = ("bytes of symbol names", MAX_NAMES);
            return Err(LinkError::TooMany {
                what,
                found: names,
                limit,
            });
        }
        let pc = placement.pcs[inst as usize];
        let end = end_of(program, placement, symbol).unwrap_or(pc).max(pc);
        let rank = symbol.kind != SymbolKind::Function;
        let symbol = CodeSymbol {
            name: name.to_owned(),
            pc: Pc::new(pc.into()),
            size: u64::from(end - pc),
        };
        found.push((symbol, rank));
    }
    found.sort_by(|(a, a_rank), (b, b_rank)| (a.pc, a_rank).cmp(&(b.pc, b_rank)));
    Ok(found.into_iter().map(|(symbol, _)| symbol).collect())
}

/// New offset of the end of a symbol, if it ends where an instruction or the section does.
fn end_of(program: &Program<'_>, placement: &Placement, symbol: &Symbol) -> Option<u32> {
    let Home::Section(home) = symbol.home else {
        return None;
    };
    let ordinal = program.text.ordinal(home as usize)?;
    let end = symbol.value.checked_add(symbol.size)?;
    let inst = match program.text.spot(ordinal, end) {
        Spot::Inst(inst) => inst,
        Spot::End(ordinal) => program.text.sections[ordinal as usize].insts.1,
        _ => return None,
    };
    // A fallthrough right before the next place belongs to that place.
    let inserted = placement
        .inserted
        .get(inst as usize)
        .is_some_and(|&inserted| inserted);
    Some(placement.pcs[inst as usize] - if inserted { 4 } else { 0 })
}

/// Debug information, unmodified.
pub(crate) fn debug(program: &Program<'_>) -> Vec<DebugSection> {
    let sections = program.object.sections.iter();
    let debug = sections.filter(|one| !one.in_memory() && one.name.starts_with(".debug_"));
    debug
        .map(|section| DebugSection {
            name: section.name.to_owned(),
            compressed: section.compressed,
            bytes: section.bytes.to_vec(),
        })
        .collect()
}

/// What linking did.
pub(crate) fn report(moved: &Moved<'_, '_>) -> LinkReport {
    let program = moved.program;
    let unwind = program
        .object
        .sections
        .iter()
        .filter(|one| one.role == Role::Unwind);
    let memory = moved.layout.ranges.iter().map(|range| MemoryReport {
        start: range.start,
        size: range.end - range.start,
        kind: match range.backing {
            Backing::Pinned => MemoryKind::ReadOnly,
            Backing::Initial => MemoryKind::Writable,
            Backing::Ephemeral => MemoryKind::Zero,
        },
    });
    let embedded = program.text.embedded.iter();
    LinkReport {
        text_before: program
            .text
            .insts
            .iter()
            .map(|one| u64::from(one.size()))
            .sum(),
        text_after: moved.placement.code_len().into(),
        fallthroughs: moved.placement.fallthroughs,
        widened: moved.placement.widened,
        embedded: embedded
            .map(|piece| u64::from(piece.end - piece.start))
            .sum(),
        words: moved.data.words.len() as u64,
        unwind_dropped: unwind.map(|section| section.size).sum(),
        data_shift: moved.layout.shift,
        stack_top: moved.layout.stack_top,
        memory: memory.collect(),
    }
}
