//! Runs that differ in what must not matter: where they pause, who resumes them, how a call is
//! answered, where the code lies.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "../jit/tests/common/maps.rs"]
mod maps;

use rivet_engine::diff::{Case, Script, raw};
use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, HostError, Machine, MemoryHash,
    Payment, Program, Quote, Start, State, View,
};
use rivet_isa::arbitrary::Random;
use rivet_isa::generate::{self, Damage};
use rivet_isa::{Flow as Control, Gas, Inst, Op, PageIndex, Pc, Reg, SLOTS, Slot, encode};

/// Gas that valid programs do not use up.
const AMPLE: u64 = 400_000;
/// Blocks of a program that is paused at each of them.
const MOST_BLOCKS: u64 = 400;

fn engines() -> [Engine; 2] {
    maps::watch();
    [Backend::Jit, Backend::Interp].map(|backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).expect("the recompiler runs here")
    })
}

fn load(engines: &[Engine; 2], case: &Case) -> [Program; 2] {
    engines
        .each_ref()
        .map(|engine| engine.load_raw(raw(case)).expect("the case loads"))
}

fn start(case: &Case, gas: u64) -> Start {
    let run = &case.runs[0];
    let start = Start::at(run.entry).with_gas(Gas::new(gas).expect("below 2^63"));
    let slots = Slot::all().zip(run.slots);
    slots.fold(start, |start, (slot, value)| start.with_slot(slot, value))
}

/// What a run leaves behind.
#[derive(Clone, PartialEq, Debug)]
struct End {
    exit: Exit,
    state: State,
    private: Vec<PageIndex>,
    hash: MemoryHash,
}

fn end(exit: Exit, machine: &Machine) -> End {
    End {
        exit,
        state: state(machine),
        private: machine.private_pages(),
        hash: machine.memory_hash(),
    }
}

fn state(machine: &Machine) -> State {
    State {
        regs: *machine.regs(),
        pc: machine.pc(),
        gas: machine.gas(),
    }
}

/// Answers everything, now or at the next run.
struct Willing(Script);

impl Willing {
    fn new() -> Self {
        Self(Script { answers: true })
    }
}

impl Host for Willing {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        self.0.quote(call, view)
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        match self.0.perform(call, context) {
            Flow::Suspend => Flow::Continue,
            flow => flow,
        }
    }
}

/// Runs to an end with every call answered inline.
fn whole(machine: &mut Machine) -> Result<End, HostError> {
    let exit = machine.run(&mut Willing::new())?;
    Ok(end(exit, machine))
}

#[test]
fn a_run_paused_at_every_block_and_resumed_on_the_other_engine_ends_the_same() {
    let engines = engines();
    let mut pauses = 0;
    for seed in 0..60 {
        let case = generate::program(seed ^ 0x9A_05E5);
        let programs = load(&engines, &case);
        let mut machine = programs[0].machine(start(&case, AMPLE)).expect("it starts");
        let expected = whole(&mut machine).expect("the host is well");
        let mut machine = programs[1].machine(start(&case, AMPLE)).expect("it starts");
        let mut turn = 1;
        let mut host = Willing::new();
        let exit = loop {
            if let Some(exit) = machine.step(&mut host).expect("the host is well") {
                break exit;
            }
            turn += 1;
            if turn > MOST_BLOCKS {
                break machine.run(&mut host).expect("the host is well");
            }
            let snapshot = machine
                .snapshot()
                .expect("a block's start is a pause point");
            let bytes = snapshot.encode();
            let snapshot = rivet_engine::snapshot::Snapshot::decode(&bytes).expect("its own bytes");
            let program = &programs[(turn % 2) as usize];
            machine = program.resume(&snapshot).expect("the same program");
            pauses += 1;
        };
        assert_eq!(end(exit, &machine), expected, "seed {seed}");
    }
    assert!(pauses > 1000, "{pauses} pauses");
}

#[test]
fn a_run_paused_by_any_budget_and_resumed_on_a_fork_ends_the_same() {
    let engines = engines();
    for seed in 0..25 {
        let case = generate::program(seed ^ 0xB0D6);
        let programs = load(&engines, &case);
        let mut machine = programs[0].machine(start(&case, AMPLE)).expect("it starts");
        let expected = whole(&mut machine).expect("the host is well");
        if expected.exit == Exit::OutOfGas {
            continue;
        }
        let total = AMPLE - expected.state.gas.value();
        let mut random = Random::new(seed);
        for program in &programs {
            for _ in 0..40 {
                let budget = random.below(total + 2);
                let mut machine = program.machine(start(&case, budget)).expect("it starts");
                let mut spent = 0;
                let mut given = budget;
                let mut host = GasBlind(Willing::new());
                let exit = loop {
                    let exit = machine.run(&mut host).expect("the host is well");
                    let left = machine.gas().value();
                    spent += given - left;
                    if exit != Exit::OutOfGas {
                        break exit;
                    }
                    machine = machine.fork().expect("memory is to be had");
                    // Enough for the gate that failed, and sometimes for all the rest.
                    given = random.pick(&[left + 2000, AMPLE]);
                    machine.set_gas(Gas::new(given).expect("below 2^63"));
                };
                let whole = program.machine(start(&case, AMPLE));
                let mut whole = whole.expect("it starts");
                let exit_whole = whole.run(&mut GasBlind(Willing::new()));
                assert_eq!(exit_whole, Ok(exit), "seed {seed} budget {budget}");
                assert_eq!(
                    AMPLE - whole.gas().value(),
                    spent,
                    "seed {seed} budget {budget}"
                );
                assert_eq!(whole.regs(), machine.regs(), "seed {seed} budget {budget}");
                assert_eq!(whole.memory_hash(), machine.memory_hash());
                assert_eq!(whole.private_pages(), machine.private_pages());
            }
        }
    }
}

