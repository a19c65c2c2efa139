//! The bytes of paused state: golden files made without the library, every refusal, damage.

mod snapshots;

use rivet_engine::snapshot::{
    DecodeError, Delta, DeltaError, Parcel, ParcelError, ParcelState, Pending, ResumeError,
    Snapshot,
};
use rivet_engine::{Call, Config, Engine, Flow, Payment};
use rivet_image::{Digest, NoImages};
use rivet_isa::gas::{CostModel, MAX_DEPTH, Multiplier};
use rivet_isa::{GuestAddr, PageIndex, Pc};
use snapshots::{DATA, First, engines, load, machine, page};

const BASE: &[u8] = include_bytes!("golden/base.snapshot");
const AFTER: &[u8] = include_bytes!("golden/after.snapshot");
const DELTA: &[u8] = include_bytes!("golden/base-to-after.delta");
const PARCEL: &[u8] = include_bytes!("golden/base.parcel");

/// The page `content(seed)` of `golden/make.py`.
fn content(seed: usize) -> [u8; 4096] {
    std::array::from_fn(|at| ((seed + 7 * at) % 251) as u8)
}

fn numbers(list: &rivet_engine::snapshot::PageList) -> Vec<u32> {
    list.iter().map(|(page, _)| page.index()).collect()
}

#[test]
fn the_golden_snapshot_reads_as_it_was_written() {
    let snapshot = Snapshot::decode(BASE).unwrap();
    assert_eq!(
        snapshot.image(),
        Digest::new(std::array::from_fn(|i| 0x20 + i as u8))
    );
    assert_eq!(snapshot.cost_model().as_bytes()[0], 0x60);
    assert_eq!(
        (snapshot.pc(), snapshot.gas().value()),
        (Pc::new(0x1234), (1 << 63) - 1)
    );
    assert_eq!(snapshot.regs().slots()[14], 0x0e0e_0e0e_0e0e_0e0e);
    let selector = -3i32 as u32;
    let call = Call::Host { selector };
    let payment = Payment::Paid;
    assert_eq!(snapshot.pending(), Some(Pending { call, payment }));
    assert_eq!(numbers(snapshot.base_pages()), [0x10000]);
    assert_eq!(
        numbers(snapshot.private_pages()),
        [0x10002, 0x10003, 0xF_FFFF]
    );
    let last = PageIndex::new(0xF_FFFF).unwrap();
    assert_eq!(**snapshot.private_pages().get(last).unwrap(), content(4));
    assert_eq!(snapshot.encode(), BASE);
}

#[test]
fn the_golden_delta_and_its_base_give_the_golden_result() {
    let base = Snapshot::decode(BASE).unwrap();
    let after = Snapshot::decode(AFTER).unwrap();
    let delta = Delta::decode(DELTA).unwrap();
    assert_eq!(delta.onto(&base), Ok(after.clone()));
    assert_eq!(after.since(&base).unwrap().encode(), DELTA);
    assert_eq!(
        (delta.base(), delta.result()),
        (base.address(), after.address())
    );
    let (expected, found) = (base.address(), after.address());
    assert_eq!(
        delta.onto(&after),
        Err(DeltaError::WrongBase { expected, found })
    );
}

#[test]
fn the_golden_parcel_holds_the_golden_snapshot() {
    let parcel = Parcel::decode(PARCEL, &NoImages).unwrap();
    let snapshot = Snapshot::decode(BASE).unwrap();
    assert_eq!(parcel.encode().unwrap(), PARCEL);
    assert_eq!(parcel.state, ParcelState::Snapshot(snapshot));
}

