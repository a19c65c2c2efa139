//! Engines that are wrong on purpose, each in one thing: the comparison must find the block and
//! the instruction and leave a small program, and must find nothing where nothing is wrong.

#[path = "diff_wrong/engine.rs"]
mod engine;
#[path = "diff_wrong/later.rs"]
mod later;

use engine::{Alias, Fault, Wrong, interpreter};
use rivet_engine::diff::{
    Calls, Case, Contender, Effort, Field, Kind, LocateError, Located, Plan, Run, Subject, Volume,
    Watch, locate, locate_watched, parting, reduce,
};
use rivet_isa::{Inst, Op, Reg, SLOTS, decode, encode};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn plan() -> Plan {
    Plan {
        refills: vec![3000],
        ..Plan::default()
    }
}

/// The first case among random ones on which the wrong engine and a right one differ.
fn find(sides: [&dyn Subject; 2], kind: Kind, runs: u64) -> Option<Case> {
    let volume = Volume {
        kind,
        seed: 1,
        runs,
        threads: 1,
        plan: plan(),
    };
    let watch = Watch::default();
    let found = Mutex::new(None);
    let report = |finding: rivet_engine::diff::Finding| {
        watch.stop.store(true, Ordering::Relaxed);
        found
            .lock()
            .expect("nobody panicked")
            .get_or_insert(finding.case);
    };
    volume.compare(sides, &watch, &report).expect("cases load");
    found.into_inner().expect("nobody panicked")
}

fn located(sides: [&dyn Subject; 2], case: &Case) -> Located {
    let located: Result<Option<Located>, LocateError> = locate(sides, case, &plan());
    located.expect("it runs").expect("they differ on it")
}

/// Instructions of a code.
fn instructions(code: &[u8]) -> Vec<Inst> {
    let mut at = 0;
    let mut out = Vec::new();
    while let Some(decoded) = decode(code, at) {
        at += decoded.len.bytes() as usize;
        out.push(decoded.inst);
    }
    out
}

const VALID: Kind = Kind::Valid { bundle: 8 };

const EFFORT: Effort = Effort {
    attempts: 20_000,
    time: Duration::from_secs(60),
};

/// Finds, locates and reduces; the wrong engine against a right one.
fn caught(fault: Fault, kind: Kind, runs: u64) -> (Located, Case) {
    let wrong = Wrong::new(fault);
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let case = find(sides, kind, runs).unwrap_or_else(|| panic!("{fault:?} is not found"));
    let located = located(sides, &case);
    let nothing = &mut Vec::new;
    let small = reduce(sides, &case, &plan(), Some(&located), nothing, EFFORT);
    let small = small.unwrap_or_else(|| panic!("{fault:?}: the case alone shows it"));
    let again = parting(sides, &small.case, &small.plan);
    assert!(again.is_some(), "{fault:?}: the small case differs too");
    (located, small.case)
}

#[test]
fn a_wrong_result_is_named_with_its_instruction_and_shrunk_to_it() {
    let computes = |op: &&Op| {
        let format = Inst::from_parts(
            **op,
            rivet_isa::Reg::A0,
            rivet_isa::Reg::ZERO,
            rivet_isa::Reg::ZERO,
            0,
        );
        !format.rd().is_zero() && !op.flow().is_terminator()
    };
    let all = std::env::var_os("RIVET_AGREE_SCALE").is_some();
    let step = if all { 1 } else { 9 };
    for &op in Op::ALL.iter().filter(computes).step_by(step) {
        let (located, small) = caught(Fault::Result(op, Alias::Any), VALID, 4000);
        let name = op.mnemonic();
        let culprit = located.instruction.expect("a cut block shows it");
        assert_eq!(culprit.decoded.inst.op(), op, "{name}");
        let left = instructions(&small.code);
        assert!(left.len() <= 3, "{name}: {left:?}");
        assert!(left.iter().any(|inst| inst.op() == op), "{name}: {left:?}");
        assert!(
            op.is_load() || small.map.is_empty(),
            "{name} needs no memory"
        );
    }
}