/// Does not tell the guest how much gas it has, which pausing by gas changes.
struct GasBlind(Willing);

impl Host for GasBlind {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        self.0.quote(call, view)
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        match call {
            Call::Host { selector } if selector & 7 == 1 => Flow::Continue,
            _ => self.0.perform(call, context),
        }
    }
}

/// Answers one call, and then none.
struct Once {
    host: Willing,
    spent: bool,
}

impl Host for Once {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        match self.spent {
            false => self.host.quote(call, view),
            true => Quote::unanswered(),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        self.spent = true;
        self.host.perform(call, context)
    }
}

#[test]
fn a_call_answered_inline_or_after_an_exit_gives_the_same_run() {
    let engines = engines();
    let mut calls = 0;
    for seed in 0..300 {
        let case = match seed % 3 {
            0 => generate::hostile(Damage::Pages, seed),
            _ => generate::program(seed ^ 0xCA11),
        };
        let programs = load(&engines, &case);
        for program in &programs {
            let mut inline = program.machine(start(&case, AMPLE)).expect("it starts");
            let expected = whole(&mut inline).expect("the host is well");
            let mut outside = program.machine(start(&case, AMPLE)).expect("it starts");
            let exit = loop {
                let mut host = Once {
                    host: Willing::new(),
                    // The first run answers nothing.
                    spent: outside.pending().is_none(),
                };
                let exit = outside.run(&mut host).expect("the host is well");
                let unpaid = Payment::Unpaid;
                match exit {
                    Exit::HostCall { payment, .. } | Exit::Ecall { payment } => {
                        assert_eq!(payment, unpaid, "nobody suspends");
                        calls += 1;
                    }
                    _ => break exit,
                }
            };
            assert_eq!(end(exit, &outside), expected, "seed {seed}");
        }
    }
    assert!(calls > 200, "{calls} calls");
}

/// Blocks of plain computation that jump ahead without a link, so that no register ever holds a
/// code address.
struct Blocks(Vec<(Vec<Inst>, Last)>);

#[derive(Clone, Copy)]
enum Last {
    Fallthrough,
    /// To this block, which is not the next one.
    Branch(Inst, usize),
    Jump(usize),
}

impl Blocks {
    fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 12 + random.below(20) as usize;
        let block = |i: usize, random: &mut Random| {
            let body = (0..random.below(9)).map(|_| plain(random)).collect();
            let ahead = i + 2 + random.below(5) as usize;
            let last = match random.below(4) {
                _ if ahead >= count => Last::Fallthrough,
                0 => Last::Fallthrough,
                1 => Last::Jump(ahead),
                _ => {
                    let branches = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
                    let op = random.pick(&branches);
                    Last::Branch(random.inst(op), ahead)
                }
            };
            (body, last)
        };
        Self((0..count).map(|i| block(i, &mut random)).collect())
    }

    /// The code with something in front of some blocks that only falling into them passes, and the
    /// offset of each block.
    fn code(&self, in_front: impl Fn(usize) -> Option<usize>) -> (Vec<u8>, Vec<u64>) {
        let zero = Reg::ZERO;
        let fallthrough = Inst::from_parts(Op::Fallthrough, zero, zero, zero, 0);
        let mut code = Vec::new();
        let mut offsets = Vec::new();
        let mut open = Vec::new();
        let put = |code: &mut Vec<u8>, inst: Inst| {
            code.extend(encode(inst).expect("legal operands").to_le_bytes());
        };
        for (i, (body, last)) in self.0.iter().enumerate() {
            if let Some(nops) = in_front(i) {
                code.extend([1, 0].repeat(nops));
                put(&mut code, fallthrough);
            }
            offsets.push(code.len() as u64);
            body.iter().for_each(|inst| put(&mut code, *inst));
            let at = code.len();
            match *last {
                Last::Fallthrough => put(&mut code, fallthrough),
                Last::Branch(inst, to) => {
                    open.push((at, inst, to));
                    code.extend([0; 4]);
                }
                Last::Jump(to) => {
                    open.push((at, Inst::from_parts(Op::Jal, zero, zero, zero, 0), to));
                    code.extend([0; 4]);
                }
            }
        }
        put(&mut code, Inst::from_parts(Op::Trap, zero, zero, zero, 0));
        for (at, inst, to) in open {
            let distance = offsets[to] as i32 - at as i32;
            let inst = Inst::from_parts(inst.op(), inst.rd(), inst.rs1(), inst.rs2(), distance);
            let word = encode(inst).expect("in reach").to_le_bytes();
            code[at..at + 4].copy_from_slice(&word);
        }
        (code, offsets)
    }
}

