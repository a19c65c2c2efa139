//! Control flow: ISA §8, §9, §11 and the golden partitions of §17.2.

mod common;

use common::{Ended, bytes, memory, program, run};
use rivet_isa::{CODE_BASE, Exit, I, Inst, J, Op, Payment, Pc, Reg, Regs};
use rivet_jit::{Left, NoHost};

const GAS: u64 = 1 << 40;

fn run_from(code: &[u8], pc: u64, regs: Regs) -> Ended {
    run(
        &program(code),
        &mut memory(code),
        pc,
        regs,
        GAS,
        &mut NoHost,
    )
}

fn panic_at(pc: u64) -> Left {
    Left::Exit(Exit::Panic, Pc::new(pc))
}

fn asm(source: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(source).unwrap()
}

#[test]
fn golden_partitions_end_where_the_specification_says() {
    let cases: [(&[u8], u64); 8] = [
        (&[], 0),
        (&[0x13], 0),
        (&[0x13, 0x00, 0x00], 0),
        (&[0x13, 0, 0, 0], 4),
        (&[0, 0, 0, 0, 0, 0], 0),
        (&[0x0b, 0x40, 0, 0, 0x13, 0], 4),
        (&[0x6f, 0, 0x20, 0, 1, 0], 0),
        (&[5, 0x40, 1, 0], 4),
    ];
    for (code, pc) in cases {
        assert_eq!(
            run_from(code, 0, Regs::default()).left,
            panic_at(pc),
            "{code:x?}"
        );
    }
}

#[test]
fn a_bad_entry_panics_with_its_pc_and_costs_nothing() {
    let code = asm("addi a0, a0, 1\naddi a0, a0, 1\ntrap");
    for pc in [1, 2, 4, 12, 13, 1 << 20, u64::from(u32::MAX) + 1, u64::MAX] {
        let ended = run_from(&code, pc, Regs::default());
        assert_eq!((ended.left, ended.gas), (panic_at(pc), GAS), "{pc}");
    }
}

#[test]
fn a_failed_jump_reports_its_own_pc_and_has_written_the_link() {
    let code = asm("fallthrough\njal a0, 2\ntrap");
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, panic_at(4));
    assert_eq!(ended.regs.get(Reg::A0), CODE_BASE + 8);

    // Same register as base and link: the target comes from the old value.
    for offset in [2, -4, 6, 4000, i64::from(i32::MIN)] {
        let code = asm("fallthrough\njalr a0, 0(a0)\ntrap");
        let mut regs = Regs::default();
        regs.set(Reg::A0, CODE_BASE.wrapping_add(offset as u64));
        let ended = run_from(&code, 0, regs);
        assert_eq!(ended.left, panic_at(4), "{offset}");
        assert_eq!(ended.regs.get(Reg::A0), CODE_BASE + 8);
    }
}

#[test]
fn jalr_takes_the_low_half_without_bit_zero_of_the_old_register() {
    let code = asm("jalr gp, 3(gp)\ntrap\nfallthrough\ntrap");
    for high in [0, 1, 0xFFFF_FFFF] {
        for low_bit in [0, 1] {
            let mut regs = Regs::default();
            let gp = Reg::new(3).unwrap();
            // 3 + 5 + low_bit, bit 0 cleared: offset 8, or 8 again.
            regs.set(gp, (high << 32 | CODE_BASE) + 5 + low_bit);
            let ended = run_from(&code, 0, regs);
            assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(12)));
            assert_eq!(ended.regs.get(gp), CODE_BASE + 4);
        }
    }
}

#[test]
fn targets_below_the_code_base_and_wrapping_sums_are_no_starts() {
    for base in [
        0,
        CODE_BASE - 2,
        u64::MAX,
        1 << 63,
        0xFFFF_FFFF_0000_0000,
        CODE_BASE + 16,
    ] {
        let code = asm("jalr zero, 0(a0)\ntrap\nfallthrough\ntrap");
        let mut regs = Regs::default();
        regs.set(Reg::A0, base);
        assert_eq!(run_from(&code, 0, regs).left, panic_at(0), "{base:#x}");
    }
}

#[test]
fn a_bad_static_target_matters_only_when_taken() {
    let code = asm("beq a0, zero, 2\nfallthrough\nbne a0, zero, -100\ntrap");
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, panic_at(0));
    let mut regs = Regs::default();
    regs.set(Reg::A0, 1);
    assert_eq!(run_from(&code, 0, regs).left, panic_at(8));
}

#[test]
fn running_off_the_end_reports_the_end() {
    for (source, end) in [
        ("addi a0, a0, 1", 4),
        ("bnez zero, 0", 4),
        ("fallthrough", 4),
    ] {
        assert_eq!(
            run_from(&asm(source), 0, Regs::default()).left,
            panic_at(end),
            "{source}"
        );
    }
}

