//! The recompiler: translation, starting and leaving, host calls, worst cases, and what each
//! fusion buys.
//!
//! `cargo bench -p rivet-benches --bench jit` prints the figures that have goals first (`figures`
//! as a filter prints nothing else). Times of `translate/*` are per guest instruction
//! where criterion shows elements, and include the pipeline gas model.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_benches::figure::timed;
use rivet_benches::recompiler::{
    Rig, crossings, first_instruction, mixed, translate, translation as translation_figures,
};
use rivet_isa::{BlockStarts, Gas};
use rivet_jit::{Call, CodeCache, CodeCacheConfig, Flow, NoHost};

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

/// The figures of the recompiler's fixed costs, each with its goal.
fn figures(_: &mut Criterion) {
    let figures = [translation_figures(), first_instruction(), crossings()];
    for figure in figures.iter().flatten() {
        println!("figure: {figure}");
    }
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
