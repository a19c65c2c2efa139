//! What the generators promise.

use super::{CHAIN, Case, Damage, HAND_OVER, Mix, bundle, chains, hostile, neighbours, program};
use crate::{ADDRESS_SPACE, DATA_BASE, Inst, Op, PAGE_SIZE, compressed_forms, decode};
use alloc::vec::Vec;

/// The operations of a code, and the names of its compressed forms.
fn used(code: &[u8]) -> (Vec<Op>, Vec<&'static str>) {
    let (mut ops, mut forms) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(decoded) = decode(code, at) {
        ops.push(decoded.inst.op());
        if decoded.len.bytes() == 2 {
            let half = u16::from_le_bytes([code[at], code[at + 1]]);
            let is_form = |form: &&crate::CompressedForm| form.encode(decoded.inst) == Some(half);
            forms.extend(
                compressed_forms()
                    .iter()
                    .filter(is_form)
                    .map(|f| f.mnemonic()),
            );
        }
        at += decoded.len.bytes() as usize;
    }
    (ops, forms)
}

#[test]
fn a_seed_gives_the_same_case_each_time() {
    for seed in 0..20 {
        assert_eq!(program(seed), program(seed));
        assert_eq!(bundle(seed, 3), bundle(seed, 3));
        assert_eq!(neighbours(seed, 3), neighbours(seed, 3));
        assert_eq!(chains(Mix::Usual, seed, 3), chains(Mix::Usual, seed, 3));
        for damage in Damage::ALL {
            assert_eq!(hostile(damage, seed), hostile(damage, seed));
        }
    }
    assert_ne!(program(1), program(2));
}

#[test]
fn valid_programs_use_every_operation_and_every_compressed_form() {
    let case = bundle(1, 2000);
    let (ops, forms) = used(&case.code);
    for op in Op::ALL {
        assert!(ops.contains(op), "{} is never used", op.mnemonic());
    }
    for form in compressed_forms() {
        let name = form.mnemonic();
        assert!(forms.contains(&name), "{name} is never used");
    }
    assert!(!ops.contains(&Op::Reserved), "nothing reserved is written");
}

#[test]
fn a_valid_program_has_some_two_hundred_instructions() {
    let case = bundle(1, 2000);
    let count = used(&case.code).0.len() / case.runs.len();
    assert!((150..260).contains(&count), "{count} on average");
}

#[test]
fn a_program_of_a_chain_ends_with_a_call_and_a_jump_to_the_next_one() {
    let count = 2 * CHAIN + 3;
    let case = chains(Mix::Usual, 1, count);
    let (mut at, mut found, mut handed_over) = (0, Vec::new(), false);
    while let Some(decoded) = decode(&case.code, at) {
        let inst = decoded.inst;
        if handed_over {
            assert_eq!((inst.op(), inst.rd().is_zero()), (Op::Jal, true));
            found.push(at as u64 + i64::from(inst.imm()) as u64);
        }
        handed_over = inst.op() == Op::Ecalli && inst.imm() == HAND_OVER as i32;
        at += decoded.len.bytes() as usize;
    }
    let entries = case.runs.iter().map(|run| run.entry).enumerate();
    let inside = entries.filter(|(i, _)| !(*i as u64).is_multiple_of(CHAIN));
    let expected: Vec<u64> = inside.map(|(_, entry)| entry).collect();
    assert_eq!(found, expected);
}

/// The instructions of a code in order, gaps and all.
fn walk(code: &[u8]) -> Vec<Inst> {
    let mut at = 0;
    core::iter::from_fn(|| {
        let decoded = decode(code, at)?;
        at += decoded.len.bytes() as usize;
        Some(decoded.inst)
    })
    .collect()
}

/// Groups of neighbours in which a later part reads what an earlier one wrote, by kind.
fn groups(code: &[u8]) -> [(&'static str, usize); 8] {
    let factors = |i: Inst| (i.rs1(), i.rs2());
    let is_half = |i: Inst| matches!(i.op(), Op::Mul | Op::Mulhu);
    let product = |a: Inst, b: Inst| {
        let [x, y] = [a.rs1(), a.rs2()];
        is_half(a)
            && is_half(b)
            && a.op() != b.op()
            && factors(a) == factors(b)
            && a.rd() != x
            && a.rd() != y
    };
    let sum = |a: Inst, b: Inst| {
        let with = [a.rs1(), a.rs2()].contains(&b.rs2()) && b.rs2() != a.rd();
        matches!(a.op(), Op::Add | Op::Addi) && b.op() == Op::Sltu && b.rs1() == a.rd() && with
    };
    let less = |a: Inst, b: Inst| {
        a.op() == Op::Sltu && b.op() == Op::Sub && factors(a) == factors(b) && a.rd() != b.rd()
    };
    let uses = |i: Inst, op: Op, carry: Inst| {
        i.op() == op && i.rd() == carry.rd() && (i.rs2() == carry.rd()) != (i.rs1() == carry.rd())
    };
    let word = |i: Inst| {
        matches!(
            i.op(),
            Op::Addw | Op::Addiw | Op::Subw | Op::Mulw | Op::Rolw
        )
    };
    let zero = |i: Inst| i.rs2().is_zero() && i.flow() == crate::Flow::Branch;
    type Is<'a> = &'a dyn Fn(Inst, Inst, Inst) -> bool;
    let kinds: [(&'static str, Is<'_>); 8] = [
        ("product", &|a, b, _| product(a, b)),
        ("product with a gap", &|a, _, c| product(a, c)),
        ("carry", &|a, b, _| sum(a, b)),
        ("carry taken in", &|a, b, c| {
            sum(a, b) && uses(c, Op::Add, b)
        }),
        ("borrow", &|a, b, _| less(a, b)),
        ("borrow taken in", &|a, b, c| {
            less(a, b) && uses(c, Op::Sub, a)
        }),
        ("branch on a result", &|a, b, _| {
            zero(b) && b.rs1() == a.rd() && !a.rd().is_zero()
        }),
        ("low half overwritten", &|a, b, _| {
            word(a) && word(b) && a.rd() == b.rd()
        }),
    ];
    let all = walk(code);
    kinds.map(|(name, is)| {
        (
            name,
            all.windows(3).filter(|w| is(w[0], w[1], w[2])).count(),
        )
    })
}

#[test]
fn neighbours_match_many_times_more_often_than_in_usual_programs() {
    let (usual, dense) = (bundle(1, 500), neighbours(1, 500));
    for ((name, few), (_, many)) in groups(&usual.code).into_iter().zip(groups(&dense.code)) {
        std::println!("{name}: {few} and {many} in 500 programs");
        assert!(many >= 100, "{name}: {many} in 500 programs");
        assert!(many > few, "{name}: {many} is not more than {few}");
    }
}

fn obeys_the_map_rules(case: &Case) {
    let mut free = DATA_BASE;
    for mapping in &case.map {
        assert!(mapping.start >= free, "{:#x} overlaps", mapping.start);
        assert!(mapping.size > 0 && mapping.size % PAGE_SIZE == 0);
        assert!(mapping.content.len() as u64 <= mapping.size);
        free = mapping.start + mapping.size;
    }
    assert!(free <= ADDRESS_SPACE);
    assert!(!case.runs.is_empty());
    assert!(case.runs.iter().all(|run| run.gas < 1 << 63));
}

#[test]
fn every_case_can_be_loaded() {
    for seed in 0..200 {
        obeys_the_map_rules(&program(seed));
        for damage in Damage::ALL {
            obeys_the_map_rules(&hostile(damage, seed));
        }
    }
}
