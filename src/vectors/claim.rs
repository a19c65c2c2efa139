//! What a recording says of one block, as a vector of that block alone.
//!
//! ```text
//!  00 00 00 … │ the block │ 00 00 … 00 00 │
//!             ▲ the run begins here    ▲ where the recording went: a reserved instruction
//! ```
//!
//! A recording cannot run other programs, so its state behind the block is stated as it is, but for
//! what the cut changes by the rules of gas alone: no page is private in front of the block, and
//! one more block is entered behind it.

use super::check::{Engines, changes, check};
use super::course::{Answering, state, vector};
use super::listen::Listener;
use super::model::{Answer, Begin, Bytes, Expect, PageRun, RegSet, Stage, Vector};
use rivet_engine::diff::{Calls, Case, Located, Step, raw};
use rivet_engine::{Exit, Program, Start, State};
use rivet_isa::gas::CostModel;
use rivet_isa::{
    BlockStarts, Gas, Inst, Op, PAGE_SIZE, PageIndex, Payment, Pc, Reg, decode, encode,
};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Bytes of memory that a claim lists in full; of more, only pages that the engine looks at.
const LISTED: usize = 256 << 10;

/// Gas beyond what the block takes, for the one behind it.
const SPARE: u64 = 1000;

impl Vector {
    /// The block at which an engine and a recording part, the engine being the first side: cut out
    /// of its program, with what the recording says behind it. `None` if that cannot be stated: the
    /// block alone does something else in this engine, only contents of pages differ, which a
    /// recording does not know, or the engine does what is stated.
    pub fn of_claim(engines: &Engines, located: &Located, calls: Calls) -> Option<Self> {
        let whole = located.restart.as_ref()?;
        let [ours, theirs] = &located.difference.sides;
        let case = isolated(whole, located)?;
        let case = lean(case, &|case| Passed::through(engines, case, calls));
        let passed = Passed::through(engines, &case, calls)?;
        let same = passed.step == *ours.step.as_ref().ok()?
            && passed.state.regs == ours.state.regs
            && passed.state.pc == ours.state.pc;
        if !same {
            return None;
        }
        // Pages that were private in front of the block are paid once more.
        let [left, alone] = [ours.state.gas, passed.state.gas].map(Gas::value);
        let paid_again = left.checked_sub(alone)?;
        let end = Ending::of(&load(engines, &case)?, located, paid_again)?;
        let new = theirs.private.iter();
        let new = new.filter(|page| !located.private.contains(page));
        let again = passed.private.iter();
        let again = again.filter(|page| located.private.contains(page));
        let mut private: Vec<PageIndex> = new.chain(again).copied().collect();
        private.sort_unstable();
        let before = located.difference.from.regs;
        let expect = Expect {
            exit: end.exit,
            pc: end.pc,
            gas: end.gas,
            regs: RegSet::between(&before, &theirs.state.regs),
            bytes: passed.bytes,
            private: (!private.is_empty()).then(|| PageRun::of(&private)),
        };
        let stated = Self {
            answers: passed.answers,
            gas: end.start,
            stages: vec![Stage {
                begin: Begin::Start,
                expect,
            }],
            ..vector(&case)
        };
        (!check(engines, &stated).is_empty()).then_some(stated)
    }
}

fn load(engines: &Engines, case: &Case) -> Option<Program> {
    let engine = engines.of(CostModel::default()).ok()?;
    engine.load_raw(raw(case)).ok()
}

/// The case with reserved instructions for all code but the block at its entry, to where either side
/// went. Where the recording panicked and the engine went on, that one comes to a `trap`.
fn isolated(case: &Case, located: &Located) -> Option<Case> {
    let run = case.runs.first()?;
    let block = BlockStarts::scan(&case.code).block_at(Pc::new(run.entry))?;
    let (start, mut end) = (block.start.value() as usize, block.end.value() as usize);
    let at = |pc: usize| decode(&case.code, pc);
    let (mut last, mut next) = (start, start);
    while next < end {
        last = next;
        next += at(next)?.len.bytes() as usize;
    }
    if !at(last)?.inst.flow().is_terminator() {
        // It ends in front of a call, or with the code.
        end += at(end).map_or(0, |call| call.len.bytes() as usize);
    }
    let [ours, theirs] = &located.difference.sides;
    let place = |pc: Pc| {
        let place = usize::try_from(pc.value()).ok();
        place.filter(|place| *place < case.code.len())
    };
    let [to, there] = [ours.state.pc, theirs.state.pc].map(place);
    let trap = match (theirs.step.as_ref().ok()?, ours.step.as_ref().ok()?) {
        (Step::Exit(Exit::Panic), Step::Block) => to.filter(|place| !(start..end).contains(place)),
        _ => None,
    };
    let ends = [
        to.map(|at| at + 2),
        there.map(|at| at + 2),
        trap.map(|at| at + 4),
    ];
    let len = ends.into_iter().flatten().fold(end, usize::max);
    let mut code = vec![0; len];
    code[start..end].copy_from_slice(&case.code[start..end]);
    if let Some(trap) = trap {
        let zero = Reg::ZERO;
        let word = encode(Inst::from_parts(Op::Trap, zero, zero, zero, 0)).ok()?;
        code[trap..trap + 4].copy_from_slice(&word.to_le_bytes());
    }
    Some(Case {
        code,
        ..case.clone()
    })
}

/// What an engine did in one block.
struct Passed {
    step: Step,
    state: State,
    private: Vec<PageIndex>,
    bytes: Vec<Bytes>,
    answers: Vec<Answer>,
}

