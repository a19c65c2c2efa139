//! A recording that differs from an engine in one block: the vector cut from it states what the
//! recording says of that block and nothing else that the engine would contradict.

use rivet::engine::diff::{
    Calls, Case, Contender, Located, Plan, Recorded, Subject, locate, record,
};
use rivet::engine::trace::{Record, Recording};
use rivet::engine::{Backend, Config, Engine, Exit};
use rivet::isa::generate::{self, Access, Mapping, Run};
use rivet::isa::{Gas, Pc, Reg, SLOTS};
use rivet::vectors::{Engines, Vector, check};

fn interpreter(calls: Calls) -> Contender {
    let config = Config {
        backend: Backend::Interp,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the interpreter runs everywhere");
    Contender::new(engine, calls)
}

fn plan() -> Plan {
    Plan {
        exits: 1,
        ..Plan::default()
    }
}

fn recording(case: &Case, calls: Calls) -> Recording {
    let mut session = interpreter(calls).load(case).expect("it loads");
    let mut bytes = Vec::new();
    record(&mut *session, case, &plan(), None, &mut bytes).expect("it runs");
    Recording::decode(&bytes).expect("it is one")
}

/// Where the interpreter and a recording part.
fn parted(case: &Case, recording: Recording, calls: Calls) -> Located {
    let ours = interpreter(calls);
    let theirs = Recorded::new(recording, &case.code).expect("it is of this code");
    let located = locate([&ours, &theirs], case, &plan()).expect("it runs");
    located.expect("they part")
}

fn engines() -> Engines {
    Engines::new(Backend::Interp).expect("the interpreter runs everywhere")
}

/// The mismatches of the claim, if there is one.
fn contradicted(located: &Located, calls: Calls) -> Option<Vec<String>> {
    let claim = Vector::of_claim(&engines(), located, calls)?;
    let found = check(&engines(), &claim);
    Some(found.iter().map(ToString::to_string).collect())
}

#[test]
fn a_wrong_register_is_all_that_an_engine_contradicts_whatever_block_it_is_in() {
    let calls = Calls::Script;
    let (mut stated, mut kept) = (0, 0);
    for seed in 0..20 {
        let case = generate::program(7000 + seed);
        let whole = recording(&case, calls);
        for at in (0..whole.records.len()).step_by(7) {
            let mut changed = whole.clone();
            let there = match &mut changed.records[at] {
                Record::Step(there, _) | Record::Exit(_, there, _) => there,
                _ => continue,
            };
            let value = there.regs.get(Reg::A5) ^ 0x10;
            there.regs.set(Reg::A5, value);
            let located = parted(&case, changed, calls);
            stated += 1;
            let Some(found) = contradicted(&located, calls) else {
                continue;
            };
            kept += 1;
            let name = format!("seed {seed} record {at}: {found:?}");
            let [only] = &found[..] else { panic!("{name}") };
            let expected = format!("exit 1: x15: expected {value:#x}, got");
            assert!(only.starts_with(&expected), "{name}");
        }
    }
    assert!(
        stated > 100 && kept * 10 >= stated * 9,
        "{kept} of {stated}"
    );
}

/// A case of one run on one large mapping.
fn case(text: &str) -> Case {
    let map = Mapping {
        start: 0x1000_0000,
        size: 0x4000,
        access: Access::CopyOnWrite,
        content: vec![0x11; 0x1800],
    };
    let run = Run {
        entry: 0,
        slots: [0; SLOTS],
        gas: 100_000,
    };
    Case {
        code: rivet::isa::asm::assemble(text).expect("it is code"),
        map: vec![map],
        runs: vec![run],
    }
}

/// The run stores to a page in two blocks, and to another page in a third, which is a loop.
const STORES: &str = " lui a0, 0x10000\n sd a0, 0(a0)\n fallthrough\n\
    sd a0, 8(a0)\n ld a1, 8(a0)\n fallthrough\n\
    lui a2, 0x10002\n addi a3, zero, 3\n fallthrough\n\
    sw a3, 4(a2)\n addi a3, a3, -1\n bne a3, zero, -8\n trap";

#[test]
fn a_wrong_charge_of_a_block_is_stated_wherever_pages_were_paid() {
    let case = case(STORES);
    let whole = recording(&case, Calls::Nobody);
    let steps = whole.records.iter();
    let steps = steps.filter(|record| matches!(record, Record::Step(..)));
    assert_eq!(steps.count(), 6, "three blocks and three rounds");
    for at in 0..whole.records.len() {
        for more in [1_i64, 256, -1] {
            let mut changed = whole.clone();
            // What is charged once stays charged.
            for record in &mut changed.records[at..] {
                if let Record::Step(there, _) | Record::Exit(_, there, _) = record {
                    let gas = there.gas.value().checked_add_signed(-more);
                    there.gas = Gas::new(gas.expect("there is enough")).expect("below 2^63");
                }
            }
            if changed == whole {
                continue;
            }
            let located = parted(&case, changed, Calls::Nobody);
            let found = contradicted(&located, Calls::Nobody).expect("it can be stated");
            assert!(!found.is_empty(), "record {at}, {more} more");
        }
    }
}

#[test]
fn of_much_memory_a_claim_lists_the_pages_that_its_block_looks_at() {
    let mut case = case(" lui a0, 0x10200\n ld a1, 16(a0)\n fallthrough\n trap");
    case.map[0].size = 0x100_0000;
    case.map[0].content = vec![0x11; 0x40_0000];
    let mut changed = recording(&case, Calls::Nobody);
    if let Some(Record::Step(there, _)) = changed.records.first_mut() {
        there.regs.set(Reg::A1, 5);
    }
    let located = parted(&case, changed, Calls::Nobody);
    let claim = Vector::of_claim(&engines(), &located, Calls::Nobody).expect("it can be stated");
    let listed: usize = claim.bytes.iter().map(|bytes| bytes.bytes.len()).sum();
    assert_eq!((listed, claim.bytes[0].addr.value()), (4096, 0x1020_0000));
    let found = contradicted(&located, Calls::Nobody).expect("it can be stated");
    let [only] = &found[..] else {
        panic!("{found:?}")
    };
    let expected = "exit 1: x11: expected 0x5, got 0x1111111111111111";
    assert_eq!(only, expected);
}

#[test]
fn a_page_that_a_recording_does_not_count_is_stated() {
    let case = case(STORES);
    let mut changed = recording(&case, Calls::Nobody);
    let first = changed.records.first_mut();
    let Some(Record::Step(_, pages)) = first else {
        panic!("the first block is a step")
    };
    assert_eq!(pages.len(), 1);
    pages.clear();
    let located = parted(&case, changed, Calls::Nobody);
    let found = contradicted(&located, Calls::Nobody).expect("it can be stated");
    assert_eq!(
        found,
        ["exit 1: private: expected none, got 0x10000000"],
        "the page alone"
    );
}

#[test]
fn an_exit_that_only_the_recording_takes_is_stated_and_one_it_passes_as_well() {
    let case = case(STORES);
    let whole = recording(&case, Calls::Nobody);
    let mut early = whole.clone();
    let second = early.records.iter_mut();
    let mut second = second.filter(|record| matches!(record, Record::Step(..)));
    let record = second.nth(1).expect("there are more");
    if let Record::Step(state, _) = record.clone() {
        *record = Record::Exit(Exit::Panic, state, Vec::new());
    }
    let located = parted(&case, early, Calls::Nobody);
    let found = contradicted(&located, Calls::Nobody).expect("it can be stated");
    assert!(
        found
            .iter()
            .any(|line| line.contains("exit: expected panic")),
        "{found:?}"
    );

    // The recording jumps to the second block instead of the third one.
    let mut astray = whole;
    if let Some(Record::Step(there, _)) = astray.records.first_mut() {
        there.pc = Pc::new(24);
    }
    let located = parted(&case, astray, Calls::Nobody);
    let found = contradicted(&located, Calls::Nobody).expect("it can be stated");
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("exit 1: pc: expected 0x18")),
        "{found:?}"
    );
}
