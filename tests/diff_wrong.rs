//! Engines that are wrong on purpose, each in one thing: the comparison must find the block and
//! the instruction and leave a small program, and must find nothing where nothing is wrong.

use rivet_engine::diff::{
    Calls, Case, Contender, Effort, Field, Kind, LocateError, Located, Plan, Run, Script, Session,
    Step, Subject, Volume, Watch, locate, locate_watched, raw, shrink,
};
use rivet_engine::{
    Backend, Config, Engine, Exit, HostError, LoadError, Machine, Payment, Start, State,
};
use rivet_isa::{
    BlockStarts, Gas, Inst, Op, PAGE_SIZE, PageIndex, Pc, Reg, SLOTS, Slot, decode, encode,
};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What an engine gets wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The lowest bit of the result of an operation, for some choices of registers.
    Result(Op, Alias),
    /// Blocks with this operation cost one unit too much.
    Cost(Op),
    /// A failed jump reports the instruction behind it.
    FailedJump,
    /// The last of several private pages is not counted.
    SecondPage,
}

#[derive(Clone, Copy, Debug)]
enum Alias {
    Any,
    /// rd = rs2, and rs1 another register.
    DestinationIsSecond,
}

struct Wrong {
    engine: Engine,
    fault: Fault,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        let engine = interpreter();
        Self { engine, fault }
    }
}

fn interpreter() -> Engine {
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
        }))
    }
}

struct WrongSession {
    machine: Machine,
    fault: Fault,
    answers: bool,
    last: Option<Exit>,
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
            Fault::Cost(op) => {
                let gas = self.machine.gas().value();
                if executed.iter().any(|inst| inst.op() == op) {
                    let gas = Gas::new(gas.saturating_sub(1)).expect("below 2^63");
                    self.machine.set_gas(gas);
                }
            }
            Fault::FailedJump | Fault::SecondPage => {}
        }
    }
}

impl Session for WrongSession {
    fn start(&mut self, run: &Run) -> Result<(), HostError> {
        let gas = Gas::new(run.gas).expect("below 2^63");
        let start = Start::at(run.entry).with_gas(gas);
        let slots = Slot::all().zip(run.slots);
        let start = slots.fold(start, |start, (slot, value)| start.with_slot(slot, value));
        self.machine.reset(start).expect("no endpoint is named");
        (self.answers, self.last) = (false, None);
        Ok(())
    }

