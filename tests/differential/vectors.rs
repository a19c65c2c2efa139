//! The rows of `conformance-vectors/alu.tsv.gz` as programs: operands from memory into registers
//! of every kind, the operation in the form of the row, the result back to memory.

use flate2::read::GzDecoder;
use rivet_isa::{Inst, Op, Reg, compress, encode};
use std::io::{BufRead, BufReader};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/conformance-vectors/alu.tsv.gz"
);

/// One row: an operation in a form, its operands, and what two independent models give.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: String,
    form: String,
    first: u64,
    second: u64,
    pub(crate) result: u64,
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let file = std::fs::File::open(FILE).expect("the vectors are there");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let lines = lines.map(|line| line.expect("UTF-8"));
    let row = |line: String| {
        let [name, form, numbers @ ..] = &line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("row with too few columns: {line}")
        };
        let number = |i: usize| u64::from_str_radix(numbers[i], 16).expect("hex");
        Row {
            name: name.to_string(),
            form: form.to_string(),
            first: number(0),
            second: number(1),
            result: number(2),
        }
    };
    lines
        .filter(|line| !line.starts_with('#'))
        .map(row)
        .collect()
}

/// Rows of one program: as many as their operands fit the two pinned pages.
pub(crate) const PER_PROGRAM: usize = 512;

/// The operands as the program reads them.
pub(crate) fn operands(rows: &[Row]) -> Vec<u8> {
    let words = rows.iter().flat_map(|row| [row.first, row.second]);
    words.flat_map(u64::to_le_bytes).collect()
}

impl Row {
    fn operation(&self) -> Op {
        let name = match self.name.as_str() {
            "c.mv" => "add",
            other => other.strip_prefix("c.").unwrap_or(other),
        };
        let op = Op::ALL.iter().find(|op| op.mnemonic() == name);
        *op.unwrap_or_else(|| panic!("{self:?} names no operation"))
    }

    /// The instruction with operands in these registers, and the register of its result.
    fn bytes(&self, [rd, rs1, rs2]: [Reg; 3]) -> (Vec<u8>, Reg) {
        let op = self.operation();
        let imm = match op {
            Op::Lui => self.second << 12,
            // The column holds the field here, not what it means.
            Op::Sltiu => ((self.second as i64) << 52 >> 52) as u64,
            _ => self.second,
        } as i32;
        let (rd, inst) = match (self.form.as_str(), self.name.as_str()) {
            (_, "c.mv") => (rd, Inst::from_parts(op, rd, Reg::ZERO, rs1, 0)),
            ("rr" | "r", _) => (rd, Inst::from_parts(op, rd, rs1, rs2, 0)),
            ("ri", _) => (rd, Inst::from_parts(op, rd, rs1, Reg::ZERO, imm)),
            ("cr", _) => (rs1, Inst::from_parts(op, rs1, rs1, rs2, 0)),
            ("ci", _) => (rs1, Inst::from_parts(op, rs1, rs1, Reg::ZERO, imm)),
            other => panic!("unknown form {other:?}"),
        };
        let half = compress(inst).filter(|_| self.name.starts_with("c."));
        let bytes = match half {
            Some(half) => half.to_le_bytes().to_vec(),
            None => encode(inst).expect("legal operands").to_le_bytes().to_vec(),
        };
        (bytes, rd)
    }
}

/// A program that computes the rows from the operands at `from` and puts the results in order at
/// `to`.
pub(crate) fn program(rows: &[Row], from: Reg, to: Reg, turn: usize) -> Vec<u8> {
    let mut code = Vec::new();
    let put = |code: &mut Vec<u8>, op, rd, rs1, rs2, imm| {
        let word = encode(Inst::from_parts(op, rd, rs1, rs2, imm)).expect("legal operands");
        code.extend(word.to_le_bytes());
    };
    let zero = Reg::ZERO;
    for (i, row) in rows.iter().enumerate() {
        // The compressed forms of two registers know x8..x15 only.
        let least = if row.form.starts_with('c') { 8 } else { 1 };
        let free = |r: &Reg| r.number() >= least && *r != from && *r != to;
        let pool: Vec<Reg> = Reg::all().filter(free).collect();
        let at = |n: usize| pool[n % pool.len()];
        let n = i + turn * 31;
        let (rs1, rd) = (at(n), at(n / 3));
        let same = row.first == row.second && n.is_multiple_of(2);
        let rs2 = if same {
            rs1
        } else {
            at(n + 1 + n / 7 % (pool.len() - 1))
        };
        put(&mut code, Op::Ld, rs1, from, zero, 0);
        put(&mut code, Op::Ld, rs2, from, zero, 8);
        let (bytes, result) = row.bytes([rd, rs1, rs2]);
        code.extend(bytes);
        put(&mut code, Op::Sd, zero, to, result, 0);
        put(&mut code, Op::Addi, from, from, zero, 16);
        put(&mut code, Op::Addi, to, to, zero, 8);
        if i % 5 == 4 {
            put(&mut code, Op::Fallthrough, zero, zero, zero, 0);
        }
    }
    put(&mut code, Op::Ecalli, zero, zero, zero, 0);
    code
}
