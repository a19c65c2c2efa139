//! Predecoded blocks.
//!
//! ```text
//!  pc ──index──▶ Entry { cost, gate, first.., taken, next }
//!                             │          │       │
//!                 insts ◀─────┘          └───────┴──▶ other entries, filled when first followed
//!                 pcs
//! ```
//!
//! A block becomes one entry, or, when it is longer than [`SEGMENT`] instructions, a chain of
//! them: the first holds the cost of the whole block, the others none and can be reached only
//! through `next`. Everything is dropped at once when the limit is reached; ids do not survive
//! that, which is why only the loop's current id exists outside.

use crate::program::Program;
use rivet_isa::gas::{BlockCost, Pipeline};
use rivet_isa::{Inst, Op, PAGE_SHIFT, PAGE_SIZE, Pc, decode};
use rivet_mutants::mutant;

/// Most instructions of an entry.
pub(crate) const SEGMENT: usize = 4096;

/// Starts are even, so a page of code has this many possible ones.
const STARTS_PER_PAGE: usize = PAGE_SIZE as usize / 2;

/// Number of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id(u32);

impl Id {
    /// Not predecoded or not followed yet.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// Where an entry stands in its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Position {
    /// At the start: entering it passes the gate.
    Start,
    /// Further on: control only arrives from the segment before.
    Inside,
}

/// A last instruction that changes no register: what it does is known beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// `fallthrough`.
    Next,
    /// `jal` without a link: to this offset from its own pc.
    Jump(i32),
}

impl Tail {
    fn of(inst: Inst) -> Option<Self> {
        match inst.op() {
            Op::Fallthrough => Some(Self::Next),
            Op::Jal if inst.rd().is_zero() => Some(Self::Jump(inst.imm())),
            _ => None,
        }
    }
}

/// A predecoded block or segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// What gas must reach to enter.
    pub(crate) gate: u64,
    /// What entering deducts.
    pub(crate) cost: u64,
    first: u32,
    len: u32,
    /// The last instruction, if it does nothing but transfer control, is not worth a dispatch.
    pub(crate) tail: Option<Tail>,
    /// Offset of the first instruction.
    pub(crate) start: u32,
    /// Offset after the last instruction.
    pub(crate) end: u32,
    /// Entry of the static target of the last instruction.
    pub(crate) taken: Id,
    /// Entry at `end`.
    pub(crate) next: Id,
    pub(crate) position: Position,
}

/// One of the two successors of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edge {
    /// The static target.
    Taken,
    /// The following instruction.
    Next,
}

/// The predecoded blocks of one activation.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: Vec<Entry>,
    insts: Vec<Inst>,
    /// Offset of each instruction.
    pcs: Vec<u32>,
    /// For each code page, the entry of each start in it.
    index: Vec<Option<Box<[Id; STARTS_PER_PAGE]>>>,
    indexed_pages: usize,
    limit: usize,
    /// Counts how often everything was dropped.
    epoch: u64,
}

