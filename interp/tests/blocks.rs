//! Blocks of every length, forgotten blocks, shared programs, stepping and tracing.

mod common;

use common::*;
use rivet_interp::{Program, State, Tracer, View, finish_block, run_block, run_traced};
use rivet_isa::{Exit, Inst, Pc};
use std::sync::Arc;

/// `c.addi a0, 1`
const INCREMENT: [u8; 2] = [0x05, 0x05];

/// `n` increments, then code.
fn increments(n: usize, then: &str) -> Vec<u8> {
    let mut code = INCREMENT.repeat(n);
    code.extend(assemble(then));
    code
}

/// By gas §5: one-slot instructions that wait for each other finish at n, the trap at n/4 + 2.
fn cost_of_increments(n: u64) -> u64 {
    n.max(4) - 3
}

#[test]
fn blocks_around_and_far_above_the_segment_length_run_and_cost_exactly() {
    for n in [1, 4094, 4095, 4096, 4097, 8191, 8192, 8193, 70_000] {
        let program = program(&increments(n, "trap"));
        let cost = cost_of_increments(n as u64);
        let mut short = state(cost - 1);
        assert_eq!(
            go(&program, &mut short, &mut empty()),
            Exit::OutOfGas,
            "{n}"
        );
        assert_eq!((short.pc, short.gas.value()), (pc(0), cost - 1));
        assert_eq!(short.regs.get(reg("a0")), 0);
        let mut exact = state(cost);
        assert_eq!(go(&program, &mut exact, &mut empty()), Exit::Trap, "{n}");
        assert_eq!((exact.pc, exact.gas.value()), (pc(2 * n as u64), 0));
        assert_eq!(exact.regs.get(reg("a0")), n as u64);
    }
}

#[test]
fn a_long_block_without_terminator_ends_at_a_call_or_at_the_end() {
    for n in [4096, 8192, 10_000] {
        let mut running = state(1 << 30);
        let code = increments(n, "ecalli 3\n addi a0, a0, 1");
        let program = program(&code);
        let exit = go(&program, &mut running, &mut empty());
        assert_eq!(exit.code(), 4);
        assert_eq!(running.pc, pc(2 * n as u64 + 4));
        assert_eq!(go(&program, &mut running, &mut empty()), Exit::Panic);
        assert_eq!(running.pc, pc(2 * n as u64 + 8));
        assert_eq!(running.regs.get(reg("a0")), n as u64 + 1);
    }
}

#[test]
fn jumps_into_the_inside_of_a_long_block_panic_after_it_ran() {
    // The segment at 2 * 4096 is predecoded by then, but it is no start.
    let mut code = increments(6000, "lui t0, 0x402\n jalr t0, 0(t0)");
    code.extend(INCREMENT);
    let (exit, state) = run_code(&code, &[]);
    assert_eq!((exit, state.pc), (Exit::Panic, pc(12_004)));
    assert_eq!(state.regs.get(reg("a0")), 6000);
}

#[test]
fn an_instruction_late_in_a_long_block_reports_its_own_pc() {
    let mut code = increments(5000, "auipc a1, 0");
    code.extend(increments(5000, "lb a2, 0(zero)"));
    let (exit, state) = run_code(&code, &[]);
    assert_eq!(exit.code(), 3);
    assert_eq!(state.pc, pc(20_004));
    assert_eq!(state.regs.get(reg("a1")), 0x40_0000 + 10_000);
}

/// Many blocks, each jumping to one far away, more than a small cache holds.
fn hopping(blocks: usize) -> Vec<u8> {
    let mut text = String::from("li a1, 3\n j b0\n");
    for i in 0..blocks {
        let next = (i * 7 + 1) % blocks;
        text += &format!("b{i}: addi a0, a0, 1\n");
        if next == 0 {
            text += "addi a1, a1, -1\n beqz a1, out\n j b0\n out: trap\n";
        } else {
            text += &format!("j b{next}\n");
        }
    }
    assemble(&text)
}

#[test]
fn forgetting_blocks_changes_nothing() {
    let code = hopping(2999);
    let ample = || state(1 << 30);
    let mut reference = ample();
    let exit = go(&program(&code), &mut reference, &mut empty());
    assert_eq!(exit, Exit::Trap);
    for limit in [0, 150_000, 210_000, 400_000] {
        let program = program(&code).cache_limit(limit);
        for _ in 0..2 {
            let mut state = ample();
            assert_eq!(go(&program, &mut state, &mut empty()), exit, "{limit}");
            assert_eq!(state, reference, "{limit}");
        }
    }
}

#[test]
fn a_program_runs_on_many_threads() {
    let program = Arc::new(program(&hopping(500)));
    let mut reference = state(1 << 30);
    go(&program, &mut reference, &mut empty());
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let program = Arc::clone(&program);
            std::thread::spawn(move || {
                let mut state = state(1 << 30);
                let exit = go(&program, &mut state, &mut empty());
                (exit, state)
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), (Exit::Trap, reference));
    }
}

#[test]
fn stepping_stops_at_every_block() {
    let code = assemble("nop\n fallthrough\n nop\n j l\n l: ecalli 1\n trap");
    let program = program(&code);
    let mut state = state(100);
    let mut memory = empty();
    let mut seen = Vec::new();
    let exit = loop {
        seen.push(state.pc.value());
        if let Some(exit) = run_block(&program, &mut state, &mut memory).unwrap() {
            break exit;
        }
    };
    assert_eq!(seen, [0, 8, 16]);
    assert_eq!((exit.code(), state.pc), (4, pc(20)));
}

