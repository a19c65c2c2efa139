//! Disassembles native code for every instruction of the table with every kind of operand, and
//! checks what containment rests on: which memory each instruction can reach.

mod common;

use std::collections::BTreeSet;

use common::program;
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};
use rivet_isa::{BlockStarts, Format, Inst, Op, Pc, Reg, encode};
use rivet_jit::NativeChunk;

/// Bytes of context that generated code may use below the window.
const CONTEXT: i64 = 4096;

/// Every operation with registers of every kind, in an order that also makes every fusion of two
/// neighbours possible.
fn everything() -> Vec<u8> {
    let regs = [0u8, 1, 2, 3, 4, 8, 9, 10, 11, 15].map(|n| Reg::new(n).unwrap());
    let mut code = Vec::new();
    let mut push = |inst: Inst| code.extend(encode(inst).unwrap().to_le_bytes());
    for (i, &op) in Op::ALL.iter().enumerate() {
        for (j, &rd) in regs.iter().enumerate() {
            for (k, &rs) in regs.iter().enumerate() {
                let rs2 = regs[(i + j + k) % regs.len()];
                let imm = match op.format() {
                    Format::I | Format::S => [0, -2048, 2047, 8, -1][(j + k) % 5],
                    Format::I6 => (7 * k as i32 + j as i32) % 64,
                    Format::I5 => (7 * k as i32 + j as i32) % 32,
                    Format::U => [0, i32::MIN, 0x1000, -0x1000][k % 4],
                    Format::B | Format::J => [4, -8, 2, 4000][(j + k) % 4],
                    _ => 0,
                };
                push(Inst::from_parts(op, rd, rs, rs2, imm));
            }
        }
    }
    for &first in Op::ALL {
        for &second in Op::ALL {
            let pair = |op: Op, rd: Reg, rs1: Reg| {
                let imm = if matches!(op.format(), Format::B | Format::J | Format::U) {
                    0
                } else {
                    5
                };
                Inst::from_parts(op, rd, rs1, Reg::A2, imm)
            };
            push(pair(first, Reg::A0, Reg::A1));
            push(pair(second, Reg::A0, Reg::A0));
        }
    }
    code
}

fn instructions(chunk: &NativeChunk) -> Vec<Instruction> {
    Decoder::with_ip(64, &chunk.code, chunk.address, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

fn is_general_32(register: Register) -> bool {
    register.is_gpr32()
}

/// Checks the memory operand of one instruction.
fn check_memory(inst: &Instruction, chunk: &NativeChunk, table_len: u64) {
    let (base, index) = (inst.memory_base(), inst.memory_index());
    let disp = inst.memory_displacement64();
    if inst.mnemonic() == Mnemonic::Lea || inst.mnemonic() == Mnemonic::Nop {
        assert_eq!(inst.segment_prefix(), Register::None, "{inst}");
        return;
    }
    if inst.memory_segment() == Register::GS {
        if base == Register::None {
            assert_eq!(index, Register::None, "{inst}");
            let from_base = disp as i64;
            assert!(
                (-CONTEXT..0).contains(&from_base),
                "{inst}: outside the context"
            );
        } else {
            assert!(
                is_general_32(base),
                "{inst}: a guest address is cut to 32 bits"
            );
            assert!(index == Register::None || is_general_32(index), "{inst}");
            for part in [base, index] {
                assert_ne!(part, Register::ESP, "{inst}");
                assert_ne!(part, Register::R15D, "{inst}: gas is no address");
            }
        }
        return;
    }
    // Without GS only the dispatch table is read, by a clamped or a constant index.
    assert_eq!(
        inst.code(),
        Code::Mov_r32_rm32,
        "{inst}: only reads of the table"
    );
    assert!(inst.op0_register() == Register::EDX, "{inst}");
    assert!(base == Register::None || base == Register::RDX, "{inst}");
    assert!(index == Register::None || (index == Register::RDX && inst.memory_index_scale() <= 2));
    assert!(
        (chunk.table..chunk.table + table_len).contains(&disp),
        "{inst}: outside the table"
    );
}

#[test]
fn emitted_code_reaches_nothing_but_window_context_and_table() {
    let code = everything();
    let program = program(&code);
    for chunk in 0..code.len().div_ceil(1 << 16) as u64 {
        let starts = BlockStarts::scan(&code);
        let first = starts.from(Pc::new(chunk << 16)).next().unwrap();
        assert!(program.prepare(first));
    }
    let chunks: Vec<NativeChunk> = program.native().collect();
    assert_eq!(
        chunks.len(),
        code.len().div_ceil(1 << 16),
        "everything is translated"
    );
    let mut starts = BTreeSet::new();
    for chunk in &chunks {
        starts.extend(instructions(chunk).iter().map(Instruction::ip));
    }
    let table_len = 2 * code.len() as u64 + 4;
    let mut guest_accesses = 0;
    for chunk in &chunks {
        for inst in instructions(chunk) {
            assert!(!inst.is_invalid(), "at {:#x}", inst.ip());
            assert!(
                !inst.is_string_instruction() && !inst.is_privileged(),
                "{inst}"
            );
            let moffs = matches!(inst.op0_kind(), OpKind::Memory) || inst.op_count() == 0;
            assert!(moffs || !inst.to_string().contains("moffs"), "{inst}");
            assert!(
                !matches!(
                    inst.code(),
                    Code::Mov_AL_moffs8
                        | Code::Mov_EAX_moffs32
                        | Code::Mov_RAX_moffs64
                        | Code::Mov_moffs8_AL
                        | Code::Mov_moffs32_EAX
                        | Code::Mov_moffs64_RAX
                ),
                "{inst}"
            );
            if (0..inst.op_count()).any(|i| inst.op_kind(i) == OpKind::Memory) {
                check_memory(&inst, chunk, table_len);
                guest_accesses += usize::from(is_general_32(inst.memory_base()));
            }
            match inst.flow_control() {
                FlowControl::UnconditionalBranch
                | FlowControl::ConditionalBranch
                | FlowControl::Call => {
                    assert!(starts.contains(&inst.near_branch_target()), "{inst}");
                }
                FlowControl::IndirectBranch => {
                    let through_context = inst.memory_segment() == Register::GS;
                    assert!(
                        through_context || inst.op0_register() == Register::RDX,
                        "{inst}"
                    );
                }
                FlowControl::IndirectCall => {
                    let through_context = inst.memory_segment() == Register::GS;
                    assert!(
                        through_context || inst.op0_register() == Register::RDX,
                        "{inst}"
                    );
                }
                FlowControl::Next | FlowControl::Return => {}
                other => panic!("{other:?}: {inst}"),
            }
            assert!(!matches!(
                inst.mnemonic(),
                Mnemonic::Push | Mnemonic::Pop | Mnemonic::Syscall
            ));
        }
    }
    assert!(
        guest_accesses > 11 * 100,
        "loads and stores were among them"
    );
}
