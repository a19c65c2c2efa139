//! Interpreter and recompiler, run on the same programs, must leave the same trail: every exit
//! with its registers, pc, gas and private pages, and the memory at the end.
//!
//! `RIVET_AGREE_SCALE` multiplies the number of cases and `RIVET_AGREE_SEED` moves to others; a
//! failure names its seed.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "differential/compare.rs"]
mod compare;
#[path = "../jit/tests/common/maps.rs"]
mod maps;
#[path = "differential/sites.rs"]
mod sites;
#[path = "differential/table.rs"]
mod table;
#[path = "differential/vectors.rs"]
mod vectors;

use compare::{Engines, Run};
use rivet_isa::arbitrary::{EDGES, Random};
use rivet_isa::generate::{self, Case, Damage};
use rivet_isa::{Exit, GuestAddr, Op, Reg, SLOTS};

/// Gas that random programs do not use up, endless loops aside.
const AMPLE: u64 = 400_000;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// This many cases at scale 1.
fn seeds(cases: u64) -> std::ops::Range<u64> {
    let first = setting("RIVET_AGREE_SEED", 1) << 32;
    first..first + cases * setting("RIVET_AGREE_SCALE", 1)
}

fn ample(case: &Case) -> Run {
    Run::with_gas(&case.runs[0], AMPLE)
}

#[test]
fn random_programs_leave_the_same_trail() {
    let engines = Engines::new();
    let mut exits = std::collections::BTreeMap::new();
    for seed in seeds(3000) {
        let written = generate::program(seed);
        let loaded = engines.load(&written);
        let name = format!("seed {seed}");
        let trail = if seed % 8 == 0 {
            loaded.agree_checked(&ample(&written), &name)
        } else {
            loaded.agree(&ample(&written), &name)
        };
        let last = trail.seen.last().expect("a run exits");
        let exit = last.exit.as_ref().expect("no host error");
        *exits.entry(exit.name()).or_insert(0) += 1;
    }
    println!("{exits:?}");
    assert!(
        exits.len() >= 5,
        "every kind of end is among them: {exits:?}"
    );
}

#[test]
fn neighbours_that_are_run_as_one_leave_the_same_trail() {
    let engines = Engines::new();
    const TOGETHER: u64 = 50;
    for first in seeds(40).map(|seed| seed * TOGETHER) {
        let written = generate::neighbours(first, TOGETHER);
        let loaded = engines.load(&written);
        for (i, run) in written.runs.iter().enumerate() {
            let name = format!("neighbours from seed {first}, run {i}");
            let run = Run::with_gas(run, AMPLE);
            if i % 16 == 0 {
                loaded.agree_checked(&run, &name);
            } else {
                loaded.agree(&run, &name);
            }
        }
    }
}

#[test]
fn every_budget_stops_both_engines_at_the_same_place() {
    let engines = Engines::new();
    for seed in seeds(40) {
        let written = generate::program(seed ^ 0xB0D6E7);
        let loaded = engines.load(&written);
        let run = ample(&written);
        let trail = loaded.agree(&run, &format!("seed {seed}"));
        let left = trail.seen.last().expect("a run exits").gas;
        let total = AMPLE - left;
        let mut random = Random::new(seed);
        let all = total < 400;
        let count = if all { total + 1 } else { 200 };
        for i in 0..count {
            // Stores demand a reserve that is not spent, so look beyond the total as well.
            let gas = if all { i } else { random.below(total + 6000) };
            let refills = vec![random.below(3000), random.below(total + 1), AMPLE];
            let run = Run {
                gas,
                refills,
                ..run.clone()
            };
            loaded.agree(&run, &format!("seed {seed} budget {gas}"));
        }
        let around = |gas: u64| (-2..=2).map(move |by| gas.saturating_add_signed(by));
        let far = [
            1 << 16,
            (1 << 16) + total,
            1 << 31,
            (1 << 31) + total,
            1 << 32,
            1 << 62,
        ];
        let far = far.into_iter().flat_map(around).chain([i64::MAX as u64]);
        if trail.seen.last().and_then(|seen| seen.exit.clone().ok()) == Some(Exit::OutOfGas) {
            continue;
        }
        for gas in far {
            let run = Run { gas, ..run.clone() };
            loaded.agree(&run, &format!("seed {seed} budget {gas}"));
        }
    }
}

#[test]
fn hostile_programs_leave_the_same_trail() {
    let engines = Engines::new();
    let mut exits = std::collections::BTreeMap::new();
    for seed in seeds(3000) {
        let damage = Damage::ALL[(seed % Damage::ALL.len() as u64) as usize];
        let case = generate::hostile(damage, seed);
        let loaded = engines.load(&case);
        for (i, run) in case.runs.iter().enumerate() {
            let mut run = Run::with_gas(run, run.gas);
            run.refills = vec![Random::new(seed).below(3000)];
            let name = format!("{damage:?} seed {seed} run {i}");
            let trail = if seed % 16 == 0 {
                loaded.agree_checked(&run, &name)
            } else {
                loaded.agree(&run, &name)
            };
            let last = trail.seen.last().expect("a run exits");
            let exit = last.exit.as_ref().expect("no host error");
            *exits.entry(exit.name()).or_insert(0) += 1;
        }
    }
    println!("{exits:?}");
    assert!(
        exits.len() >= 5,
        "every kind of end is among them: {exits:?}"
    );
}

#[test]
fn random_bytes_leave_the_same_trail_from_every_entry() {
    let engines = Engines::new();
    for seed in seeds(500) {
        let case = generate::hostile(Damage::Bytes, seed ^ 0xB17E5);
        let loaded = engines.load(&case);
        let run = &case.runs[(seed % case.runs.len() as u64) as usize];
        for entry in 0..case.code.len() as u64 + 3 {
            let mut run = Run::with_gas(run, 3000);
            run.entry = entry;
            loaded.agree(&run, &format!("seed {seed} entry {entry}"));
        }
    }
}

