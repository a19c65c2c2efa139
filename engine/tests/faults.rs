//! Every load and store faults once, and at the fault all fifteen registers, pc and gas are those
//! of the interpreter in front of that instruction: the contract that lets an access trap at any
//! place (INV-7), for what is emitted for single instructions and for every fusion.
//!
//! [`closed::compare`] does it for any code. The sources of the recompiler's filetests are run
//! under it as they are, so a new fusion is covered by its filetest.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "faults/closed.rs"]
mod closed;
#[path = "../../jit/tests/common/maps.rs"]
mod maps;
#[path = "faults/shapes.rs"]
mod shapes;
#[path = "faults/signals.rs"]
mod signals;

use std::path::{Path, PathBuf};

use rivet_isa::arbitrary::Random;
use rivet_isa::{CODE_BASE, Regs, SLOTS};

fn filetests(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(filetests(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Registers that mostly point into memory: some with a dirty upper half, some small, a few that
/// point nowhere.
fn pointers(random: &mut Random, code_len: usize) -> Regs {
    let mut slots = [0; SLOTS];
    for slot in &mut slots {
        *slot = match random.below(16) {
            0..9 => closed::DATA_START + 2100 + random.below(closed::DATA_LEN - 4200),
            9..12 => random.below(64),
            12 => CODE_BASE + random.below(code_len as u64),
            13 => (closed::DATA_START + 4096 - random.below(8)) | random.bits() << 32,
            14 => closed::DATA_START / 2 + random.below(256),
            _ => random.value(),
        };
    }
    Regs::new(slots)
}

#[test]
fn registers_are_at_home_at_every_access_of_every_filetest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jit/tests/filetests");
    let mut compared = 0;
    for path in filetests(&root) {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = text.split("----\n").next().unwrap();
        let code = rivet_isa::asm::assemble(source).unwrap();
        // From each instruction on: an access that is not allowed hides those behind it.
        let mut at = 0;
        while let Some(decoded) = rivet_isa::decode(&code, at) {
            for seed in 0..6 {
                let regs = pointers(&mut Random::new(seed), code.len());
                let name = format!("{} from {at}, {seed}", path.display());
                compared += closed::compare(&code[at..], regs, &name);
            }
            at += decoded.len.bytes() as usize;
        }
    }
    assert!(compared > 1000, "only {compared} accesses");
}

/// Compares this many random programs.
fn random_programs(first: u64, count: u64) -> usize {
    let mut compared = 0;
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let code = shapes::program(&mut random);
        let regs = shapes::registers(&mut random);
        compared += closed::compare(&code, regs, &format!("seed {seed}"));
    }
    compared
}

#[test]
fn registers_are_at_home_at_every_access_of_random_programs() {
    let compared = random_programs(0, 200);
    assert!(compared > 2000, "only {compared} accesses");
}

#[test]
#[ignore = "takes minutes: as the one above, many times over"]
fn registers_are_at_home_at_every_access_of_many_random_programs() {
    let compared = random_programs(1 << 32, 20_000);
    println!("{compared} accesses");
    assert!(compared > 200_000, "only {compared} accesses");
}
