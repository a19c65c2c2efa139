//! The bodies of the fuzz targets on their corpora and on seeded mutations of those.
//!
//! `RIVET_FUZZ_ROUNDS` is the number of mutations per target (3,000 unless said), `RIVET_FUZZ_SEED`
//! moves to others; a failure names target, seed of the mutation, and the input's bytes.

#[path = "../jit/tests/common/maps.rs"]
mod maps;

#[path = "../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "they are public in the crate of the fuzz targets"
)]
mod targets;

mod support;

use rivet::engine::{Config, Engine, NoHost, Raw, Start};
use rivet::image::RegionKind;
use rivet::isa::arbitrary::{EDGES, Random};
use rivet::isa::{DATA_BASE, Gas, asm::assemble};
use rivet::loader::LinkOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// The files of a corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = support::path("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("the corpus is there");
    let mut paths: Vec<_> = entries.map(|e| e.expect("readable").path()).collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("readable");
    paths.into_iter().map(read).collect()
}

fn guest(name: &str) -> Vec<u8> {
    let path = support::path("guests/prebuilt").join(name);
    std::fs::read(path).expect("the guest is there")
}

/// One input changed in a few places, or joined with another.
fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let any = |random: &mut Random| &seeds[random.below(seeds.len() as u64) as usize];
    let mut bytes = any(random).clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let rest = &mut bytes[at..];
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.bits() as u8),
            2 => {
                let other = any(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                let piece = &other[from..(from + random.below(64) as usize).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            3 if rest.len() > 4 => {
                rest[..4].copy_from_slice(&(random.bits() as u32).to_le_bytes());
            }
            4 if rest.len() > 8 => {
                rest[..8].copy_from_slice(&random.pick(&EDGES).to_le_bytes());
            }
            5 if rest.len() > 2 => {
                rest.copy_within(1.., 0);
            }
            _ if !rest.is_empty() => rest[0] ^= 1 << random.below(8),
            _ => {}
        }
    }
    bytes
}

/// Runs a body on the target's corpus, on other seeds, and on mutations of them.
#[track_caller]
fn survives(target: &str, body: fn(&[u8]), others: &[Vec<u8>]) {
    maps::watch();
    let seeds = &[others, &corpus(target)].concat();
    for seed in seeds {
        body(seed);
    }
    let first = setting("RIVET_FUZZ_SEED", 1) << 32;
    for seed in first..first + setting("RIVET_FUZZ_ROUNDS", 3_000) {
        let input = mutated(&mut Random::new(seed), seeds);
        if catch_unwind(AssertUnwindSafe(|| body(&input))).is_err() {
            let bytes: String = input.iter().map(|b| format!("{b:02x}")).collect();
            panic!("{target}, seed {seed}: {bytes}");
        }
    }
}

#[test]
fn decoding_survives_any_bytes() {
    survives("decode", targets::decode, &[]);
}

#[test]
fn linking_survives_any_bytes() {
    let seeds = [guest("hostping.elf"), guest("fib.elf"), guest("hello.elf")];
    survives("link", targets::link, &seeds);
}

#[test]
fn images_survive_any_bytes() {
    let of = |name: &str| {
        let linked = rivet::loader::link(&guest(name), &LinkOptions::default());
        linked
            .expect("it links")
            .image
            .encode()
            .expect("it encodes")
    };
    let seeds = [of("hostping.elf"), of("fib.elf")];
    survives("image", targets::image, &seeds);
}

#[test]
fn snapshots_survive_any_bytes() {
    let engine = Engine::new(Config::default()).expect("some backend runs");
    let code = assemble("lui a1, 0x10000\n sd a0, 8(a1)\n fallthrough\n ecalli 7").expect("valid");
    let raw = Raw::new(code).region(DATA_BASE, 8192, RegionKind::Ephemeral, Vec::new());
    let program = engine.load_raw(raw).expect("valid");
    let start = Start::at(0).with_gas(Gas::new(10_000).expect("small"));
    let mut machine = program.machine(start).expect("a machine");
    let before = machine.snapshot().expect("paused").encode();
    machine.run(&mut NoHost).expect("the host works");
    let after = machine.snapshot().expect("paused").encode();
    let seeds = [before, after];
    survives("snapshot", targets::snapshot, &seeds);
}

#[test]
fn differences_of_any_snapshots_give_the_second_back() {
    survives("delta", targets::delta, &[]);
}

#[test]
fn recordings_survive_any_bytes() {
    survives("trace", targets::trace, &[]);
}

#[test]
fn vector_files_survive_any_bytes() {
    let path = support::path("conformance-vectors/example.vec");
    let seeds = [std::fs::read(path).expect("it is there")];
    survives("vectors", targets::vectors, &seeds);
}

#[test]
fn both_engines_run_any_code_alike() {
    survives("raw", targets::raw, &[]);
}
