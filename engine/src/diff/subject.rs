//! What can be compared, and the engines of this crate as such.

use super::script::Script;
use crate::bare::Bare;
use crate::call::{Host, NoHost};
use crate::engine::Engine;
use crate::error::{HostError, LoadError};
use crate::machine::Machine;
use crate::program::{Program, Raw, Start};
use crate::trace::digest;
use rivet_image::RegionKind;
use rivet_interp::State;
use rivet_isa::generate::{Access, Case, Run};
use rivet_isa::{Exit, Gas, PAGE_SIZE, PageIndex, Payment, Pc, Regs};

/// How far a session came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// In front of another block.
    Block,
    /// To an exit.
    Exit(Exit),
}

/// One side of a comparison.
pub trait Subject: Sync {
    /// What reports call it.
    fn name(&self) -> String;

    /// Whether it can run any case, as an engine can and a recording cannot.
    fn runs_anything(&self) -> bool {
        true
    }

    /// A side like this one that reuses no memory in which cases of this one may have left
    /// something, where there can be one.
    fn fresh(&self) -> Option<Box<dyn Subject>> {
        None
    }

    /// A session on the code and the memory of a case.
    ///
    /// # Errors
    /// [`LoadError`] if the case breaks the rules of ISA §12.
    fn load(&self, case: &Case) -> Result<Box<dyn Session>, LoadError>;

    /// [`load`](Self::load) of a case that `other` has loaded, sharing what no engine decides.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn load_beside(&self, case: &Case, _: &dyn Session) -> Result<Box<dyn Session>, LoadError> {
        self.load(case)
    }
}

/// A case on one side.
pub trait Session {
    /// Begins a run: memory as the case says, nothing private.
    ///
    /// # Errors
    /// [`HostError`] if memory cannot be had.
    fn start(&mut self, run: &Run) -> Result<(), HostError>;

    /// Runs one block, or answers a call that was left open.
    ///
    /// # Errors
    /// [`HostError`]; the session must be started again then.
    fn step(&mut self) -> Result<Step, HostError>;

    /// Runs to an exit.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    fn run(&mut self) -> Result<Exit, HostError> {
        loop {
            if let Step::Exit(exit) = self.step()? {
                return Ok(exit);
            }
        }
    }

    /// The program as an engine of this crate has it, if one does.
    fn program(&self) -> Option<&Program> {
        None
    }

    /// Registers, pc and gas.
    fn state(&self) -> State;

    /// Gives the guest other gas.
    fn set_gas(&mut self, gas: Gas);

    /// The private pages in ascending order.
    fn private_pages(&self) -> Vec<PageIndex>;

    /// [`digest`](crate::trace::digest) of the page's content; `None` if it is not known, which
    /// differs from nothing.
    fn digest(&self, page: PageIndex) -> Option<u64>;

    /// The bytes of a page, where they are known.
    fn page(&self, page: PageIndex) -> Option<Box<[u8; PAGE_SIZE as usize]>>;

    /// Copies the bytes of a page, where they are known; says whether they are.
    fn copy_page(&self, page: PageIndex, into: &mut [u8; PAGE_SIZE as usize]) -> bool {
        let bytes = self.page(page);
        if let Some(bytes) = &bytes {
            *into = **bytes;
        }
        bytes.is_some()
    }

    /// Another session in the same state.
    ///
    /// # Errors
    /// [`HostError`] if memory cannot be had.
    fn fork(&mut self) -> Result<Box<dyn Session>, HostError>;
}

/// Who answers the calls of a guest during a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Calls {
    /// [`Script`]; a call that it leaves open is answered when the run goes on.
    #[default]
    Script,
    /// The host of the command line, its output dropped.
    Bare,
    /// Nobody: calls are exits.
    Nobody,
}

/// An engine of this crate as a side.
#[derive(Clone, Debug)]
pub struct Contender {
    engine: Engine,
    calls: Calls,
}

impl Contender {
    /// This engine with calls answered so.
    pub fn new(engine: Engine, calls: Calls) -> Self {
        Self { engine, calls }
    }
}

/// Code and mappings of a case as an engine loads them.
pub fn raw(case: &Case) -> Raw {
    let regions = case.map.iter();
    regions.fold(Raw::new(case.code.clone()), |raw, mapping| {
        let kind = match mapping.access {
            Access::Pinned => RegionKind::Pinned,
            Access::CopyOnWrite => RegionKind::CopyOnWrite,
            Access::Ephemeral => RegionKind::Ephemeral,
        };
        let content = mapping.content.clone();
        raw.region(mapping.start, mapping.size, kind, content)
    })
}

