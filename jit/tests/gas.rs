//! Gates and charges: gas §4, §10 and the golden ledgers of §18.

mod common;

use common::{COW, Ended, memory, memory_with, program, run, writable};
use rivet_isa::{DATA_BASE, Exit, Gas, Pc, Reg, Regs};
use rivet_jit::{Call, Cpu, Flow, Left, NoHost, Program};

fn asm(source: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(source).unwrap()
}

fn out_of_gas(pc: u64) -> Left {
    Left::Exit(Exit::OutOfGas, Pc::new(pc))
}

fn trap(pc: u64) -> Left {
    Left::Exit(Exit::Trap, Pc::new(pc))
}

/// The bias of the gas register with no open pages: the budgets around it are where the quick
/// gate and the exact one meet.
const BIAS: u64 = 1 << 16;

/// G11 of gas §17: two stores, cost 22, reserve 1024; then `trap`, cost 1.
fn two_stores() -> Vec<u8> {
    asm("sd a0, 0(sp)\nsw a1, 8(a2)\nfallthrough\ntrap")
}

fn pointers(sp: u64, a2: u64) -> Regs {
    let mut regs = Regs::default();
    regs.set(Reg::SP, sp);
    regs.set(Reg::A2, a2);
    regs
}

fn run_two_stores(gas: u64, regs: Regs) -> (Ended, u32) {
    let code = two_stores();
    let mut memory = memory(&code);
    let ended = run(&program(&code), &mut memory, 0, regs, gas, &mut NoHost);
    (ended, memory.private_count())
}

#[test]
fn the_ledger_of_stores_and_reserve() {
    let same = pointers(DATA_BASE, DATA_BASE);
    let (ended, private) = run_two_stores(1045, same);
    assert_eq!((ended.left, ended.gas, private), (out_of_gas(0), 1045, 0));
    assert_eq!(ended.regs, same);

    let (ended, private) = run_two_stores(1046, same);
    assert_eq!(
        (ended.left, ended.gas, private),
        (trap(12), 1046 - 22 - COW - 1, 1)
    );

    let straddling = pointers(DATA_BASE + 4092, DATA_BASE + 0x3FF6);
    let (ended, private) = run_two_stores(1046, straddling);
    assert_eq!((ended.left, ended.gas, private), (out_of_gas(12), 0, 4));

    let second_faults = pointers(DATA_BASE, 0);
    let (ended, private) = run_two_stores(2000, second_faults);
    let page = rivet_isa::PageIndex::new(0).unwrap();
    let fault = Left::Exit(Exit::PageFault { page }, Pc::new(4));
    assert_eq!((ended.left, ended.gas, private), (fault, 1722, 1));
}

#[test]
fn a_straddling_store_with_a_bad_page_charges_and_changes_nothing() {
    let code = two_stores();
    let mut memory = memory_with(&code, [writable(DATA_BASE, 4096)]);
    let regs = pointers(DATA_BASE + 4092, DATA_BASE);
    let ended = run(&program(&code), &mut memory, 0, regs, 2000, &mut NoHost);
    let page = rivet_isa::PageIndex::new((DATA_BASE >> 12) as u32 + 1).unwrap();
    assert_eq!(ended.left, Left::Exit(Exit::PageFault { page }, Pc::new(0)));
    assert_eq!((ended.gas, memory.private_count()), (1978, 0));
}

#[test]
fn the_ledger_of_the_copy_loop() {
    // G20: cost 47, reserve 512; then `jalr`, cost 19.
    let source = "loop:\nld a3, 0(a1)\nsd a3, 0(a0)\naddi a1, a1, 8\naddi a0, a0, 8\n\
                  bltu a1, a2, loop\njalr zero, 0(ra)\ntrap";
    let code = asm(source);
    let program = program(&code);
    let run = |gas: u64| {
        let mut regs = Regs::default();
        regs.set(Reg::A0, DATA_BASE + 0x1000);
        regs.set(Reg::A1, DATA_BASE);
        regs.set(Reg::A2, DATA_BASE + 24);
        regs.set(Reg::RA, rivet_isa::CODE_BASE + 24);
        run(&program, &mut memory(&code), 0, regs, gas, &mut NoHost)
    };
    let ended = run(908);
    assert_eq!((ended.left, ended.gas), (out_of_gas(0), 558));
    let ended = run(909);
    assert_eq!((ended.left, ended.gas), (trap(24), 909 - 416 - 1));
}

/// Three blocks in a loop: `cost` per round without stores.
fn countdown(program: &Program, code: &[u8], rounds: u64, gas: u64) -> Ended {
    let mut regs = Regs::default();
    regs.set(Reg::A0, rounds);
    run(program, &mut memory(code), 0, regs, gas, &mut NoHost)
}

#[test]
fn every_budget_of_a_loop_stops_at_the_exact_gate() {
    let code = asm("loop:\naddi a0, a0, -1\nbnez a0, loop\ntrap");
    let program = program(&code);
    // addi (1 cycle), then a branch that waits for it (20): 21 less 3. The trap costs 1.
    let (round, rounds) = (18, 7);
    for gas in 0..=round * rounds + 2 {
        let ended = countdown(&program, &code, rounds, gas);
        let done = gas / round;
        if done < rounds {
            assert_eq!((ended.left, ended.gas), (out_of_gas(0), gas % round));
            assert_eq!(ended.regs.get(Reg::A0), rounds - done);
        } else {
            let left = gas - round * rounds;
            let expected = if left == 0 {
                (out_of_gas(8), 0)
            } else {
                (trap(8), left - 1)
            };
            assert_eq!((ended.left, ended.gas), expected);
        }
    }
}

