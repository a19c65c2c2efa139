//! Random programs on the engine and on the loop of ISA §11.4.

mod common;

use common::compare::Case;
use common::{COSTS, semantics};
use rivet_isa::{Format, Inst, Op, Reg, compress, encode};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 20) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn reg(&mut self) -> Reg {
        Reg::new(self.below(16) as u8).unwrap()
    }
}

/// Operands where the interesting cases are.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
    0x40_0000,
    0x1000_0000,
    0x1000_0FFC,
    0x1000_1FFE,
    0xFFFF_FFFF_1000_2FFF,
    0x1000_5FFC,
    0xFFFF_FFFC,
];

fn immediate(random: &mut Random, format: Format) -> i32 {
    let small = random.below(13) as i32 - 6;
    match format {
        Format::I | Format::S | Format::Sel => match random.below(3) {
            0 => small,
            1 => random.below(4096) as i32 - 2048,
            _ => random.pick(&[-2048, -1, 0, 1, 8, 2047]),
        },
        Format::I6 => random.below(64) as i32,
        Format::I5 => random.below(32) as i32,
        Format::B | Format::J => small * 2 + random.pick(&[0, 0, 0, 20, -20, 4094 - 12]),
        Format::U => (random.next() as i32) & !0xFFF,
        Format::R | Format::I1 | Format::N => 0,
    }
}

/// Mostly computation and memory, some control flow, some rubbish.
fn instruction(random: &mut Random, code: &mut Vec<u8>) {
    let op = match random.below(20) {
        0 => Op::Fallthrough,
        1 => random.pick(&[Op::Jal, Op::Beq, Op::Bne, Op::Blt, Op::Bgeu]),
        2 => random.pick(&[Op::Ecalli, Op::EcallJar, Op::Jalr, Op::Trap]),
        3..=6 => random.pick(&[Op::Ld, Op::Lw, Op::Sb, Op::Sh, Op::Sw, Op::Sd, Op::Lbu]),
        7 if random.below(6) == 0 => {
            let half = random.next() as u16;
            code.extend_from_slice(&half.to_le_bytes());
            return;
        }
        _ => random.pick(Op::ALL),
    };
    let is_memory = op.is_store() || op.is_load();
    let base = random.pick(&[Reg::SP, Reg::S0, Reg::S1, Reg::GP]);
    let rs1 = if is_memory { base } else { random.reg() };
    let imm = immediate(random, op.format());
    let inst = Inst::from_parts(op, random.reg(), rs1, random.reg(), imm);
    match compress(inst) {
        Some(half) if random.below(2) == 0 => code.extend_from_slice(&half.to_le_bytes()),
        _ => code.extend_from_slice(&encode(inst).unwrap().to_le_bytes()),
    }
}

fn case(random: &mut Random) -> Case {
    let mut code = Vec::new();
    for _ in 0..1 + random.below(40) {
        instruction(random, &mut code);
    }
    code.truncate(code.len() - random.below(4).min(code.len() as u64) as usize);
    let mut x = [0; 16];
    for value in x.iter_mut().skip(1) {
        *value = match random.below(3) {
            0 => random.next(),
            _ => random.pick(EDGES),
        };
    }
    x[2] = 0x1000_2FFC + random.below(8);
    x[3] = 0x40_0000 + random.below(200);
    x[8] = 0xABCD_0000_1000_0000 + random.below(0x2100);
    x[9] = 0x1000_4FFC;
    Case {
        code,
        costs: COSTS,
        x,
        mappings: vec![
            (
                0x1000_0000,
                2,
                Some(256),
                (0..=254).cycle().take(6000).collect(),
            ),
            (0x1000_2000, 1, Some(0), vec![]),
            (0x1000_3000, 1, None, vec![0x80; 100]),
            (0x1000_4000, 1, Some(200), vec![]),
            (0xFFFF_F000, 1, Some(256), vec![1]),
        ],
    }
}

#[test]
fn random_programs_end_alike_at_random_budgets() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut ends = [0; 8];
    for _ in 0..4000 {
        let case = case(&mut random);
        let budgets = [random.below(300), random.below(3000), 20_000];
        case.check(0, budgets);
        for gas in budgets {
            for (exit, ..) in case.expected(0, gas).exits {
                ends[exit.code() as usize] += 1;
            }
        }
    }
    // Every exit an instruction can cause must have been met, or the programs are too tame.
    for code in [1, 2, 3, 4, 6, 7] {
        assert!(ends[code] > 200, "{ends:?}");
    }
}

#[test]
fn random_entries_end_alike() {
    let mut random = Random(77);
    for _ in 0..1000 {
        let case = case(&mut random);
        case.check(random.below(case.code.len() as u64 + 4), [5000]);
    }
}

#[test]
fn three_register_operations_under_every_aliasing() {
    let mut random = Random(5);
    let ops = Op::ALL.iter().filter(|op| op.format() == Format::R);
    let mut checked = 0;
    for op in ops {
        for (rd, rs1, rs2) in triples() {
            let inst = Inst::from_parts(*op, rd, rs1, rs2, 0);
            let code = encode(inst).unwrap().to_le_bytes();
            let mut x = [0; 16];
            for value in x.iter_mut().skip(1) {
                *value = random.pick(EDGES);
            }
            let at = |reg: Reg| usize::from(reg.number());
            let mut expected = x;
            if !rd.is_zero() {
                expected[at(rd)] = semantics::value(*op, x[at(rs1)], x[at(rs2)]).unwrap();
            }
            assert_eq!(common::run_registers(&code, x), expected, "{inst} {x:#x?}");
            checked += 1;
        }
    }
    // ISA §6.8 to §6.11: 10 + 5 + 13 + 7 + 11 + 4 + 2 rows of format R.
    assert_eq!(checked, 52 * 4096);
}

fn triples() -> impl Iterator<Item = (Reg, Reg, Reg)> {
    let pairs = Reg::all().flat_map(|rd| Reg::all().map(move |rs1| (rd, rs1)));
    pairs.flat_map(|(rd, rs1)| Reg::all().map(move |rs2| (rd, rs1, rs2)))
}

#[test]
fn every_amount_of_every_shift_with_an_immediate() {
    let ops = Op::ALL
        .iter()
        .filter(|op| matches!(op.format(), Format::I6 | Format::I5));
    for op in ops {
        let amounts = if op.format() == Format::I6 { 64 } else { 32 };
        for amount in 0..amounts {
            let inst = Inst::from_parts(*op, Reg::A0, Reg::A1, Reg::ZERO, amount);
            let code = encode(inst).unwrap().to_le_bytes();
            for a in EDGES.iter().copied().chain([0x0123_4567_89AB_CDEF]) {
                let mut x = [0; 16];
                x[11] = a;
                let expected = semantics::value(*op, a, amount as u64).unwrap();
                assert_eq!(
                    common::run_registers(&code, x)[10],
                    expected,
                    "{inst} {a:#x}"
                );
            }
        }
    }
}
