//! Every computational instruction × every register triple × boundary operands, against the
//! semantics of ISA §6 written down once more, in 128-bit arithmetic.

mod common;

use common::semantics::{EDGES, background, expected};
use common::{bytes, memory, program, run};
use rivet_isa::{CODE_BASE, Exit, Format, I, Inst, J, Op, Pc, Reg, Regs, Selector, decode};
use rivet_jit::{Call, CallKind, Flow, Left};

/// One instruction and what it is to compute.
struct Case {
    inst: Inst,
    /// Its 16-bit encoding, if that is to run.
    half: Option<u16>,
    a: u64,
    b: u64,
}

impl Case {
    fn before(&self) -> Regs {
        let mut regs = background();
        regs.set(self.inst.rs1(), self.a);
        regs.set(self.inst.rs2(), self.b);
        regs
    }

    fn after(&self, pc: u64) -> Regs {
        let mut regs = self.before();
        let a = regs.get(self.inst.rs1());
        let b = match self.inst.op().format() {
            Format::R => regs.get(self.inst.rs2()),
            _ => i64::from(self.inst.imm()) as u64,
        };
        regs.set(self.inst.rd(), expected(self.inst.op(), a, b, pc));
        regs
    }
}

fn call(selector: u32) -> Inst {
    Inst::ecalli(Selector { selector })
}

/// Runs the cases in one program, `case; ecalli 0` each; the host checks and prepares.
fn check(cases: &[Case]) {
    let mut code = Vec::new();
    let mut places = Vec::new();
    for case in cases {
        places.push(code.len() as u64);
        match case.half {
            Some(half) => code.extend(half.to_le_bytes()),
            None => code.extend(bytes([case.inst])),
        }
        code.extend(bytes([call(0)]));
    }
    let (program, mut memory) = (program(&code), memory(&code));
    let mut seen = 0;
    let mut host = |call: Call<'_>| {
        let case = &cases[seen];
        let pc = places[seen];
        let len = if case.half.is_some() { 2 } else { 4 };
        assert_eq!(call.next_pc.value(), pc + len + 4);
        assert_eq!(
            *call.regs,
            case.after(pc),
            "{:?} a={:#x} b={:#x}",
            case.inst,
            case.a,
            case.b
        );
        seen += 1;
        if let Some(next) = cases.get(seen) {
            *call.regs = next.before();
        }
        Flow::Continue
    };
    let gas = 1 << 62;
    let ended = run(&program, &mut memory, 0, cases[0].before(), gas, &mut host);
    let end = Pc::new(code.len() as u64);
    assert_eq!(ended.left, Left::Exit(Exit::Panic, end));
    assert_eq!(seen, cases.len());
}

fn computing_ops(wanted: impl Fn(Format) -> bool) -> impl Iterator<Item = Op> {
    let plain = |op: &Op| op.flow() == rivet_isa::Flow::Next;
    let access = |op: &Op| op.is_load() || op.is_store() || matches!(op, Op::Fence | Op::FenceI);
    let ops = Op::ALL
        .iter()
        .copied()
        .filter(plain)
        .filter(move |op| !access(op));
    ops.filter(move |op| wanted(op.format()))
}

fn reg(number: u32) -> Reg {
    Reg::new((number & 15) as u8).unwrap()
}

/// The operation in all 4096 register triples, with these operands for each.
fn every_triple(op: Op, operands: impl Fn(u32) -> (u64, u64)) {
    let cases = (0..4096).map(|triple| {
        let (a, b) = operands(triple);
        let inst = Inst::from_parts(op, reg(triple), reg(triple >> 4), reg(triple >> 8), 0);
        let half = None;
        Case { inst, half, a, b }
    });
    check(&cases.collect::<Vec<_>>());
}

#[test]
fn two_sources_compute_the_specified_value_in_every_register_triple() {
    for op in computing_ops(|format| format == Format::R) {
        for (i, &a) in EDGES.iter().enumerate() {
            every_triple(op, |triple| (a, EDGES[(i + triple as usize) % EDGES.len()]));
        }
    }
}