/// An instruction that computes, and not from the pc.
fn plain(random: &mut Random) -> Inst {
    loop {
        let op = random.pick(Op::ALL);
        let computes = op.flow() == Control::Next && !op.is_load() && !op.is_store();
        if computes && op != Op::Auipc {
            return random.inst(op);
        }
    }
}

/// The states at each block's start and the end.
fn states(engine: &Engine, code: Vec<u8>, slots: [u64; SLOTS]) -> Vec<State> {
    let case = Case {
        code,
        map: Vec::new(),
        runs: vec![generate::Run {
            entry: 0,
            slots,
            gas: AMPLE,
        }],
    };
    let program = engine.load_raw(raw(&case)).expect("it loads");
    let mut machine = program.machine(start(&case, AMPLE)).expect("it starts");
    let mut out = vec![state(&machine)];
    loop {
        let exit = machine.step(&mut Willing::new()).expect("the host is well");
        out.push(state(&machine));
        if let Some(exit) = exit {
            assert_eq!(exit, Exit::Trap);
            return out;
        }
    }
}

#[test]
fn what_is_inserted_in_front_of_blocks_moves_offsets_and_adds_its_price() {
    // gas §5 and §6: up to four c.nop of two slots and a fallthrough of latency 2 complete within
    // cycle 4, so such a block costs 4 - 3.
    const PRICE: u64 = 1;
    let engines = engines();
    for seed in 0..150 {
        let blocks = Blocks::random(seed);
        let mut random = Random::new(seed ^ 0x5417);
        let inserted: Vec<Option<usize>> = (0..blocks.0.len())
            .map(|i| (i > 0 && random.once_in(2)).then(|| random.below(5) as usize))
            .collect();
        let slots = [(); SLOTS].map(|()| random.value());
        let (plain, before) = blocks.code(|_| None);
        let (shifted, after) = blocks.code(|i| inserted[i]);
        for engine in &engines {
            let expected = states(engine, plain.clone(), slots);
            let mut seen = states(engine, shifted.clone(), slots).into_iter();
            let mut extra = 0;
            let mut came_from = None;
            for state in expected {
                let index = before.binary_search(&state.pc.value()).ok();
                let fell = index.is_some_and(|i| i > 0 && came_from == Some(i - 1));
                let passes = index.is_some_and(|i| inserted[i].is_some()) && fell;
                let mut here = seen.next().expect("as many states");
                if passes {
                    // In front of what was inserted, then behind it.
                    here = seen.next().expect("as many states");
                    extra += PRICE;
                }
                let moved = match index {
                    Some(i) => after[i],
                    None => shifted.len() as u64 - 4,
                };
                let gas = Gas::new(state.gas.value() - extra).expect("below 2^63");
                let pc = Pc::new(moved);
                assert_eq!(here, State { pc, gas, ..state }, "seed {seed}");
                came_from = index;
            }
            assert_eq!(seen.next(), None, "seed {seed}: nothing more happens");
        }
    }
}

#[test]
fn a_program_linked_with_other_sizes_of_stack_and_heap_computes_the_same() {
    use rivet_loader::{LinkOptions, link};
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/prebuilt/");
    for (guest, arg) in [("fib", 12), ("sha256", 3), ("sieve", 500), ("hello", 0)] {
        let path = format!("{folder}{guest}.elf");
        let elf = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let options = [
            LinkOptions::default(),
            LinkOptions {
                stack_size: Some(64 << 10),
                heap_size: Some(1 << 20),
                ..LinkOptions::default()
            },
        ];
        let images = options.map(|options| link(&elf, &options).expect("it links").image);
        let again = link(&elf, &LinkOptions::default()).expect("it links").image;
        assert_eq!(
            images[0].address(),
            again.address(),
            "{guest}: the same bytes twice"
        );
        let mut results = Vec::new();
        for engine in &engines() {
            for image in &images {
                let program = engine.load(image).expect("it loads");
                let slot = Reg::A0.slot().expect("not x0");
                let start = Start::endpoint(rivet_image::Key::endpoint(0))
                    .with_gas(Gas::new(1 << 40).expect("below 2^63"))
                    .with_slot(slot, arg);
                let mut machine = program.machine(start).expect("it starts");
                let mut host = rivet_engine::Bare::new(Vec::new());
                let exit = machine.run(&mut host).expect("the host is well");
                let output = host.finish().expect("memory takes it");
                results.push((exit, machine.regs().get(Reg::A0), output));
            }
        }
        assert_eq!(results[0].0, Exit::Halt, "{guest}");
        assert!(
            results.iter().all(|result| *result == results[0]),
            "{guest}: {results:?}"
        );
    }
}
