//! Which stretches of a code section are code, by the mapping symbols of the assembler.
//!
//! `$x` begins code and `$d` data; what comes before the first symbol of a section is code.

use crate::elf::object::Object;
use crate::elf::reloc::Action;
use crate::elf::symbols::{Home, SymbolKind};
use crate::text::Text;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    Code,
    Data,
}

/// A stretch of a section between mapping symbols, by offset in the section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) content: Content,
}

/// The regions of every code section; without mapping symbols all is code.
pub(crate) fn mapping_symbols(object: &Object<'_>, text: &Text) -> Vec<Vec<Region>> {
    let sections = &text.sections;
    let mut marks: Vec<Vec<(u32, Content)>> = vec![Vec::new(); sections.len()];
    for symbol in object.symbols.iter() {
        let Home::Section(home) = symbol.home else {
            continue;
        };
        let Some(ordinal) = text.ordinal(home as usize) else {
            continue;
        };
        let content = match object.symbols.name_start(symbol) {
            [b'$', b'x', ..] => Content::Code,
            [b'$', b'd', 0 | b'.'] => Content::Data,
            _ => continue,
        };
        let code = &sections[ordinal];
        match symbol.value.checked_sub(code.address) {
            Some(offset) if offset < code.size.into() => {
                marks[ordinal].push((offset as u32, content));
            }
            _ => {}
        }
    }
    marks
        .into_iter()
        .zip(sections)
        .map(|(marks, code)| regions(marks, code.size))
        .collect()
}

fn regions(mut marks: Vec<(u32, Content)>, size: u32) -> Vec<Region> {
    // Stable: of several marks at one place the last one stands for what follows.
    marks.sort_by_key(|&(offset, _)| offset);
    let mut regions = Vec::new();
    let mut open = Region {
        start: 0,
        end: 0,
        content: Content::Code,
    };
    for (offset, content) in marks {
        if content != open.content {
            let closed = Region {
                end: offset,
                ..open
            };
            open = Region {
                start: offset,
                end: 0,
                content,
            };
            push(&mut regions, closed);
        }
    }
    push(&mut regions, Region { end: size, ..open });
    regions
}

/// Appends a region unless it is empty, and joins it with an equal neighbour.
fn push(regions: &mut Vec<Region>, region: Region) {
    if region.start == region.end {
        return;
    }
    match regions.last_mut() {
        Some(last) if last.content == region.content && last.end == region.start => {
            last.end = region.end;
        }
        _ => regions.push(region),
    }
}

/// How `$d` regions are used; collected only if there are any.
#[derive(Default)]
pub(crate) struct Usage {
    /// Addresses that functions begin at or calls go to, sorted.
    called: Vec<u64>,
    /// Addresses in code that data or address computations refer to, sorted.
    read: Vec<u64>,
}

impl Usage {
    pub(crate) fn collect(object: &Object<'_>, maps: &[Vec<Region>]) -> Self {
        let mut usage = Self::default();
        if maps
            .iter()
            .flatten()
            .all(|region| region.content == Content::Code)
        {
            return usage;
        }
        for symbol in object
            .symbols
            .iter()
            .filter(|one| one.kind == SymbolKind::Function)
        {
            usage.called.push(symbol.value);
        }
        for reloc in object.relocations.iter().flat_map(|table| table.iter()) {
            let Some(symbol) = object.symbols.get(reloc.symbol) else {
                continue;
            };
            let target = symbol.value.wrapping_add_signed(reloc.addend);
            match reloc.kind.action() {
                Action::Direct | Action::Call => usage.called.push(target),
                Action::PcHigh | Action::AbsHigh | Action::Word(_) => usage.read.push(target),
                _ => {}
            }
        }
        usage.called.sort_unstable();
        usage.read.sort_unstable();
        usage
    }

    /// Whether a call or function symbol names an address.
    pub(crate) fn calls(&self, address: u64) -> bool {
        self.called.binary_search(&address).is_ok()
    }

    /// Whether anything refers to an address of a range as data.
    pub(crate) fn reads(&self, start: u64, end: u64) -> bool {
        let first = self.read.partition_point(|&address| address < start);
        self.read.get(first).is_some_and(|&address| address < end)
    }
}