#[test]
#[ignore = "takes minutes: every pair of edge values in each of the 4096 triples"]
fn every_register_triple_computes_every_pair_of_edge_values() {
    for op in computing_ops(|format| format == Format::R) {
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            every_triple(op, |_| (a, b));
        }
    }
}

#[test]
fn every_pair_of_edge_values_gives_the_specified_result() {
    let triples = [
        (10, 11, 12),
        (10, 10, 12),
        (12, 10, 12),
        (11, 5, 10),
        (3, 4, 3),
        (1, 11, 2),
    ];
    for op in computing_ops(|format| format == Format::R) {
        let mut cases = Vec::new();
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            for (rd, rs1, rs2) in triples {
                let inst = Inst::from_parts(op, reg(rd), reg(rs1), reg(rs2), 0);
                let half = None;
                cases.push(Case { inst, half, a, b });
            }
        }
        check(&cases);
    }
}

/// Immediates at the edges, and every shift amount.
fn immediates(format: Format) -> Vec<i32> {
    match format {
        Format::I => vec![-2048, -1, 0, 1, 2, 127, 128, 255, 256, 2047],
        Format::I6 => (0..64).collect(),
        Format::I5 => (0..32).collect(),
        Format::U => vec![0, 0x1000, 0x7FFF_F000, i32::MIN, -0x1000],
        _ => vec![0],
    }
}

#[test]
fn immediates_compute_the_specified_value_in_every_register_pair() {
    let wanted = |format| {
        matches!(
            format,
            Format::I | Format::I6 | Format::I5 | Format::I1 | Format::U
        )
    };
    for op in computing_ops(wanted) {
        let mut cases = Vec::new();
        for pair in 0..256u32 {
            for imm in immediates(op.format()) {
                let inst = Inst::from_parts(op, reg(pair), reg(pair >> 4), Reg::ZERO, imm);
                let first = (i64::from(pair) + i64::from(imm)).rem_euclid(3) as usize;
                let values = EDGES.iter().skip(first).step_by(3);
                let (half, b) = (None, 0);
                cases.extend(values.map(|&a| Case { inst, half, a, b }));
            }
        }
        check(&cases);
    }
}

/// Every 16-bit encoding of an instruction that computes, with what it expands to.
fn computing_halves() -> impl Iterator<Item = (u16, Inst)> {
    let ops: Vec<Op> = computing_ops(|_| true).collect();
    (0..=u16::MAX).filter_map(move |half| {
        let decoded = decode(&half.to_le_bytes(), 0)?;
        ops.contains(&decoded.inst.op())
            .then_some((half, decoded.inst))
    })
}

#[test]
fn every_compressed_encoding_computes_what_its_expansion_does() {
    let mut cases = Vec::new();
    for (i, (half, inst)) in computing_halves().enumerate() {
        for (j, &a) in EDGES.iter().enumerate().skip(i % 2).step_by(2) {
            let b = EDGES[(i + 5 * j) % EDGES.len()];
            let half = Some(half);
            cases.push(Case { inst, half, a, b });
        }
    }
    // addi4spn; addi, li, slli; addiw; lui, addi16sp; srli, srai, andi; six of two registers; mv, add.
    let halves = 8 * 255 + 3 * 16 * 64 + 15 * 64 + 16 * 63 + 3 * 8 * 64 + 6 * 64 + 2 * 16 * 15;
    assert_eq!(cases.len(), 7 * halves, "every encoding was found");
    for cases in cases.chunks(50_000) {
        check(cases);
    }
}

/// Whether the branch is taken, by the table of ISA §6.4.
fn taken(op: Op, a: u64, b: u64) -> bool {
    match op {
        Op::Beq => a == b,
        Op::Bne => a != b,
        Op::Blt => i128::from(a as i64) < i128::from(b as i64),
        Op::Bge => i128::from(a as i64) >= i128::from(b as i64),
        Op::Bltu => u128::from(a) < u128::from(b),
        Op::Bgeu => u128::from(a) >= u128::from(b),
        other => panic!("{other:?} is no branch"),
    }
}

