//! The fixed costs of the recompiler: translation, starting, leaving, host calls.

use crate::figure::{Figure, fastest, least_spent};
use crate::guests::image;
use crate::hosts::{Answers, Suspends};
use rivet_engine::{Config, Engine, Raw, Start};
use rivet_isa::gas::{CostModel, FrameCosts};
use rivet_isa::{BlockStarts, CODE_BASE, DATA_BASE, Gas, Pc, Reg, Regs, asm};
use rivet_jit::{Call, CodeCache, CodeCacheConfig, Cpu, Flow, Host, NoHost, Program, Totals};
use rivet_paging::{
    AddressSpace, Layout, MemoryLimits, PageRange, PageSource, Region, SignalCheck, Tracker,
    WindowPool,
};
use std::hint::black_box;
use std::sync::Arc;

/// Guests whose code is everybody's kind of code.
const GUESTS: [&str; 5] = ["alloc", "keccak", "print", "sort", "words"];

const PER_INSTRUCTION: &str = "ns per instruction";

fn costs() -> FrameCosts {
    CostModel::default().frame(16, [16])
}

fn program(code: &Arc<[u8]>, starts: &Arc<BlockStarts>, cache: &Arc<CodeCache>) -> Program {
    let program = Program::new(Arc::clone(code), Arc::clone(starts), costs(), cache);
    program.expect("memory for the table")
}

fn memory(code: &[u8]) -> AddressSpace {
    let range = |start, len| PageRange::from_bytes(start, len).expect("page-aligned");
    let padded = (code.len() as u64).next_multiple_of(4096);
    let source = PageSource::from_bytes(code).expect("memory for the code");
    let layout = Layout::new(vec![
        Region::read_only(range(CODE_BASE, padded), source),
        Region::ephemeral(range(DATA_BASE, 1 << 16), 256),
    ]);
    let layout = Arc::new(layout.expect("regions apart"));
    let mut memory = AddressSpace::new(layout, MemoryLimits::default());
    memory
        .attach(&WindowPool::new(1, 60_000), Tracker::Trap)
        .expect("a window");
    memory
}

/// A program with its memory, translated on first use.
pub struct Rig {
    program: Program,
    memory: AddressSpace,
}

impl Rig {
    /// A program from assembly.
    ///
    /// # Panics
    /// It does not assemble.
    pub fn new(source: &str) -> Self {
        Self::with(source, CodeCacheConfig::default())
    }

    fn with(source: &str, config: CodeCacheConfig) -> Self {
        let code: Arc<[u8]> = asm::assemble(source).expect("assembly").into();
        let starts = Arc::new(BlockStarts::scan(&code));
        let cache = CodeCache::new(config);
        Self {
            program: program(&code, &starts, &cache),
            memory: memory(&code),
        }
    }

    /// Runs it from its start to an exit; a0 afterwards.
    ///
    /// # Panics
    /// The host fails.
    pub fn run(&mut self, a0: u64, host: &mut impl Host) -> u64 {
        let (mut regs, mut gas) = (Regs::new([3; 15]), Gas::new(1 << 62).expect("in range"));
        regs.set(Reg::A0, a0);
        regs.set(Reg::S0, DATA_BASE);
        let cpu = Cpu {
            regs: &mut regs,
            gas: &mut gas,
        };
        let left = self.program.run(cpu, Pc::new(0), &mut self.memory, host);
        black_box(left.expect("a run"));
        regs.get(Reg::A0)
    }
}

/// Straight arithmetic, memory, calls and branches in about the mix that compilers make.
///
/// # Panics
/// Never: the text is fixed.
pub fn mixed(functions: usize) -> Arc<[u8]> {
    let function = "addi sp, sp, -32\nsd ra, 24(sp)\nsd s0, 16(sp)\nmv s0, a0\nli a3, 100\n\
        ld a1, 0(s0)\nslli a2, a1, 3\nadd a2, a2, s0\nld a4, 8(a2)\nxor a1, a1, a4\nsd a1, 8(s0)\n\
        bltu a1, a3, 8\nfallthrough\naddiw a1, a1, 1\nmulw a1, a1, a3\nbnez a4, 8\nfallthrough\n\
        auipc ra, 0\njalr ra, 0(ra)\nand a5, a0, a1\nsrli a5, a5, 7\nsltu a0, a1, a5\n\
        ld ra, 24(sp)\nld s0, 16(sp)\naddi sp, sp, 32\nret\n";
    let one = asm::assemble(function).expect("assembly");
    compressed(&one).repeat(functions).into()
}

