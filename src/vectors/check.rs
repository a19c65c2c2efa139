//! Running a vector and comparing every field of every exit.

use super::model::{Begin, Bytes, Expect, Statics, Vector};
use super::script::Script;
use super::start::{self, LoadFailure};
use rivet_engine::snapshot::{DecodeError, ResumeError, Snapshot, SnapshotError};
use rivet_engine::{Backend, Config, Engine, EngineError, Exit, Machine, Program};
use rivet_isa::gas::CostModel;
use rivet_isa::{ADDRESS_SPACE, GuestAddr, PAGE_SIZE, PageIndex, Payment, Reg, Regs};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

/// Programs with at most this many pages are compared page by page, others where they can differ.
const COMPARE_ALL: u64 = 64;
/// Most bytes of one exit that are reported as different.
const MOST_BYTES: usize = 16;

/// A field that is not as the vector says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Which exit, from 1; `None` for what holds before any run.
    pub exit: Option<usize>,
    /// The field: `exit`, `pc`, `gas`, `x10`, `byte 0x10000000`, `private`, `blocks`, `load` …
    pub field: String,
    /// What the vector says.
    pub expected: String,
    /// What this engine gives.
    pub actual: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(exit) = self.exit {
            write!(f, "exit {exit}: ")?;
        }
        let (field, expected, actual) = (&self.field, &self.expected, &self.actual);
        write!(f, "{field}: expected {expected}, got {actual}")
    }
}

/// Engines of one backend, one for each set of cost parameters that vectors ask for.
#[derive(Debug)]
pub struct Engines {
    backend: Backend,
    engines: Mutex<Vec<(CostModel, Engine)>>,
}

impl Engines {
    /// Engines of this backend.
    ///
    /// # Errors
    /// [`EngineError`] if the backend cannot run here.
    pub fn new(backend: Backend) -> Result<Self, EngineError> {
        let engines = Self {
            backend,
            engines: Mutex::default(),
        };
        engines.of(CostModel::default())?;
        Ok(engines)
    }

    /// The backend; never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        let engine = self.of(CostModel::default());
        engine.map_or(self.backend, |engine| engine.backend())
    }

    pub(super) fn of(&self, model: CostModel) -> Result<Engine, EngineError> {
        let mut engines = match self.engines.lock() {
            Ok(engines) => engines,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some((_, engine)) = engines.iter().find(|(known, _)| *known == model) {
            return Ok(engine.clone());
        }
        let engine = Engine::new(Config {
            backend: self.backend,
            cost_model: model,
            ..Config::default()
        })?;
        engines.push((model, engine.clone()));
        Ok(engine)
    }
}

/// Runs a vector on one backend; the result lists every field that is not as it says.
pub fn check(engines: &Engines, vector: &Vector) -> Vec<Mismatch> {
    let mut checker = Checker::default();
    checker.vector([engines; 2], vector);
    checker.found
}

/// As [`check`], but each time it is resumed the machine moves, through the bytes of a snapshot, between
/// the two engines: the first one runs up to the first exit.
pub fn check_moving(engines: [&Engines; 2], vector: &Vector) -> Vec<Mismatch> {
    let mut checker = Checker::default();
    checker.vector(engines, vector);
    checker.found
}

/// A machine on a program's engine that goes on where another one has paused.
fn moved(machine: &Machine, to: &Program) -> Result<Machine, MoveFailure> {
    let bytes = machine.snapshot()?.encode();
    Ok(to.resume(&Snapshot::decode(&bytes)?)?)
}

