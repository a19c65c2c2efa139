//! Calls and returns in every shape a guest can give them: the pairing with the host's is not to
//! be seen.

mod common;

use common::{Ended, memory, program, run};
use rivet_isa::{CODE_BASE, DATA_BASE, Exit, Gas, Pc, Reg, Regs};
use rivet_jit::{Call, Cpu, Flow, Left, NoHost};

const GAS: u64 = 1 << 40;

fn asm(source: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(source).unwrap()
}

fn run_all(code: &[u8], regs: Regs) -> Ended {
    run(&program(code), &mut memory(code), 0, regs, GAS, &mut NoHost)
}

/// Counts a0 down to zero by recursion and back up in a1; return addresses at s0.
const RECURSION: &str = "jal ra, down\ntrap\n\
    down:\nbeqz a0, bottom\n\
    sd ra, 0(s0)\naddi s0, s0, 8\naddi a0, a0, -1\njal ra, down\n\
    addi s0, s0, -8\nld ra, 0(s0)\naddi a1, a1, 1\nret\n\
    bottom:\nret";

#[test]
fn recursion_of_any_depth_returns_through_every_level() {
    let code = asm(RECURSION);
    for depth in [
        0, 1, 2, 509, 510, 511, 512, 513, 514, 1023, 1024, 1025, 100_000,
    ] {
        let mut regs = Regs::default();
        regs.set(Reg::A0, depth);
        regs.set(Reg::S0, DATA_BASE);
        let ended = run_all(&code, regs);
        assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(4)), "{depth}");
        assert_eq!(
            (ended.regs.get(Reg::A0), ended.regs.get(Reg::A1)),
            (0, depth)
        );
        assert_eq!(ended.regs.get(Reg::S0), DATA_BASE);
    }
}

#[test]
fn leaving_and_coming_back_at_every_level_changes_nothing() {
    let source = RECURSION.replace("addi a1, a1, 1\n", "ecalli 7\naddi a1, a1, 1\n");
    let code = asm(&source.replace("bottom:\nret", "bottom:\necalli 8\nret"));
    let (program, mut memory) = (program(&code), memory(&code));
    let (mut regs, mut gas) = (Regs::default(), Gas::new(GAS).unwrap());
    regs.set(Reg::A0, 700);
    regs.set(Reg::S0, DATA_BASE);
    let mut pc = Pc::new(0);
    let mut calls = 0;
    let left = loop {
        let cpu = Cpu {
            regs: &mut regs,
            gas: &mut gas,
        };
        match program.run(cpu, pc, &mut memory, &mut NoHost).unwrap() {
            Left::Exit(Exit::HostCall { .. }, next) => (pc, calls) = (next, calls + 1),
            left => break left,
        }
    };
    assert_eq!((left, calls), (Left::Exit(Exit::Trap, Pc::new(4)), 701));
    assert_eq!(regs.get(Reg::A1), 700);
}

#[test]
fn a_jump_out_of_nested_calls_and_the_returns_after_it_work() {
    // `outer` calls `inner`, which returns straight to outer's caller; ten times.
    let code = asm(
        "loop:\nfallthrough\njal ra, outer\naddi a1, a1, 1\naddi a0, a0, -1\nbnez a0, loop\ntrap\n\
         outer:\nmv t0, ra\njal ra, inner\ntrap\n\
         inner:\nmv ra, t0\nret",
    );
    let mut regs = Regs::default();
    regs.set(Reg::A0, 10);
    let ended = run_all(&code, regs);
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(20)));
    assert_eq!(ended.regs.get(Reg::A1), 10);
}

#[test]
fn a_return_without_a_call_is_a_jump() {
    let code = asm("ret\ntrap\nfallthrough\ntrap");
    for (target, left) in [
        (CODE_BASE + 8, Left::Exit(Exit::Trap, Pc::new(12))),
        (CODE_BASE + 9, Left::Exit(Exit::Trap, Pc::new(12))),
        (
            (7 << 32) + CODE_BASE + 8,
            Left::Exit(Exit::Trap, Pc::new(12)),
        ),
        (CODE_BASE + 2, Left::Exit(Exit::Panic, Pc::new(0))),
        (CODE_BASE - 2, Left::Exit(Exit::Panic, Pc::new(0))),
        (0, Left::Exit(Exit::Panic, Pc::new(0))),
        (u64::MAX, Left::Exit(Exit::Panic, Pc::new(0))),
    ] {
        let mut regs = Regs::default();
        regs.set(Reg::RA, target);
        let ended = run_all(&code, regs);
        assert_eq!((ended.left, ended.regs), (left, regs), "{target:#x}");
    }
}

