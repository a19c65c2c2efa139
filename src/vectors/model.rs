//! The fields of a vector, as `conformance-vectors/README.md` defines them.

use rivet_engine::{Call, Exit, Flow, State};
use rivet_image::RegionKind;
use rivet_isa::gas::Multiplier;
use rivet_isa::{Gas, GuestAddr, PAGE_SIZE, PageIndex, Pc, Reg, Regs};

/// Where the expectations of a file come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A source other than the engine under test; the text says which.
    Independent(String),
    /// Recorded by an engine; the text says which. Shows change, proves nothing.
    Engine(String),
}

/// One file of vectors.
#[derive(Clone, PartialEq, Debug)]
pub struct VectorFile {
    /// Where the expectations come from.
    pub origin: Origin,
    /// The vectors in the order of the file.
    pub vectors: Vec<Vector>,
}

/// One vector: a program with its start, and what must be seen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Vector {
    /// Name, unique in its file.
    pub name: String,
    /// Line of the `vector` field, 0 in a vector that was not read.
    pub line: usize,
    /// What the vector is about, usually a section of the specification.
    pub note: Option<String>,
    /// The code bytes.
    pub code: Vec<u8>,
    /// Data mappings.
    pub maps: Vec<Map>,
    /// Initial contents of mapped pages; later ones win.
    pub bytes: Vec<Bytes>,
    /// Depth multiplier of gas §10, the flat one unless said.
    pub multiplier: Option<Multiplier>,
    /// Entry pc.
    pub pc: Pc,
    /// Gas at the start.
    pub gas: Gas,
    /// Registers at the start.
    pub regs: Regs,
    /// What the host answers, in the order of the calls that are performed.
    pub answers: Vec<Answer>,
    /// Blocks with their costs, where the vector states them.
    pub statics: Option<Statics>,
    /// The exits in order; empty in a vector that only states blocks.
    pub stages: Vec<Stage>,
}

/// A data mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Map {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Read-only (pinned), copy-on-write or ephemeral.
    pub kind: RegionKind,
}

/// Bytes of guest memory from an address on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bytes {
    /// Address of the first byte.
    pub addr: GuestAddr,
    /// The bytes; they do not pass 2^32.
    pub bytes: Vec<u8>,
}

/// Registers that are said to have a value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegSet(pub Vec<(Reg, u64)>);

impl RegSet {
    /// Puts the values into registers.
    pub fn apply(&self, regs: &mut Regs) {
        for (reg, value) in &self.0 {
            regs.set(*reg, *value);
        }
    }

    /// What to say to get from one set of registers to another.
    pub fn between(before: &Regs, after: &Regs) -> Self {
        let changed = |reg: &Reg| before.get(*reg) != after.get(*reg);
        let changed = Reg::all().filter(changed);
        Self(changed.map(|reg| (reg, after.get(reg))).collect())
    }
}

/// What the host answers to one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The call it belongs to; another call at this place is not answered.
    pub call: Call,
    /// How the run goes on; `None` if this call is not answered either, so that it is offered to
    /// the next answer when the run is resumed.
    pub flow: Option<Flow>,
    /// Price on top of the floor, without the pages that `writes` makes private.
    pub extra: u64,
    /// Gas that the host sets after the charge.
    pub gas: Option<Gas>,
    /// Registers that the host sets.
    pub regs: RegSet,
    /// Guest memory that the host writes; every page of it is writable.
    pub writes: Vec<Bytes>,
}

impl Answer {
    /// The call is not answered.
    pub(super) fn none(call: Call) -> Self {
        Self {
            call,
            flow: None,
            extra: 0,
            gas: None,
            regs: RegSet::default(),
            writes: Vec::new(),
        }
    }
}

/// The blocks of a program, completely.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statics {
    /// The blocks in ascending order.
    pub blocks: Vec<BlockLine>,
    /// Where the walk over the code stops.
    pub end: Pc,
}

/// One block with its two static numbers; both 0 for a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockLine {
    /// First offset.
    pub start: u64,
    /// One past the last offset.
    pub end: u64,
    /// Cost of gas §5.
    pub cost: u64,
    /// Reserve of gas §8.
    pub reserve: u64,
}

/// One run to an exit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Where it begins; [`Begin::Start`] in the first stage and in no other.
    pub begin: Begin,
    /// The state afterwards.
    pub expect: Expect,
}

/// Where a run begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Begin {
    /// In the state before.
    #[default]
    Start,
    /// At the exit before, with this gas; what is left unless said.
    Resume(Option<Gas>),
    /// In the state before once more, on the same machine with its memory put back.
    Again(Again),
}

/// What differs from the state before when the same machine begins again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Again {
    /// Another entry.
    pub pc: Option<Pc>,
    /// Other gas.
    pub gas: Option<Gas>,
    /// Registers with another value.
    pub regs: RegSet,
}

impl Again {
    /// The state in which this run of a vector begins.
    pub fn state(&self, vector: &Vector) -> State {
        let mut regs = vector.regs;
        self.regs.apply(&mut regs);
        State {
            regs,
            pc: self.pc.unwrap_or(vector.pc),
            gas: self.gas.unwrap_or(vector.gas),
        }
    }
}

/// The state at an exit. What is not said is as before the run; with [`Begin::Again`] as at the
/// start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expect {
    /// Exit with its payload.
    pub exit: Exit,
    /// The pc.
    pub pc: Pc,
    /// Gas left.
    pub gas: Gas,
    /// Registers that changed.
    pub regs: RegSet,
    /// Memory that changed.
    pub bytes: Vec<Bytes>,
    /// All private pages; those before the run unless said.
    pub private: Option<Vec<PageRun>>,
}

/// Neighbouring pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRun {
    /// First page.
    pub first: PageIndex,
    /// Number of pages, 1 at least.
    pub count: u32,
}

impl PageRun {
    /// The runs that ascending pages form.
    pub fn of(pages: &[PageIndex]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for &page in pages {
            match runs.last_mut() {
                Some(run) if run.first.index() + run.count == page.index() => run.count += 1,
                _ => runs.push(Self {
                    first: page,
                    count: 1,
                }),
            }
        }
        runs
    }

    /// The pages.
    pub fn pages(self) -> impl Iterator<Item = PageIndex> {
        let first = self.first.index();
        (first..first.saturating_add(self.count)).filter_map(PageIndex::new)
    }

    /// Address of the first byte and one past the last.
    pub fn range(self) -> (u64, u64) {
        let start = u64::from(self.first.base().value());
        (start, start + u64::from(self.count) * PAGE_SIZE)
    }
}