#[test]
fn every_branch_goes_where_it_is_specified_to_for_every_register_pair_and_pair_of_edge_values() {
    let branches = Op::ALL.iter().filter(|op| op.format() == Format::B);
    for &op in branches {
        for (i, &a) in EDGES.iter().enumerate() {
            let b = |pair: u32, turn: usize| EDGES[(i + pair as usize + turn) % EDGES.len()];
            let turns = (0..EDGES.len()).flat_map(|turn| (0..256).map(move |pair| (pair, turn)));
            let branch = |(pair, turn): (u32, usize)| (reg(pair), reg(pair >> 4), b(pair, turn));
            let cases: Vec<_> = turns.map(branch).collect();
            check_branches(op, a, &cases);
        }
    }
}

/// Runs `branch +8; ecalli 1; ecalli 2` for each case: only the way not taken meets selector 1.
fn check_branches(op: Op, a: u64, cases: &[(Reg, Reg, u64)]) {
    let branch = |(rs1, rs2, _): &(Reg, Reg, u64)| Inst::from_parts(op, Reg::ZERO, *rs1, *rs2, 8);
    let code = bytes(
        cases
            .iter()
            .flat_map(|case| [branch(case), call(1), call(2)]),
    );
    let before = |&(rs1, rs2, b): &(Reg, Reg, u64)| {
        let mut regs = background();
        regs.set(rs1, a);
        regs.set(rs2, b);
        regs
    };
    let (mut seen, mut passed) = (0, false);
    let mut host = |call: Call<'_>| {
        let regs = before(&cases[seen]);
        assert_eq!(*call.regs, regs, "{op:?} changes no register");
        if call.kind == CallKind::Host(1) {
            passed = true;
            return Flow::Continue;
        }
        let (rs1, rs2, _) = cases[seen];
        let (x, y) = (regs.get(rs1), regs.get(rs2));
        assert_eq!(
            !passed,
            taken(op, x, y),
            "{op:?} {rs1:?} {rs2:?} {x:#x} {y:#x}"
        );
        (seen, passed) = (seen + 1, false);
        if let Some(next) = cases.get(seen) {
            *call.regs = before(next);
        }
        Flow::Continue
    };
    let (program, mut memory) = (program(&code), memory(&code));
    let start = before(&cases[0]);
    let ended = run(&program, &mut memory, 0, start, 1 << 62, &mut host);
    let end = Pc::new(code.len() as u64);
    assert_eq!(ended.left, Left::Exit(Exit::Panic, end));
    assert_eq!(seen, cases.len());
}

#[test]
fn jumps_link_and_arrive_for_every_register_pair_and_any_upper_half() {
    for (imm, dirty) in [
        (0, 0),
        (1, 1 << 63),
        (2047, 0xFFFF_FFFF << 32),
        (-2048, 1 << 32),
    ] {
        for pair in 0..256u32 {
            let (rd, rs1) = (reg(pair), reg(pair >> 4));
            if rs1.is_zero() {
                continue;
            }
            let jump = Inst::jalr(I { rd, rs1, imm });
            let trap = Inst::trap(rivet_isa::N);
            let link = Inst::jal(J { rd, imm: -8 });
            let code = bytes([jump, trap, trap, link]);
            let mut regs = background();
            let target = (CODE_BASE + 12) | dirty;
            regs.set(rs1, target.wrapping_sub(i64::from(imm & !1) as u64));
            let (program, mut memory) = (program(&code), memory(&code));
            let mut host = rivet_jit::NoHost;
            let ended = run(&program, &mut memory, 0, regs, 1 << 40, &mut host);
            let mut after = regs;
            after.set(rd, CODE_BASE + 16);
            assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(4)));
            assert_eq!(ended.regs, after, "rd {rd:?} rs1 {rs1:?}");
        }
    }
}
