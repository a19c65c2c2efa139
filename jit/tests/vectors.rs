//! Every row of `conformance-vectors/alu.tsv.gz` through the recompiler, in each form it has:
//! operands in registers, as constants computed in front of the instruction, as an immediate, and
//! in 16-bit encodings. The results are those of two models that are not of this repository.

mod common;

use std::io::{BufRead, BufReader};

use common::{bytes, memory, program, run};
use flate2::read::GzDecoder;
use rivet_isa::{Exit, Format, Inst, Op, Pc, Reg, Regs, Selector, compress};
use rivet_jit::{Call, Flow, Left};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../conformance-vectors/alu.tsv.gz"
);

/// One row: operation, form, operands, result.
struct Row {
    name: String,
    form: String,
    a: u64,
    b: u64,
    result: u64,
}

fn rows() -> Vec<Row> {
    let file = std::fs::File::open(FILE).unwrap();
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let lines = lines.map(Result::unwrap);
    let lines = lines.filter(|line| !line.starts_with('#'));
    let row = |line: String| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, form, a, b, result] = columns[..] else {
            panic!("not a row: {line}")
        };
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let [a, b, result] = [a, b, result].map(number);
        let (name, form) = (name.to_owned(), form.to_owned());
        Row {
            name,
            form,
            a,
            b,
            result,
        }
    };
    lines.map(row).collect()
}

impl Row {
    fn op(&self) -> Op {
        let name = match self.name.as_str() {
            "c.mv" => "add",
            name => name.strip_prefix("c.").unwrap_or(name),
        };
        *Op::ALL.iter().find(|op| op.mnemonic() == name).unwrap()
    }

    /// The immediate that the column of the second operand means.
    fn imm(&self) -> i32 {
        match self.op() {
            Op::Lui => (self.b << 12) as i32,
            // The field itself, not what it means.
            Op::Sltiu => (self.b << 20) as i32 >> 20,
            _ => self.b as i32,
        }
    }

    /// The instruction of the row with its operands in `rs1` and `rs2`.
    fn inst(&self, rd: Reg, rs1: Reg, rs2: Reg) -> Inst {
        let op = self.op();
        match (self.form.as_str(), self.name.as_str()) {
            (_, "c.mv") => Inst::from_parts(op, rd, Reg::ZERO, rs1, 0),
            ("rr" | "r", _) => Inst::from_parts(op, rd, rs1, rs2, 0),
            ("ri", _) => Inst::from_parts(op, rd, rs1, Reg::ZERO, self.imm()),
            ("cr", _) => Inst::from_parts(op, rs1, rs1, rs2, 0),
            ("ci", _) => Inst::from_parts(op, rs1, rs1, Reg::ZERO, self.imm()),
            (form, _) => panic!("unknown form {form}"),
        }
    }

    /// The instruction that has the second operand as an immediate, where there is one.
    fn with_immediate(&self, rd: Reg, rs1: Reg) -> Option<Inst> {
        let op = match (self.form.as_str(), self.op()) {
            ("rr", Op::Add) => Op::Addi,
            ("rr", Op::And) => Op::Andi,
            ("rr", Op::Or) => Op::Ori,
            ("rr", Op::Xor) => Op::Xori,
            ("rr", Op::Slt) => Op::Slti,
            ("rr", Op::Sltu) => Op::Sltiu,
            ("rr", Op::Addw) => Op::Addiw,
            ("rr", Op::Sll) => Op::Slli,
            ("rr", Op::Srl) => Op::Srli,
            ("rr", Op::Sra) => Op::Srai,
            ("rr", Op::Sllw) => Op::Slliw,
            ("rr", Op::Srlw) => Op::Srliw,
            ("rr", Op::Sraw) => Op::Sraiw,
            ("rr", Op::Ror) => Op::Rori,
            ("rr", Op::Rorw) => Op::Roriw,
            ("rr", Op::Bclr) => Op::Bclri,
            ("rr", Op::Bext) => Op::Bexti,
            ("rr", Op::Binv) => Op::Binvi,
            ("rr", Op::Bset) => Op::Bseti,
            _ => return None,
        };
        let least_and_most = match op.format() {
            Format::I => -2048..2048,
            Format::I5 => 0..32,
            _ => 0..64,
        };
        let imm = self.b as i64;
        least_and_most
            .contains(&imm)
            .then(|| Inst::from_parts(op, rd, rs1, Reg::ZERO, imm as i32))
    }
}

