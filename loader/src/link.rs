//! The steps of linking, and what comes out.

use rivet_image::{EndpointDef, Image, ImageBuilder, Key};
use rivet_isa::Pc;

use crate::code_refs::CodeRefs;
use crate::data_refs::DataRefs;
use crate::elf::object::Role;
use crate::elf::symbols::{Home, Symbol, SymbolKind};
use crate::emit::Moved;
use crate::error::{LinkError, Site};
use crate::folded;
use crate::layout::{Backing, Layout};
use crate::map::AddressMap;
use crate::memory::{self, Pages};
use crate::place::Placement;
use crate::program::{Program, Target, is_name};
use crate::proof;
use crate::sidecar::{DebugSection, Sidecar};
use crate::text::Spot;

/// The symbol that an executable starts at.
const START: &str = "_start";
/// Most bytes of symbol names that are kept; real programs have a few megabytes.
const MAX_NAMES: u64 = 256 << 20;

/// What the executable itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkOptions {
    /// Symbol of the endpoint `[00]`. By default `_start`, or the entry address if there is no
    /// such symbol.
    pub entry: Option<String>,
    /// Symbols of further endpoints, in the order of their keys.
    pub exports: Vec<String>,
    /// Bytes of stack where the executable has no section for one; by default `__stack_size`, or
    /// 1 MiB.
    pub stack_size: Option<u64>,
    /// Bytes of heap where the executable has no section for one and `__heap_end` does not tell;
    /// by default 4 MiB if there is a `__heap_start`, else none.
    pub heap_size: Option<u64>,
}

/// An image, and what is known about it beyond what it holds.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The program.
    pub image: Image,
    /// From addresses of the executable to code offsets, and back.
    pub map: AddressMap,
    /// Functions and other named places in code, by offset.
    pub symbols: Vec<CodeSymbol>,
    /// Debug information as the executable has it, in terms of its addresses.
    pub debug: Vec<DebugSection>,
    /// What was done.
    pub report: LinkReport,
}

impl Linked {
    /// All that is kept beside the image, in a form that can be written to a file.
    #[must_use]
    pub fn sidecar(&self) -> Sidecar {
        Sidecar {
            image: self.image.address(),
            map: self.map.clone(),
            symbols: self.symbols.clone(),
            debug: self.debug.clone(),
        }
    }
}

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

/// Makes an image of an RV64E executable.
///
/// The executable must be static, little-endian, of ABI lp64e, and linked with its relocations
/// kept (`--emit-relocs`). Time and memory are proportional to its size, whatever it holds.
///
/// # Errors
/// [`LinkError`] says what cannot be linked, where, and how to fix it. A program that is accepted
/// has passed the proof of `proof.rs`.
pub fn link(elf: &[u8], options: &LinkOptions) -> Result<Linked, LinkError> {
    let program = Program::read(elf)?;
    let refs = CodeRefs::find(&program)?;
    let data = DataRefs::find(&program, &refs.got)?;
    folded::check(&program, &refs, &data)?;
    let endpoints = endpoints(&program, options)?;
    let starts = starts(&program, &refs, &data, &endpoints)?;
    let placement = Placement::compute(&program, &refs.branches, &starts)?;
    let layout = Layout::compute(&program, options)?;
    check_numbers(&program, &refs, &data, &layout)?;
    let moved = Moved {
        program: &program,
        refs: &refs,
        data: &data,
        placement: &placement,
        layout: &layout,
    };
    let (code, map) = moved.code()?;
    let sections = moved.sections()?;
    let embedded = moved.embedded()?;
    let endpoints: Vec<(String, Pc)> = endpoints
        .into_iter()
        .map(|(name, inst)| (name, moved.pc(inst)))
        .collect();
    proof::check(
        &moved,
        &proof::Output {
            code: &code,
            map: &map,
            sections: &sections,
            embedded: &embedded,
            endpoints: &endpoints,
        },
    )?;
    let symbols = symbols(&program, &placement)?;
    let report = report(&moved);
    let mut builder = ImageBuilder::new(code);
    for (index, (_, pc)) in endpoints.iter().enumerate() {
        let key = Key::endpoint(u16::try_from(index).unwrap_or(u16::MAX));
        let endpoint = EndpointDef::at(*pc).with_stack_top(layout.stack_top);
        builder = builder.endpoint(key, endpoint);
    }
    let pages = Pages::collect(&moved, &sections, &embedded);
    let image = memory::add(builder, &layout.ranges, &pages)?;
    Ok(Linked {
        image,
        map,
        symbols,
        debug: debug(&program),
        report,
    })
}