#[test]
fn other_versions_are_refused_and_named() {
    let with = |at: usize, byte: u8| {
        let mut bytes = BASE.to_vec();
        bytes[at] = byte;
        Snapshot::decode(&bytes).unwrap_err()
    };
    assert_eq!(with(8, 2), DecodeError::FormatVersion { found: 2 });
    assert_eq!(with(11, 1), DecodeError::IsaVersion { found: 0x102 });
    assert_eq!(
        with(12, 1),
        DecodeError::Kind {
            found: 1,
            expected: 0
        }
    );
    assert_eq!(with(14, 1), DecodeError::Reserved { at: 14 });
    assert_eq!(with(0, b'R'), DecodeError::Magic);
    assert_eq!(with(95, 0xFF), DecodeError::Gas { gas: u64::MAX });
    assert!(matches!(with(84, 1), DecodeError::Pc { .. }));
    assert!(matches!(with(13, 5), DecodeError::Pending { code: 5, .. }));
    assert!(matches!(with(218, 0), DecodeError::Pending { code: 2, .. }));
    assert!(matches!(with(220, 1), DecodeError::PageTable));
    assert!(
        DecodeError::FormatVersion { found: 2 }
            .to_string()
            .contains("format 2")
    );
    assert!(
        DecodeError::IsaVersion { found: 9 }
            .to_string()
            .contains("version 9")
    );
}

#[test]
fn bytes_cut_anywhere_or_extended_are_refused() {
    for len in 0..BASE.len() {
        assert!(Snapshot::decode(&BASE[..len]).is_err(), "{len} bytes");
        assert!(
            Parcel::decode(&PARCEL[..len], &NoImages).is_err(),
            "{len} bytes"
        );
    }
    for len in 0..DELTA.len() {
        assert!(Delta::decode(&DELTA[..len]).is_err(), "{len} bytes");
    }
    let longer = [BASE, &[0]].concat();
    let (expected, found) = (BASE.len() as u64, BASE.len() as u64 + 1);
    assert_eq!(
        Snapshot::decode(&longer),
        Err(DecodeError::Length { expected, found })
    );
}

#[test]
fn every_flipped_bit_of_a_parcel_is_noticed() {
    for at in (0..400).chain((400..PARCEL.len()).step_by(61)) {
        for bit in 0..8 {
            let mut bytes = PARCEL.to_vec();
            bytes[at] ^= 1 << bit;
            let error = Parcel::decode(&bytes, &NoImages).unwrap_err();
            match at {
                0..8 => assert_eq!(error, ParcelError::Magic),
                8..10 => assert!(matches!(error, ParcelError::Version { .. })),
                10..124 => assert_eq!(error, ParcelError::Header, "byte {at}"),
                _ => assert!(matches!(error, ParcelError::Damaged { part: "state", .. })),
            }
        }
    }
}

#[test]
fn a_delta_that_was_altered_gives_no_state() {
    let base = Snapshot::decode(BASE).unwrap();
    for at in (80..DELTA.len()).step_by(7) {
        let mut bytes = DELTA.to_vec();
        bytes[at] ^= 4;
        if let Ok(delta) = Delta::decode(&bytes) {
            assert!(delta.onto(&base).is_err(), "byte {at}");
        }
    }
}

const PROGRAM: &str = "
    sd a0, 0(a1)
    ecalli 5
    sd a0, 8(a1)
    ecall.jar
    trap";

/// A snapshot behind the first call, with a base page and a private one.
fn paused(engine: &Engine) -> Snapshot {
    let mut vm = machine(engine, PROGRAM, 5000);
    vm.set_reg(rivet_isa::Reg::A1, DATA);
    vm.place(GuestAddr::new(DATA as u32 + 8192), &[1]).unwrap();
    vm.run(&mut First(0, Flow::Continue)).unwrap();
    vm.snapshot().unwrap()
}

/// The same snapshot with some bytes replaced.
fn altered(snapshot: &Snapshot, at: usize, bytes: &[u8]) -> Snapshot {
    let mut all = snapshot.encode();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    Snapshot::decode(&all).unwrap()
}

