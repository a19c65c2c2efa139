//! The steps of linking, and what comes out.

use rivet_image::{EndpointDef, Image, ImageBuilder, Key};
use rivet_isa::Pc;

use crate::code_refs::CodeRefs;
use crate::data_refs::DataRefs;
use crate::describe::{self, CodeSymbol, LinkReport};
use crate::elf::symbols::{Home, SymbolKind};
use crate::emit::Moved;
use crate::error::{LinkError, Site};
use crate::folded;
use crate::layout::Layout;
use crate::map::AddressMap;
use crate::memory::{self, Pages};
use crate::place::Placement;
use crate::program::{Program, Target};
use crate::proof;
use crate::sidecar::{DebugSection, Sidecar};
use crate::text::Spot;

/// The symbol that an executable starts at.
const START: &str = "_start";

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
    let symbols = describe::symbols(&program, &placement)?;
    let report = describe::report(&moved);
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
        debug: describe::debug(&program),
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
            .and_then(|symbol| program.inst_of(symbol));
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
    match refs.bare_calls.iter().find(|&&jump| starts[jump as usize]) {
        Some(&jump) => {
            let at = Box::new(program.inst_site(jump - 1));
            Err(LinkError::AuipcWithoutRelocation { at })
        }
        None => Ok(starts),
    }
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
