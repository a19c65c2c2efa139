//! Time to link an executable with a megabyte of code.
//!
//! The executable is made here and has per function what compilers make: calls and variables by
//! `auipc` pairs with their relocations and marks, short branches, and a table of all functions.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rivet_loader::{LinkOptions, link};
use support::*;

/// Bytes of one function.
const FUNCTION_SIZE: usize = 256;
const FUNCTIONS: usize = (1 << 20) / FUNCTION_SIZE;
const VARIABLE: u64 = DATA + 8 * FUNCTIONS as u64;

/// One function: two calls, three accesses to a variable, thirty branches, arithmetic.
fn function(at: u64, random: &mut Random, calls: &mut Vec<(u64, usize)>) -> Vec<u8> {
    let mut code = Vec::new();
    let pair = |from: u64, to: u64| {
        let distance = to.wrapping_sub(from);
        let high = distance.wrapping_add(0x800) >> 12 & 0xF_FFFF;
        (high, ((distance << 52) as i64) >> 52)
    };
    for _ in 0..2 {
        let here = at + code.len() as u64;
        let callee = random.below(FUNCTIONS);
        let (high, low) = pair(here, TEXT + (callee * FUNCTION_SIZE) as u64);
        code.extend(asm(&format!("auipc ra, {high:#x}\njalr ra, {low}(ra)\n")));
        calls.push((here, callee));
    }
    for _ in 0..3 {
        let (high, low) = pair(at + code.len() as u64, VARIABLE);
        code.extend(asm(&format!("auipc a1, {high:#x}\nld a1, {low}(a1)\n")));
    }
    let arithmetic =
        asm("add a0, a0, a1\nc.nop\nxori a2, a0, 17\nc.beqz a0, 6\nc.nop\nc.beqz a2, 12\n");
    while code.len() + arithmetic.len() + 16 < FUNCTION_SIZE {
        code.extend(&arithmetic);
    }
    while code.len() + 2 < FUNCTION_SIZE {
        code.extend(asm("c.nop\n"));
    }
    code.extend(asm("c.jr ra\n"));
    code
}

fn executable() -> Vec<u8> {
    let random = &mut Random::new(1);
    let (mut code, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..FUNCTIONS {
        let at = TEXT + code.len() as u64;
        code.extend(function(at, random, &mut calls));
    }
    let mut elf = Elf::new(code);
    let table = (0..FUNCTIONS as u64).map(|index| TEXT + index * FUNCTION_SIZE as u64);
    let mut content: Vec<u8> = table.clone().flat_map(u64::to_le_bytes).collect();
    content.extend([0; 8]);
    let data = elf.section(".data", WRITE, DATA, content);
    let variable = elf.symbol("variable", OBJECT | GLOBAL, data, VARIABLE);
    let functions: Vec<u32> = table
        .map(|address| elf.symbol("function", FUNCTION | GLOBAL, 1, address))
        .collect();
    for (at, callee) in calls {
        elf.code_reloc(at, CALL_PLT, functions[callee]);
    }
    for index in 0..FUNCTIONS as u64 {
        elf.reloc(
            data.into(),
            DATA + 8 * index,
            R_64,
            functions[index as usize],
            0,
        );
        for access in 0..3 {
            let at = TEXT + index * FUNCTION_SIZE as u64 + 16 + 8 * access;
            let label = elf.symbol(".Lpcrel_hi0", LABEL, 1, at);
            elf.code_reloc(at, PCREL_HI20, variable);
            elf.code_reloc(at + 4, PCREL_LO12_I, label);
        }
    }
    elf.build()
}

fn megabyte(criterion: &mut Criterion) {
    let elf = executable();
    let options = LinkOptions::default();
    let report = link(&elf, &options).expect("the executable links").report;
    assert_eq!(report.text_before, 1 << 20);
    let mut group = criterion.benchmark_group("link");
    group.throughput(Throughput::Bytes(report.text_before));
    group.sample_size(20);
    group.bench_function("1 MiB of code", |bencher| {
        bencher.iter(|| link(&elf, &options).expect("the executable links"));
    });
    group.finish();
}

criterion_group!(benches, megabyte);
criterion_main!(benches);
