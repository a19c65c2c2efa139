//! Decoding held against LLVM's disassembler: all 65,536 halfwords and a sweep of words.
//!
//! `conformance-vectors/decode/llvm.tsv.gz` records what LLVM prints. Here its text is assembled
//! again and must give the very bytes LLVM read, and those bytes must decode to the instruction
//! the text names. Where PVM2 departs from RISC-V on purpose the exception is listed below.

use flate2::read::GzDecoder;
use rivet_isa::asm::assemble;
use rivet_isa::{Decoded, Inst, Len, Op, decode};
use std::io::Read;

fn recorded() -> String {
    let packed = include_bytes!("../../conformance-vectors/decode/llvm.tsv.gz");
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// LLVM's spelling where it differs from ours without a difference in meaning.
fn respelled(text: &str) -> String {
    let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
    match name {
        // The hint forms carry an operand that `c.nop` hides: x0 as both registers.
        "c.nop" if !operands.is_empty() => format!("c.addi zero, {operands}"),
        _ => text.to_string(),
    }
}

/// Encodings LLVM knows that are reserved in PVM2.
fn reserved_here(text: &str) -> bool {
    let name = text.split(' ').next().unwrap();
    // The SYSTEM opcode and its compressed form (ISA §6.12, D-17); the all-zero halfword.
    name.starts_with("csrr")
        || [
            "c.ebreak", "c.unimp", "ecall", "ebreak", "wfi", "mret", "sret",
        ]
        .contains(&name)
}

/// Encodings LLVM does not know that PVM2 accepts.
fn accepted_here(inst: Inst) -> bool {
    match inst.op() {
        // Xjar is ours (ISA §6.13).
        Op::Trap | Op::EcallJar | Op::Ecalli | Op::Fallthrough => true,
        // Every other field of the fences is ignored (ISA §6.12).
        Op::Fence | Op::FenceI => true,
        _ => false,
    }
}

#[test]
fn llvm_and_the_decoder_agree_on_every_recorded_encoding() {
    let mut halves = 0;
    let mut words = 0;
    for line in recorded().lines() {
        let (hex, text) = line.split_once('\t').unwrap();
        let value = u32::from_str_radix(hex, 16).unwrap();
        let (bytes, len) = match hex.len() {
            4 => (value.to_le_bytes()[..2].to_vec(), Len::Two),
            8 => (value.to_le_bytes().to_vec(), Len::Four),
            _ => panic!("{line}"),
        };
        if len == Len::Two {
            halves += 1
        } else {
            words += 1
        }
        let found = decode(&bytes, 0).unwrap();
        assert_eq!(found.len, len, "{line}");
        if text == "-" {
            let fine = found.inst == Inst::RESERVED || accepted_here(found.inst);
            assert!(fine, "{line}: LLVM refuses it, here it is {}", found.inst);
        } else if reserved_here(text) {
            assert_eq!(found.inst, Inst::RESERVED, "{line}");
        } else if text.starts_with("fence") {
            assert!(matches!(found.inst.op(), Op::Fence | Op::FenceI), "{line}");
        } else {
            check(line, &bytes, &respelled(text), found);
        }
    }
    assert_eq!(halves, 49_152, "every halfword that is an instruction");
    assert!(words > 55_000, "{words} words");
}

fn check(line: &str, bytes: &[u8], text: &str, found: Decoded) {
    let again = assemble(text).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(again, bytes, "{line}: assembles to other bytes");
    // A word must be the instruction its own text names; a halfword's text names the form, which
    // the assembler has just tied to these bytes.
    if found.len == Len::Four {
        let ours = found.inst.to_string();
        assert_eq!(
            assemble(&ours).as_deref(),
            Ok(bytes),
            "{line}: decoded as {ours}"
        );
    } else {
        assert_ne!(found.inst, Inst::RESERVED, "{line}");
    }
}
