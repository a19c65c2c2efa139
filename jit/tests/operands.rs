//! Disassembles native code for every instruction of the table with every kind of operand, and
//! checks what containment rests on: which memory each instruction can reach.

mod common;

use std::collections::BTreeSet;

use common::audit::{check_instruction, instructions};
use common::{maps, program};
use iced_x86::{FlowControl, OpKind};
use rivet_isa::{BlockStarts, Format, Inst, Op, Pc, Reg, encode};
use rivet_jit::NativeChunk;

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
        starts.extend(instructions(chunk).map(|inst| inst.ip()));
    }
    let mut guest_accesses = 0;
    for chunk in &chunks {
        for inst in instructions(chunk) {
            check_instruction(&inst, chunk, code.len());
            let memory = (0..inst.op_count()).any(|i| inst.op_kind(i) == OpKind::Memory);
            guest_accesses += usize::from(memory && inst.memory_base().is_gpr32());
            if matches!(
                inst.flow_control(),
                FlowControl::UnconditionalBranch
                    | FlowControl::ConditionalBranch
                    | FlowControl::Call
            ) {
                assert!(starts.contains(&inst.near_branch_target()), "{inst}");
            }
        }
    }
    assert!(
        guest_accesses > 11 * 100,
        "loads and stores were among them"
    );
}

#[test]
fn a_writable_and_executable_mapping_or_alias_is_noticed() {
    let code = "1000-2000 r-xs 00000000 00:01 77  /memfd:code (deleted)\n";
    let data = "3000-4000 rw-s 00000000 00:01 78  /memfd:data (deleted)\n";
    let copy = "5000-6000 rw-p 00000000 00:01 77  /memfd:code (deleted)\n";
    let alias = "7000-8000 rw-s 00000000 00:01 77  /memfd:code (deleted)\n";
    let both = "9000-a000 rwxp 00000000 00:00 0\n";
    let found = |maps: &[&str]| maps::violation(&maps.concat());
    assert_eq!(found(&[code, data, copy]), None);
    assert_eq!(found(&[alias, code]).as_deref(), Some(alias.trim_end()));
    assert_eq!(found(&[code, both]).as_deref(), Some(both.trim_end()));
}
