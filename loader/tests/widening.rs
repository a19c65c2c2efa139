//! Random programs full of branches near the limits of their reach do the same before and after.

mod support;

use rivet_isa::{BlockStarts, Inst, Op, Pc, Reg, compress, encode};
use rivet_loader::{LinkOptions, Linked, link};
use support::machine::{End, Machine, Rules};
use support::{Elf, LABEL, Random, TEXT, asm};

fn reg(number: u8) -> Reg {
    Reg::new(number).unwrap()
}

fn bytes_of(inst: Inst, compressed: bool) -> Vec<u8> {
    match compress(inst).filter(|_| compressed) {
        Some(half) => half.to_le_bytes().to_vec(),
        None => encode(inst).unwrap().to_le_bytes().to_vec(),
    }
}

/// What one instruction of a random program will be, before its target is known.
#[derive(Clone, Copy)]
enum Plan {
    Plain(Inst, bool),
    /// Operation and whether it is compressed.
    Branch(Op, bool),
}

impl Plan {
    fn random(random: &mut Random, index: usize) -> Self {
        let alu = |op, rd, rs1, imm| Inst::from_parts(op, reg(rd), reg(rs1), Reg::ZERO, imm);
        match random.below(10) {
            0..=2 => {
                // The marker: which instruction of the source this is.
                let marker = (index % 2000) as i32;
                Self::Plain(alu(Op::Slti, 0, 0, marker), false)
            }
            3 => Self::Plain(alu(Op::Addi, 10, 10, random.below(32) as i32 - 16), true),
            4 => Self::Plain(
                alu(Op::Xori, 11, 10, random.below(4000) as i32 - 2000),
                false,
            ),
            5 => Self::Plain(
                Inst::from_parts(Op::Add, reg(12), reg(12), reg(11), 0),
                random.below(2) == 0,
            ),
            6 => Self::Branch([Op::Beq, Op::Bne][random.below(2)], true),
            7 => Self::Branch(Op::Jal, true),
            8 => Self::Branch(Op::Jal, false),
            _ => {
                let ops = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
                Self::Branch(ops[random.below(6)], false)
            }
        }
    }

    fn size(self) -> i64 {
        match self {
            Self::Plain(inst, compressed) => bytes_of(inst, compressed).len() as i64,
            Self::Branch(_, compressed) => {
                if compressed {
                    2
                } else {
                    4
                }
            }
        }
    }
}

/// A target that is mostly near the limit of what the branch reaches.
fn target(random: &mut Random, offsets: &[i64], from: usize, reach: i64) -> i64 {
    let want = match random.below(4) {
        0 => random.below(2 * reach as usize) as i64 - reach,
        1 => reach - 1 - random.below(24) as i64,
        2 => 24 - reach + random.below(24) as i64,
        _ => random.below(64) as i64 - 8,
    };
    let wanted = offsets[from] + want;
    let near = offsets
        .partition_point(|&at| at < wanted)
        .min(offsets.len() - 1);
    let distance = offsets[near] - offsets[from];
    if (-reach..reach).contains(&distance) {
        distance
    } else {
        0
    }
}

fn program(seed: u64, len: usize) -> Vec<u8> {
    let random = &mut Random::new(seed);
    let plans: Vec<Plan> = (0..len).map(|index| Plan::random(random, index)).collect();
    let mut offsets = Vec::with_capacity(len);
    let mut at = 0;
    for plan in &plans {
        offsets.push(at);
        at += plan.size();
    }
    let mut code = Vec::new();
    for (index, &plan) in plans.iter().enumerate() {
        let (op, compressed) = match plan {
            Plan::Plain(inst, compressed) => {
                code.extend(bytes_of(inst, compressed));
                continue;
            }
            Plan::Branch(op, compressed) => (op, compressed),
        };
        let reach = match (op, compressed) {
            (Op::Jal, true) => 1 << 11,
            (Op::Jal, false) => 1 << 14,
            (_, true) => 1 << 8,
            (_, false) => 1 << 12,
        };
        let mut distance = target(random, &offsets, index, reach) as i32;
        if distance == 0 {
            distance = plan.size() as i32;
        }
        let (rd, rs1, rs2) = match (op, compressed) {
            (Op::Jal, true) => (0, 0, 0),
            (Op::Jal, false) => ([0, 1, 5][random.below(3)], 0, 0),
            (_, true) => (0, 8 + random.below(6) as u8, 0),
            (_, false) => (0, 10 + random.below(3) as u8, 10 + random.below(3) as u8),
        };
        let inst = Inst::from_parts(op, reg(rd), reg(rs1), reg(rs2), distance);
        let bytes = bytes_of(inst, compressed);
        assert_eq!(bytes.len() as i64, plan.size());
        code.extend(bytes);
    }
    code.extend(asm("ecalli 0\n"));
    // A branch may want to go past the last instruction by the distance of its own length.
    code.extend(asm("ecalli 1\n"));
    code
}

fn linked(code: Vec<u8>) -> Linked {
    let elf = Elf::new(code).build();
    link(&elf, &LinkOptions::default()).unwrap_or_else(|error| panic!("{}", error.diagnostic("x")))
}