#[test]
fn a_program_cut_at_each_byte_leaves_the_same_trail() {
    let engines = Engines::new();
    for seed in seeds(4) {
        let mut written = generate::program(seed ^ 0xC07);
        for len in (0..written.code.len().min(600)).rev() {
            written.code.truncate(len);
            let loaded = engines.load(&written);
            loaded.agree(&ample(&written), &format!("seed {seed} length {len}"));
        }
    }
}

/// Slots with values at edges, and these in t0 and t1.
fn slots_with(t0: u64, t1: u64) -> [u64; SLOTS] {
    let mut slots = [0; SLOTS];
    for (i, slot) in slots.iter_mut().enumerate() {
        *slot = EDGES[(i + 3) % EDGES.len()];
    }
    (slots[2], slots[3]) = (t0, t1);
    slots
}

#[test]
fn every_instruction_agrees_with_every_choice_of_registers_at_the_edges() {
    let engines = Engines::new();
    let scale = 4 * setting("RIVET_AGREE_SCALE", 1) as usize;
    for &op in Op::ALL
        .iter()
        .filter(|op| !op.flow().is_call() && **op != Op::Trap)
    {
        let loaded = engines.load_with(&table::every_choice(op), &[]);
        let memory = op.is_load() || op.is_store();
        let addresses = table::addresses();
        let first = if memory { &addresses[..] } else { &EDGES[..] };
        for (i, &t0) in first.iter().enumerate() {
            for k in 0..scale.min(EDGES.len()) {
                let t1 = EDGES[(i * 7 + k) % EDGES.len()];
                let run = Run {
                    entry: 0,
                    slots: slots_with(t0, t1),
                    gas: 1 << 50,
                    refills: Vec::new(),
                };
                let name = format!("{} of {t0:#x} and {t1:#x}", op.mnemonic());
                let trail = loaded.agree(&run, &name);
                let exit = &trail.seen.last().expect("a run exits").exit;
                assert_eq!(exit.as_ref(), Ok(&Exit::Halt), "{name}: all choices ran");
            }
        }
    }
}

#[test]
fn the_recompiler_computes_every_row_of_the_vectors() {
    let engines = Engines::new();
    let rows = vectors::rows();
    assert!(rows.len() > 60_000, "the file is complete");
    let bases = [
        (Reg::GP, Reg::TP),
        (Reg::S0, Reg::A5),
        (Reg::RA, Reg::A0),
        (Reg::T0, Reg::A2),
    ];
    for (turn, rows) in rows.chunks(vectors::PER_PROGRAM).enumerate() {
        let (from, to) = bases[turn % bases.len()];
        let code = vectors::program(rows, from, to, turn);
        let loaded = engines.load_with(&code, &vectors::operands(rows));
        let mut run = Run {
            entry: 0,
            slots: slots_with(0, 0),
            gas: 1 << 50,
            refills: Vec::new(),
        };
        run.slots[from.slot().expect("not x0").index()] = 0x1000_0000;
        run.slots[to.slot().expect("not x0").index()] = 0x1001_0000;
        loaded.agree(&run, &format!("rows from {}", turn * vectors::PER_PROGRAM));
        let machine = loaded.native(&run);
        for (i, row) in rows.iter().enumerate() {
            let mut result = [0; 8];
            let at = GuestAddr::wrapping(0x1001_0000 + 8 * i as u64);
            machine.read(at, &mut result).expect("the page is mapped");
            assert_eq!(u64::from_le_bytes(result), row.result, "{row:x?}");
        }
    }
}

#[test]
fn blocks_of_any_length_leave_the_same_trail() {
    let engines = Engines::new();
    for (i, len) in [1, 2, 1000, 16_383, 16_384, 40_000, 200_000]
        .into_iter()
        .enumerate()
    {
        let mut random = Random::new(len ^ 0xB10C);
        let mut code = Vec::new();
        while (code.len() as u64) < 4 * len {
            let op = random.pick(Op::ALL);
            if op.flow().is_terminator() || op.is_load() || op.is_store() {
                continue;
            }
            let word = rivet_isa::encode(random.inst(op)).expect("legal operands");
            code.extend(word.to_le_bytes());
        }
        // sd a0, -8(x0); addi a1, a1, 1; ecalli 0
        for word in [0xFEA0_3C23_u32, 0x0015_8593, 0x0000_200B] {
            code.extend(word.to_le_bytes());
        }
        let loaded = engines.load_with(&code, &[]);
        let run = Run {
            entry: 0,
            slots: slots_with(1, 2),
            gas: 1 << 40,
            refills: Vec::new(),
        };
        let trail = loaded.agree_checked(&run, &format!("block {i}"));
        let last = trail.seen.last().expect("a run exits");
        assert_eq!(last.exit.as_ref(), Ok(&Exit::Halt), "block {i}");
        // One private page and the call were paid on top of the block, one store reserves two.
        let cost = (1 << 40) - last.gas - 256 - 100;
        for gas in [cost, cost + 511, cost + 512, cost + 513] {
            let trail = loaded.agree(
                &Run { gas, ..run.clone() },
                &format!("block {i} with {gas}"),
            );
            let exit = &trail.seen.last().expect("a run exits").exit;
            let enough = gas >= cost + 512;
            assert_eq!(
                exit == &Ok(Exit::Halt),
                enough,
                "block {i} with {gas} of {cost}"
            );
        }
    }
}
