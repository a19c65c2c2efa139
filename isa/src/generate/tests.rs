//! What the generators promise.

use super::{Case, Damage, bundle, hostile, program};
use crate::{ADDRESS_SPACE, DATA_BASE, Op, PAGE_SIZE, compressed_forms, decode};
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
