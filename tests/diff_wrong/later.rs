//! Mistakes that need more than the run up to the first exit: exits passed, gas given, runs before.

use super::engine::{Fault, Wrong, interpreter};
use super::{EFFORT, VALID, instructions, plan};
use rivet_engine::LoadError;
use rivet_engine::diff::{
    Calls, Case, Contender, Finding, Plan, Reduced, Run, Session, Subject, Volume, Watch, locate,
    parting, reduce, shrink,
};
use rivet_isa::asm::assemble;
use rivet_isa::{Inst, Op, SLOTS};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first finding among random programs, reduced as `rivet diff --random` does it.
fn reduced(fault: Fault, runs: u64) -> (Reduced, Vec<Inst>) {
    let wrong = Wrong::new(fault);
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let volume = Volume {
        kind: VALID,
        seed: 1,
        runs,
        threads: 1,
        plan: plan(),
    };
    let watch = Watch::default();
    let found: Mutex<Option<Finding>> = Mutex::new(None);
    let report = |finding: Finding| {
        watch.stop.store(true, Ordering::Relaxed);
        let mut found = found.lock().expect("nobody panicked");
        found.get_or_insert(finding);
    };
    volume.compare(sides, &watch, &report).expect("cases load");
    let found = found.into_inner().expect("nobody panicked");
    let found = found.unwrap_or_else(|| panic!("{fault:?} is not found"));
    let located = locate(sides, &found.case, &plan()).expect("it runs");
    let mut before = || volume.before(sides, found.seed, found.run);
    let small = reduce(
        sides,
        &found.case,
        &plan(),
        located.as_ref(),
        &mut before,
        EFFORT,
    );
    let small = small.unwrap_or_else(|| panic!("{fault:?} is not shown again"));
    assert!(parting(sides, &small.case, &small.plan).is_some());
    let left = instructions(&small.case.code);
    (small, left)
}

#[test]
fn a_page_paid_again_after_an_exit_is_shrunk_to_the_stores_around_it() {
    let (small, left) = reduced(Fault::PaidAgain, 2000);
    let stores = left.iter().filter(|inst| inst.op().is_store()).count();
    assert!((1..=2).contains(&stores) && left.len() <= 6, "{left:?}");
    assert_eq!(small.case.runs.len(), 1);
}

#[test]
fn gas_lost_when_it_is_refilled_is_shrunk_to_what_runs_out() {
    let (small, left) = reduced(Fault::RefillShort, 20_000);
    assert!(!small.plan.refills.is_empty());
    assert!(left.len() <= 3, "{left:?}");
}

#[test]
fn a_wrong_price_of_a_third_call_is_shrunk_to_three_calls() {
    let (_, left) = reduced(Fault::ThirdCall, 2000);
    let calls = left.iter().filter(|inst| inst.op().flow().is_call());
    // Three in a row, or fewer in a loop.
    assert!((1..=3).contains(&calls.count()), "{left:?}");
    assert!(left.len() <= 8, "{left:?}");
}

#[test]
fn a_difference_that_needs_the_run_before_is_shrunk_to_two_short_runs() {
    let (small, left) = reduced(Fault::NotForgotten, 2000);
    assert_eq!(small.case.runs.len(), 2);
    let stores = left.iter().filter(|inst| inst.op().is_store()).count();
    assert!((1..=2).contains(&stores) && left.len() <= 6, "{left:?}");
}

