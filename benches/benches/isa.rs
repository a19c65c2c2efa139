//! Decoding, finding block starts and pricing blocks, in bytes of code per second. The code is that
//! of all prebuilt guests, repeated to 4 MiB. The figures come first.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_isa::gas::{FrameCosts, block_cost};
use rivet_isa::{BlockStarts, decode};
use rivet_loader::{LinkOptions, link};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

fn guest_code() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/prebuilt");
    let mut once = Vec::new();
    for entry in std::fs::read_dir(folder).expect("prebuilt guests are there") {
        let elf = std::fs::read(entry.expect("the folder is readable").path()).expect("readable");
        let linked = link(&elf, &LinkOptions::default()).expect("prebuilt guests link");
        once.extend_from_slice(linked.image.code());
    }
    once.iter().copied().cycle().take(4 << 20).collect()
}

/// Nanoseconds per instruction of the fastest of some rounds.
fn figure(name: &str, instructions: usize, mut work: impl FnMut() -> u64) {
    let rounds = (0..30).map(|_| {
        let begin = Instant::now();
        black_box(work());
        begin.elapsed()
    });
    let best = rounds.min().unwrap_or_default().as_nanos() as f64;
    let each = best / instructions as f64;
    println!("figure: {name}: {each:.2} ns per instruction (with all of translation, goal 15)");
}

/// What decoding, finding starts and pricing add to a translation.
fn figures(code: &[u8]) {
    let walk = || {
        let (mut at, mut count, mut sum) = (0, 0usize, 0u64);
        while let Some(found) = decode(black_box(code), at) {
            sum = sum.wrapping_add(found.inst.imm() as u64);
            at += found.len.bytes() as usize;
            count += 1;
        }
        (count, sum)
    };
    let instructions = walk().0;
    figure("decoding", instructions, || walk().1);
    figure("block starts", instructions, || {
        BlockStarts::scan(black_box(code)).end().value()
    });
    let starts = BlockStarts::scan(code);
    let frame = FrameCosts::new(25, 256);
    figure("decoding and block costs", instructions, || {
        let costs = starts.blocks().map(|block| block_cost(code, block, frame));
        costs.map(|cost| cost.gate()).sum()
    });
}

fn isa(criterion: &mut Criterion) {
    let code = guest_code();
    figures(&code[..1 << 18]);
    let mut group = criterion.benchmark_group("isa");
    group.throughput(Throughput::Bytes(code.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let (mut at, mut sum) = (0, 0u32);
            while let Some(found) = decode(black_box(&code), at) {
                sum = sum.wrapping_add(found.inst.imm() as u32);
                at += found.len.bytes() as usize;
            }
            sum
        });
    });
    group.bench_function("block starts", |bencher| {
        bencher.iter(|| BlockStarts::scan(black_box(&code)).end());
    });
    let starts = BlockStarts::scan(&code);
    group.bench_function("block costs", |bencher| {
        let frame = FrameCosts::new(25, 256);
        bencher.iter(|| {
            let costs = starts
                .blocks()
                .map(|block| block_cost(black_box(&code), block, frame));
            costs.map(|cost| cost.gate()).sum::<u64>()
        });
    });
    group.finish();
}

criterion_group!(benches, isa);
criterion_main!(benches);
