//! Every row of `conformance-vectors/alu.tsv.gz`, in the form of the row and, where there is one,
//! in the other forms that must give the same result.

mod common;

use common::{COSTS, assemble, empty, go, reg, state};
use flate2::read::GzDecoder;
use rivet_interp::Program;
use rivet_isa::{Exit, Format, Op};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../conformance-vectors/alu.tsv.gz"
);

/// An instruction of the form under test, with the registers its operands stand in.
struct Variant {
    text: String,
    first: &'static str,
    second: &'static str,
    result: &'static str,
}

fn variant(text: String, [result, first, second]: [&'static str; 3]) -> Variant {
    Variant {
        text,
        first,
        second,
        result,
    }
}

fn operation(name: &str) -> Option<Op> {
    Op::ALL.iter().copied().find(|op| op.mnemonic() == name)
}

/// The operation that takes an immediate instead of rs2, if its range has this operand.
fn with_immediate(name: &str, operand: u64) -> Option<(String, i64)> {
    let plain = match name.strip_suffix('w') {
        Some(base) => format!("{base}iw"),
        None => format!("{name}i"),
    };
    let plain = if name == "sltu" {
        "sltiu".into()
    } else {
        plain
    };
    let value = operand as i64;
    let fits = match operation(&plain)?.format() {
        Format::I => (-2048..2048).contains(&value),
        Format::I6 => (0..64).contains(&value),
        Format::I5 => (0..32).contains(&value),
        _ => false,
    };
    fits.then_some((plain, value))
}

fn variants(name: &str, form: &str, operand: u64) -> Vec<Variant> {
    let mut out = Vec::new();
    match form {
        "rr" => {
            out.push(variant(format!("{name} a0, a1, a2"), ["a0", "a1", "a2"]));
            out.push(variant(format!("{name} a1, a1, a2"), ["a1", "a1", "a2"]));
            out.push(variant(format!("{name} a2, a1, a2"), ["a2", "a1", "a2"]));
            out.push(variant(format!("{name} gp, tp, t0"), ["gp", "tp", "t0"]));
            if let Some((name, imm)) = with_immediate(name, operand) {
                out.push(variant(format!("{name} a0, a1, {imm}"), ["a0", "a1", "a2"]));
            }
        }
        "r" if name == "c.mv" => out.push(variant("c.mv a0, a1".into(), ["a0", "a1", "a2"])),
        "r" => {
            out.push(variant(format!("{name} a0, a1"), ["a0", "a1", "a2"]));
            out.push(variant(format!("{name} a1, a1"), ["a1", "a1", "a2"]));
        }
        "cr" => out.push(variant(format!("{name} a1, a2"), ["a1", "a1", "a2"])),
        "ci" if name == "c.lui" => {
            out.push(variant(
                format!("c.lui a1, {operand:#x}"),
                ["a1", "a1", "a2"],
            ));
        }
        "ri" | "ci" => {
            // The field of sltiu, sign-extended as every other immediate.
            let imm = match name {
                "sltiu" => (operand as i64) << 52 >> 52,
                _ => operand as i64,
            };
            if form == "ri" {
                out.push(variant(format!("{name} a0, a1, {imm}"), ["a0", "a1", "a2"]));
            }
            let rd = if form == "ri" { "a1, a1" } else { "a1" };
            out.push(variant(format!("{name} {rd}, {imm}"), ["a1", "a1", "a2"]));
        }
        other => panic!("form {other}"),
    }
    out
}

#[test]
fn every_row_holds_in_every_form() {
    let file = std::fs::File::open(FILE).unwrap();
    let mut programs: BTreeMap<String, Program> = BTreeMap::new();
    let mut memory = empty();
    let (mut rows, mut runs) = (0, 0);
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let line = line.unwrap();
        if line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, form, a, b, result] = fields[..] else {
            panic!("{line}");
        };
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
        let (a, b, expected) = (number(a), number(b), number(result.trim()));
        for variant in variants(name, form, b) {
            let program = programs.entry(variant.text.clone()).or_insert_with(|| {
                let code = assemble(&format!("{}\n trap", variant.text));
                Program::new(code.into(), COSTS)
            });
            let mut state = state(1000);
            state.regs.set(reg(variant.first), a);
            if form == "rr" || form == "cr" {
                state.regs.set(reg(variant.second), b);
            }
            assert_eq!(go(program, &mut state, &mut memory), Exit::Trap);
            let actual = state.regs.get(reg(variant.result));
            assert_eq!(actual, expected, "{} for {line}", variant.text);
            runs += 1;
        }
        rows += 1;
    }
    assert_eq!(rows, 69_868);
    assert!(runs > 2 * rows, "{runs}");
}
