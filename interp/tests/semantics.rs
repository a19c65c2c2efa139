//! Every row of ISA §17.3.

mod common;

use common::{assemble, reg, run_code};
use rivet_isa::Exit;

/// Operation, rs1, rs2, result.
#[rustfmt::skip]
const BINARY: &[(&str, u64, u64, u64)] = &[
    ("add", 0xFFFF_FFFF_FFFF_FFFF, 0x1, 0x0),
    ("addw", 0x7FFF_FFFF, 0x1, 0xFFFF_FFFF_8000_0000),
    ("subw", 0x8000_0000, 0x1, 0x7FFF_FFFF),
    ("sllw", 0x1, 0x3F, 0xFFFF_FFFF_8000_0000),
    ("srlw", 0xFFFF_FFFF_8000_0000, 0x24, 0x800_0000),
    ("sraw", 0x1_8000_0000, 0x4, 0xFFFF_FFFF_F800_0000),
    ("sll", 0x1, 0x7F, 0x8000_0000_0000_0000),
    ("sra", 0x8000_0000_0000_0000, 0x3F, 0xFFFF_FFFF_FFFF_FFFF),
    ("slt", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0x1),
    ("sltu", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0x0),
    ("mulh", 0x8000_0000_0000_0000, 0x8000_0000_0000_0000, 0x4000_0000_0000_0000),
    ("mulhu", 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE),
    ("mulhsu", 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF),
    ("mulw", 0x1_0000, 0x8000, 0xFFFF_FFFF_8000_0000),
    ("div", 0x7, 0x0, 0xFFFF_FFFF_FFFF_FFFF),
    ("rem", 0x7, 0x0, 0x7),
    ("divu", 0x7, 0x0, 0xFFFF_FFFF_FFFF_FFFF),
    ("remu", 0x7, 0x0, 0x7),
    ("div", 0x8000_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000),
    ("rem", 0x8000_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF, 0x0),
    ("div", 0xFFFF_FFFF_FFFF_FFF9, 0x2, 0xFFFF_FFFF_FFFF_FFFD),
    ("rem", 0xFFFF_FFFF_FFFF_FFF9, 0x2, 0xFFFF_FFFF_FFFF_FFFF),
    ("divw", 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFFF_8000_0000),
    ("remw", 0x8000_0000, 0xFFFF_FFFF, 0x0),
    ("divw", 0x1_0000_0007, 0x5_0000_0000, 0xFFFF_FFFF_FFFF_FFFF),
    ("divuw", 0x8000_0000, 0x9_0000_0000, 0xFFFF_FFFF_FFFF_FFFF),
    ("divuw", 0xFFFF_FFFE, 0x1, 0xFFFF_FFFF_FFFF_FFFE),
    ("remuw", 0xFFFF_FFFE, 0x0, 0xFFFF_FFFF_FFFF_FFFE),
    ("min", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0xFFFF_FFFF_FFFF_FFFF),
    ("minu", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0x0),
    ("max", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0x0),
    ("maxu", 0xFFFF_FFFF_FFFF_FFFF, 0x0, 0xFFFF_FFFF_FFFF_FFFF),
    ("andn", 0xFF, 0xF, 0xF0),
    ("orn", 0x0, 0x0, 0xFFFF_FFFF_FFFF_FFFF),
    ("xnor", 0xF0, 0xF, 0xFFFF_FFFF_FFFF_FF00),
    ("rol", 0x8000_0000_0000_0001, 0x41, 0x3),
    ("ror", 0x1, 0x1, 0x8000_0000_0000_0000),
    ("rolw", 0x8000_0001, 0x1, 0x3),
    ("rorw", 0x1, 0x21, 0xFFFF_FFFF_8000_0000),
    ("sh1add", 0x3, 0xA, 0x10),
    ("sh2add", 0x3, 0xA, 0x16),
    ("sh3add", 0x2000_0000_0000_0000, 0xA, 0xA),
    ("add.uw", 0xFFFF_FFFF_8000_0000, 0x1, 0x8000_0001),
    ("sh1add.uw", 0xFFFF_FFFF_8000_0000, 0x0, 0x1_0000_0000),
    ("sh2add.uw", 0xFFFF_FFFF_8000_0000, 0x0, 0x2_0000_0000),
    ("sh3add.uw", 0xFFFF_FFFF_8000_0000, 0x0, 0x4_0000_0000),
    ("bclr", 0xFF, 0x43, 0xF7),
    ("bset", 0x0, 0x7F, 0x8000_0000_0000_0000),
    ("binv", 0x1, 0x40, 0x0),
    ("bext", 0x8000_0000_0000_0000, 0xFF, 0x1),
    ("czero.eqz", 0x5, 0x0, 0x0),
    ("czero.eqz", 0x5, 0x9, 0x5),
    ("czero.nez", 0x5, 0x0, 0x5),
    ("czero.nez", 0x5, 0x9, 0x0),
];

