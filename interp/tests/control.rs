//! Control flow: the programs of ISA §17.2, §8 and the exits of §11.

mod common;

use common::*;
use rivet_isa::{Exit, Payment};

const UNPAID: Payment = Payment::Unpaid;
const GAS: u64 = 1 << 40;

/// Exit, pc and gas used.
fn outcome(code: &[u8]) -> (Exit, u64, u64) {
    let (exit, state) = run_code(code, &[]);
    (exit, state.pc.value(), GAS - state.gas.value())
}

#[test]
fn code_without_an_instruction_panics_at_zero_for_free() {
    for tail in ["", "13", "1300", "130000"] {
        assert_eq!(outcome(&bytes(tail)), (Exit::Panic, 0, 0), "{tail}");
    }
}

#[test]
fn partition_examples_behave_as_the_specification_says() {
    // P5, P6, P7, P9, P10, P11, P12, P13, P15, P16, P17, P18: exit, pc. Costs by gas §5: every
    // block here has its latest completion at or below 4 but for the branch and jump rows.
    let cases = [
        ("13000000", 4, 1),
        ("0100 0100", 4, 1),
        ("0000 0000 0000", 0, 1),
        ("1f000000 0100 0145 0145", 0, 1),
        ("2b000000 0100", 0, 1),
        ("0b400000 1300", 4, 1),
        ("6f002000 0100", 0, 12),
        // c.li a0,0; c.beqz a0,+... is taken: a0 = 0, and the target is no start.
        ("0145 01c1 0505 0280", 2, 18),
        ("0290 0100", 0, 1),
        ("13080000 0100", 0, 1),
        ("0540 0100", 4, 1),
        // c.jr ra with ra = 0: below CODE_BASE.
        ("8280 0100", 0, 19),
    ];
    for (code, pc, gas) in cases {
        assert_eq!(outcome(&bytes(code)), (Exit::Panic, pc, gas), "{code}");
    }
}

#[test]
fn calls_exit_behind_themselves_and_are_free_until_serviced() {
    let code = bytes("0b100000 0b100000");
    let program = program(&code);
    let mut memory = empty();
    let mut state = state(0);
    assert_eq!(
        go(&program, &mut state, &mut memory),
        Exit::Ecall { payment: UNPAID }
    );
    assert_eq!(state.pc, pc(4));
    assert_eq!(
        go(&program, &mut state, &mut memory),
        Exit::Ecall { payment: UNPAID }
    );
    assert_eq!(state.pc, pc(8));
    assert_eq!(go(&program, &mut state, &mut memory), Exit::Panic);
    assert_eq!((state.pc, state.gas.value()), (pc(8), 0));
}
