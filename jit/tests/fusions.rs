//! Instructions that are lowered together compute what they do one by one: every shape that is
//! fused, with registers chosen so that any of them may coincide, x0, x3 and x4 among them, and
//! operands at which carries, signs and widths change. Expected values come from
//! `common/semantics.rs`, one instruction at a time.

mod common;

use std::collections::BTreeMap;

use common::semantics::{EDGES, background, expected};
use common::{bytes, memory, program, run};
use rivet_isa::arbitrary::Random;
use rivet_isa::{DATA_BASE, Exit, Format, I, Inst, N, Op, PageIndex, Pc, Reg, Regs, S, Selector};
use rivet_jit::{Call, Flow, Left, NoHost};

/// Base of every access; no operand.
const BASE: Reg = Reg::T1;
/// Counts branches that are not taken; no operand.
const MARK: Reg = Reg::T2;

/// Registers for every choice: no home, a home in memory, and homes that templates use by name.
const FEW: [Reg; 5] = [Reg::ZERO, Reg::GP, Reg::A0, Reg::A1, Reg::A2];
/// Registers for samples.
const MANY: [Reg; 9] = [
    Reg::ZERO,
    Reg::GP,
    Reg::TP,
    Reg::A0,
    Reg::A1,
    Reg::A2,
    Reg::S0,
    Reg::RA,
    Reg::SP,
];

/// What one instruction does to registers and the words at `BASE`; `true` if a branch is taken.
fn step(inst: Inst, regs: &mut Regs, words: &mut BTreeMap<u64, u64>) -> bool {
    let (a, b) = (regs.get(inst.rs1()), regs.get(inst.rs2()));
    let imm = i64::from(inst.imm()) as u64;
    match inst.op() {
        Op::Sd => {
            words.insert(a.wrapping_add(imm), b);
        }
        Op::Ld => {
            let word = words.get(&a.wrapping_add(imm)).copied();
            regs.set(inst.rd(), word.unwrap_or(0));
        }
        Op::Beq => return a == b,
        Op::Bne => return a != b,
        Op::Blt => return (a as i64) < b as i64,
        Op::Bge => return a as i64 >= b as i64,
        op => {
            let second = if op.format() == Format::R { b } else { imm };
            regs.set(inst.rd(), expected(op, a, second, 0));
        }
    }
    false
}

/// A few instructions and the registers in front of them. If the last one is a branch, it jumps
/// over an instruction that counts.
struct Case {
    insts: Vec<Inst>,
    before: Regs,
}

impl Case {
    fn new(insts: Vec<Inst>, random: &mut Random) -> Self {
        let mut before = background();
        for inst in &insts {
            for reg in [inst.rs1(), inst.rs2()] {
                before.set(reg, random.pick(&EDGES));
            }
        }
        before.set(BASE, DATA_BASE + 8 * random.below(1 << 14));
        before.set(MARK, 0);
        Self { insts, before }
    }

    fn code(&self) -> impl Iterator<Item = Inst> {
        let branch = self.insts.last().is_some_and(|inst| is_branch(*inst));
        let count = Inst::addi(I {
            rd: MARK,
            rs1: MARK,
            imm: 1,
        });
        let tail = branch.then_some([count, Inst::fallthrough(N)]);
        let call = Inst::ecalli(Selector { selector: 0 });
        let insts = self.insts.iter().copied();
        insts.chain(tail.into_iter().flatten()).chain([call])
    }

    fn after(&self, words: &mut BTreeMap<u64, u64>) -> Regs {
        let mut regs = self.before;
        for inst in &self.insts {
            let taken = step(*inst, &mut regs, words);
            if is_branch(*inst) && !taken {
                regs.set(MARK, 1);
            }
        }
        regs
    }
}

fn is_branch(inst: Inst) -> bool {
    inst.op().format() == Format::B
}

