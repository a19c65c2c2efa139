//! The runs of a comparison written as a vector: another engine that is right must see the same
//! exits in it, and as many of them.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use rivet::engine::diff::{Calls, Case, Plan};
use rivet::engine::native_available;
use rivet::engine::{Backend, Exit};
use rivet::isa::generate::{self, Damage, Mix};
use rivet::vectors::{Begin, Course, Engines, Vector, check, parse, write};
use rivet::vectors::{Origin, VectorFile};

fn plan() -> Plan {
    Plan {
        refills: vec![900, 3000],
        exits: 40,
        ..Plan::default()
    }
}

/// Writes the course as text, reads it, and checks it on every backend.
fn vector_that_holds(case: &Case, calls: Calls, name: &str) -> Vector {
    let course = Course {
        case,
        plan: &plan(),
        exit: None,
        calls,
    };
    let vector = Vector {
        name: name.to_owned(),
        ..Vector::of_course(&course).expect("it runs")
    };
    let text = write(&VectorFile {
        origin: Origin::Engine("rivet interp".to_owned()),
        vectors: vec![vector],
    });
    let file = parse(name, text.as_bytes()).expect("what is written can be read");
    let mut backends = vec![Backend::Interp];
    if native_available().is_ok() {
        backends.push(Backend::Jit);
    }
    for backend in backends {
        let engines = Engines::new(backend).expect("it runs here");
        let found = check(&engines, &file.vectors[0]);
        assert_eq!(found, [], "{name} on {backend}\n{text}");
    }
    file.vectors.into_iter().next().expect("there is one")
}

#[test]
fn runs_of_random_programs_hold_as_vectors_with_their_exits_calls_and_refills() {
    let (mut resumed, mut again, mut refilled, mut left) = (0, 0, 0, 0);
    for seed in 0..24 {
        let mut case = generate::chains(Mix::Usual, 1000 + 8 * seed, 8);
        // The second one begins inside of the chain, with gas that runs out on the way.
        case.runs = vec![
            case.runs[0].clone(),
            case.runs[2].clone(),
            case.runs[0].clone(),
        ];
        case.runs[1].gas = 200 + 90 * seed;
        case.runs[2].gas = 100 * seed;
        let vector = vector_that_holds(&case, Calls::Script, &format!("seed-{seed}"));
        for stage in &vector.stages {
            match &stage.begin {
                Begin::Start => {}
                Begin::Resume(None) => resumed += 1,
                Begin::Resume(Some(_)) => refilled += 1,
                Begin::Again(_) => again += 1,
            }
        }
        left += vector
            .answers
            .iter()
            .filter(|line| line.flow.is_none())
            .count();
    }
    assert_eq!(again, 2 * 24);
    assert!(
        resumed > 100 && refilled > 20 && left > 5,
        "{resumed} {refilled} {left}"
    );
}

#[test]
fn runs_of_damaged_programs_hold_as_vectors() {
    for (seed, damage) in (0..30).zip(Damage::ALL.iter().cycle()) {
        let case = generate::hostile(*damage, seed);
        vector_that_holds(&case, Calls::Script, &format!("hostile-{seed}"));
    }
}

#[test]
fn a_call_that_cannot_be_paid_at_the_end_is_a_line_of_the_vector() {
    // 107 for the call, of which 60 are there.
    let case = Case {
        code: rivet::isa::asm::assemble(" ecalli 59\n trap").expect("it is code"),
        map: Vec::new(),
        runs: vec![generate::Run {
            entry: 0,
            slots: [0; rivet::isa::SLOTS],
            gas: 60,
        }],
    };
    let plan = Plan::default();
    let course = Course {
        case: &case,
        plan: &plan,
        exit: None,
        calls: Calls::Script,
    };
    let vector = Vector::of_course(&course).expect("it runs");
    assert_eq!(vector.stages[0].expect.exit, Exit::OutOfGas);
    let [line] = &vector.answers[..] else {
        panic!("{:?}", vector.answers)
    };
    // Selector 59 is 7 times 8 and 3: 7 gas on top of the floor.
    assert_eq!(line.extra, 7);
}
