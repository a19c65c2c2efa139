//! An interpreter that is wrong on purpose in one thing.

use rivet_engine::diff::{Case, Run, Script, Session, Step, Subject, raw};
use rivet_engine::{
    Backend, Config, Engine, Exit, HostError, LoadError, Machine, Payment, Start, State,
};
use rivet_isa::{BlockStarts, Gas, Inst, Op, PAGE_SIZE, PageIndex, Pc, Slot, decode};

/// What an engine gets wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The lowest bit of the result of an operation, for some choices of registers.
    Result(Op, Alias),
    /// Blocks with this operation cost one unit too much.
    Cost(Op),
    /// A failed jump reports the instruction behind it.
    FailedJump,
    /// The last of several private pages is not counted.
    SecondPage,
    /// A store costs one unit too much once a run was resumed and has private pages.
    PaidAgain,
    /// A store to a page that is private already costs one unit too much.
    PaidPage,
    /// One unit of gas that is given to a guest that ran out is lost.
    RefillShort,
    /// A call costs one unit too much if it is the third in a row without a first write.
    ThirdCall,
    /// The first write to a page that the run before wrote costs one unit too much.
    NotForgotten,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Alias {
    Any,
    /// rd = rs2, and rs1 another register.
    DestinationIsSecond,
}

pub(crate) struct Wrong {
    engine: Engine,
    fault: Fault,
}

impl Wrong {
    pub(crate) fn new(fault: Fault) -> Self {
        let engine = interpreter();
        Self { engine, fault }
    }
}

pub(crate) fn interpreter() -> Engine {
    let config = Config {
        backend: Backend::Interp,
        ..Config::default()
    };
    Engine::new(config).expect("the interpreter runs everywhere")
}

impl Subject for Wrong {
    fn name(&self) -> String {
        format!("{:?}", self.fault)
    }

    fn load(&self, case: &Case) -> Result<Box<dyn Session>, LoadError> {
        let program = self.engine.load_raw(raw(case))?;
        Ok(Box::new(WrongSession {
            machine: program.machine(Start::at(0)).expect("no endpoint is named"),
            fault: self.fault,
            answers: false,
            last: None,
            exits: 0,
            calls: 0,
            before: Vec::new(),
            known: 0,
        }))
    }
}

struct WrongSession {
    machine: Machine,
    fault: Fault,
    answers: bool,
    last: Option<Exit>,
    /// Exits of this run so far.
    exits: u32,
    /// Calls since the last first write.
    calls: u32,
    /// Private pages of the run before, and how many this one had after the last block.
    before: Vec<PageIndex>,
    known: usize,
}

impl WrongSession {
    /// The instructions of the block at `from` that were executed.
    fn executed(&self, from: Pc) -> Vec<Inst> {
        let code = self.machine.program().code();
        let starts = BlockStarts::scan(code);
        let Some(block) = starts.block_at(from) else {
            return Vec::new();
        };
        let faulted = matches!(self.last, Some(Exit::PageFault { .. }));
        let end = if faulted {
            self.machine.pc()
        } else {
            block.end
        };
        let mut at = from.value();
        let mut out = Vec::new();
        while at < end.value() {
            let Some(decoded) = decode(code, at as usize) else {
                break;
            };
            out.push(decoded.inst);
            at += decoded.len.bytes();
        }
        out
    }

    fn spoil(&mut self, from: Pc) {
        if self.last == Some(Exit::OutOfGas) {
            return;
        }
        let executed = self.executed(from);
        match self.fault {
            Fault::Result(op, alias) => {
                let hit = |inst: &&Inst| {
                    let second = inst.rd() == inst.rs2() && inst.rd() != inst.rs1();
                    let matches = matches!(alias, Alias::Any) || second;
                    inst.op() == op && !inst.rd().is_zero() && matches
                };
                if let Some(inst) = executed.iter().find(hit) {
                    let value = self.machine.regs().get(inst.rd());
                    self.machine.set_reg(inst.rd(), value ^ 1);
                }
            }
            Fault::Cost(op) if executed.iter().any(|inst| inst.op() == op) => self.take_one(),
            Fault::PaidAgain => {
                let stored = executed.iter().any(|inst| inst.op().is_store());
                if self.exits > 0 && self.known > 0 && stored {
                    self.take_one();
                }
            }
            Fault::PaidPage => {
                let stored = executed.iter().any(|inst| inst.op().is_store());
                let private = self.machine.private_pages().len();
                if stored && private == self.known {
                    self.take_one();
                }
            }
            Fault::ThirdCall if self.calls == 3 => {
                self.calls = 0;
                self.take_one();
            }
            Fault::NotForgotten => {
                let written = |page: &PageIndex| self.before.contains(page);
                let private = self.machine.private_pages();
                if private.len() > self.known && private.iter().any(written) {
                    self.take_one();
                }
            }
            _ => {}
        }
    }