/// Runs the cases in one program with a call behind each, where the host compares.
fn check(cases: &[Case]) {
    let code = bytes(cases.iter().flat_map(Case::code));
    let (program, mut memory) = (program(&code), memory(&code));
    let (mut seen, mut words) = (0, BTreeMap::new());
    let mut host = |call: Call<'_>| {
        let case = &cases[seen];
        let after = case.after(&mut words);
        assert_eq!(*call.regs, after, "{:?} from {:?}", case.insts, case.before);
        seen += 1;
        if let Some(next) = cases.get(seen) {
            *call.regs = next.before;
        }
        Flow::Continue
    };
    let ended = run(
        &program,
        &mut memory,
        0,
        cases[0].before,
        1 << 60,
        &mut host,
    );
    let end = Pc::new(code.len() as u64);
    assert_eq!(ended.left, Left::Exit(Exit::Panic, end));
    assert_eq!(seen, cases.len());
}

/// An instruction of a shape: its operation, and which of the chosen registers it names.
#[derive(Clone, Copy)]
struct Row(Op, [usize; 3], i32);

fn instruction(row: Row, regs: &[Reg]) -> Inst {
    let Row(op, [rd, rs1, rs2], imm) = row;
    let fixed = |op: Op| op.is_load() || op.is_store();
    let rs1 = if fixed(op) { BASE } else { regs[rs1] };
    match op.format() {
        Format::S => Inst::sd(S {
            rs1,
            rs2: regs[rs2],
            imm,
        }),
        Format::B => Inst::from_parts(op, Reg::ZERO, rs1, regs[rs2], 12),
        Format::R => Inst::from_parts(op, regs[rd], rs1, regs[rs2], 0),
        _ => Inst::from_parts(op, regs[rd], rs1, Reg::ZERO, imm),
    }
}

/// Every choice of `count` registers out of [`FEW`], and as many samples out of [`MANY`].
fn choices(count: usize, random: &mut Random) -> Vec<Vec<Reg>> {
    let all = FEW.len().pow(count as u32);
    let mut out: Vec<Vec<Reg>> = (0..all)
        .map(|mut number| {
            let mut next = || {
                let reg = FEW[number % FEW.len()];
                number /= FEW.len();
                reg
            };
            (0..count).map(|_| next()).collect()
        })
        .collect();
    for _ in 0..1500 {
        out.push((0..count).map(|_| random.pick(&MANY)).collect());
    }
    out
}

/// Compares a shape of which each row names registers out of `count`.
fn shape(rows: &[Row], count: usize, random: &mut Random) {
    let mut cases = Vec::new();
    for regs in choices(count, random) {
        let insts = rows.iter().map(|row| instruction(*row, &regs)).collect();
        cases.push(Case::new(insts, random));
    }
    check(&cases);
}

#[test]
fn carries_are_what_the_comparison_says() {
    let mut random = Random::new(1);
    for (compared, swapped) in [(1, false), (2, false), (1, true), (2, true)] {
        // add d, a, b; sltu c, d, a|b; add e, c, x — with every coincidence of the five.
        let sum = Row(Op::Add, [0, 1, 2], 0);
        let set = Row(Op::Sltu, [3, 0, compared], 0);
        let order = if swapped { [3, 4, 3] } else { [3, 3, 4] };
        shape(&[sum, set, Row(Op::Add, order, 0)], 5, &mut random);
    }
    for imm in [-2048, -1, 0, 1, 2047] {
        let sum = Row(Op::Addi, [0, 1, 1], imm);
        let set = Row(Op::Sltu, [2, 0, 1], 0);
        shape(&[sum, set, Row(Op::Add, [2, 2, 3], 0)], 4, &mut random);
        shape(&[sum, set, Row(Op::Add, [4, 3, 2], 0)], 5, &mut random);
    }
    shape(
        &[Row(Op::Add, [0, 1, 2], 0), Row(Op::Sltu, [3, 4, 5], 0)],
        6,
        &mut random,
    );
}

