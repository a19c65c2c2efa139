//! Where data, heap and stack go.
//!
//! ```text
//! DATA_BASE                                                                2^32
//!  │ read-only │ writable        │ heap      │ hole │ stack     │ hole │ embedded │
//!  │ pinned    │ initial content │ ephemeral │      │ ephemeral │      │ pinned   │
//!                                                   sp ─▶ top
//! ```
//!
//! Data linked at or above DATA_BASE stays where it is; data below it moves up as one block. What
//! the executable has sections for is mapped from them. A heap or stack it only has symbols for is
//! mapped from those, and a stack it does not mention at all comes behind everything else, as does
//! data that was embedded in code. A page that read-only and writable sections share is writable.

use rivet_isa::{ADDRESS_SPACE, DATA_BASE, PAGE_SIZE};

use crate::elf::object::Role;
use crate::elf::symbols::Home;
use crate::error::LinkError;
use crate::link::LinkOptions;
use crate::program::{Program, Target};

/// Larger section alignments are refused when data has to move.
const MAX_ALIGN: u64 = 1 << 24;
/// Alignment kept for data taken out of code.
const EMBEDDED_ALIGN: u64 = 16;
/// Stack size where nothing says otherwise.
pub(crate) const DEFAULT_STACK: u64 = 1 << 20;
/// Heap size where a heap begins and nothing says where it ends.
pub(crate) const DEFAULT_HEAP: u64 = 4 << 20;

/// What backs a range of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// Content that cannot be written.
    Pinned,
    /// Content copied on write, zeros behind it.
    Initial,
    /// Zeros.
    Ephemeral,
}

/// A range of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) backing: Backing,
}

/// New addresses of everything that is not code.
pub(crate) struct Layout {
    /// Added to every address of data.
    pub(crate) shift: u64,
    /// New address of each embedded piece.
    pub(crate) embedded: Vec<u64>,
    /// By address, disjoint.
    pub(crate) ranges: Vec<PageRange>,
    pub(crate) stack_top: u64,
}

impl Layout {
    /// Lays out the memory of a program.
    pub(crate) fn compute(program: &Program<'_>, options: &LinkOptions) -> Result<Self, LinkError> {
        let shift = shift(program)?;
        let mut layout = Self {
            shift,
            embedded: Vec::new(),
            ranges: ranges(program, shift),
            stack_top: 0,
        };
        layout.heap(program, options)?;
        layout.stack(program, options)?;
        layout.embed(program)?;
        layout.ranges.sort_by_key(|range| range.start);
        match layout.ranges.last() {
            Some(last) if last.end > ADDRESS_SPACE => Err(LinkError::NoRoom {
                needed: last.end - DATA_BASE,
                base: DATA_BASE,
            }),
            _ => Ok(layout),
        }
    }

    /// Refuses numbers that name memory which moves.
    pub(crate) fn check_number(&self, program: &Program<'_>, target: Target) -> bool {
        let Target::Number(value) = target else {
            return true;
        };
        self.shift == 0 || !extent(program).is_some_and(|(low, high)| low <= value && value < high)
    }

    fn end(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end)
            .max()
            .unwrap_or(DATA_BASE)
    }

    /// A symbol's value after the move.
    fn symbol(&self, program: &Program<'_>, name: &str) -> Option<u64> {
        let symbol = program.object.symbols.find(name)?;
        match symbol.home {
            Home::Section(_) => Some(symbol.value.wrapping_add(self.shift)),
            _ => Some(symbol.value),
        }
    }

    /// Whether the bytes right at and right below an address are mapped writable.
    fn covers(&self, low: u64, high: u64) -> bool {
        self.ranges.iter().any(|range| {
            range.start <= low && high <= range.end && range.backing != Backing::Pinned
        })
    }

    fn heap(&mut self, program: &Program<'_>, options: &LinkOptions) -> Result<(), LinkError> {
        let start = self.symbol(program, "__heap_start");
        let (name, start, size) = match (start, options.heap_size) {
            (Some(start), wanted) => {
                let end = self
                    .symbol(program, "__heap_end")
                    .filter(|&end| end >= start);
                let size = end
                    .map(|end| end - start)
                    .or(wanted)
                    .unwrap_or(DEFAULT_HEAP);
                ("__heap_start", start, size)
            }
            (None, Some(size)) => ("_end", self.end(), size),
            (None, None) => return Ok(()),
        };
        let end = start.saturating_add(size);
        if size == 0 || self.covers(start, end) {
            return Ok(());
        }
        // A heap may begin in the last page of the data, which is mapped already.
        let begun = self
            .ranges
            .iter()
            .find(|range| range.start <= start && start < range.end);
        let first = begun.map_or(start & !(PAGE_SIZE - 1), |range| range.end);
        self.add(name, start, first, end)
    }

    fn stack(&mut self, program: &Program<'_>, options: &LinkOptions) -> Result<(), LinkError> {
        let symbol = self.symbol(program, "__stack_top");
        let size = options
            .stack_size
            .or_else(|| self.symbol(program, "__stack_size"));
        let size = size.unwrap_or(DEFAULT_STACK).max(1);
        let Some(top) = symbol else {
            let bottom = self.end().saturating_add(PAGE_SIZE);
            let top = page_up(bottom.saturating_add(size));
            self.stack_top = top;
            return self.add("__stack_top", top, bottom, top);
        };
        self.stack_top = top;
        if self.covers(top.saturating_sub(1), top) {
            return Ok(());
        }
        let bottom = self
            .symbol(program, "__stack_bottom")
            .filter(|&bottom| bottom < top);
        let bottom = bottom.unwrap_or(top.saturating_sub(size));
        self.add("__stack_top", top, bottom & !(PAGE_SIZE - 1), top)
    }

    /// Maps zeros, which must not overlap anything.
    fn add(&mut self, name: &str, value: u64, start: u64, end: u64) -> Result<(), LinkError> {
        let end = page_up(end);
        if start >= end {
            return Ok(());
        }
        let free = self
            .ranges
            .iter()
            .all(|range| end <= range.start || range.end <= start);
        if start < DATA_BASE || end > ADDRESS_SPACE || !free {
            return Err(LinkError::BadMemorySymbol {
                name: name.to_owned(),
                value,
            });
        }
        self.ranges.push(PageRange {
            start,
            end,
            backing: Backing::Ephemeral,
        });
        Ok(())
    }

    fn embed(&mut self, program: &Program<'_>) -> Result<(), LinkError> {
        if program.text.embedded.is_empty() {
            return Ok(());
        }
        let start = self.end().saturating_add(PAGE_SIZE);
        let mut at = start;
        for piece in &program.text.embedded {
            let old = program.old_address(Target::Embedded(piece.start));
            at += old.wrapping_sub(at) % EMBEDDED_ALIGN;
            self.embedded.push(at);
            at += u64::from(piece.end - piece.start);
        }
        self.ranges.push(PageRange {
            start,
            end: page_up(at),
            backing: Backing::Pinned,
        });
        Ok(())
    }
}