/// Operation, rs1, result.
#[rustfmt::skip]
const UNARY: &[(&str, u64, u64)] = &[
    ("clz", 0x0, 0x40),
    ("clzw", 0xFFFF_FFFF_0000_0000, 0x20),
    ("ctz", 0x0, 0x40),
    ("ctzw", 0x1_0000_0000, 0x20),
    ("clzw", 0x1_0000_0001, 0x1F),
    ("cpop", 0xFFFF_FFFF_FFFF_FFFF, 0x40),
    ("cpopw", 0xFFFF_FFFF_FFFF_FFFF, 0x20),
    ("sext.b", 0x180, 0xFFFF_FFFF_FFFF_FF80),
    ("sext.h", 0x1_8000, 0xFFFF_FFFF_FFFF_8000),
    ("zext.h", 0xFFFF_FFFF_FFFF_8001, 0x8001),
    ("orc.b", 0x100_0020_0000_8000, 0xFF00_00FF_0000_FF00),
    ("rev8", 0x102_0304_0506_0708, 0x807_0605_0403_0201),
];

/// Operation, rs1, immediate or amount, result.
#[rustfmt::skip]
const IMMEDIATE: &[(&str, u64, i64, u64)] = &[
    ("addi", 0x0, -1, 0xFFFF_FFFF_FFFF_FFFF),
    ("sltiu", 0x5, -1, 0x1),
    ("slti", 0x5, -1, 0x0),
    ("xori", 0x55, -1, 0xFFFF_FFFF_FFFF_FFAA),
    ("andi", 0x1FF, -256, 0x100),
    ("slli", 0x1, 63, 0x8000_0000_0000_0000),
    ("srai", 0x8000_0000_0000_0000, 63, 0xFFFF_FFFF_FFFF_FFFF),
    ("srli", 0x8000_0000_0000_0000, 63, 0x1),
    ("addiw", 0x7FFF_FFFF, 1, 0xFFFF_FFFF_8000_0000),
    ("addiw", 0x1_0000_0000, 0, 0x0),
    ("slliw", 0x1, 31, 0xFFFF_FFFF_8000_0000),
    ("srliw", 0xFFFF_FFFF_8000_0000, 0, 0xFFFF_FFFF_8000_0000),
    ("sraiw", 0x8000_0000, 31, 0xFFFF_FFFF_FFFF_FFFF),
    ("roriw", 0x1, 1, 0xFFFF_FFFF_8000_0000),
    ("rori", 0x1, 1, 0x8000_0000_0000_0000),
    ("slli.uw", 0xFFFF_FFFF_8000_0000, 1, 0x1_0000_0000),
    ("slli.uw", 0xFFFF_FFFF_FFFF_FFFF, 40, 0xFFFF_FF00_0000_0000),
    ("bseti", 0x0, 63, 0x8000_0000_0000_0000),
    ("bclri", 0xFFFF_FFFF_FFFF_FFFF, 63, 0x7FFF_FFFF_FFFF_FFFF),
    ("binvi", 0x0, 32, 0x1_0000_0000),
    ("bexti", 0x100, 8, 0x1),
];

/// imm20, result.
const LUI: &[(u32, u64)] = &[
    (0x7_FFFF, 0x7FFF_F000),
    (0x8_0000, 0xFFFF_FFFF_8000_0000),
    (0xF_FFFF, 0xFFFF_FFFF_FFFF_F000),
];

/// pc, imm20, result.
const AUIPC: &[(usize, u32, u64)] = &[
    (0x10, 0x0, 0x40_0010),
    (0x10, 0xF_FFFF, 0x3F_F010),
    (0x10, 0x7_FFFF, 0x803F_F010),
    (0, 0x8_0000, 0xFFFF_FFFF_8040_0000),
];

/// What one instruction, followed by `trap`, leaves in a0.
fn result(instruction: &str, a1: u64, a2: u64) -> u64 {
    let code = assemble(&format!("{instruction}\n trap"));
    let (exit, state) = run_code(&code, &[("a1", a1), ("a2", a2)]);
    assert_eq!(exit, Exit::Trap);
    state.regs.get(reg("a0"))
}

#[test]
fn two_register_rows() {
    for (op, a, b, expected) in BINARY {
        let actual = result(&format!("{op} a0, a1, a2"), *a, *b);
        assert_eq!(actual, *expected, "{op} {a:#x} {b:#x}");
    }
}

#[test]
fn one_register_rows() {
    for (op, a, expected) in UNARY {
        assert_eq!(
            result(&format!("{op} a0, a1"), *a, 0),
            *expected,
            "{op} {a:#x}"
        );
    }
}

#[test]
fn immediate_rows() {
    for (op, a, imm, expected) in IMMEDIATE {
        let actual = result(&format!("{op} a0, a1, {imm}"), *a, 0);
        assert_eq!(actual, *expected, "{op} {a:#x} {imm}");
    }
}

#[test]
fn upper_immediate_rows() {
    for (imm, expected) in LUI {
        assert_eq!(
            result(&format!("lui a0, {imm:#x}"), 0, 0),
            *expected,
            "lui {imm:#x}"
        );
    }
    for (pc, imm, expected) in AUIPC {
        let nops = "nop\n".repeat(pc / 4);
        let actual = result(&format!("{nops}auipc a0, {imm:#x}"), 0, 0);
        assert_eq!(actual, *expected, "auipc {imm:#x} at {pc:#x}");
    }
}

#[test]
fn the_table_is_complete() {
    let rows = BINARY.len() + UNARY.len() + IMMEDIATE.len() + LUI.len() + AUIPC.len();
    assert_eq!(rows, ROWS_IN_THE_SPECIFICATION);
}

const ROWS_IN_THE_SPECIFICATION: usize = 94;