#[test]
fn borrows_are_what_the_comparison_says() {
    let mut random = Random::new(2);
    let set = Row(Op::Sltu, [0, 1, 2], 0);
    let take = Row(Op::Sub, [3, 1, 2], 0);
    shape(&[set, take, Row(Op::Sub, [0, 4, 0], 0)], 5, &mut random);
    shape(&[set, take, Row(Op::Sub, [0, 0, 4], 0)], 5, &mut random);
    shape(&[set, take, Row(Op::Sub, [4, 3, 0], 0)], 5, &mut random);
    shape(&[set, Row(Op::Sub, [3, 4, 5], 0)], 6, &mut random);
}

#[test]
fn halves_of_a_product_are_right_around_any_instruction() {
    let mut random = Random::new(3);
    for (first, second) in [(Op::Mul, Op::Mulhu), (Op::Mulhu, Op::Mul)] {
        for factors in [[1, 2], [2, 1]] {
            let one = Row(first, [0, 1, 2], 0);
            let two = Row(second, [3, factors[0], factors[1]], 0);
            shape(&[one, two], 4, &mut random);
            for between in [
                Row(Op::Sd, [0, 0, 4], 8),
                Row(Op::Ld, [4, 0, 0], 8),
                Row(Op::Addi, [4, 0, 0], 1),
                Row(Op::Srai, [4, 1, 0], 3),
                Row(Op::Xor, [4, 0, 2], 0),
                Row(Op::Add, [4, 3, 0], 0),
                Row(Op::Rol, [4, 0, 2], 0),
            ] {
                shape(&[one, between, two], 5, &mut random);
            }
        }
        let others = [Row(first, [0, 1, 2], 0), Row(second, [3, 4, 5], 0)];
        shape(&others, 6, &mut random);
    }
}

#[test]
fn a_product_around_an_access_that_faults_shows_its_first_half_only() {
    let nowhere = 0x7000_0000;
    for (first, second) in [(Op::Mul, Op::Mulhu), (Op::Mulhu, Op::Mul)] {
        for between in [Row(Op::Sd, [0, 0, 0], 8), Row(Op::Ld, [0, 0, 0], 8)] {
            for high in [Reg::A0, Reg::A1, Reg::A2, Reg::S0] {
                let regs = [Reg::A0, Reg::A1, Reg::A2, high];
                let rows = [Row(first, [0, 1, 2], 0), between, Row(second, [3, 1, 2], 0)];
                let insts: Vec<Inst> = rows.iter().map(|row| instruction(*row, &regs)).collect();
                let mut before = background();
                before.set(Reg::A1, EDGES[11]);
                before.set(Reg::A2, EDGES[12]);
                before.set(BASE, nowhere);
                let mut after = before;
                step(insts[0], &mut after, &mut BTreeMap::new());
                let code = bytes(insts);
                let (program, mut memory) = (program(&code), memory(&code));
                let ended = run(&program, &mut memory, 0, before, 1 << 40, &mut NoHost);
                let page = PageIndex::new((nowhere >> 12) as u32).unwrap();
                let fault = Left::Exit(Exit::PageFault { page }, Pc::new(4));
                assert_eq!(ended.left, fault);
                assert_eq!(ended.regs, after, "{first:?} {high:?}");
            }
        }
    }
}