impl Passed {
    fn through(engines: &Engines, case: &Case, calls: Calls) -> Option<Self> {
        let mut machine = load(engines, case)?.machine(Start::at(0)).ok()?;
        machine.rewind(state(case.runs.first()?)).ok()?;
        let answers = &Cell::new(false);
        let mut host = Answering { calls, answers };
        let mut listener = Listener::new(&mut host);
        let exit = machine.step(&mut listener).ok()?;
        if exit == Some(Exit::OutOfGas) {
            listener.unpayable();
        }
        let answers = listener.into_answers();
        let private = machine.private_pages();
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        for page in &private {
            let mut bytes = vec![0; PAGE_SIZE as usize];
            machine.read(page.base(), &mut bytes).ok()?;
            before.insert(*page, initial(case, *page));
            after.insert(*page, bytes);
        }
        Some(Self {
            step: exit.map_or(Step::Block, Step::Exit),
            state: State {
                regs: *machine.regs(),
                pc: machine.pc(),
                gas: machine.gas(),
            },
            private,
            bytes: changes(&before, &after),
            answers,
        })
    }
}

/// The case without the content of pages that do not matter to what is passed, if there is much.
fn lean(mut case: Case, pass: &dyn Fn(&Case) -> Option<Passed>) -> Case {
    let listed: usize = case.map.iter().map(|map| map.content.len()).sum();
    let Some(passed) = pass(&case).filter(|_| listed > LISTED) else {
        return case;
    };
    let mut pieces: Vec<(usize, usize, usize)> = Vec::new();
    for (map, mapping) in case.map.iter().enumerate() {
        pieces.push((map, 0, mapping.content.len()));
    }
    while let Some((map, from, to)) = pieces.pop() {
        let kept = case.map[map].content[from..to].to_vec();
        case.map[map].content[from..to].fill(0);
        let same = pass(&case).is_some_and(|now| {
            (now.step, now.state, now.private)
                == (passed.step, passed.state, passed.private.clone())
        });
        if same {
            continue;
        }
        case.map[map].content[from..to].copy_from_slice(&kept);
        let pages = (to - from).div_ceil(PAGE_SIZE as usize);
        if pages > 1 {
            let middle = from + pages / 2 * PAGE_SIZE as usize;
            pieces.extend([(map, from, middle), (map, middle, to)]);
        }
    }
    case
}

/// The content of a page before the run.
fn initial(case: &Case, page: PageIndex) -> Vec<u8> {
    let at = u64::from(page.base().value());
    let mut bytes = vec![0; PAGE_SIZE as usize];
    let mut maps = case.map.iter();
    let map = maps.find(|map| map.start <= at && at - map.start < map.size);
    if let Some(map) = map {
        let content = map.content.get((at - map.start) as usize..).unwrap_or(&[]);
        let len = content.len().min(bytes.len());
        bytes[..len].copy_from_slice(&content[..len]);
    }
    bytes
}

/// How the vector ends so that its last state is the recording's behind the block.
struct Ending {
    /// Gas to start with.
    start: Gas,
    exit: Exit,
    pc: Pc,
    gas: Gas,
}

impl Ending {
    fn of(program: &Program, located: &Located, paid_again: u64) -> Option<Self> {
        let theirs = &located.difference.sides[1];
        let from = located.difference.from;
        let (before, after, pc) = (from.gas.value(), theirs.state.gas, theirs.state.pc);
        match *theirs.step.as_ref().ok()? {
            Step::Exit(Exit::OutOfGas) => Some(Self {
                start: from.gas,
                exit: Exit::OutOfGas,
                pc,
                gas: after,
            }),
            Step::Exit(exit) => Some(Self {
                start: Gas::new(before.checked_add(paid_again)?)?,
                exit,
                pc,
                gas: after,
            }),
            Step::Block => {
                let info = program.blocks().find(|info| info.block.start == pc)?;
                let (cost, reserve) = (info.cost.cost, info.cost.reserve);
                if pc == from.pc {
                    // Entered again, the block asks for one more than is left.
                    let took = before.checked_sub(after.value())?;
                    let left = cost.checked_add(reserve)?.checked_sub(1)?;
                    let start = took.checked_add(paid_again)?.checked_add(left)?;
                    return Some(Self {
                        start: Gas::new(start)?,
                        exit: Exit::OutOfGas,
                        pc,
                        gas: Gas::new(left)?,
                    });
                }
                let spare = |gas: u64| gas.checked_add(SPARE);
                let (exit, pc) = match call_at(program.code(), pc) {
                    Some(exit) => (exit, pc.plus(4)),
                    None => (Exit::Panic, pc),
                };
                Some(Self {
                    start: Gas::new(spare(before.checked_add(paid_again)?)?)?,
                    exit,
                    pc,
                    gas: Gas::new(spare(after.value())?.checked_sub(cost)?)?,
                })
            }
        }
    }
}

/// The exit of the call at a place that nobody answers, if there is one.
fn call_at(code: &[u8], pc: Pc) -> Option<Exit> {
    let inst = decode(code, usize::try_from(pc.value()).ok()?)?.inst;
    let payment = Payment::Unpaid;
    let exit = match inst.op() {
        Op::Ecalli => Exit::HostCall {
            selector: inst.imm() as u32,
            payment,
        },
        Op::EcallJar => Exit::Ecall { payment },
        _ => return None,
    };
    Some(exit)
}