#[test]
fn a_state_that_no_run_of_the_program_can_be_paused_in_is_refused() {
    for engine in engines() {
        let snapshot = paused(&engine);
        let program = load(&engine, PROGRAM);
        let refused = |snapshot: &Snapshot| program.resume(snapshot).unwrap_err();
        let pc = |pc: u64| altered(&snapshot, 80, &pc.to_le_bytes());
        for wrong in [0, 4, 12, 16, 20] {
            let pc_ = Pc::new(wrong);
            assert_eq!(refused(&pc(wrong)), ResumeError::NotTheCall { pc: pc_ });
        }
        // Another selector, another call, paid instead of unpaid (which is fine), none at all.
        let other = altered(&snapshot, 216, &6u32.to_le_bytes());
        assert_eq!(refused(&other), ResumeError::NotTheCall { pc: Pc::new(8) });
        assert!(program.resume(&altered(&snapshot, 13, &[2])).is_ok());
        let none = altered(&altered(&snapshot, 216, &[0; 4]), 13, &[0]);
        assert!(program.resume(&none).is_ok(), "next_pc is a start too");
        for (at, fine) in [
            (0, true),
            (2, false),
            (4, true),
            (6, false),
            (16, true),
            (20, false),
        ] {
            let moved = altered(&none, 80, &u64::to_le_bytes(at));
            let result = program.resume(&moved).map(drop);
            let pc = Pc::new(at);
            let expected = if fine {
                Ok(())
            } else {
                Err(ResumeError::Pc { pc })
            };
            assert_eq!(result, expected, "pc {at}");
        }
    }
}

#[test]
fn pages_that_the_program_cannot_have_changed_are_refused() {
    for engine in engines() {
        let snapshot = paused(&engine);
        let program = load(&engine, PROGRAM);
        // Page table: base 2..3, private 0..1, seen from the first page of data on.
        let golden = Snapshot::decode(BASE).unwrap().encode();
        let with_pages = |pages: &[u8]| {
            let mut bytes = snapshot.encode();
            bytes.truncate(220);
            bytes.extend_from_slice(pages);
            Snapshot::decode(&bytes).unwrap()
        };
        // The golden pages: base page 0 is fine, 0xFFFFF is not mapped.
        let refused = program.resume(&with_pages(&golden[220..])).unwrap_err();
        let last = PageIndex::new(0xF_FFFF).unwrap();
        assert_eq!(refused, ResumeError::NotWritable { page: last });
        // One base page, 0x10002: gamma(2) gamma(0x10003) gamma(1), then no private page.
        let zeros = |content: [u8; 4096]| {
            let bits = format!("010{}{:b}11", "0".repeat(16), 0x10003);
            let bits = format!("{bits:0<40}");
            let table = (0..5).map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap());
            let mut out = 5u32.to_le_bytes().to_vec();
            out.extend(table);
            out.extend(content);
            out
        };
        let redundant = program.resume(&with_pages(&zeros([0; 4096]))).unwrap_err();
        assert_eq!(redundant, ResumeError::Redundant { page: page(2) });
        assert!(program.resume(&with_pages(&zeros([1; 4096]))).is_ok());
    }
}

#[test]
fn pinned_pages_are_not_taken_from_a_snapshot() {
    for engine in engines() {
        let with = |text| {
            let program = load(&engine, text);
            let vm = program.machine(rivet_engine::Start::at(0)).unwrap();
            (vm.snapshot().unwrap().encode(), program)
        };
        let (mut bytes, program) = with("trap");
        // No base page, one private page, 0x10010: gamma(1) gamma(2) gamma(0x10011) gamma(1).
        bytes.truncate(220);
        let bits = format!("1010{}{:b}1", "0".repeat(16), 0x10011);
        let bits = format!("{bits:0<40}");
        bytes.extend(5u32.to_le_bytes());
        bytes.extend((0..5).map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap()));
        bytes.extend([9; 4096]);
        let snapshot = Snapshot::decode(&bytes).unwrap();
        let refused = program.resume(&snapshot).unwrap_err();
        assert_eq!(refused, ResumeError::NotWritable { page: page(16) });
    }
}

