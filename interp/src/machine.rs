//! The execution loop of ISA §11.4.

use crate::cache::{Cache, Edge, Entry, Id, Position, Tail};
use crate::exec::{Cpu, Machine, Step, Stop};
use crate::memory::Memory;
use crate::program::Program;
use crate::trace::{Tracer, View};
use core::fmt;
use rivet_isa::{Exit, Gas, Payment, Pc, Regs};
use rivet_mutants::mutant;

/// What a run works on besides memory (ISA §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// The fifteen registers.
    pub regs: Regs,
    /// Where the run starts or resumes; after it, as ISA §11.1 says for each exit.
    pub pc: Pc,
    /// Remaining gas.
    pub gas: Gas,
}

/// A run that could not go on for reasons outside the guest. Not an exit: the state and the
/// memory have no meaning afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunError<E> {
    /// Guest memory failed.
    Memory(E),
    /// A store cost more gas than the block had reserved: the memory charges more for a page than
    /// the largest page price the program was built with.
    Reserve {
        /// Gas left at the store.
        gas: u64,
        /// What the store costs.
        charge: u64,
    },
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::Reserve { gas, charge } => write!(
                f,
                "a store costs {charge} gas and {gas} is left, although its block passed the \
                 gate; build the program with the page prices of its memory"
            ),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for RunError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Memory(error) => Some(error),
            Self::Reserve { .. } => None,
        }
    }
}

/// Runs until an exit. Calls are never serviced here: `ecalli` and `ecall.jar` exit with
/// [`Payment::Unpaid`], pc behind the call and gas untouched (gas §9.4).
pub fn run<M: Memory>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
) -> Result<Exit, RunError<M::Error>> {
    run_traced(program, state, memory, &mut ())
}

/// [`run`] with a tracer.
pub fn run_traced<M: Memory, T: Tracer>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    tracer: &mut T,
) -> Result<Exit, RunError<M::Error>> {
    loop {
        if let Some(exit) = drive::<M, T, ENDLESS>(program, state, memory, tracer, From::Gate)? {
            return Ok(exit);
        }
    }
}

/// Runs exactly one block. `None`: it completed and `state.pc` is the start of the next block.
/// As many calls as it takes to get an exit are one [`run`].
pub fn run_block<M: Memory>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
) -> Result<Option<Exit>, RunError<M::Error>> {
    run_block_traced(program, state, memory, &mut ())
}

/// [`run_block`] with a tracer.
pub fn run_block_traced<M: Memory, T: Tracer>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    tracer: &mut T,
) -> Result<Option<Exit>, RunError<M::Error>> {
    drive::<M, T, ONE_BLOCK>(program, state, memory, tracer, From::Gate)
}

/// Runs the rest of the block that `state.pc` lies in, from the instruction there on: for an
/// embedder whose other engine paid for the block and cannot go on inside it. The gate is not
/// passed again; stores still pay for pages they make private (gas §4). `None`: as for
/// [`run_block`].
///
/// `state.pc` must be the offset of an instruction of a block that was entered.
pub fn finish_block<M: Memory>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
) -> Result<Option<Exit>, RunError<M::Error>> {
    drive::<M, (), ONE_BLOCK>(program, state, memory, &mut (), From::Inside)
}

/// Where in its block a run begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// At the start, by way of the gate.
    Gate,
    /// At any instruction, the gate having been passed.
    Inside,
}

const ENDLESS: bool = false;
const ONE_BLOCK: bool = true;

fn drive<M: Memory, T: Tracer, const ONE: bool>(
    program: &Program,
    state: &mut State,
    memory: &mut M,
    tracer: &mut T,
    from: From,
) -> Result<Option<Exit>, RunError<M::Error>> {
    let mut cache = program.check_out();
    let entry = match from {
        From::Gate => cache.block(program, state.pc),
        From::Inside => cache.rest(program, state.pc),
    };
    let Some(entry) = entry else {
        program.check_in(cache);
        return Ok(Some(Exit::Panic));
    };
    let mut machine = Machine::new(&state.regs, state.gas.value(), memory);
    let end = blocks::<M, T, ONE>(program, &mut cache, &mut machine, entry, tracer);
    state.regs = machine.registers.to_regs();
    state.gas = Gas::new(machine.gas).expect("gas only falls during a run");
    program.check_in(cache);
    let (pc, exit) = end?;
    state.pc = pc;
    Ok(exit)
}