#[test]
fn a_difference_far_into_a_run_that_needs_private_pages_is_shrunk_without_the_way_there() {
    // Some 130,000 blocks, each first write in a loop of its own; then a store behind the others.
    let text = " lui a0, 0x10000\n addi a1, zero, 40\n fallthrough\n\
         sd a1, 8(a0)\n lui a2, 0x1\n add a0, a0, a2\n addi a1, a1, -1\n bne a1, zero, -16\n\
         lui a3, 0x20\n fallthrough\n addi a3, a3, -1\n bne a3, zero, -4\n\
         lui a0, 0x10003\n xor a4, a0, a1\n sw a4, 16(a0)\n ld a5, 8(a0)\n trap";
    let map = rivet_isa::generate::Mapping {
        start: 0x1000_0000,
        size: 0x100_0000,
        access: rivet_isa::generate::Access::CopyOnWrite,
        content: vec![0xEE; 0x3000],
    };
    let run = Run {
        entry: 0,
        slots: [0x0123_4567_89AB_CDEF; SLOTS],
        gas: 1 << 30,
    };
    let case = Case {
        code: assemble(text).expect("it is code"),
        map: vec![map],
        runs: vec![run],
    };
    let wrong = Wrong::new(Fault::PaidPage);
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let located = locate(sides, &case, &plan()).expect("it runs");
    let located = located.expect("they differ");
    assert!(located.blocks > 130_000, "{}", located.blocks);
    let culprit = located.instruction.as_ref().expect("it is shown");
    assert_eq!(culprit.decoded.inst.op(), Op::Sw);
    let nothing = &mut Vec::new;
    let small = reduce(sides, &case, &plan(), Some(&located), nothing, EFFORT);
    let small = small.expect("they differ");
    let left = instructions(&small.case.code);
    assert!(left.len() <= 5, "{left:?}");
}

/// A side that counts how often it is asked.
struct Counted(Wrong, AtomicU32);

impl Subject for Counted {
    fn name(&self) -> String {
        self.0.name()
    }

    fn load(&self, case: &Case) -> Result<Box<dyn Session>, LoadError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.load(case)
    }
}

#[test]
fn shrinking_comes_to_an_end_when_nothing_becomes_simpler() {
    let text = " addi a0, zero, 8\n addi a1, zero, -1\n ecalli 1\n ecalli -1\n ecalli 1\n trap";
    let run = Run {
        entry: 0,
        slots: [1; SLOTS],
        gas: 1 << 20,
    };
    let case = Case {
        code: assemble(text).expect("it is code"),
        map: Vec::new(),
        runs: vec![run],
    };
    let wrong = Counted(Wrong::new(Fault::ThirdCall), AtomicU32::new(0));
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let small = shrink(sides, &case, &plan(), EFFORT);
    assert!(instructions(&small.code).len() <= 3);
    let asked = wrong.1.load(Ordering::Relaxed);
    assert!(asked < 1000, "{asked} of {} attempts", EFFORT.attempts);
}

/// A call that suspends, then a long way to the instruction.
#[test]
fn a_wrong_instruction_behind_the_first_exit_is_shrunk_to_itself() {
    let filler = " addi a1, a1, 3\n xor a2, a2, a1\n fallthrough\n".repeat(40);
    let text = format!(" ecalli 13\n{filler} ecalli 6\n{filler} sub a3, a1, a2\n{filler} trap");
    let run = Run {
        entry: 0,
        slots: [7; SLOTS],
        gas: 1 << 20,
    };
    let case = Case {
        code: assemble(&text).expect("it is code"),
        map: Vec::new(),
        runs: vec![run],
    };
    let wrong = Wrong::new(Fault::Result(Op::Sub, super::Alias::Any));
    let right = Contender::new(interpreter(), Calls::Script);
    let sides: [&dyn Subject; 2] = [&wrong, &right];
    let plan = plan();
    let parted = parting(sides, &case, &plan).expect("they differ");
    assert_eq!(parted.exit(&plan), Some(3), "two calls, then the trap");
    let located = locate(sides, &case, &plan).expect("it runs");
    let culprit = located
        .as_ref()
        .and_then(|found| found.instruction.as_ref());
    assert_eq!(culprit.expect("it is shown").decoded.inst.op(), Op::Sub);
    let nothing = &mut Vec::new;
    let small = reduce(sides, &case, &plan, located.as_ref(), nothing, EFFORT);
    let small = small.expect("they differ");
    let left = instructions(&small.case.code);
    assert!(left.len() <= 2, "{left:?}");
    let Plan { exits, refills, .. } = small.plan;
    assert_eq!((exits, refills), (1, vec![]));
}
