//! Millions of damaged snapshots: none panics, none takes memory that its bytes do not pay for,
//! and none resumes into a state that no run can be in.

#[path = "snapshots/input.rs"]
mod input;
mod snapshots;

use input::{Reached, check};
use peak_alloc::PeakAlloc;
use rivet_engine::snapshot::{Delta, Parcel, ParcelState, Snapshot};
use rivet_engine::{Flow, NoHost, Program, Start};
use rivet_image::NoImages;
use rivet_isa::arbitrary::Random;
use rivet_isa::{GuestAddr, Reg};
use snapshots::{DATA, First, engines, gas, load};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Whoever measures memory is alone.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const PROGRAM: &str = "
    lui a1, 0x10000
    sd a0, 0(a1)
    ecalli 5
    sd a0, 8(a1)
    ecall.jar
    addi a0, a0, 1
    fallthrough
    ld a2, 0(a0)
    jal zero, -8
    ecalli -7";

/// Offset of the page table in a snapshot (`wire.rs`).
const TABLE: usize = 224;

/// Valid bytes to start from: before, behind each call, with base and private pages.
fn seeds(program: &Program) -> Vec<Vec<u8>> {
    let start = || program.machine(Start::at(0).with_gas(gas(9000))).unwrap();
    let mut states = vec![start().snapshot().unwrap()];
    let mut vm = start();
    vm.place(GuestAddr::new(DATA as u32 + 3 * 4096), &[1])
        .unwrap();
    states.push(vm.snapshot().unwrap());
    for _ in 0..2 {
        vm.run(&mut NoHost).unwrap();
        states.push(vm.snapshot().unwrap());
        vm.run(&mut First(1, Flow::Suspend)).unwrap();
        states.push(vm.snapshot().unwrap());
    }
    vm.set_reg(Reg::A0, DATA);
    vm.set_gas(gas(1));
    vm.run(&mut NoHost).unwrap();
    states.push(vm.snapshot().unwrap());
    let mut out: Vec<Vec<u8>> = states.iter().map(Snapshot::encode).collect();
    out.push(states[3].since(&states[1]).unwrap().encode());
    let parcel = Parcel {
        state: ParcelState::Snapshot(states[0].clone()),
        image: Some(program.image().unwrap().clone()),
    };
    out.push(parcel.encode().unwrap());
    out
}

/// One change, or a few.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len() as u64;
    let at = random.below(len.clamp(1, 400)) as usize;
    match random.below(12) {
        0..3 => flip(bytes, at, random),
        3 => {
            let anywhere = random.below(len) as usize;
            flip(bytes, anywhere, random);
        }
        4 => bytes.truncate(random.below(len + 1) as usize),
        5 => bytes.extend((0..random.below(40)).map(|i| i as u8)),
        6 => put(bytes, 80, &random.below(60).to_le_bytes()),
        7 => put(bytes, 88, &random.value().to_le_bytes()),
        8 => {
            put(bytes, 13, &[random.below(6) as u8]);
            let selector = random.pick(&[0, 5, 6, -7i32 as u32, 0x800]);
            put(bytes, 216, &selector.to_le_bytes());
        }
        9 => {
            // A table of other pages, and as many pages of content as it may ask for.
            let at = TABLE + random.below(6) as usize;
            flip(bytes, at, random);
            let table = bytes.get(220).copied().unwrap_or(0);
            let pages = random.below(4) as usize;
            bytes.resize(TABLE + usize::from(table) + 4096 * pages, 3);
        }
        10 => {
            put(bytes, 220, &(random.below(9) as u32).to_le_bytes());
            let (table, pages) = (
                bytes.get(220).copied().unwrap_or(0),
                random.below(3) as usize,
            );
            bytes.resize(TABLE + usize::from(table) + 4096 * pages, 0x91);
        }
        _ => put(
            bytes,
            96 + 8 * random.below(15) as usize,
            &random.value().to_le_bytes(),
        ),
    }
    if random.once_in(3) && !bytes.is_empty() {
        damage(bytes, random);
    }
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + new.len()) {
        place.copy_from_slice(new);
    }
}

/// Decoding takes a small multiple of the input, whatever the input says.
fn decode_within_bounds(bytes: &[u8]) {
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let read = (
        Snapshot::decode(bytes),
        Delta::decode(bytes),
        Parcel::decode(bytes, &NoImages),
    );
    let peak = PEAK.peak_usage() - before;
    drop(read);
    assert!(
        peak <= 20_000 + 24 * bytes.len(),
        "{peak} bytes for {}",
        bytes.len()
    );
}

/// Checks `inputs` damaged snapshots.
fn rain(inputs: u64, seed: u64) {
    let _alone = alone();
    let engine = &engines()[0];
    let program = load(engine, PROGRAM);
    let seeds = seeds(&program);
    for seed in &seeds[..seeds.len() - 2] {
        assert_eq!(check(seed, &program), Reached::Resumed);
    }
    let mut random = Random::new(seed);
    let mut reached = [0u64; 3];
    for _ in 0..inputs {
        let which = random.below(seeds.len() as u64) as usize;
        let mut bytes = seeds[which].clone();
        damage(&mut bytes, &mut random);
        decode_within_bounds(&bytes);
        reached[check(&bytes, &program) as usize] += 1;
    }
    println!("{inputs} inputs: refused, decoded, resumed {reached:?}");
    assert!(
        reached.iter().all(|count| *count > inputs / 100),
        "{reached:?}"
    );
}

#[test]
fn damaged_snapshots_never_panic_or_resume_into_what_no_run_can_reach() {
    rain(20_000, 1);
}

#[test]
#[ignore = "10^7 inputs; minutes in release"]
fn ten_million_damaged_snapshots() {
    rain(10_000_000, 2);
}

#[test]
fn a_small_input_that_declares_a_million_pages_takes_no_memory() {
    let _alone = alone();
    // Base pages 0x10000..=0xFFFFF and nothing else: gamma(2) gamma(0x10001) gamma(0xF0000).
    let program = load(&engines()[0], PROGRAM);
    let mut bytes = seeds(&program)[0].clone();
    bytes.truncate(220);
    let gamma = |value: u32| format!("{}{value:b}", "0".repeat(value.ilog2() as usize));
    let bits = [2, 0x10001, 0xF0000, 1].map(gamma).concat();
    let table: Vec<u8> = (0..bits.len().div_ceil(8))
        .map(|i| {
            let byte = &bits[8 * i..bits.len().min(8 * i + 8)];
            u8::from_str_radix(&format!("{byte:0<8}"), 2).unwrap()
        })
        .collect();
    bytes.extend((table.len() as u32).to_le_bytes());
    bytes.extend(table);
    decode_within_bounds(&bytes);
    assert!(
        Snapshot::decode(&bytes)
            .unwrap_err()
            .to_string()
            .contains("cut")
    );
}