/// Names and instructions of the endpoints, the start first.
fn endpoints(
    program: &Program<'_>,
    options: &LinkOptions,
) -> Result<Vec<(String, u32)>, LinkError> {
    let named = |name: &str| {
        let inst = program
            .object
            .symbols
            .find(name)
            .and_then(|symbol| inst_at(program, symbol));
        inst.ok_or_else(|| LinkError::BadEndpoint {
            name: name.to_owned(),
        })
    };
    let start = match &options.entry {
        Some(name) => (name.clone(), named(name)?),
        None => match named(START) {
            Ok(inst) => (START.to_owned(), inst),
            Err(_) => ("the entry address".to_owned(), entry_address(program)?),
        },
    };
    let mut endpoints = vec![start];
    for name in &options.exports {
        endpoints.push((name.clone(), named(name)?));
    }
    Ok(endpoints)
}

fn entry_address(program: &Program<'_>) -> Result<u32, LinkError> {
    let address = program.object.entry;
    let spot = program.text.section_at(address, None);
    match spot.map(|ordinal| program.text.spot(ordinal, address)) {
        Some(Spot::Inst(inst)) => Ok(inst),
        _ => Err(LinkError::NoEntry {
            wanted: START.to_owned(),
        }),
    }
}

/// The instruction a symbol names, if it names one.
fn inst_at(program: &Program<'_>, symbol: &Symbol) -> Option<u32> {
    let Home::Section(home) = symbol.home else {
        return None;
    };
    let ordinal = program.text.ordinal(home as usize)?;
    match program.text.spot(ordinal, symbol.value) {
        Spot::Inst(inst) => Some(inst),
        _ => None,
    }
}

/// Marks every instruction that control can come to other than from the one before it.
fn starts(
    program: &Program<'_>,
    refs: &CodeRefs,
    data: &DataRefs,
    endpoints: &[(String, u32)],
) -> Result<Vec<bool>, LinkError> {
    let mut starts = vec![false; program.text.insts.len()];
    let mut mark = |inst: u32| starts[inst as usize] = true;
    refs.branches.iter().for_each(|branch| mark(branch.target));
    for target in refs.targets().chain(data.targets()) {
        if let Target::Inst(inst) = target {
            mark(inst);
        }
    }
    endpoints.iter().for_each(|&(_, inst)| mark(inst));
    // Whatever is a function can be entered by a tool.
    let functions = program
        .object
        .symbols
        .iter()
        .filter(|one| one.kind == SymbolKind::Function);
    for symbol in functions {
        let Home::Section(home) = symbol.home else {
            continue;
        };
        let Some(ordinal) = program.text.ordinal(home as usize) else {
            continue;
        };
        match program.text.spot(ordinal, symbol.value) {
            Spot::Inst(inst) => mark(inst),
            Spot::Inside => {
                let name = program.object.symbols.name(symbol);
                return Err(LinkError::InsideInstruction {
                    at: Box::new(Site {
                        section: "symbol table".into(),
                        ..Site::default()
                    }),
                    target: format!("`{name}`"),
                });
            }
            _ => {}
        }
    }
    Ok(starts)
}

/// Refuses absolute symbols for memory that moves.
fn check_numbers(
    program: &Program<'_>,
    refs: &CodeRefs,
    data: &DataRefs,
    layout: &Layout,
) -> Result<(), LinkError> {
    let refuse = |at: Site, target: Target| {
        let target = format!("{:#x}", program.old_address(target));
        LinkError::AbsoluteMoved {
            at: Box::new(at),
            target,
        }
    };
    for (inst, fix) in &refs.fixes {
        if let crate::code_refs::Fix::High { target, .. } = *fix
            && !layout.check_number(program, target)
        {
            return Err(refuse(program.inst_site(*inst), target));
        }
    }
    for word in &data.words {
        for term in data.terms(word) {
            if !layout.check_number(program, term.target) {
                return Err(refuse(program.address_site(word.address), term.target));
            }
        }
    }
    Ok(())
}

/// Named places in code, by offset; functions before other names of the same place.
fn symbols(program: &Program<'_>, placement: &Placement) -> Result<Vec<CodeSymbol>, LinkError> {
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
        let Some(inst) = inst_at(program, symbol) else {
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

fn debug(program: &Program<'_>) -> Vec<DebugSection> {
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

fn report(moved: &Moved<'_, '_>) -> LinkReport {
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
