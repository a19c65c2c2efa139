//! The recompiler: translation, starting and leaving, host calls, worst cases, and what each
//! fusion buys.
//!
//! `cargo bench -p rivet-benches --bench jit` prints the figures that have goals first (`figures`
//! as a filter prints nothing else). Times of `translate/*` are per guest instruction
//! where criterion shows elements, and include the pipeline gas model.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_isa::gas::{CostModel, FrameCosts};
use rivet_isa::{BlockStarts, CODE_BASE, DATA_BASE, Gas, Pc, Reg, Regs, asm};
use rivet_jit::{Call, CodeCache, CodeCacheConfig, Cpu, Flow, Host, NoHost, Program};
use rivet_paging::{
    AddressSpace, Layout, MemoryLimits, PageRange, PageSource, Region, Tracker, WindowPool,
};

fn costs() -> FrameCosts {
    CostModel::default().frame(16, [16])
}

fn program(code: &Arc<[u8]>, starts: &Arc<BlockStarts>, cache: &Arc<CodeCache>) -> Program {
    Program::new(Arc::clone(code), Arc::clone(starts), costs(), cache).expect("a table")
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
struct Rig {
    program: Program,
    memory: AddressSpace,
}

impl Rig {
    fn new(source: &str) -> Self {
        let code: Arc<[u8]> = asm::assemble(source).expect("assembly").into();
        let starts = Arc::new(BlockStarts::scan(&code));
        let cache = CodeCache::new(CodeCacheConfig::default());
        Self {
            program: program(&code, &starts, &cache),
            memory: memory(&code),
        }
    }

    fn run(&mut self, a0: u64, host: &mut impl Host) -> u64 {
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
fn mixed(functions: usize) -> Arc<[u8]> {
    let function = "addi sp, sp, -32\nsd ra, 24(sp)\nsd s0, 16(sp)\nmv s0, a0\nli a3, 100\n\
        ld a1, 0(s0)\nslli a2, a1, 3\nadd a2, a2, s0\nld a4, 8(a2)\nxor a1, a1, a4\nsd a1, 8(s0)\n\
        bltu a1, a3, 8\nfallthrough\naddiw a1, a1, 1\nmulw a1, a1, a3\nbnez a4, 8\nfallthrough\n\
        auipc ra, 0\njalr ra, 0(ra)\nand a5, a0, a1\nsrli a5, a5, 7\nsltu a0, a1, a5\n\
        ld ra, 24(sp)\nld s0, 16(sp)\naddi sp, sp, 32\nret\n";
    let one = asm::assemble(function).expect("assembly");
    let compressed: Vec<u8> = walk(&one);
    compressed.repeat(functions).into()
}

/// The same instructions with a compressed form wherever there is one that keeps offsets right:
/// everything but branches and jumps.
fn walk(code: &[u8]) -> Vec<u8> {
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

/// Time to translate all of `code`, and what came of it.
fn translate(code: &Arc<[u8]>, starts: &Arc<BlockStarts>, cache: &Arc<CodeCache>) -> Program {
    let program = program(code, starts, cache);
    for chunk in 0..(code.len() as u64).div_ceil(1 << 16) {
        if let Some(pc) = starts.from(Pc::new(chunk << 16)).next() {
            program.prepare(pc);
        }
    }
    program
}

fn translation(c: &mut Criterion) {
    let mut group = c.benchmark_group("translate");
    group.sample_size(10);
    let jalr = [0x82u8, 0x80];
    let branch = [0x11u8, 0xE1];
    let ecall = 0x0000_200Bu32.to_le_bytes();
    let add = [0x05u8, 0x05];
    let cases: [(&str, Arc<[u8]>); 6] = [
        ("mixed code", mixed(8000)),
        ("two-byte branches", branch.repeat(1 << 19).into()),
        ("jalr", jalr.repeat(1 << 19).into()),
        ("ecall", ecall.repeat(1 << 18).into()),
        (
            "blocks of 2^16 instructions",
            [add.repeat((1 << 16) - 1), jalr.to_vec()]
                .concat()
                .repeat(8)
                .into(),
        ),
        ("small program", mixed(4)),
    ];
    let cache = CodeCache::new(CodeCacheConfig::default());
    for (name, code) in cases {
        let starts = Arc::new(BlockStarts::scan(&code));
        let totals = translate(&code, &starts, &cache).totals();
        println!(
            "{name}: {:.2} native bytes per guest byte, {} chunks refused",
            totals.native_bytes as f64 / totals.guest_bytes.max(1) as f64,
            totals.refused_chunks
        );
        group.throughput(Throughput::Elements(totals.instructions.max(1)));
        group.bench_function(name, |b| b.iter(|| translate(&code, &starts, &cache)));
    }
    group.finish();
}

/// Prints a figure that has a goal: the best of many rounds, so that it says what the code costs
/// and not what else the machine was doing.
fn figure(name: &str, unit: &str, goal: f64, value: f64) {
    println!("figure: {name}: {value:.2} {unit} (goal {goal})");
}

/// Nanoseconds of the fastest of `rounds` calls.
fn fastest(rounds: u32, mut work: impl FnMut() -> u64) -> f64 {
    let times = (0..rounds).map(|_| timed(&mut work));
    times.min().unwrap_or_default().as_nanos() as f64
}

/// The figures of the recompiler's fixed costs, each with its goal.
fn figures(_: &mut Criterion) {
    let cache = CodeCache::new(CodeCacheConfig::default());
    let code = mixed(2000);
    let starts = Arc::new(BlockStarts::scan(&code));
    let totals = translate(&code, &starts, &cache).totals();
    let instructions = totals.instructions as f64;
    let scan = fastest(300, || BlockStarts::scan(black_box(&code)).count() as u64);
    let all = fastest(300, || {
        translate(&code, &starts, &cache).totals().instructions
    });
    let unit = "ns per guest instruction";
    figure(
        "finding block starts and translation",
        unit,
        15.0,
        (scan + all) / instructions,
    );
    figure("translation alone", unit, 15.0, all / instructions);
    let ratio = totals.native_bytes as f64 / totals.guest_bytes as f64;
    figure("native code", "bytes per guest byte", 3.0, ratio);
    let small = mixed(4);
    let short = fastest(2000, || {
        let starts = Arc::new(BlockStarts::scan(&small));
        translate(&small, &starts, &cache).totals().instructions
    });
    figure(
        "from 200 bytes of code to their translation",
        "µs",
        15.0,
        short / 1e3,
    );
    let branches: Arc<[u8]> = [0x11u8, 0xE1].repeat(1 << 22).into();
    let scanned = fastest(3, || BlockStarts::scan(black_box(&branches)).count() as u64);
    let starts = Arc::new(BlockStarts::scan(&branches));
    let translated = fastest(1, || {
        translate(&branches, &starts, &cache).totals().instructions
    });
    println!(
        "figure: two-byte branches: {:.2} ns per byte to scan, {:.2} to translate",
        scanned / branches.len() as f64,
        translated / branches.len() as f64
    );
    let mut rig = Rig::new("ecalli 1");
    let entry = fastest(300, || (0..100).map(|_| rig.run(0, &mut NoHost)).sum()) / 100.0;
    figure("entering and leaving a run", "ns", 100.0, entry);
    let mut rig = Rig::new("loop:\necalli 1\naddi a0, a0, -1\nbnez a0, loop\ntrap");
    let mut host = |call: Call<'_>| {
        *call.gas = call.gas.checked_sub(100).unwrap_or(Gas::ZERO);
        Flow::Continue
    };
    let call = fastest(300, || rig.run(1000, &mut host)) / 1000.0;
    figure("host call inside a run", "ns", 6.0, call);
}

fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("calls");
    let mut rig = Rig::new("loop:\necalli 1\naddi a0, a0, -1\nbnez a0, loop\ntrap");
    let mut host = |call: Call<'_>| {
        *call.gas = call.gas.checked_sub(100).unwrap_or(Gas::ZERO);
        Flow::Continue
    };
    group.bench_function("host call inside a run", |b| {
        b.iter_custom(|n| timed(|| rig.run(n.max(1), &mut host)));
    });
    let mut rig = Rig::new("ecalli 1");
    group.bench_function("enter and leave", |b| b.iter(|| rig.run(0, &mut NoHost)));
    group.finish();
}

fn timed(work: impl FnOnce() -> u64) -> Duration {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed()
}

/// Fusions: name, first part, second part, and what uses the result. `NEXT` is the distance from
/// the first part to behind the second.
const SHAPES: [(&str, &str, &str, &str); 15] = [
    (
        "full_product",
        "mulhu a3, a1, a2",
        "mul a1, a1, a2",
        "xor a1, a1, a3",
    ),
    (
        "carry",
        "add a3, a1, a2",
        "sltu a4, a3, a1",
        "add a1, a3, a4",
    ),
    (
        "borrow",
        "sltu a4, a1, a2",
        "sub a3, a1, a2",
        "add a1, a3, a4",
    ),
    (
        "constant",
        "lui a3, 74565",
        "addiw a3, a3, 1656",
        "add a1, a1, a3",
    ),
    (
        "extension",
        "slli a3, a1, 32",
        "srli a3, a3, 32",
        "addi a1, a3, 1",
    ),
    (
        "load_sum",
        "sh3add a3, a1, s0",
        "ld a3, 0(a3)",
        "xor a1, a1, a3",
    ),
    (
        "quotient_and_remainder",
        "divu a3, a1, a2",
        "remu a4, a1, a2",
        "add a1, a3, a4",
    ),
    (
        "product_around",
        "mul a3, a1, a2",
        "sd a3, 0(s0)\nmulhu a3, a1, a2",
        "add a1, a1, a3",
    ),
    (
        "carry_chain",
        "add a3, a1, a2\nsltu a4, a3, a1",
        "add a4, a4, a1",
        "xor a1, a3, a4",
    ),
    (
        "borrow_chain",
        "sltu a4, a1, a2\nsub a3, a1, a2",
        "sub a4, a1, a4",
        "xor a1, a3, a4",
    ),
    (
        "low_half",
        "addw a1, a1, a2",
        "mulw a1, a1, a2",
        "addi a1, a1, 1",
    ),
    (
        "result_and_branch",
        "addi a2, a2, 1",
        "bnez a2, 4",
        "xor a1, a1, a2",
    ),
    (
        "set_and_branch",
        "sltu a3, a1, a2",
        "bnez a3, 4",
        "xor a1, a1, a3",
    ),
    (
        "select",
        "czero.eqz a3, a1, a2",
        "czero.nez a4, a2, a2\nor a3, a3, a4",
        "xor a1, a1, a3",
    ),
    (
        "call_far",
        "auipc t0, 0",
        "jalr t0, NEXT(t0)",
        "addi a1, a1, 1",
    ),
];

/// Each fusion in a loop, and the same with its parts kept apart by a `fence`, which emits no
/// code.
fn fusions(c: &mut Criterion) {
    let mut group = c.benchmark_group("fusions");
    for (name, first, second, rest) in SHAPES {
        for (kind, between, next) in [("fused", "", "8"), ("apart", "fence\n", "12")] {
            let second = second.replace("NEXT", next);
            let body = format!("{first}\n{between}{second}\n{rest}\nandi a1, a1, 1023\n").repeat(8);
            let source = format!("loop:\n{body}addi a0, a0, -1\nbnez a0, loop\ntrap");
            let mut rig = Rig::new(&source);
            rig.run(1, &mut NoHost);
            group.bench_function(format!("{name}/{kind}"), |b| {
                b.iter_custom(|n| timed(|| rig.run(n.max(1), &mut NoHost)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, figures, translation, calls, fusions);
criterion_main!(benches);
