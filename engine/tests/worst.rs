//! Code that is the worst a guest can bring for translation: nothing but branches, nothing but
//! indirect jumps, nothing but calls, one block that never ends. Time and memory stay in proportion
//! to it, and the result is the interpreter's.
//!
//! `cargo test --release -p rivet-engine --test worst -- --ignored --nocapture` measures the largest.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "../../jit/tests/common/maps.rs"]
mod maps;

use std::time::Instant;

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Flow, Host, Machine, Program, Quote, Raw, Start,
    View,
};
use rivet_isa::asm::assemble;
use rivet_isa::{CODE_BASE, Gas, MAX_CODE_SIZE, Pc, Reg, Regs};

/// Native bytes a program may have for each guest byte, and in any case (the bounds of
/// `jit/src/translation.rs`).
const RATIO: u64 = 8;
const FLOOR: u64 = 4 << 20;
const CEILING: u64 = 256 << 20;

/// Answers every call, and counts.
struct Counting(u64);

impl Host for Counting {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.0 += 1;
        let value = context.regs().get(Reg::A1);
        context.set_reg(Reg::A1, value.wrapping_add(1));
        Flow::Continue
    }
}

/// The worst cases by name: one instruction over and over.
fn cases() -> [(&'static str, Vec<u8>); 6] {
    let instruction = |text: &str| assemble(text).unwrap();
    [
        ("branches of two bytes", instruction("c.beqz a0, 2")),
        ("branches of four bytes", instruction("bltu a1, a2, 4")),
        ("indirect jumps", instruction("c.jr ra")),
        ("indirect calls", instruction("c.jalr ra")),
        ("calls", instruction("ecalli 1")),
        ("one block", instruction("c.addi a1, 1")),
    ]
}

fn load(backend: Backend, code: &[u8]) -> Program {
    maps::watch();
    let config = Config {
        backend,
        ..Config::default()
    };
    let engine = Engine::new(config).unwrap();
    engine.load_raw(Raw::new(code.to_vec())).unwrap()
}

/// A run from an offset to its end.
fn run(program: &Program, pc: u64, gas: u64) -> (String, Pc, Regs, u64, u64) {
    let start = Start::at(pc).with_gas(Gas::new(gas).unwrap());
    let start = start.with_slot(Reg::RA.slot().unwrap(), CODE_BASE + 6);
    let mut machine: Machine = program.machine(start).unwrap();
    let mut host = Counting(0);
    let exit = machine.run(&mut host).unwrap();
    let gas = machine.gas().value();
    let exit = exit.name().to_owned();
    (exit, machine.pc(), *machine.regs(), gas, host.0)
}

fn within_bounds(program: &Program, name: &str) {
    let made = program.translation();
    let len = program.code().len() as u64;
    let bound = (RATIO * len).clamp(FLOOR, CEILING);
    assert!(
        made.native_bytes <= bound,
        "{name}: {made:?} for {len} bytes"
    );
}

#[test]
fn code_of_one_instruction_over_and_over_runs_as_in_the_interpreter() {
    const LEN: usize = 512 << 10;
    for (name, instruction) in cases() {
        let code = instruction.repeat(LEN / instruction.len());
        let [interp, jit] = [Backend::Interp, Backend::Jit].map(|backend| load(backend, &code));
        let entries = (0..=LEN as u64)
            .step_by(1 << 16)
            .chain([6, 2, LEN as u64 - 4]);
        for pc in entries {
            for gas in [0, 20_000_000, 100_000] {
                let [expected, found] = [&interp, &jit].map(|program| run(program, pc, gas));
                assert_eq!(found, expected, "{name} from {pc} with {gas}");
            }
        }
        within_bounds(&jit, name);
    }
}

#[test]
fn a_block_of_two_to_the_sixteen_instructions_runs_at_every_budget_around_its_cost() {
    for instruction in [
        "c.addi a1, 1",
        "sd a1, 8(a2)",
        "mul a1, a1, a2",
        "ld a1, 0(a2)",
    ] {
        let mut code = assemble(instruction).unwrap().repeat(1 << 16);
        code.extend(assemble("trap").unwrap());
        let programs = [Backend::Interp, Backend::Jit].map(|backend| load(backend, &code));
        let block = programs[0].blocks().next().unwrap();
        let need = block.cost.cost + block.cost.reserve;
        for gas in [
            need - 1,
            need,
            need + 1,
            need + (1 << 16) - 1,
            need + (1 << 16),
        ] {
            let [expected, found] = programs.each_ref().map(|program| run(program, 0, gas));
            assert_eq!(found, expected, "{instruction} with {gas}");
            assert_eq!(expected.0 == "out-of-gas", gas < need);
        }
    }
}

/// Largest resident size of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap()
}

#[test]
#[ignore = "measures: programs of the largest size, 252 MiB each, all of it translated"]
fn the_largest_programs_are_translated_in_proportion_to_their_size() {
    println!(
        "case | load ms | translate ms | ns per instruction | translated % | native per translated \
         byte | refused chunks | peak MiB"
    );
    for (name, instruction) in cases() {
        let count = MAX_CODE_SIZE as usize / instruction.len();
        let code = instruction.repeat(count);
        let loading = Instant::now();
        let program = load(Backend::Jit, &code);
        let loading = loading.elapsed();
        drop(code);
        let translating = Instant::now();
        for pc in (0..MAX_CODE_SIZE).step_by(1 << 16) {
            program.translate(Pc::new(pc));
        }
        let took = translating.elapsed();
        let made = program.translation();
        within_bounds(&program, name);
        println!(
            "{name} | {} | {} | {:.1} | {:.1} | {:.2} | {} | {}",
            loading.as_millis(),
            took.as_millis(),
            took.as_nanos() as f64 / count as f64,
            made.guest_bytes as f64 * 100.0 / MAX_CODE_SIZE as f64,
            made.native_bytes as f64 / made.guest_bytes.max(1) as f64,
            made.refused_chunks,
            peak_kib() >> 10
        );
    }
}