type Ending<E> = Result<(Pc, Option<Exit>), RunError<E>>;

/// Runs from entry `id` to an exit or, if `ONE`, to the end of its block.
#[inline(always)]
fn blocks<M: Memory, T: Tracer, const ONE: bool>(
    program: &Program,
    cache: &mut Cache,
    machine: &mut Machine<'_, M>,
    mut id: Id,
    tracer: &mut T,
) -> Ending<M::Error> {
    loop {
        let entry = cache.entry(id);
        if machine.gas < entry.gate + mutant!(InterpGateStrict, 0, 1) {
            return exit(u64::from(entry.start), Exit::OutOfGas);
        }
        machine.gas -= entry.cost;
        if entry.position == Position::Start {
            let view = View::new(&machine.registers, machine.gas);
            tracer.block(Pc::new(u64::from(entry.start)), view);
        }
        let (step, at) = body(cache, &entry, machine, tracer);
        let next = match step {
            Step::Next if entry.next != Id::NONE => entry.next,
            Step::Taken(_) if entry.taken != Id::NONE => entry.taken,
            Step::Next => {
                let to = Pc::new(u64::from(entry.end));
                match cache.follow(program, id, Edge::Next, to) {
                    Some(id) => id,
                    None => return exit(to.value(), Exit::Panic),
                }
            }
            Step::Taken(offset) => {
                // A target below 0 wraps to a pc far above any start.
                let to = Pc::new(at).plus(i64::from(offset) as u64);
                match cache.follow(program, id, Edge::Taken, to) {
                    Some(id) => id,
                    None => return exit(mutant!(InterpFailedJumpPc, at, to.value()), Exit::Panic),
                }
            }
            Step::Indirect(to) => match cache.find(to) {
                Some(id) => id,
                None => match cache.block(program, Pc::new(to)) {
                    Some(id) => id,
                    None => return exit(at, Exit::Panic),
                },
            },
            Step::Stop(stop) => return stopped(stop, at, u64::from(entry.end)),
        };
        id = next;
        if ONE && cache.entry(id).position == Position::Start {
            return Ok((Pc::new(u64::from(cache.entry(id).start)), None));
        }
    }
}

/// Executes the instructions of an entry; with the result, the offset of the one that gave it.
#[inline(always)]
fn body<M: Memory, T: Tracer>(
    cache: &Cache,
    entry: &Entry,
    machine: &mut Machine<'_, M>,
    tracer: &mut T,
) -> (Step<M::Error>, u64) {
    let (insts, pcs) = cache.body(entry);
    let dispatched = match entry.tail {
        Some(_) => &insts[..insts.len() - 1],
        None => insts,
    };
    let mut cpu = Cpu::new(machine, pcs, entry.end);
    while let Some(inst) = dispatched.get(cpu.at) {
        let view = View::new(cpu.registers, *cpu.gas);
        tracer.instruction(Pc::new(cpu.pc()), *inst, view);
        match inst.visit(&mut cpu) {
            Step::Next => cpu.at += 1,
            step => return (step, cpu.pc()),
        }
    }
    if let Some(last) = insts.get(cpu.at) {
        let view = View::new(cpu.registers, *cpu.gas);
        tracer.instruction(Pc::new(cpu.pc()), *last, view);
    }
    match entry.tail {
        Some(Tail::Jump(offset)) => (Step::Taken(offset), cpu.pc()),
        _ => (Step::Next, cpu.pc()),
    }
}

fn exit<E>(pc: u64, exit: Exit) -> Ending<E> {
    Ok((Pc::new(pc), Some(exit)))
}

fn stopped<E>(stop: Stop<E>, pc: u64, next_pc: u64) -> Ending<E> {
    let payment = Payment::Unpaid;
    match stop {
        Stop::Panic => exit(pc, Exit::Panic),
        Stop::Trap => exit(pc, Exit::Trap),
        Stop::Fault(page) => exit(pc, Exit::PageFault { page }),
        Stop::HostCall(selector) => exit(next_pc, Exit::HostCall { selector, payment }),
        Stop::KernelCall => exit(next_pc, Exit::Ecall { payment }),
        Stop::Failed(error) => Err(error),
    }
}