    fn take_one(&mut self) {
        let gas = self.machine.gas().value().saturating_sub(1);
        self.machine.set_gas(Gas::new(gas).expect("below 2^63"));
    }

    fn count(&mut self, from: Pc) {
        let code = self.machine.program().code();
        let call = decode(code, from.value() as usize);
        let private = self.machine.private_pages().len();
        if private > self.known {
            self.calls = 0;
        } else if call.is_some_and(|decoded| decoded.inst.flow().is_call()) {
            self.calls += 1;
        }
    }
}

impl Session for WrongSession {
    fn start(&mut self, run: &Run) -> Result<(), HostError> {
        let gas = Gas::new(run.gas).expect("below 2^63");
        let start = Start::at(run.entry).with_gas(gas);
        let slots = Slot::all().zip(run.slots);
        let start = slots.fold(start, |start, (slot, value)| start.with_slot(slot, value));
        self.before = self.machine.private_pages();
        self.machine.reset(start).expect("no endpoint is named");
        (self.answers, self.last) = (false, None);
        (self.exits, self.calls, self.known) = (0, 0, 0);
        Ok(())
    }

    fn step(&mut self) -> Result<Step, HostError> {
        let before = self.machine.pc();
        let answers = self.answers;
        let exit = self.machine.step(&mut Script { answers })?;
        self.last = exit;
        self.count(before);
        self.spoil(before);
        self.known = self.machine.private_pages().len();
        self.exits += u32::from(exit.is_some());
        let Some(exit) = exit else {
            return Ok(Step::Block);
        };
        let unpaid = Payment::Unpaid;
        self.answers = matches!(exit, Exit::HostCall { payment, .. } if payment == unpaid);
        Ok(Step::Exit(exit))
    }

    fn state(&self) -> State {
        let mut state = self.plain();
        let code = self.machine.program().code();
        let jump = decode(code, state.pc.value() as usize);
        let jumped = jump.is_some_and(|decoded| {
            matches!(decoded.inst.op(), Op::Jalr | Op::Jal) || decoded.inst.op() == Op::Beq
        });
        if matches!(self.fault, Fault::FailedJump) && self.last == Some(Exit::Panic) && jumped {
            state.pc = state.pc.plus(jump.map_or(0, |decoded| decoded.len.bytes()));
        }
        state
    }

    fn set_gas(&mut self, gas: Gas) {
        self.machine.set_gas(gas);
        if matches!(self.fault, Fault::RefillShort) {
            self.take_one();
        }
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        let mut pages = self.machine.private_pages();
        if matches!(self.fault, Fault::SecondPage) && pages.len() > 1 {
            pages.pop();
        }
        pages
    }

    fn digest(&self, page: PageIndex) -> Option<u64> {
        self.page(page)
            .map(|bytes| rivet_engine::trace::digest(&*bytes))
    }

    fn page(&self, page: PageIndex) -> Option<Box<[u8; PAGE_SIZE as usize]>> {
        let mut bytes = Box::new([0; PAGE_SIZE as usize]);
        self.machine.read(page.base(), &mut *bytes).ok()?;
        Some(bytes)
    }

    fn fork(&mut self) -> Result<Box<dyn Session>, HostError> {
        Ok(Box::new(Self {
            machine: self.machine.fork()?,
            before: self.before.clone(),
            ..*self
        }))
    }
}

impl WrongSession {
    fn plain(&self) -> State {
        State {
            regs: *self.machine.regs(),
            pc: self.machine.pc(),
            gas: self.machine.gas(),
        }
    }
}