/// The same instructions with a compressed form wherever there is one that keeps offsets right:
/// everything but branches and jumps.
fn compressed(code: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(decoded) = rivet_isa::decode(code, at) {
        let plain = decoded.inst.flow() == rivet_isa::Flow::Next;
        match rivet_isa::compress(decoded.inst).filter(|_| plain) {
            Some(half) => out.extend(half.to_le_bytes()),
            None => out.extend_from_slice(&code[at..at + decoded.len.bytes() as usize]),
        }
        at += decoded.len.bytes() as usize;
    }
    out
}

/// The code of real guests, over and over up to a size.
fn guest_code(bytes: usize) -> Arc<[u8]> {
    let code = GUESTS.map(|name| image(name).code().to_vec()).concat();
    code.into_iter().cycle().take(bytes).collect()
}

/// Translates all of `code`, and what came of it.
pub fn translate(code: &Arc<[u8]>, starts: &Arc<BlockStarts>, cache: &Arc<CodeCache>) -> Program {
    let program = program(code, starts, cache);
    for chunk in 0..(code.len() as u64).div_ceil(1 << 16) {
        if let Some(pc) = starts.from(Pc::new(chunk << 16)).next() {
            program.prepare(pc);
        }
    }
    program
}

/// Time to find the block starts of code, and to translate it, and what was made.
struct Timed {
    scan: f64,
    translate: f64,
    totals: Totals,
}

impl Timed {
    fn new(code: &Arc<[u8]>, rounds: u32) -> Self {
        let cache = CodeCache::new(CodeCacheConfig::default());
        let starts = Arc::new(BlockStarts::scan(code));
        Self {
            scan: least_spent(rounds, || BlockStarts::scan(black_box(code)).count()),
            translate: least_spent(rounds, || translate(code, &starts, &cache)),
            totals: translate(code, &starts, &cache).totals(),
        }
    }

    /// Nanoseconds for an instruction, finding starts included.
    fn each(&self) -> f64 {
        (self.scan + self.translate) / self.totals.instructions as f64
    }
}

/// Translation: time per instruction, its growth with the size of the code, native bytes.
///
/// # Panics
/// Nothing was translated.
pub fn translation() -> Vec<Figure> {
    let mixed = Timed::new(&mixed(2000), 200);
    let small = Timed::new(&guest_code(256 << 10), 60);
    let large = Timed::new(&guest_code(8 << 20), 3);
    assert!(large.totals.instructions > 0, "nothing was translated");
    let ratio = |timed: &Timed| timed.totals.native_bytes as f64 / timed.totals.guest_bytes as f64;
    vec![
        Figure::new(
            "translation with block starts and pipeline gas, code of the guests",
            PER_INSTRUCTION,
            small.each(),
            15.0,
        ),
        Figure::new(
            "the same, functions made for the purpose",
            PER_INSTRUCTION,
            mixed.each(),
            15.0,
        ),
        Figure::known(
            "of it, finding block starts",
            PER_INSTRUCTION,
            small.scan / small.totals.instructions as f64,
        ),
        Figure::new(
            "time per instruction of 8 MiB over that of 256 KiB",
            "",
            large.each() / small.each(),
            1.25,
        ),
        Figure::new(
            "native bytes for one of the guests' code, all of it",
            "",
            ratio(&small),
            3.0,
        ),
        Figure::known(
            "bytes of side tables for one of the guests' code",
            "",
            small.totals.side_bytes as f64 / small.totals.guest_bytes as f64,
        ),
    ]
}