#[test]
fn calls_without_a_host_surface_unpaid_behind_themselves() {
    let code = asm("ecall.jar\necalli -1\necalli 2047");
    let payment = Payment::Unpaid;
    let expected = [
        (0, Exit::Ecall { payment }),
        (
            4,
            Exit::HostCall {
                selector: u32::MAX,
                payment,
            },
        ),
        (
            8,
            Exit::HostCall {
                selector: 2047,
                payment,
            },
        ),
    ];
    for (pc, exit) in expected {
        let ended = run_from(&code, pc, Regs::default());
        assert_eq!(
            (ended.left, ended.gas),
            (Left::Exit(exit, Pc::new(pc + 4)), GAS)
        );
    }
    assert_eq!(run_from(&code, 12, Regs::default()).left, panic_at(12));
}

/// `count` two-byte additions to a0.
fn additions(count: usize) -> Vec<u8> {
    [0x05, 0x05].repeat(count)
}

#[test]
fn jumps_between_chunks_work_in_both_directions_and_from_any_order_of_translation() {
    // 0: jal to `far`; filler; far: jal back to 4; 4: trap.
    let filler = 200_000u32;
    let far = 8 + filler;
    let jal = |imm: i32| Inst::jal(J { rd: Reg::RA, imm });
    let mut code = bytes([jal(far as i32)]);
    code.extend(0x0000_000Bu32.to_le_bytes());
    code.extend(additions(filler as usize / 2 - 2));
    code.extend(0x0000_400Bu32.to_le_bytes());
    code.extend(bytes([jal(4 - far as i32)]));
    for first in [0, far] {
        let (program, mut memory) = (program(&code), memory(&code));
        assert!(program.prepare(Pc::new(u64::from(first))));
        for _ in 0..2 {
            let ended = run(&program, &mut memory, 0, Regs::default(), GAS, &mut NoHost);
            assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(4)));
            assert_eq!(ended.regs.get(Reg::RA), CODE_BASE + u64::from(far) + 4);
        }
    }
}

#[test]
fn conditional_branches_reach_into_other_chunks() {
    // A branch at the end of the first chunk into the second one.
    let mut code = additions((1 << 15) - 4);
    code.extend(0x0000_400Bu32.to_le_bytes());
    let at = code.len();
    code.extend(bytes([Inst::bne(rivet_isa::B {
        rs1: Reg::A0,
        rs2: Reg::ZERO,
        imm: 100,
    })]));
    code.extend(additions(46));
    code.extend(0x0000_400Bu32.to_le_bytes());
    assert_eq!(code.len(), at + 100);
    code.extend(0x0000_000Bu32.to_le_bytes());
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(at as u64 + 100)));
    assert_eq!(ended.regs.get(Reg::A0), (1 << 15) - 4);
}

#[test]
fn a_block_runs_on_through_the_next_chunk() {
    let mut code = additions(3 << 15);
    code.extend(0x0000_000Bu32.to_le_bytes());
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(3 << 16)));
    assert_eq!(ended.regs.get(Reg::A0), 3 << 15);
    // 98,304 dependent additions and a trap: latency 98,304 less the credit of 3.
    assert_eq!(GAS - ended.gas, (3 << 15) - 3);
}

#[test]
fn a_block_too_long_to_translate_is_handed_back_in_front_of_its_gate() {
    let mut code = bytes([Inst::jal(J {
        rd: Reg::ZERO,
        imm: 4,
    })]);
    code.extend(additions(1 << 20));
    code.extend(0x0000_000Bu32.to_le_bytes());
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, Left::Untranslated(Pc::new(4)));
    // `jal` alone: 15 cycles less 3.
    assert_eq!(GAS - ended.gas, 12);
}

#[test]
fn every_block_of_dense_jump_code_is_reachable() {
    let code = [0x82, 0x80].repeat(40_000);
    let (program, mut memory) = (program(&code), memory(&code));
    for pc in [0, 2, 65_534, 65_536, 79_998] {
        let mut regs = Regs::default();
        regs.set(Reg::RA, CODE_BASE + 79_998);
        let ended = run(&program, &mut memory, pc, regs, 10_000, &mut NoHost);
        // `ret` at 79,998 jumps to itself until gas is short: 19 each.
        assert_eq!(
            ended.left,
            Left::Exit(Exit::OutOfGas, Pc::new(79_998)),
            "{pc}"
        );
        assert_eq!(ended.gas, 10_000 % 19);
    }
}

#[test]
fn auipc_and_jalr_together_behave_like_each_alone() {
    let jalr = |rd, rs1, imm| Inst::jalr(I { rd, rs1, imm });
    let auipc = Inst::from_parts(Op::Auipc, Reg::T0, Reg::ZERO, Reg::ZERO, 0);
    // Link in another register: t0 keeps the value of auipc.
    let code = bytes([auipc, jalr(Reg::RA, Reg::T0, 12), auipc, auipc]);
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(
        ended.left,
        panic_at(4),
        "12 is no start: the pair panics at the jalr"
    );
    assert_eq!(ended.regs.get(Reg::T0), CODE_BASE);
    assert_eq!(ended.regs.get(Reg::RA), CODE_BASE + 8);
    let code = bytes([auipc, jalr(Reg::T0, Reg::T0, 8)]);
    let code = [code.as_slice(), &0x0000_000Bu32.to_le_bytes()].concat();
    let ended = run_from(&code, 0, Regs::default());
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(8)));
    assert_eq!(ended.regs.get(Reg::T0), CODE_BASE + 8);
}