#[test]
fn a_wrong_choice_of_registers_stays_in_the_small_program() {
    for op in [Op::Sll, Op::Sub, Op::Mulhu, Op::CzeroEqz] {
        let fault = Fault::Result(op, Alias::DestinationIsSecond);
        let (located, small) = caught(fault, VALID, 20_000);
        let inst = located
            .instruction
            .expect("a cut block shows it")
            .decoded
            .inst;
        assert_eq!((inst.op(), inst.rd()), (op, inst.rs2()));
        let left = instructions(&small.code);
        let here = left
            .iter()
            .find(|inst| inst.op() == op)
            .expect("it is still there");
        assert!(here.rd() == here.rs2() && here.rd() != here.rs1(), "{here}");
        assert!(left.len() <= 3, "{left:?}");
    }
}

#[test]
fn a_wrong_price_is_found_as_gas_and_shrunk_to_the_block() {
    let (located, small) = caught(Fault::Cost(Op::Div), VALID, 4000);
    assert_eq!(located.difference.field(), Some(Field::Gas));
    let left = instructions(&small.code);
    assert!(
        left.iter().any(|inst| inst.op() == Op::Div) && left.len() <= 3,
        "{left:?}"
    );
}

#[test]
fn a_wrong_pc_of_a_failed_jump_is_found() {
    let (located, small) = caught(Fault::FailedJump, Kind::Hostile, 4000);
    assert_eq!(located.difference.field(), Some(Field::Pc));
    let left = instructions(&small.code);
    assert!(left.len() <= 3, "{left:?}");
}

#[test]
fn a_page_that_is_not_counted_is_found() {
    let (located, small) = caught(Fault::SecondPage, VALID, 4000);
    let field = located.difference.field();
    assert!(matches!(field, Some(Field::Private(_))), "{field:?}");
    let left = instructions(&small.code);
    let stores = left.iter().filter(|inst| inst.op().is_store()).count();
    assert!((1..=2).contains(&stores) && left.len() <= 6, "{left:?}");
    assert!(small.map.len() <= 2, "{} mappings", small.map.len());
}

#[test]
fn shrinking_twice_gives_the_same_program() {
    let fault = Fault::Result(Op::Xor, Alias::Any);
    let (_, first) = caught(fault, VALID, 4000);
    let (_, second) = caught(fault, VALID, 4000);
    assert_eq!(first, second);
}

#[test]
fn two_right_engines_do_not_part() {
    let sides = [Calls::Script; 2].map(|calls| Contender::new(interpreter(), calls));
    let sides: [&dyn Subject; 2] = [&sides[0], &sides[1]];
    assert!(find(sides, VALID, 64).is_none());
    for seed in 0..16 {
        let case = rivet_isa::generate::program(seed);
        let found = locate(sides, &case, &plan()).expect("it runs");
        assert!(found.is_none(), "seed {seed}");
    }
}

#[test]
fn a_long_comparison_says_how_far_the_sides_agree() {
    // A loop of a thousand blocks, which is looked at after 256, then 512 more, then to its end.
    let (zero, counter) = (Reg::ZERO, Reg::A0);
    let insts = [
        Inst::from_parts(Op::Addi, counter, zero, zero, 1000),
        Inst::from_parts(Op::Fallthrough, zero, zero, zero, 0),
        Inst::from_parts(Op::Addi, counter, counter, zero, -1),
        Inst::from_parts(Op::Bne, zero, counter, zero, -4),
        Inst::from_parts(Op::Trap, zero, zero, zero, 0),
    ];
    let words = insts.map(|inst| encode(inst).expect("it has an encoding"));
    let run = Run {
        entry: 0,
        slots: [0; SLOTS],
        gas: 1 << 20,
    };
    let case = Case {
        code: words.into_iter().flat_map(u32::to_le_bytes).collect(),
        map: Vec::new(),
        runs: vec![run],
    };
    let sides = [Calls::Script; 2].map(|calls| Contender::new(interpreter(), calls));
    let mut told = Vec::new();
    let found = locate_watched([&sides[0], &sides[1]], &case, &plan(), &mut |blocks| {
        told.push(blocks);
    });
    assert!(found.expect("it runs").is_none());
    assert_eq!(told, [256, 768]);
}