#[test]
fn the_rest_of_a_block_is_not_charged_again_but_its_stores_are() {
    // The block of gas §17 G11: cost 22, and 256 for each fresh page.
    let code = assemble("sd a0, 0(sp)\n sw a1, 8(a2)\n fallthrough\n trap");
    let program = program(&code);
    let set = |gas: u64| {
        let mut state = state(gas);
        state.regs.set(reg("sp"), 0x1000_0000);
        state.regs.set(reg("a2"), 0x1000_2000);
        state.regs.set(reg("a1"), 77);
        state
    };
    let fresh = || {
        let mut memory = empty();
        memory.map(ephemeral(0x1000_0000, 2)).unwrap();
        memory.map(ephemeral(0x1000_2000, 1)).unwrap();
        memory
    };
    let mut whole = set(2000);
    let mut memory = fresh();
    assert_eq!(run_block(&program, &mut whole, &mut memory), Ok(None));
    assert_eq!((whole.pc, whole.gas.value()), (pc(12), 2000 - 22 - 2 * 256));
    // In front of the second store, its block and the first store's page paid.
    let mut rest = set(2000 - 22 - 256);
    rest.pc = pc(4);
    let mut memory = fresh();
    assert_eq!(finish_block(&program, &mut rest, &mut memory), Ok(None));
    assert_eq!(rest, whole);
    let written: Vec<u32> = memory.private_pages().map(|page| page.index()).collect();
    assert_eq!(written, [0x1_0002]);
    // No gate stands in front of it: what is left of a reserve of 1024 is enough.
    rest = set(256);
    rest.pc = pc(4);
    assert_eq!(finish_block(&program, &mut rest, &mut fresh()), Ok(None));
    assert_eq!((rest.pc, rest.gas.value()), (pc(12), 0));
    // The next block has its gate.
    assert_eq!(
        run_block(&program, &mut rest, &mut fresh()),
        Ok(Some(Exit::OutOfGas))
    );
}

#[test]
fn the_rest_of_a_block_can_be_longer_than_a_segment_and_end_in_an_exit() {
    let program = program(&increments(10_000, "trap"));
    for from in [0, 1, 4096, 5000, 9999, 10_000] {
        let mut rest = state(3);
        rest.pc = pc(2 * from);
        let exit = finish_block(&program, &mut rest, &mut empty());
        assert_eq!(exit, Ok(Some(Exit::Trap)), "{from}");
        assert_eq!((rest.pc, rest.gas.value()), (pc(20_000), 3));
        assert_eq!(rest.regs.get(reg("a0")), 10_000 - from);
    }
}

#[derive(Default)]
struct Log {
    blocks: Vec<u64>,
    lines: Vec<(u64, String, u64)>,
}

impl Tracer for Log {
    fn block(&mut self, start: Pc, _: View<'_>) {
        self.blocks.push(start.value());
    }

    fn instruction(&mut self, pc: Pc, inst: Inst, view: View<'_>) {
        assert_eq!(view.regs().get(reg("a0")), view.reg(reg("a0")));
        self.lines
            .push((pc.value(), inst.to_string(), view.reg(reg("a0"))));
    }
}

#[test]
fn a_tracer_sees_every_instruction_with_the_state_before_it() {
    let code = assemble("li a0, 2\n fallthrough\n l: addi a0, a0, -1\n beqz a0, o\n j l\n o: trap");
    let mut log = Log::default();
    let mut state = state(1000);
    let exit = run_traced(&program(&code), &mut state, &mut empty(), &mut log).unwrap();
    assert_eq!(exit, Exit::Trap);
    assert_eq!(log.blocks, [0, 8, 16, 8, 20]);
    let at: Vec<_> = log.lines.iter().map(|(pc, _, a0)| (*pc, *a0)).collect();
    assert_eq!(
        at,
        [
            (0, 0),
            (4, 2),
            (8, 2),
            (12, 1),
            (16, 1),
            (8, 1),
            (12, 0),
            (20, 0)
        ]
    );
    let names: Vec<&str> = log.lines.iter().map(|(_, text, _)| text.as_str()).collect();
    assert!(names[1].starts_with("fallthrough"), "{names:?}");
    assert!(names[7].starts_with("trap"), "{names:?}");
}

#[test]
fn a_tracer_sees_long_blocks_whole() {
    let code = increments(9000, "fallthrough\n trap");
    let mut log = Log::default();
    run_traced(&program(&code), &mut state(1 << 20), &mut empty(), &mut log).unwrap();
    assert_eq!(log.lines.len(), 9002);
    assert_eq!(log.blocks, [0, 18_004]);
}

#[test]
fn resuming_in_pieces_costs_what_running_through_costs() {
    let code = assemble("li a0, 9\n j l\n l: addi a0, a0, -1\n beqz a0, o\n j l\n o: trap");
    let program = Program::new(code.into(), COSTS);
    let mut whole = state(10_000);
    go(&program, &mut whole, &mut empty());
    let used = 10_000 - whole.gas.value();
    let mut pieces = state(0);
    let mut given = 0;
    loop {
        match go(&program, &mut pieces, &mut empty()) {
            Exit::OutOfGas => {
                given += 1;
                let more = state(pieces.gas.value() + 1).gas;
                pieces = State {
                    gas: more,
                    ..pieces
                };
            }
            exit => {
                assert_eq!(exit, Exit::Trap);
                break;
            }
        }
    }
    assert_eq!(given - pieces.gas.value(), used);
    assert_eq!(pieces.regs, whole.regs);
}