/// From a program as a value to its first instruction, in microseconds.
///
/// # Panics
/// The recompiler does not run here.
pub fn first_instruction() -> Vec<Figure> {
    let code = mixed(4);
    let cache = CodeCache::new(CodeCacheConfig::default());
    let translated = fastest(2000, || {
        let starts = Arc::new(BlockStarts::scan(&code));
        translate(&code, &starts, &cache)
    });
    let mut small = asm::assemble("ecalli 1\nfallthrough").expect("assembly");
    small.extend_from_slice(&code);
    let engine = Engine::new(Config::default()).expect("the engine starts");
    let image = engine.load_raw(Raw::new(small)).expect("it loads");
    let image = image.image().expect("bare code has an image").clone();
    // The first call is the first instruction: everything before it is what a program costs.
    let engine = fastest(1000, || {
        let program = engine.load(&image).expect("it loads");
        let mut machine = program
            .machine(Start::at(0).with_gas(Gas::MAX))
            .expect("it starts");
        machine.run(&mut rivet_engine::NoHost).expect("it runs");
        (machine, program)
    });
    let name = "image of 200 bytes of code to its first instruction and out again";
    vec![
        Figure::new(name, "µs", engine / 1e3, 15.0),
        Figure::known(
            "of it, finding block starts and translation",
            "µs",
            translated / 1e3,
        ),
    ]
}

/// Entering, leaving, and calls that stay inside a run, in nanoseconds: of the recompiler alone and
/// as an embedder of the engine meets them.
///
/// # Panics
/// The recompiler does not run here.
pub fn crossings() -> Vec<Figure> {
    let mut rig = Rig::new(CALLER);
    let mut host = |call: Call<'_>| {
        *call.gas = call.gas.checked_sub(100).unwrap_or(Gas::ZERO);
        Flow::Continue
    };
    let call = fastest(300, || rig.run(1000, &mut host)) / 1000.0;
    let engine = Engine::new(Config::default()).expect("the engine starts");
    let code = asm::assemble(CALLER).expect("assembly");
    let program = engine.load_raw(Raw::new(code)).expect("it loads");
    let machine = |calls: u64| {
        let a0 = Reg::A0.slot().expect("a0 has a slot");
        let start = Start::at(0).with_gas(Gas::MAX).with_slot(a0, calls);
        program.machine(start).expect("it starts")
    };
    let mut calling = machine(1000);
    let engine_call = fastest(300, || {
        calling.run(&mut Answers).expect("it runs");
        calling = machine(1000);
    });
    let name = "host call inside a run and back";
    let mut figures = vec![
        Figure::new(format!("{name}, the recompiler alone"), "ns", call, 6.0),
        Figure::new(
            format!("{name}, through the engine's quote and perform"),
            "ns",
            engine_call / 1000.0,
            6.0,
        ),
    ];
    figures.extend(entries(SignalCheck::EveryEntry, ""));
    figures.extend(entries(SignalCheck::FirstEntry, ", signals looked at once"));
    figures
}

/// Entering and leaving.
fn entries(signals: SignalCheck, how: &str) -> [Figure; 2] {
    let config = CodeCacheConfig {
        signals,
        ..CodeCacheConfig::default()
    };
    let mut rig = Rig::with("ecalli 1", config);
    let alone = fastest(300, || {
        (0..100).map(|_| rig.run(0, &mut NoHost)).sum::<u64>()
    });
    let config = Config {
        signals,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the engine starts");
    let code = asm::assemble("loop:\necalli 1\nj loop").expect("assembly");
    let program = engine.load_raw(Raw::new(code)).expect("it loads");
    let start = Start::at(0).with_gas(Gas::MAX);
    let mut machine = program.machine(start).expect("it starts");
    let engine = fastest(300, || {
        for _ in 0..100 {
            machine.run(&mut Suspends).expect("it runs");
        }
    });
    let figure = |what: &str, time: f64| {
        let name = format!("entering and leaving a run, {what}{how}");
        Figure::new(name, "ns", time / 100.0, 100.0)
    };
    [
        figure("the recompiler alone", alone),
        figure("through the engine", engine),
    ]
}

/// Calls a0 times, then is through.
const CALLER: &str = "loop:\necalli 1\naddi a0, a0, -1\nbnez a0, loop\ntrap";