/// Why a paused machine cannot be moved.
#[derive(Debug, thiserror::Error)]
enum MoveFailure {
    #[error(transparent)]
    Load(#[from] LoadFailure),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// What is expected at the exit at hand, and what was found not to be so.
#[derive(Default)]
struct Checker {
    exit: Option<usize>,
    regs: Regs,
    memory: BTreeMap<PageIndex, Box<[u8; PAGE_SIZE as usize]>>,
    private: BTreeSet<PageIndex>,
    found: Vec<Mismatch>,
}

impl Checker {
    fn differs(&mut self, field: impl Into<String>, expected: String, actual: String) {
        self.found.push(Mismatch {
            exit: self.exit,
            field: field.into(),
            expected,
            actual,
        });
    }

    fn compare<T: PartialEq + fmt::Display>(&mut self, field: &str, expected: T, actual: T) {
        if expected != actual {
            self.differs(field, expected.to_string(), actual.to_string());
        }
    }

    fn vector(&mut self, engines: [&Engines; 2], vector: &Vector) {
        let [engine, other] = engines;
        let program = match engine.load(vector) {
            Ok(program) => program,
            Err(error) => return self.differs("load", "a program".into(), error.to_string()),
        };
        if let Some(statics) = &vector.statics {
            self.statics(statics, &program);
        }
        if vector.stages.is_empty() {
            return;
        }
        let mut machine = match start::machine(&program, vector) {
            Ok(machine) => machine,
            Err(error) => return self.differs("start", "a machine".into(), error.to_string()),
        };
        self.before(vector, vector.regs);
        let mut script = Script::new(&vector.answers);
        for (i, stage) in vector.stages.iter().enumerate() {
            self.exit = Some(i + 1);
            let goes_on = matches!(stage.begin, Begin::Resume(_));
            if goes_on && !std::ptr::eq(engine, other) {
                let to = engines[i % 2].load(vector);
                machine = match to
                    .map_err(MoveFailure::from)
                    .and_then(|to| moved(&machine, &to))
                {
                    Ok(machine) => machine,
                    Err(error) => {
                        return self.differs("move", "a machine".into(), error.to_string());
                    }
                };
            }
            match &stage.begin {
                Begin::Start | Begin::Resume(None) => {}
                Begin::Resume(Some(gas)) => machine.set_gas(*gas),
                Begin::Again(again) => {
                    let state = again.state(vector);
                    self.before(vector, state.regs);
                    if let Err(error) = start::again(&mut machine, vector, state) {
                        let what = "the state before".to_owned();
                        return self.differs("again", what, error.to_string());
                    }
                }
            }
            match machine.run(&mut script) {
                Ok(exit) => {
                    script.left(exit);
                    self.state(&stage.expect, exit, &machine);
                }
                Err(error) => {
                    let expected = exit_text(stage.expect.exit);
                    return self.differs("exit", expected, format!("host error: {error}"));
                }
            }
        }
        if let Some(refused) = script.refused {
            self.differs("call", "writable memory".into(), refused);
        }
    }

    fn statics(&mut self, statics: &Statics, program: &Program) {
        self.compare("end", statics.end, program.starts().end());
        let mut actual = program.blocks();
        for expected in &statics.blocks {
            let at = format!("block {}..{}", expected.start, expected.end);
            let Some(found) = actual.next() else {
                return self.differs(at, "a block".into(), "no more blocks".into());
            };
            let (start, end) = (found.block.start.value(), found.block.end.value());
            let place = format!("{start}..{end}");
            if (expected.start, expected.end) != (start, end) {
                return self.differs(at, "these bounds".into(), place);
            }
            self.compare(&format!("{at} cost"), expected.cost, found.cost.cost);
            self.compare(
                &format!("{at} reserve"),
                expected.reserve,
                found.cost.reserve,
            );
        }
        if let Some(more) = actual.next() {
            let start = more.block.start.to_string();
            self.differs("blocks", "no more blocks".into(), format!("one at {start}"));
        }
    }

    /// Expects what holds before a run from the start.
    fn before(&mut self, vector: &Vector, regs: Regs) {
        self.regs = regs;
        self.private.clear();
        self.memory.clear();
        self.put(&vector.bytes);
    }

    /// Puts bytes into the expected memory.
    fn put(&mut self, all: &[Bytes]) {
        for Bytes { addr, bytes } in all {
            for (i, byte) in bytes.iter().enumerate() {
                let at = addr.wrapping_add(i as u32);
                let zero = || Box::new([0; PAGE_SIZE as usize]);
                let page = self.memory.entry(at.page()).or_insert_with(zero);
                page[(u64::from(at.value()) % PAGE_SIZE) as usize] = *byte;
            }
        }
    }

    fn state(&mut self, expect: &Expect, exit: Exit, machine: &Machine) {
        self.compare("exit", exit_text(expect.exit), exit_text(exit));
        self.compare("pc", expect.pc, machine.pc());
        self.compare("gas", expect.gas, machine.gas());
        expect.regs.apply(&mut self.regs);
        for reg in Reg::all().filter(|reg| !reg.is_zero()) {
            let (expected, actual) = (self.regs.get(reg), machine.regs().get(reg));
            if expected != actual {
                let field = format!("x{}", reg.number());
                self.differs(field, format!("{expected:#x}"), format!("{actual:#x}"));
            }
        }
        if let Some(private) = &expect.private {
            self.private = private.iter().flat_map(|run| run.pages()).collect();
        }
        let private: BTreeSet<PageIndex> = machine.private_pages().into_iter().collect();
        if private != self.private {
            let list = |pages: &BTreeSet<PageIndex>| match pages.is_empty() {
                true => "none".to_owned(),
                false => {
                    let names = pages.iter().map(ToString::to_string);
                    names.collect::<Vec<_>>().join(" ")
                }
            };
            self.differs("private", list(&self.private), list(&private));
        }
        self.put(&expect.bytes);
        self.memory(machine, private);
    }

    /// Compares the pages whose content can differ from the start.
    fn memory(&mut self, machine: &Machine, mut pages: BTreeSet<PageIndex>) {
        pages.extend(self.memory.keys());
        let regions = machine.program().regions();
        if regions.iter().map(|r| u64::from(r.pages)).sum::<u64>() <= COMPARE_ALL {
            for region in regions {
                let first = region.first.index();
                pages.extend((first..first + region.pages).filter_map(PageIndex::new));
            }
        }
        let zero = [0; PAGE_SIZE as usize];
        let mut reported = 0;
        for page in pages {
            let mut actual = zero;
            let read = machine.read(page.base(), &mut actual);
            if let Err(error) = read {
                let place = page.to_string();
                self.differs("bytes", format!("page {place}"), error.to_string());
                continue;
            }
            let expected = self.memory.get(&page).map_or(zero, |bytes| **bytes);
            for (i, (want, have)) in expected.iter().zip(&actual).enumerate() {
                if want != have && reported < MOST_BYTES {
                    reported += 1;
                    let at = page.base().wrapping_add(i as u32);
                    self.differs(
                        format!("byte {at}"),
                        format!("{want:#04x}"),
                        format!("{have:#04x}"),
                    );
                }
            }
        }
    }
}

/// An exit with all of its payload, as vectors write it.
fn exit_text(exit: Exit) -> String {
    let paid = |payment| match payment {
        Payment::Paid => "paid",
        Payment::Unpaid => "unpaid",
    };
    match exit {
        Exit::PageFault { page } => format!("page-fault page={page}"),
        Exit::HostCall { selector, payment } => {
            format!("host-call selector={selector} {}", paid(payment))
        }
        Exit::Ecall { payment } => format!("ecall {}", paid(payment)),
        other => other.name().to_owned(),
    }
}

/// The changes from one memory to another, as a vector lists them.
pub(super) fn changes(
    before: &BTreeMap<PageIndex, Vec<u8>>,
    after: &BTreeMap<PageIndex, Vec<u8>>,
) -> Vec<Bytes> {
    let mut out: Vec<Bytes> = Vec::new();
    for (page, bytes) in after {
        let old = before.get(page);
        for (i, byte) in bytes.iter().enumerate() {
            if old.map_or(0, |old| old[i]) == *byte {
                continue;
            }
            let at = u64::from(page.base().value()) + i as u64;
            debug_assert!(at < ADDRESS_SPACE, "a page lies below 2^32");
            match out.last_mut() {
                Some(last) if u64::from(last.addr.value()) + last.bytes.len() as u64 == at => {
                    last.bytes.push(*byte);
                }
                _ => out.push(Bytes {
                    addr: GuestAddr::wrapping(at),
                    bytes: vec![*byte],
                }),
            }
        }
    }
    out
}