#[test]
fn budgets_around_the_bias_and_the_edges_of_its_width_are_exact() {
    let code = asm("loop:\naddi a0, a0, -1\nbnez a0, loop\ntrap");
    let program = program(&code);
    let edges = [BIAS, 1 << 31, 1 << 32, (1 << 63) - 40];
    for gas in edges.iter().flat_map(|edge| edge - 40..edge + 40) {
        let rounds = 5;
        let ended = countdown(&program, &code, rounds, gas);
        assert_eq!(
            (ended.left, ended.gas),
            (trap(8), gas - 18 * rounds - 1),
            "{gas}"
        );
    }
    for gas in BIAS - 40..BIAS + 40 {
        let ended = countdown(&program, &code, 1 << 40, gas);
        assert_eq!((ended.left, ended.gas), (out_of_gas(0), gas % 18), "{gas}");
    }
}

/// `count` stores of a0 to a1, then `trap`: cost 22 or decode-bound, reserve 512 each.
fn many_stores(count: u64) -> (Vec<u8>, u64) {
    let source: String = (0..count)
        .map(|_| "sd a0, 0(a1)\n")
        .chain(["trap"])
        .collect();
    // Four one-slot stores a cycle of 25 cycles each; the trap never finishes last.
    (asm(&source), (count - 1) / 4 + 25 - 3)
}

#[test]
fn reserves_beyond_the_bias_are_checked_in_full() {
    for count in [127, 128, 129, 200, 5000] {
        let (code, cost) = many_stores(count);
        let program = program(&code);
        let need = cost + count * 2 * COW;
        let mut regs = Regs::default();
        regs.set(Reg::A1, DATA_BASE);
        for gas in [
            need - 1,
            need,
            need + 1,
            need + BIAS - 1,
            need + BIAS,
            need + BIAS + 1,
        ] {
            let ended = run(&program, &mut memory(&code), 0, regs, gas, &mut NoHost);
            let expected = if gas < need {
                (out_of_gas(0), gas)
            } else {
                (trap(4 * count), gas - cost - COW)
            };
            assert_eq!(
                (ended.left, ended.gas),
                expected,
                "{count} stores, gas {gas}"
            );
        }
    }
}

#[test]
fn a_reserve_beyond_32_bits_needs_that_much_gas() {
    use rivet_isa::gas::FrameCosts;
    let (code, cost) = many_stores(9);
    let starts = rivet_isa::BlockStarts::scan(&code);
    let cache = rivet_jit::CodeCache::new(Default::default());
    let costs = FrameCosts::new(25, 256 << 20);
    let program = Program::new(code.as_slice().into(), starts.into(), costs, &cache).unwrap();
    let need = cost + 9 * 2 * (256 << 20);
    assert!(need > 1 << 32);
    let mut regs = Regs::default();
    regs.set(Reg::A1, DATA_BASE);
    for (gas, left) in [
        (need - 1, out_of_gas(0)),
        (need, trap(36)),
        (need + BIAS, trap(36)),
    ] {
        let ended = run(&program, &mut memory(&code), 0, regs, gas, &mut NoHost);
        assert_eq!(ended.left, left, "{gas}");
    }
}

#[test]
fn one_block_of_many_instructions_is_charged_as_one() {
    let count = (1 << 16) + 3;
    let mut code = [0x05, 0x05].repeat(count);
    code.extend(0x0000_000Bu32.to_le_bytes());
    let program = program(&code);
    let cost = count as u64 - 3;
    for (gas, left) in [(cost - 1, out_of_gas(0)), (cost, trap(2 * count as u64))] {
        let ended = run(
            &program,
            &mut memory(&code),
            0,
            Regs::default(),
            gas,
            &mut NoHost,
        );
        assert_eq!(ended.left, left);
        assert_eq!(ended.gas, if gas < cost { gas } else { 0 });
    }
}

#[test]
fn single_steps_stop_in_front_of_every_block_with_exact_state() {
    let code = asm("loop:\nsd a0, 0(a1)\naddi a0, a0, -1\necalli 3\nbnez a0, loop\ntrap");
    let (program, mut memory) = (program(&code), memory(&code));
    let (mut regs, mut gas) = (Regs::default(), Gas::new(5000).unwrap());
    regs.set(Reg::A0, 3);
    regs.set(Reg::A1, DATA_BASE);
    let mut host = |call: Call<'_>| {
        *call.gas = call.gas.checked_sub(100).unwrap();
        Flow::Continue
    };
    // Costs: store 22 (25 - 3) and its page once; call 100; branch 17; trap 1.
    let mut expected = Vec::new();
    let mut left = 5000 - COW;
    for _ in 0..3 {
        for (next, cost) in [(8, 22), (12, 100), (0, 17)] {
            left -= cost;
            expected.push((next, left));
        }
    }
    expected[8].0 = 16;
    let mut pc = Pc::new(0);
    for (next, left) in expected {
        let cpu = Cpu {
            regs: &mut regs,
            gas: &mut gas,
        };
        let stepped = program.step(cpu, pc, &mut memory, &mut host).unwrap();
        assert_eq!((stepped, gas.value()), (Left::Stepped(Pc::new(next)), left));
        pc = Pc::new(next);
    }
    let cpu = Cpu {
        regs: &mut regs,
        gas: &mut gas,
    };
    assert_eq!(
        program.step(cpu, pc, &mut memory, &mut host).unwrap(),
        trap(16)
    );
    assert_eq!(regs.get(Reg::A0), 0);
}