#[test]
fn words_that_are_overwritten_unextended_leave_the_same_results() {
    const FIRST: [Op; 9] = [
        Op::Addw,
        Op::Addiw,
        Op::Subw,
        Op::Sllw,
        Op::Slliw,
        Op::Mulw,
        Op::Roriw,
        Op::Rolw,
        Op::Rorw,
    ];
    let mut random = Random::new(4);
    let computing = |op: &Op| {
        let format = matches!(
            op.format(),
            Format::R | Format::I | Format::I5 | Format::I6 | Format::I1
        );
        let plain = op.flow() == rivet_isa::Flow::Next;
        format && plain && !op.is_load() && !op.is_store()
    };
    for first in FIRST {
        let mut cases = Vec::new();
        for second in Op::ALL.iter().copied().filter(computing) {
            for _ in 0..300 {
                let mut reg = || random.pick(&[Reg::A0, Reg::A1, Reg::S0, Reg::GP, Reg::ZERO]);
                let (rd, regs) = (reg(), [reg(), reg(), reg(), reg(), reg(), reg()]);
                let one = Inst::from_parts(first, rd, regs[0], regs[1], 0);
                let rd2 = if regs[2] == Reg::GP { regs[3] } else { rd };
                let two = Inst::from_parts(second, rd2, regs[4], regs[5], 0);
                let (one, two) = (
                    with_immediate(one, &mut random),
                    with_immediate(two, &mut random),
                );
                cases.push(Case::new(vec![one, two], &mut random));
            }
        }
        check(&cases);
    }
}

/// The same with some immediate, where the format has one.
fn with_immediate(inst: Inst, random: &mut Random) -> Inst {
    let imm = match inst.op().format() {
        Format::I => random.pick(&[-2048, -1, 0, 1, 255, 256, 2047]),
        Format::I6 => random.pick(&[0, 1, 31, 32, 63]),
        Format::I5 => random.pick(&[0, 1, 30, 31]),
        _ => return inst,
    };
    Inst::from_parts(inst.op(), inst.rd(), inst.rs1(), Reg::ZERO, imm)
}

#[test]
fn branches_see_what_the_instruction_before_them_computed() {
    let mut random = Random::new(5);
    let firsts = [
        Op::Addi,
        Op::Add,
        Op::Sub,
        Op::And,
        Op::Or,
        Op::Xor,
        Op::Andi,
        Op::Slli,
        Op::Srli,
        Op::Srai,
        Op::Slt,
        Op::Sltu,
        Op::Slti,
        Op::Sltiu,
    ];
    for first in firsts {
        let imms: &[i32] = match first.format() {
            Format::I => &[-2048, -1, 0, 1, 255, 2047],
            Format::I6 => &[0, 1, 31, 63],
            _ => &[0],
        };
        for (branch, imm) in [Op::Beq, Op::Bne, Op::Blt, Op::Bge]
            .iter()
            .flat_map(|branch| imms.iter().map(move |imm| (*branch, *imm)))
        {
            let one = Row(first, [0, 1, 2], imm);
            shape(&[one, Row(branch, [0, 3, 4], 0)], 5, &mut random);
        }
    }
}

#[test]
fn conditional_zeros_joined_by_or_select() {
    let mut random = Random::new(6);
    for (first, second) in [
        (Op::CzeroEqz, Op::CzeroNez),
        (Op::CzeroNez, Op::CzeroEqz),
        (Op::CzeroEqz, Op::CzeroEqz),
    ] {
        let halves = [Row(first, [0, 1, 2], 0), Row(second, [3, 4, 2], 0)];
        for join in [[0, 0, 3], [3, 0, 3], [3, 3, 0], [0, 3, 0], [1, 0, 3]] {
            let rows = [halves[0], halves[1], Row(Op::Or, join, 0)];
            shape(&rows, 5, &mut random);
        }
    }
}

#[test]
fn shift_pairs_sums_for_loads_and_divisions_are_right() {
    let mut random = Random::new(7);
    for amount in [32, 48, 56, 8] {
        for right in [Op::Srli, Op::Srai] {
            let rows = [
                Row(Op::Slli, [0, 1, 0], amount),
                Row(right, [2, 3, 0], amount),
            ];
            shape(&rows, 4, &mut random);
        }
    }
    for (div, rem) in [
        (Op::Div, Op::Rem),
        (Op::Divu, Op::Remu),
        (Op::Divw, Op::Remw),
        (Op::Divuw, Op::Remuw),
    ] {
        let rows = [Row(div, [0, 1, 2], 0), Row(rem, [3, 1, 2], 0)];
        shape(&rows, 4, &mut random);
    }
}