impl Cache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    #[inline(always)]
    pub(crate) fn entry(&self, id: Id) -> Entry {
        self.entries[id.0 as usize]
    }

    /// Instructions of an entry and their offsets.
    #[inline(always)]
    pub(crate) fn body(&self, entry: &Entry) -> (&[Inst], &[u32]) {
        let range = entry.first as usize..entry.first as usize + entry.len as usize;
        (&self.insts[range.clone()], &self.pcs[range])
    }

    /// The entry of the block that starts at `pc`, if it was predecoded.
    #[inline(always)]
    pub(crate) fn find(&self, pc: u64) -> Option<Id> {
        if pc & 1 != 0 {
            return None;
        }
        let page = self.index.get(usize::try_from(pc >> PAGE_SHIFT).ok()?)?;
        let id = page.as_ref()?[(pc >> 1) as usize % STARTS_PER_PAGE];
        (id != Id::NONE).then_some(id)
    }

    /// The entry of the block that starts at `pc`, or `None` if none does.
    pub(crate) fn block(&mut self, program: &Program, pc: Pc) -> Option<Id> {
        match self.find(pc.value()) {
            None => self.predecode_block(program, pc),
            found => found,
        }
    }

    /// Follows an edge of `from` to the entry at `to` and remembers it; `None` if `to` is neither
    /// a start nor, after a segment, the rest of its block.
    pub(crate) fn follow(&mut self, program: &Program, from: Id, edge: Edge, to: Pc) -> Option<Id> {
        let epoch = self.epoch;
        let id = match self.block(program, to) {
            Some(id) => id,
            None if matches!(edge, Edge::Next) => self.rest(program, to)?,
            None => return None,
        };
        if epoch == self.epoch {
            let entry = &mut self.entries[from.0 as usize];
            match edge {
                Edge::Taken => entry.taken = id,
                Edge::Next => entry.next = id,
            }
        }
        Some(id)
    }

    #[cold]
    fn predecode_block(&mut self, program: &Program, pc: Pc) -> Option<Id> {
        if !program.starts().contains(pc) {
            return None;
        }
        self.make_room();
        let (entry, cost) = self.decode_segment(program, pc, Position::Start)?;
        let id = self.push(entry);
        self.entries[id.0 as usize].cost = cost.cost;
        self.entries[id.0 as usize].gate = mutant!(InterpGateReserve, cost.gate(), cost.cost);
        let page = (pc.value() >> PAGE_SHIFT) as usize;
        if self.index.len() <= page {
            self.index.resize_with(page + 1, || None);
        }
        let slots = self.index[page].get_or_insert_with(|| {
            self.indexed_pages += 1;
            Box::new([Id::NONE; STARTS_PER_PAGE])
        });
        slots[(pc.value() >> 1) as usize % STARTS_PER_PAGE] = id;
        Some(id)
    }

    /// The segment of a block that begins at `pc` inside it, or `None` at the end of the code.
    #[cold]
    pub(crate) fn rest(&mut self, program: &Program, pc: Pc) -> Option<Id> {
        self.make_room();
        let (entry, _) = self.decode_segment(program, pc, Position::Inside)?;
        Some(self.push(entry))
    }

    fn push(&mut self, entry: Entry) -> Id {
        let id = Id(self.entries.len() as u32);
        self.entries.push(entry);
        id
    }

    /// Decodes up to [`SEGMENT`] instructions, and for a start prices the block to its end.
    fn decode_segment(
        &mut self,
        program: &Program,
        pc: Pc,
        position: Position,
    ) -> Option<(Entry, BlockCost)> {
        let mut pipeline = Pipeline::new(program.costs());
        let first = self.insts.len();
        let start = usize::try_from(pc.value()).ok()?;
        let mut at = start;
        let mut end = at;
        let mut is_call = false;
        while let Some(decoded) = decode(program.code(), at) {
            let inst = decoded.inst;
            let flow = inst.flow();
            if at > start && program.starts().contains(Pc::new(at as u64)) {
                break;
            }
            is_call |= flow.is_call();
            let full = self.insts.len() - first == SEGMENT;
            if full && position == Position::Inside {
                break;
            }
            if position == Position::Start && mutant!(InterpLongBlockCost, true, !full) {
                pipeline.push(inst);
            }
            let pc = at as u32;
            at += decoded.len.bytes() as usize;
            if !full {
                self.insts.push(inst);
                self.pcs.push(pc);
                end = at;
            }
        }
        if self.insts.len() == first {
            return None;
        }
        let entry = Entry {
            gate: 0,
            cost: 0,
            first: first as u32,
            len: (self.insts.len() - first) as u32,
            tail: self.insts.last().and_then(|last| Tail::of(*last)),
            start: start as u32,
            end: end as u32,
            taken: Id::NONE,
            next: Id::NONE,
            position,
        };
        let cost = if is_call {
            BlockCost::default()
        } else {
            pipeline.finish()
        };
        Some((entry, cost))
    }

    /// Drops everything if the limit leaves no room for another entry.
    fn make_room(&mut self) {
        let per_inst = size_of::<Inst>() + size_of::<u32>();
        let content =
            (self.insts.len() + SEGMENT) * per_inst + (self.entries.len() + 1) * size_of::<Entry>();
        let pages = self.indexed_pages + 1;
        let index = pages * size_of::<[Id; STARTS_PER_PAGE]>() + self.index.len() * 8;
        // Vectors grow by doubling, so they may hold twice their content.
        if 2 * content + index > self.limit && !self.entries.is_empty() {
            self.epoch += 1;
            self.entries.clear();
            self.insts.clear();
            self.pcs.clear();
            self.index.clear();
            self.indexed_pages = 0;
        }
    }
}