#[test]
fn another_program_and_other_cost_parameters_are_refused_by_address() {
    let [first, ..] = &engines()[..] else {
        panic!("the interpreter is always there");
    };
    let snapshot = paused(first);
    let other = load(first, "ecalli 5");
    let expected = ResumeError::OtherImage {
        snapshot: snapshot.image(),
        program: other.image().unwrap().address(),
    };
    assert_eq!(other.resume(&snapshot).unwrap_err(), expected);
    let mut factors = [1; MAX_DEPTH + 1];
    factors[MAX_DEPTH] = 2;
    let cost_model = CostModel::with_multiplier(Multiplier::new(factors).unwrap());
    let engine = Engine::new(Config {
        backend: first.config().backend,
        cost_model,
        ..Config::default()
    });
    let dearer = load(&engine.unwrap(), PROGRAM);
    let refused = dearer.resume(&snapshot).unwrap_err();
    assert!(matches!(refused, ResumeError::OtherCostModel { .. }));
}

#[test]
fn bare_code_and_the_image_made_of_it_are_one_program() {
    for engine in engines() {
        let snapshot = paused(&engine);
        let bare = load(&engine, PROGRAM);
        let image = bare.image().unwrap();
        let wire = image.encode().unwrap();
        let read = rivet_image::Image::decode(&wire, &NoImages).unwrap();
        let program = engine.load(&read).unwrap();
        assert_eq!(program.regions().len(), bare.regions().len());
        let resumed = program.resume(&snapshot).unwrap();
        assert_eq!(
            resumed.memory_hash(),
            bare.resume(&snapshot).unwrap().memory_hash()
        );
    }
}

#[test]
fn a_parcel_with_another_image_than_its_state_is_refused() {
    let engine = &engines()[0];
    let snapshot = paused(engine);
    let parcel = |text| Parcel {
        state: ParcelState::Snapshot(snapshot.clone()),
        image: Some(load(engine, text).image().unwrap().clone()),
    };
    let good = parcel(PROGRAM);
    let bytes = good.encode().unwrap();
    assert_eq!(Parcel::decode(&bytes, &NoImages), Ok(good));
    let bytes = parcel("trap").encode().unwrap();
    let refused = Parcel::decode(&bytes, &NoImages).unwrap_err();
    assert!(matches!(refused, ParcelError::OtherImage { .. }));
}

#[test]
fn chains_of_deltas_flatten_to_the_last_state() {
    let text = "
        lui a1, 0x10000
        sd a0, 0(a1)
        ecalli 1
        lui a2, 0x10003
        sd a0, 0(a2)
        ecalli 2
        sd a0, 8(a1)
        ecalli 3
        lui a2, 0x10005
        sd a0, 0(a2)
        ecalli 4
        trap";
    for engine in engines() {
        let mut vm = machine(&engine, text, 50_000);
        let at = GuestAddr::new(DATA as u32 + 5 * 4096);
        vm.place(at, &[3; 8192]).unwrap();
        let first = vm.snapshot().unwrap();
        let mut states = vec![first.clone()];
        let mut chain = Vec::new();
        for answered in [0, 1, 1, 1] {
            vm.run(&mut First(answered, Flow::Continue)).unwrap();
            let state = vm.snapshot().unwrap();
            let last = states.last().unwrap();
            let delta = state.since(last).unwrap();
            chain.push(Delta::decode(&delta.encode()).unwrap());
            states.push(state);
        }
        let pages: Vec<usize> = chain
            .iter()
            .map(|delta| delta.pages()[0].len() + delta.pages()[1].len())
            .collect();
        assert_eq!(pages, [1, 1, 1, 1], "each step writes one page");
        for (len, state) in states.iter().enumerate() {
            assert_eq!(first.flatten(&chain[..len]).as_ref(), Ok(state));
        }
        let end = first.flatten(&chain).unwrap();
        let mut resumed = load(&engine, text).resume(&end).unwrap();
        let exit = resumed.run(&mut First(1, Flow::Continue));
        assert_eq!(exit, Ok(rivet_engine::Exit::Trap));
        assert!(matches!(
            chain[1].onto(&first),
            Err(DeltaError::WrongBase { .. })
        ));
        let back = first.since(&end).unwrap();
        assert_eq!(
            back.onto(&end),
            Ok(first),
            "pages can become unchanged again"
        );
    }
}