/// `reg = value`, twelve bits at a time.
fn constant(reg: Reg, value: u64, code: &mut Vec<Inst>) {
    let low = |value: u64| ((value << 52) as i64 >> 52) as i32;
    let add = |reg, from, imm| Inst::from_parts(Op::Addi, reg, from, Reg::ZERO, imm);
    let mut parts = vec![low(value)];
    let mut rest = value.wrapping_sub(low(value) as u64) as i64 >> 12;
    while rest != 0 && parts.len() < 6 {
        parts.push(low(rest as u64));
        rest = rest.wrapping_sub(i64::from(low(rest as u64))) >> 12;
    }
    let mut parts = parts.into_iter().rev();
    code.push(add(reg, Reg::ZERO, parts.next().unwrap()));
    for part in parts {
        code.push(Inst::from_parts(Op::Slli, reg, reg, Reg::ZERO, 12));
        code.push(add(reg, reg, part));
    }
}

/// One instruction in one form: the code, the registers before it, where the result is.
struct Case<'a> {
    row: &'a Row,
    code: Vec<u8>,
    before: Regs,
    result: Reg,
}

/// The code of one instruction, 16 bits wide where that is asked for and can be.
fn encoded(inst: Inst, short: bool) -> Vec<u8> {
    match compress(inst).filter(|_| short) {
        Some(half) => half.to_le_bytes().to_vec(),
        None => bytes([inst]),
    }
}

/// All forms of a row; `turn` moves through the registers.
fn forms(row: &Row, turn: usize) -> Vec<Case<'_>> {
    // The 16-bit forms of two registers know x8..x15 only.
    let least = if row.form.starts_with('c') || turn % 2 == 1 {
        8
    } else {
        1
    };
    let pool: Vec<Reg> = Reg::all().filter(|reg| reg.number() >= least).collect();
    let at = |n: usize| pool[n % pool.len()];
    let (rd, rs1) = (at(turn / 3), at(turn));
    let rs2 = if row.a == row.b && turn.is_multiple_of(4) {
        rs1
    } else {
        at(turn + 1 + turn / 7 % (pool.len() - 1))
    };
    let operands = || {
        let mut regs = Regs::new([0xA5A5_5A5A_0000_FFFF; 15]);
        regs.set(rs2, row.b);
        regs.set(rs1, row.a);
        regs
    };
    let inst = row.inst(rd, rs1, rs2);
    let result = inst.rd();
    let mut cases = Vec::new();
    let mut add = |code, before| {
        cases.push(Case {
            row,
            code,
            before,
            result,
        });
    };
    add(encoded(inst, row.name.starts_with("c.")), operands());
    let mut folded = Vec::new();
    constant(rs2, row.b, &mut folded);
    constant(rs1, row.a, &mut folded);
    folded.push(inst);
    add(bytes(folded), Regs::new([0x5A5A_A5A5_FFFF_0000; 15]));
    if let Some(inst) = row.with_immediate(rd, rs1) {
        add(encoded(inst, false), operands());
    }
    for inst in [Some(inst), row.with_immediate(rs1, rs1)]
        .into_iter()
        .flatten()
    {
        let to_first = inst.rd() == rs1 || inst.rs1() == Reg::ZERO;
        if let Some(half) = compress(inst).filter(|_| to_first && inst.rd() == result) {
            add(half.to_le_bytes().to_vec(), operands());
        }
    }
    cases
}

fn check(cases: &[Case<'_>]) {
    let call = bytes([Inst::ecalli(Selector { selector: 0 })]);
    let code: Vec<u8> = cases
        .iter()
        .flat_map(|case| [&case.code[..], &call].concat())
        .collect();
    let mut seen = 0;
    let mut host = |call: Call<'_>| {
        let Row { name, a, b, .. } = cases[seen].row;
        assert_eq!(
            call.regs.get(cases[seen].result),
            cases[seen].row.result,
            "{name} {a:#x} {b:#x} as {:02x?}",
            cases[seen].code
        );
        seen += 1;
        if let Some(next) = cases.get(seen) {
            *call.regs = next.before;
        }
        Flow::Continue
    };
    let (program, mut memory) = (program(&code), memory(&code));
    let start = cases[0].before;
    let ended = run(&program, &mut memory, 0, start, 1 << 62, &mut host);
    let end = Pc::new(code.len() as u64);
    assert_eq!(ended.left, Left::Exit(Exit::Panic, end));
    assert_eq!(seen, cases.len());
}

#[test]
fn every_row_of_the_vectors_is_computed_in_every_form() {
    let rows = rows();
    assert!(rows.len() > 60_000, "the file is complete");
    let mut cases = Vec::new();
    for (turn, row) in rows.iter().enumerate() {
        cases.extend(forms(row, turn));
    }
    let extra = cases.len() - 2 * rows.len();
    assert!(extra > 10_000, "immediates and 16-bit forms are among them");
    for cases in cases.chunks(20_000) {
        check(cases);
    }
}
