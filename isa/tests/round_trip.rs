//! Every row, there and back: operands to bytes to operands, and to text and back.

use proptest::prelude::*;
use rivet_isa::asm::assemble;
use rivet_isa::{
    BlockStarts, EncodeError, Format, Inst, Op, Pc, Reg, compress, compressed_forms, decode,
    decode_halfword, decode_op, decode_word, encode,
};

fn immediates(format: Format) -> Vec<i32> {
    match format {
        Format::I | Format::S | Format::Sel => vec![-2048, -2047, -1, 0, 1, 7, 1024, 2046, 2047],
        Format::I6 => (0..64).collect(),
        Format::I5 => (0..32).collect(),
        Format::B => vec![-4096, -4094, -2, 0, 2, 4, 30, 32, 1024, 2046, 2048, 4094],
        Format::J => vec![
            -(1 << 20),
            -2,
            0,
            2,
            2046,
            2048,
            4096,
            0xF_F000,
            (1 << 20) - 2,
        ],
        Format::U => vec![i32::MIN, -4096, 0, 4096, 0x7FFF_F000, 0x1234_5000],
        Format::R | Format::I1 | Format::N => vec![0],
    }
}

fn every_instruction(mut each: impl FnMut(Inst)) {
    for op in Op::ALL {
        for imm in immediates(op.format()) {
            for rd in Reg::all() {
                for rs1 in Reg::all() {
                    for rs2 in Reg::all() {
                        let inst = Inst::from_parts(*op, rd, rs1, rs2, imm);
                        let wanted = [inst.rd(), inst.rs1(), inst.rs2()] == [rd, rs1, rs2]
                            || [rd, rs1, rs2] == [Reg::ZERO; 3]
                            || !op.format().has_rs2() && rs2.is_zero() && inst.rs1() == rs1;
                        if wanted {
                            each(inst);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_row_decodes_to_what_was_encoded() {
    let mut seen = 0u32;
    every_instruction(|inst| {
        let word = encode(inst).unwrap();
        assert_eq!(decode_word(word), inst, "{word:#010x}");
        seen += 1;
    });
    assert!(seen > 200_000, "{seen}");
}

#[test]
fn the_text_of_every_row_assembles_to_its_word() {
    for op in Op::ALL {
        for imm in immediates(op.format()) {
            let inst = Inst::from_parts(*op, Reg::A0, Reg::S1, Reg::TP, imm);
            let code = assemble(&inst.to_string()).unwrap();
            assert_eq!(code, encode(inst).unwrap().to_le_bytes(), "{inst}");
        }
    }
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let bad = Inst::from_parts(Op::Addi, Reg::A0, Reg::A0, Reg::ZERO, 2048);
    let error = EncodeError::Immediate {
        op: Op::Addi,
        value: 2048,
        min: -2048,
        max: 2047,
        multiple: 1,
    };
    assert_eq!(encode(bad), Err(error));
    let odd = Inst::from_parts(Op::Beq, Reg::A0, Reg::A0, Reg::A0, 3);
    assert!(encode(odd).is_err());
    assert_eq!(encode(Inst::RESERVED), Err(EncodeError::Reserved));
}

#[test]
fn every_halfword_is_reserved_or_encodes_back_by_exactly_one_form() {
    let mut accepted = 0;
    for half in 0..=u16::MAX {
        if half & 3 == 3 {
            assert_eq!(decode_halfword(half), Inst::RESERVED);
            continue;
        }
        let inst = decode_halfword(half);
        let again = |form: &&rivet_isa::CompressedForm| form.encode(inst) == Some(half);
        let forms = compressed_forms().iter().filter(again).count();
        assert_eq!(
            forms,
            usize::from(inst != Inst::RESERVED),
            "{half:#06x} {inst}"
        );
        accepted += usize::from(inst != Inst::RESERVED);
        if let Some(shorter) = compress(inst) {
            assert_eq!(decode_halfword(shorter), inst, "{half:#06x}");
        }
    }
    // By ISA §7.1: per form, the product of its free fields without the reserved values.
    let c0 = 255 * 8 + 4 * 32 * 64;
    let c1 = 16 * 64 + 15 * 64 + 16 * 64 + 63 + 15 * 63 + 3 * 8 * 64 + 6 * 64 + 2048 * 3;
    let c2 = 16 * 64 + 2 * 15 * 64 + 2 * 15 + 2 * 16 * 15 + 2 * 64 * 16;
    assert_eq!(accepted, c0 + c1 + c2);
}

#[test]
fn registers_16_and_up_are_reserved_in_every_register_field_and_nowhere_else() {
    for op in Op::ALL {
        let word = encode(Inst::from_parts(*op, Reg::A0, Reg::A1, Reg::A2, 0)).unwrap();
        let fields = [
            (op.format().has_rd(), 11),
            (op.format().has_rs1(), 19),
            (op.format().has_rs2(), 24),
        ];
        for (has, bit) in fields {
            let other = decode_word(word | 1 << bit);
            if has {
                assert_eq!(other, Inst::RESERVED, "{} bit {bit}", op.mnemonic());
            } else if matches!(op.format(), Format::N) {
                assert_eq!(other.op(), *op, "ignored fields are not registers");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn words_that_decode_encode_to_a_word_of_the_same_meaning(word in any::<u32>()) {
        let inst = decode_word(word | 3);
        if inst != Inst::RESERVED {
            prop_assert_eq!(decode_word(encode(inst).unwrap()), inst);
        }
    }

    #[test]
    fn the_walk_agrees_with_a_plain_reading_of_isa_9_2(code in prop::collection::vec(any::<u8>(), 0..200)) {
        let walk = BlockStarts::scan(&code);
        let (mut at, mut fresh, mut starts) = (0usize, true, Vec::new());
        while let Some(found) = decode(&code, at) {
            let name = found.inst.op().mnemonic();
            let call = name == "ecall.jar" || name == "ecalli";
            if fresh || call {
                starts.push(Pc::new(at as u64));
            }
            fresh = call
                || ["trap", "fallthrough", "beq", "bne", "blt", "bge", "bltu", "bgeu", "jal", "jalr", "reserved"]
                    .contains(&name);
            prop_assert_eq!(decode_op(&code, at), Some((found.inst.op(), found.len)));
            at += found.len.bytes() as usize;
        }
        prop_assert_eq!(walk.iter().collect::<Vec<_>>(), starts.clone());
        prop_assert_eq!(walk.end(), Pc::new(at as u64));
        let ends = starts.iter().skip(1).copied().chain([walk.end()]);
        for (start, end) in starts.iter().zip(ends) {
            prop_assert_eq!(walk.block_at(*start).map(|block| block.end), Some(end));
        }
    }
}