/// Runs source and output side by side and compares everything that is not a code address.
/// Returns how many markers both passed.
fn compare(source: &[u8], linked: &Linked, seed: u64) -> usize {
    let code = linked.image.code();
    let starts = BlockStarts::scan(code);
    let mut before = Machine::new(source, TEXT);
    let mut after = Machine::new(code, rivet_isa::CODE_BASE);
    for (index, value) in [
        (10, seed),
        (11, !seed),
        (12, seed.rotate_left(7)),
        (8, seed & 1),
    ] {
        before.regs[index] = value;
        after.regs[index] = value;
    }
    let wanted = before.run(0, 3000, &Rules::RiscV);
    let found = after.run(0, 3000, &Rules::Pvm2(&starts));
    if wanted == End::Endless || found == End::Endless {
        // Both went round and round; they did so through the same markers.
        let common = before.trace.len().min(after.trace.len());
        assert_eq!(before.trace[..common], after.trace[..common], "seed {seed}");
        return common;
    }
    assert_eq!(before.trace, after.trace, "seed {seed}");
    assert_eq!(wanted, found, "seed {seed}");
    for index in [8, 10, 11, 12] {
        assert_eq!(
            before.regs[index], after.regs[index],
            "seed {seed} x{index}"
        );
    }
    for index in [1, 5] {
        let (old, new) = (before.regs[index], after.regs[index]);
        if old != 0 {
            let moved = linked.map.to_new(old).map(Pc::address);
            assert_eq!(moved, Some(new), "seed {seed}: link in x{index}");
        }
    }
    after.trace.len()
}

#[test]
fn random_programs_with_branches_near_their_reach_behave_as_before() {
    let mut widened = [0u32; 2];
    let mut markers = 0;
    for seed in 1..=150 {
        let len = [40, 300, 1500, 4000][seed as usize % 4];
        let source = program(seed, len);
        let linked = linked(source.clone());
        widened[usize::from(len > 1000)] += linked.report.widened;
        for start in 0..4 {
            markers += compare(&source, &linked, seed * 4 + start);
        }
    }
    assert!(
        markers > 100_000,
        "the programs must run for a while: {markers} markers"
    );
    assert!(
        widened[1] > 1000,
        "the programs must need widening: {widened:?}"
    );
}

#[test]
fn a_branch_one_byte_inside_its_reach_is_left_alone_and_one_outside_is_widened() {
    // 126 two-byte instructions lie between a c.beqz and its target at +254.
    let source = |nops: usize| {
        let mut code = asm("c.beqz a0, 254\n");
        code.extend(asm("c.nop\n").repeat(nops - 1));
        code.extend(asm("c.jr ra\n"));
        code.extend(asm("c.nop\necalli 0\n"));
        code
    };
    let exact = linked(source(126));
    assert_eq!((exact.report.widened, exact.report.fallthroughs), (0, 0));
    // Without the return the target needs a fallthrough, which pushes it out of reach.
    let mut code = asm("c.beqz a0, 254\n");
    code.extend(asm("c.nop\n").repeat(127));
    code.extend(asm("ecalli 0\n"));
    let pushed = linked(code.clone());
    assert_eq!((pushed.report.widened, pushed.report.fallthroughs), (1, 1));
    assert_eq!(pushed.report.text_after, code.len() as u64 + 4 + 2);
    compare(&code, &pushed, 0);
    compare(&code, &pushed, 1);
}

#[test]
fn a_call_a_megabyte_away_becomes_a_pair_that_keeps_the_link() {
    let nops = (1 << 20) - 4 - 4;
    let mut code = asm(&format!("jal ra, {}\n", (1 << 20) - 2));
    code.extend(asm("ecalli 7\n"));
    code.extend(asm("c.nop\n").repeat(nops / 2 - 1));
    code.extend(asm("c.nop\nslti zero, zero, 5\njalr zero, 0(ra)\n"));
    let linked = linked(code.clone());
    // The target is not behind a terminator, so its fallthrough pushes it out of the reach of jal.
    assert_eq!((linked.report.widened, linked.report.fallthroughs), (1, 1));
    compare(&code, &linked, 3);
    let starts = BlockStarts::scan(linked.image.code());
    let mut machine = Machine::new(linked.image.code(), rivet_isa::CODE_BASE);
    assert_eq!(machine.run(0, 10, &Rules::Pvm2(&starts)), End::Call(7));
    assert_eq!(machine.trace, [5]);
}

#[test]
fn a_jump_without_link_out_of_reach_is_refused_by_name() {
    let mut code = asm(&format!("jal zero, {}\n", (1 << 20) - 2));
    code.extend(asm("c.nop\n").repeat((1 << 19) - 3));
    code.extend(asm("slti zero, zero, 5\necalli 0\n"));
    let mut elf = Elf::new(code);
    elf.symbol("far_away", LABEL, 1, TEXT + (1 << 20) - 2);
    let error = link(&elf.build(), &LinkOptions::default()).unwrap_err();
    assert_eq!(error.code(), "out-of-reach");
    let site = error.site().unwrap();
    assert_eq!(site.symbol.as_deref(), Some("_start"));
    assert_eq!(site.instruction.as_deref(), Some("jal zero, 1048574"));
}
