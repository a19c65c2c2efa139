//! The interpreter on small programs, each of which stresses one part of it. The unit of
//! throughput is one guest instruction.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_interp::sparse::{Access, Region, Source};
use rivet_interp::{Program, SparseMemory, State, Tracer, View, run, run_traced};
use rivet_isa::gas::FrameCosts;
use rivet_isa::{Exit, Gas, GuestAddr, Inst, Pc};
use std::hint::black_box;

const COSTS: FrameCosts = FrameCosts::new(25, 256);
const DATA: u32 = 0x1000_0000;

/// Name and source; each ends with `trap`.
const KERNELS: [(&str, &str); 5] = [
    // Every operation waits for the one before.
    (
        "dependent",
        "li a0, 20000\n fallthrough
         l: add a1, a1, a0\n xor a1, a1, a2\n rori a1, a1, 7\n add a1, a1, a0
         mul a1, a1, a0\n addi a0, a0, -1\n bnez a0, l\n trap",
    ),
    (
        "independent",
        "li a0, 20000\n fallthrough
         l: add a1, s0, s1\n xor a2, s0, s1\n or a3, s0, s1\n sub a4, s0, s1
         sh2add a5, s0, s1\n addi a0, a0, -1\n bnez a0, l\n trap",
    ),
    // Copies 16 KiB, again and again.
    (
        "copy",
        "li a0, 10\n lui s0, 0x10000\n lui s1, 0x10010\n fallthrough
         outer: mv a1, s0\n mv a2, s1\n li a3, 2048\n fallthrough
         l: ld a4, 0(a1)\n sd a4, 0(a2)\n addi a1, a1, 8\n addi a2, a2, 8
         addi a3, a3, -1\n bnez a3, l\n addi a0, a0, -1\n bnez a0, outer\n trap",
    ),
    // Recursive Fibonacci number.
    (
        "calls",
        "lui sp, 0x10020\n li a0, 17\n call fib\n trap
         fib: li a1, 2\n bltu a0, a1, out
         addi sp, sp, -24\n sd ra, 0(sp)\n sd s0, 8(sp)\n sd s1, 16(sp)
         mv s0, a0\n addi a0, a0, -1\n call fib
         mv s1, a0\n addi a0, s0, -2\n call fib
         add a0, a0, s1\n ld ra, 0(sp)\n ld s0, 8(sp)\n ld s1, 16(sp)
         addi sp, sp, 24\n ret\n out: ret",
    ),
    // The shortest blocks there are.
    (
        "blocks",
        "li a0, 20000\n fallthrough
         l: addi a0, a0, -1\n fallthrough\n fallthrough\n bnez a0, l\n trap",
    ),
];

struct Count(u64);

impl Tracer for Count {
    fn instruction(&mut self, _: Pc, _: Inst, _: View<'_>) {
        self.0 += 1;
    }
}

fn memory() -> SparseMemory {
    let mut memory = SparseMemory::new(1 << 10);
    let region = Region {
        start: GuestAddr::new(DATA).page(),
        pages: 32,
        access: Access::CopyOnWrite { cow_cost: 256 },
        source: Source::zeros(),
    };
    memory
        .map(region)
        .expect("the region is inside the data range");
    memory
}

fn start() -> State {
    State {
        gas: Gas::MAX,
        ..State::default()
    }
}

fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("interp");
    for (name, source) in KERNELS {
        let code = rivet_isa::asm::assemble(source).expect("kernels assemble");
        let program = Program::new(code.into(), COSTS);
        let mut count = Count(0);
        let exit = run_traced(&program, &mut start(), &mut memory(), &mut count);
        assert_eq!(exit, Ok(Exit::Trap), "{name}");
        group.throughput(Throughput::Elements(count.0));
        group.bench_function(name, |b| {
            let mut memory = memory();
            b.iter(|| run(&program, black_box(&mut start()), &mut memory));
        });
    }
    group.finish();
}

/// What a new machine costs before its first instruction, and what one call out and back costs.
fn overheads(c: &mut Criterion) {
    let mut group = c.benchmark_group("interp-overhead");
    let code = rivet_isa::asm::assemble("l: ecalli 1\n j l").expect("assembles");
    let program = Program::new(code.into(), COSTS);
    group.bench_function("machine", |b| b.iter(memory));
    group.bench_function("host-call", |b| {
        let (mut state, mut memory) = (start(), memory());
        b.iter(|| run(&program, black_box(&mut state), &mut memory));
    });
    group.finish();
}

criterion_group!(benches, kernels, overheads);
criterion_main!(benches);