/// The run that begins in a state.
pub(super) fn run_of(state: &State) -> Run {
    Run {
        entry: state.pc.value(),
        slots: *state.regs.slots(),
        gas: state.gas.value(),
    }
}

/// The state in which a run begins. Gas of 2^63 and more, which no run has, becomes the most.
pub(crate) fn state_of(run: &Run) -> State {
    State {
        regs: Regs::new(run.slots),
        pc: Pc::new(run.entry),
        gas: Gas::new(run.gas).unwrap_or(Gas::MAX),
    }
}

impl Subject for Contender {
    fn name(&self) -> String {
        self.engine.backend().to_string()
    }

    fn fresh(&self) -> Option<Box<dyn Subject>> {
        let engine = Engine::new(self.engine.config().clone()).ok()?;
        Some(Box::new(Self::new(engine, self.calls)))
    }

    fn load(&self, case: &Case) -> Result<Box<dyn Session>, LoadError> {
        self.engine
            .load_raw(raw(case))
            .map(|program| self.session(&program))
    }

    fn load_beside(&self, case: &Case, other: &dyn Session) -> Result<Box<dyn Session>, LoadError> {
        match other.program() {
            Some(program) => {
                let program = self.engine.load_beside(program)?;
                Ok(self.session(&program))
            }
            None => self.load(case),
        }
    }
}

impl Contender {
    fn session(&self, program: &Program) -> Box<dyn Session> {
        let machine = program.machine(Start::at(0));
        Box::new(Backed {
            machine: machine.expect("invariant: a start at a pc names no endpoint"),
            calls: self.calls,
            answers: false,
        })
    }
}

/// A machine of this crate.
struct Backed {
    machine: Machine,
    calls: Calls,
    /// Whether calls that the script leaves open are answered until the next exit.
    answers: bool,
}

impl Backed {
    fn advance<T>(
        &mut self,
        how: impl FnOnce(&mut Machine, &mut dyn Host) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let answers = self.answers;
        match self.calls {
            Calls::Script => how(&mut self.machine, &mut Script { answers }),
            Calls::Bare => how(&mut self.machine, &mut Bare::new(std::io::sink())),
            Calls::Nobody => how(&mut self.machine, &mut NoHost),
        }
    }

    fn note(&mut self, exit: Exit) {
        let unpaid = Payment::Unpaid;
        self.answers = matches!(exit, Exit::HostCall { payment, .. } if payment == unpaid);
    }
}

impl Session for Backed {
    fn start(&mut self, run: &Run) -> Result<(), HostError> {
        self.answers = false;
        self.machine.rewind(state_of(run))
    }

    fn step(&mut self) -> Result<Step, HostError> {
        let exit = self.advance(|machine, host| machine.step(host))?;
        Ok(match exit {
            Some(exit) => {
                self.note(exit);
                Step::Exit(exit)
            }
            None => Step::Block,
        })
    }

    fn run(&mut self) -> Result<Exit, HostError> {
        let exit = self.advance(|machine, host| machine.run(host))?;
        self.note(exit);
        Ok(exit)
    }

    fn program(&self) -> Option<&Program> {
        Some(self.machine.program())
    }

    fn state(&self) -> State {
        State {
            regs: *self.machine.regs(),
            pc: self.machine.pc(),
            gas: self.machine.gas(),
        }
    }

    fn set_gas(&mut self, gas: Gas) {
        self.machine.set_gas(gas);
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        self.machine.private_pages()
    }

    fn digest(&self, page: PageIndex) -> Option<u64> {
        let mut bytes = [0; PAGE_SIZE as usize];
        self.machine.read(page.base(), &mut bytes).ok()?;
        Some(digest(&bytes))
    }

    fn page(&self, page: PageIndex) -> Option<Box<[u8; PAGE_SIZE as usize]>> {
        let mut bytes = Box::new([0; PAGE_SIZE as usize]);
        self.machine.read(page.base(), &mut *bytes).ok()?;
        Some(bytes)
    }

    fn copy_page(&self, page: PageIndex, into: &mut [u8; PAGE_SIZE as usize]) -> bool {
        self.machine.read(page.base(), into).is_ok()
    }

    fn fork(&mut self) -> Result<Box<dyn Session>, HostError> {
        Ok(Box::new(Self {
            machine: self.machine.fork()?,
            calls: self.calls,
            answers: self.answers,
        }))
    }
}