/// The next page boundary at or after an address.
pub(crate) fn page_up(address: u64) -> u64 {
    address
        .checked_next_multiple_of(PAGE_SIZE)
        .unwrap_or(!(PAGE_SIZE - 1))
}

/// The addresses that data takes as linked.
fn extent(program: &Program<'_>) -> Option<(u64, u64)> {
    let sections = program.object.sections.iter();
    let data = sections.filter(|one| matches!(one.role, Role::Data | Role::Zero));
    data.map(|one| (one.address, one.end()))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// How far data has to move to lie at or above DATA_BASE.
fn shift(program: &Program<'_>) -> Result<u64, LinkError> {
    let Some((low, high)) = extent(program) else {
        return Ok(0);
    };
    if low >= DATA_BASE {
        return Ok(0);
    }
    let mut align = PAGE_SIZE;
    for section in &program.object.sections {
        if matches!(section.role, Role::Data | Role::Zero) {
            if section.align > MAX_ALIGN {
                let at = Box::new(section.site(0));
                return Err(LinkError::Alignment {
                    at,
                    align: section.align,
                });
            }
            align = align.max(section.align.next_power_of_two());
        }
    }
    let shift = DATA_BASE - low / align * align;
    if high + shift > ADDRESS_SPACE {
        return Err(LinkError::NoRoom {
            needed: high - low,
            base: DATA_BASE,
        });
    }
    Ok(shift)
}

/// The page ranges that sections take.
fn ranges(program: &Program<'_>, shift: u64) -> Vec<PageRange> {
    let mut ranges: Vec<PageRange> = Vec::new();
    for index in program.object.by_role(&[Role::Data, Role::Zero]) {
        let section = &program.object.sections[index];
        let start = (section.address + shift) & !(PAGE_SIZE - 1);
        let end = page_up(section.end() + shift);
        let backing = match section.role {
            Role::Zero if is_scratch(section.name) => Backing::Ephemeral,
            _ if section.writable => Backing::Initial,
            _ => Backing::Pinned,
        };
        push(
            &mut ranges,
            PageRange {
                start,
                end,
                backing,
            },
        );
    }
    ranges
}

/// Sections whose content no frame inherits.
fn is_scratch(name: &str) -> bool {
    [".heap", ".stack", ".noinit"].iter().any(|&one| {
        name.strip_prefix(one)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Appends the pages of the next section, which begins at or after every earlier one.
fn push(ranges: &mut Vec<PageRange>, mut next: PageRange) {
    let Some(last) = ranges.last_mut() else {
        ranges.push(next);
        return;
    };
    if next.start < last.end {
        // One page is shared, the last of `last`: it takes the content of both.
        if last.backing == next.backing || last.backing == Backing::Initial {
            next.start = last.end;
        } else {
            let shared = last.end - PAGE_SIZE;
            last.end = shared;
            let emptied = last.start == shared;
            if emptied {
                ranges.pop();
            }
            push(
                ranges,
                PageRange {
                    start: shared,
                    end: shared + PAGE_SIZE,
                    backing: Backing::Initial,
                },
            );
            next.start = shared + PAGE_SIZE;
        }
        if next.start >= next.end {
            return;
        }
    }
    match ranges.last_mut() {
        Some(last)
            if last.end == next.start
                && last.backing == next.backing
                && next.backing != Backing::Ephemeral =>
        {
            last.end = next.end;
        }
        _ => ranges.push(next),
    }
}