    fn step(&mut self) -> Result<Step, HostError> {
        let before = self.machine.pc();
        let answers = self.answers;
        let exit = self.machine.step(&mut Script { answers })?;
        self.last = exit;
        self.spoil(before);
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

fn plan() -> Plan {
    Plan {
        refills: vec![3000],
        ..Plan::default()
    }
}

/// The first case among random ones on which the wrong engine and a right one differ.
fn find(sides: [&dyn Subject; 2], kind: Kind, runs: u64) -> Option<Case> {
    let volume = Volume {
        kind,
        seed: 1,
        runs,
        threads: 1,
        plan: plan(),
    };
    let watch = Watch::default();
    let found = Mutex::new(None);
    let report = |finding: rivet_engine::diff::Finding| {
        watch.stop.store(true, Ordering::Relaxed);
        found
            .lock()
            .expect("nobody panicked")
            .get_or_insert(finding.case);
    };
    volume.compare(sides, &watch, &report).expect("cases load");
    found.into_inner().expect("nobody panicked")
}

fn located(sides: [&dyn Subject; 2], case: &Case) -> Located {
    let located: Result<Option<Located>, LocateError> = locate(sides, case, &plan());
    located.expect("it runs").expect("they differ on it")
}

/// Instructions of a code.
fn instructions(code: &[u8]) -> Vec<Inst> {
    let mut at = 0;
    let mut out = Vec::new();
    while let Some(decoded) = decode(code, at) {
        at += decoded.len.bytes() as usize;
        out.push(decoded.inst);
    }
    out
}

const VALID: Kind = Kind::Valid { bundle: 8 };

const EFFORT: Effort = Effort {
    attempts: 20_000,
    time: Duration::from_secs(60),
};

/// Finds, locates and shrinks; the wrong engine against a right one.
fn caught(fault: Fault, kind: Kind, runs: u64) -> (Located, Case) {
    let wrong = Wrong::new(fault);
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let case = find(sides, kind, runs).unwrap_or_else(|| panic!("{fault:?} is not found"));
    let located = located(sides, &case);
    let from = located.instruction.as_ref().map(|found| &found.case);
    let from = from.or(located.restart.as_ref()).unwrap_or(&case);
    let small = shrink(sides, from, EFFORT);
    let again = locate(sides, &small, &plan()).expect("it runs");
    assert!(again.is_some(), "{fault:?}: the small case differs too");
    (located, small)
}

#[test]
fn a_wrong_result_is_named_with_its_instruction_and_shrunk_to_it() {
    let computes = |op: &&Op| {
        let format = Inst::from_parts(
            **op,
            rivet_isa::Reg::A0,
            rivet_isa::Reg::ZERO,
            rivet_isa::Reg::ZERO,
            0,
        );
        !format.rd().is_zero() && !op.flow().is_terminator()
    };
    let all = std::env::var_os("RIVET_AGREE_SCALE").is_some();
    let step = if all { 1 } else { 9 };
    for &op in Op::ALL.iter().filter(computes).step_by(step) {
        let (located, small) = caught(Fault::Result(op, Alias::Any), VALID, 4000);
        let name = op.mnemonic();
        let culprit = located.instruction.expect("a cut block shows it");
        assert_eq!(culprit.decoded.inst.op(), op, "{name}");
        let left = instructions(&small.code);
        assert!(left.len() <= 3, "{name}: {left:?}");
        assert!(left.iter().any(|inst| inst.op() == op), "{name}: {left:?}");
        assert!(
            op.is_load() || small.map.is_empty(),
            "{name} needs no memory"
        );
    }
}

#[test]
fn a_wrong_choice_of_registers_stays_in_the_small_program() {
    for op in [Op::Sll, Op::Sub, Op::Mulhu, Op::CzeroEqz] {
        let fault = Fault::Result(op, Alias::DestinationIsSecond);
        let (located, small) = caught(fault, VALID, 20_000);
        let inst = located
            .instruction
            .expect("a cut block shows it")
            .decoded
            .inst;
        assert_eq!((inst.op(), inst.rd()), (op, inst.rs2()));
        let left = instructions(&small.code);
        let here = left
            .iter()
            .find(|inst| inst.op() == op)
            .expect("it is still there");
        assert!(here.rd() == here.rs2() && here.rd() != here.rs1(), "{here}");
        assert!(left.len() <= 3, "{left:?}");
    }
}

#[test]
fn a_wrong_price_is_found_as_gas_and_shrunk_to_the_block() {
    let (located, small) = caught(Fault::Cost(Op::Div), VALID, 4000);
    assert_eq!(located.difference.field(), Some(Field::Gas));
    let left = instructions(&small.code);
    assert!(
        left.iter().any(|inst| inst.op() == Op::Div) && left.len() <= 3,
        "{left:?}"
    );
}

#[test]
fn a_wrong_pc_of_a_failed_jump_is_found() {
    let (located, small) = caught(Fault::FailedJump, Kind::Hostile, 4000);
    assert_eq!(located.difference.field(), Some(Field::Pc));
    let left = instructions(&small.code);
    assert!(left.len() <= 3, "{left:?}");
}

#[test]
fn a_page_that_is_not_counted_is_found() {
    let (located, small) = caught(Fault::SecondPage, VALID, 4000);
    let field = located.difference.field();
    assert!(matches!(field, Some(Field::Private(_))), "{field:?}");
    let left = instructions(&small.code);
    let stores = left.iter().filter(|inst| inst.op().is_store()).count();
    assert!((1..=2).contains(&stores) && left.len() <= 6, "{left:?}");
    assert!(small.map.len() <= 2, "{} mappings", small.map.len());
}

#[test]
fn shrinking_twice_gives_the_same_program() {
    let fault = Fault::Result(Op::Xor, Alias::Any);
    let (_, first) = caught(fault, VALID, 4000);
    let (_, second) = caught(fault, VALID, 4000);
    assert_eq!(first, second);
}

#[test]
fn two_right_engines_do_not_part() {
    let sides = [Calls::Script; 2].map(|calls| Contender::new(interpreter(), calls));
    let sides: [&dyn Subject; 2] = [&sides[0], &sides[1]];
    assert!(find(sides, VALID, 64).is_none());
    for seed in 0..16 {
        let case = rivet_isa::generate::program(seed);
        let found = locate(sides, &case, &plan()).expect("it runs");
        assert!(found.is_none(), "seed {seed}");
    }
}

#[test]
fn a_long_comparison_says_how_far_the_sides_agree() {
    // A loop of a thousand blocks, which is looked at after 256, then 512 more, then to its end.
    let (zero, counter) = (Reg::ZERO, Reg::A0);
    let insts = [
        Inst::from_parts(Op::Addi, counter, zero, zero, 1000),
        Inst::from_parts(Op::Fallthrough, zero, zero, zero, 0),
        Inst::from_parts(Op::Addi, counter, counter, zero, -1),
        Inst::from_parts(Op::Bne, zero, counter, zero, -4),
        Inst::from_parts(Op::Trap, zero, zero, zero, 0),
    ];
    let words = insts.map(|inst| encode(inst).expect("it has an encoding"));
    let run = Run {
        entry: 0,
        slots: [0; SLOTS],
        gas: 1 << 20,
    };
    let case = Case {
        code: words.into_iter().flat_map(u32::to_le_bytes).collect(),
        map: Vec::new(),
        runs: vec![run],
    };
    let sides = [Calls::Script; 2].map(|calls| Contender::new(interpreter(), calls));
    let mut told = Vec::new();
    let found = locate_watched([&sides[0], &sides[1]], &case, &plan(), &mut |blocks| {
        told.push(blocks);
    });
    assert!(found.expect("it runs").is_none());
    assert_eq!(told, [256, 768]);
}