#[test]
fn a_return_address_changed_in_any_bit_is_not_taken_for_the_one_of_the_call() {
    // A call whose callee adds a1 to its return address.
    let code = asm("jal ra, callee\nfallthrough\ntrap\ncallee:\nadd ra, ra, a1\nret");
    for (a1, left) in [
        (0, Left::Exit(Exit::Trap, Pc::new(8))),
        (1, Left::Exit(Exit::Trap, Pc::new(8))),
        (1 << 32, Left::Exit(Exit::Trap, Pc::new(8))),
        (1 << 63, Left::Exit(Exit::Trap, Pc::new(8))),
        (2, Left::Exit(Exit::Panic, Pc::new(16))),
        (4, Left::Exit(Exit::Trap, Pc::new(8))),
        (1 << 31, Left::Exit(Exit::Panic, Pc::new(16))),
    ] {
        let mut regs = Regs::default();
        regs.set(Reg::A1, a1);
        let ended = run_all(&code, regs);
        assert_eq!(ended.left, left, "{a1:#x}");
        assert_eq!(ended.regs.get(Reg::RA), (CODE_BASE + 4).wrapping_add(a1));
    }
}

#[test]
fn calls_from_the_last_block_of_a_chunk_return_into_the_next_one() {
    // The call is the last instruction of the first chunk; the callee stands at 4.
    let mut code = asm("j start\ncallee:\naddi a0, a0, 1\nret\nstart:\nfallthrough");
    let filler = ((1 << 16) - 4 - code.len()) / 2;
    code.extend([0x85, 0x05].repeat(filler));
    assert_eq!(code.len(), (1 << 16) - 4);
    let back = 4 - ((1 << 16) - 4);
    let jal = rivet_isa::Inst::jal(rivet_isa::J {
        rd: Reg::RA,
        imm: back,
    });
    code.extend(rivet_isa::encode(jal).unwrap().to_le_bytes());
    code.extend(asm("addi a2, a2, 5\ntrap"));
    let ended = run_all(&code, Regs::default());
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new((1 << 16) + 4)));
    assert_eq!((ended.regs.get(Reg::A0), ended.regs.get(Reg::A2)), (1, 5));
    // And as the very last instruction: the return finds no block.
    let code = asm("j start\ncallee:\nret\nstart:\njal ra, callee");
    let ended = run_all(&code, Regs::default());
    assert_eq!(ended.left, Left::Exit(Exit::Panic, Pc::new(4)));
}

#[test]
fn indirect_calls_pair_with_returns_too() {
    let code = asm(
        "loop:\nfallthrough\njalr ra, 0(a2)\naddi a0, a0, -1\nbnez a0, loop\ntrap\n\
         callee:\naddi a1, a1, 3\nret",
    );
    let mut regs = Regs::default();
    regs.set(Reg::A0, 1000);
    regs.set(Reg::A2, CODE_BASE + 20);
    let ended = run_all(&code, regs);
    assert_eq!(
        (ended.left, ended.regs.get(Reg::A1)),
        (Left::Exit(Exit::Trap, Pc::new(16)), 3000)
    );
}

#[test]
fn a_panic_of_the_host_deep_in_guest_calls_unwinds_cleanly() {
    let code = asm(&RECURSION.replace("bottom:\nret", "bottom:\necalli 1\nret"));
    let (program, mut memory) = (program(&code), memory(&code));
    for depth in [3, 400, 2000] {
        let mut regs = Regs::default();
        regs.set(Reg::A0, depth);
        regs.set(Reg::S0, DATA_BASE);
        let mut host = |_: Call<'_>| -> Flow { panic!("deep") };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&program, &mut memory, 0, regs, GAS, &mut host)
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"deep"));
    }
}
