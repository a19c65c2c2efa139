//! The runs of a comparison as a vector that any engine can run.

use super::check::Engines;
use super::listen::Listener;
use super::model::{Again, Answer, Begin, Bytes, Map, RegSet, Vector};
use super::record::{RecordError, record};
use super::script::call_left;
use rivet_engine::diff::{Access, Calls, Case, Plan, Run, Script, raw};
use rivet_engine::{
    Backend, Bare, Call, CallContext, Config, Engine, EngineError, Exit, Flow, Host, HostError,
    LoadError, NoHost, Quote, Start, StartError, State, View,
};
use rivet_image::RegionKind;
use rivet_isa::{Gas, GuestAddr, PAGE_SIZE, Pc, Regs};
use std::cell::Cell;
use std::io;

/// Runs of a case, one after the other on the same machine.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// The case.
    pub case: &'a Case,
    /// How each run is carried out.
    pub plan: &'a Plan,
    /// The exit of the last run after which nothing follows, from 1; its last one if not said.
    pub exit: Option<u64>,
    /// Who answers calls.
    pub calls: Calls,
}

/// Why the runs of a case are no vector.
#[derive(Debug, thiserror::Error)]
pub enum CourseError {
    /// No engine to run them on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The case cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The case cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The host failed, not the guest.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The vector cannot be recorded.
    #[error("cannot record the vector: {0}")]
    Record(#[from] RecordError),
}

impl Vector {
    /// The runs as a vector whose expectations are the interpreter's, with what the host answers.
    ///
    /// # Errors
    /// [`CourseError`] if the case cannot be run.
    pub fn of_course(course: &Course<'_>) -> Result<Self, CourseError> {
        let (answers, rest) = followed(course)?;
        let vector = Self {
            answers,
            ..vector(course.case)
        };
        Ok(record(&Engines::new(Backend::Interp)?, &vector, &rest)?)
    }
}

/// The host of a comparison; the flag says whether it answers what it leaves at first.
pub(super) struct Answering<'a> {
    pub(super) calls: Calls,
    pub(super) answers: &'a Cell<bool>,
}

impl Answering<'_> {
    fn host(&self) -> Box<dyn Host> {
        let answers = self.answers.get();
        match self.calls {
            Calls::Script => Box::new(Script { answers }),
            Calls::Bare => Box::new(Bare::new(io::sink())),
            Calls::Nobody => Box::new(NoHost),
        }
    }
}

impl Host for Answering<'_> {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        self.host().quote(call, view)
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        self.host().perform(call, context)
    }
}

/// What the host answers in the interpreter, and how each run after the first one begins.
fn followed(course: &Course<'_>) -> Result<(Vec<Answer>, Vec<Begin>), CourseError> {
    let Course { case, plan, .. } = *course;
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?;
    let mut machine = engine.load_raw(raw(case))?.machine(Start::at(0))?;
    let answers = Cell::new(false);
    let mut host = Answering {
        calls: course.calls,
        answers: &answers,
    };
    let mut listener = Listener::new(&mut host);
    let mut rest = Vec::new();
    for (number, run) in case.runs.iter().enumerate() {
        if number > 0 {
            rest.push(Begin::Again(again(&case.runs[0], run)));
        }
        machine.rewind(state(run))?;
        answers.set(false);
        let last = number + 1 == case.runs.len();
        let most = course.exit.filter(|_| last).unwrap_or(u64::MAX);
        let most = most.min(plan.exits as u64);
        let mut refills = plan.refills.iter();
        for exits in 1.. {
            let exit = machine.run(&mut listener)?;
            let resumed = (!exit.is_final() && exits < most)
                .then(|| resumed(exit, &mut refills))
                .flatten();
            let left = call_left(exit);
            answers.set(matches!(left, Some(Call::Host { .. })));
            if let Some(call) = left.filter(|_| resumed.is_some() || !last) {
                listener.left(call);
            }
            let Some(gas) = resumed else {
                if last && exit == Exit::OutOfGas {
                    listener.unpayable();
                }
                break;
            };
            if let Some(gas) = gas {
                machine.set_gas(gas);
            }
            rest.push(Begin::Resume(gas));
        }
    }
    Ok((listener.into_answers(), rest))
}

/// The gas with which a run goes on behind an exit that is not final: what is left, unless it ran
/// out; `None` if it does not go on.
fn resumed(exit: Exit, refills: &mut std::slice::Iter<'_, u64>) -> Option<Option<Gas>> {
    match exit {
        Exit::OutOfGas => refills.next().and_then(|gas| Gas::new(*gas)).map(Some),
        _ => Some(None),
    }
}

pub(super) fn state(run: &Run) -> State {
    State {
        regs: Regs::new(run.slots),
        pc: Pc::new(run.entry),
        gas: Gas::new(run.gas).unwrap_or(Gas::MAX),
    }
}

/// What a run has that the first one has not.
fn again(first: &Run, run: &Run) -> Again {
    let (before, after) = (state(first), state(run));
    Again {
        pc: (after.pc != before.pc).then_some(after.pc),
        gas: (after.gas != before.gas).then_some(after.gas),
        regs: RegSet::between(&before.regs, &after.regs),
    }
}

pub(super) fn vector(case: &Case) -> Vector {
    let State { regs, pc, gas } = state(&case.runs[0]);
    let maps = case.map.iter().map(|mapping| Map {
        start: mapping.start,
        size: mapping.size,
        kind: match mapping.access {
            Access::Pinned => RegionKind::Pinned,
            Access::CopyOnWrite => RegionKind::CopyOnWrite,
            Access::Ephemeral => RegionKind::Ephemeral,
        },
    });
    let pages = case.map.iter().flat_map(|mapping| {
        let pages = mapping.content.chunks(PAGE_SIZE as usize);
        pages.zip((mapping.start..).step_by(PAGE_SIZE as usize))
    });
    let bytes = pages.filter_map(|(content, start)| {
        let first = content.iter().position(|byte| *byte != 0)?;
        let last = content.iter().rposition(|byte| *byte != 0)?;
        Some(Bytes {
            addr: GuestAddr::wrapping(start + first as u64),
            bytes: content[first..=last].to_vec(),
        })
    });
    Vector {
        code: case.code.clone(),
        maps: maps.collect(),
        bytes: bytes.collect(),
        pc,
        gas,
        regs,
        ..Vector::default()
    }
}
