//! Code of many small blocks, each of which can leave: by its gate, by a jump that fails, by a
//! return or call that finds nothing. What leaves is found by its number in its piece of code, so
//! every number is entered, at every depth of calls.

use crate::compare::{Engines, Run};
use rivet_isa::arbitrary::Random;
use rivet_isa::{CODE_BASE, Inst, Op, Reg, SLOTS, encode};

/// Blocks of one instruction of four bytes, so that block `i` is at `4 i`.
fn code(random: &mut Random, blocks: u64) -> Vec<u8> {
    let zero = Reg::ZERO;
    let mut out = Vec::new();
    for i in 0..blocks {
        let to = |block: u64| 4 * (block as i32 - i as i32);
        let any = random.below(blocks + 2);
        let inst = match random.below(9) {
            0 | 1 => Inst::from_parts(Op::Fallthrough, zero, zero, zero, 0),
            2 => Inst::from_parts(Op::Trap, zero, zero, zero, 0),
            3 => Inst::from_parts(Op::Jalr, zero, Reg::A0, zero, 0),
            4 => Inst::from_parts(Op::Jalr, Reg::RA, Reg::A0, zero, 0),
            5 => Inst::from_parts(Op::Jal, Reg::RA, zero, zero, to(any)),
            6 => Inst::from_parts(Op::Jalr, zero, Reg::RA, zero, 0),
            7 => Inst::from_parts(Op::Bne, zero, Reg::A1, zero, to(any) + 2),
            _ => Inst::from_parts(Op::Bne, zero, Reg::A1, zero, to(any)),
        };
        let word = encode(inst).expect("small immediates");
        out.extend_from_slice(&word.to_le_bytes());
    }
    out
}

#[test]
fn every_way_out_of_many_small_blocks_is_told_from_its_neighbours() {
    let engines = Engines::new();
    for seed in crate::seeds(140) {
        let mut random = Random::new(seed ^ 0x517E);
        let blocks = 1 + seed % 70;
        let loaded = engines.load_with(&code(&mut random, blocks), &[]);
        for entry in 0..blocks {
            for gas in [0, 1, 18, 40, 3000] {
                let mut slots = [0; SLOTS];
                let near = |random: &mut Random| CODE_BASE + 2 * random.below(2 * blocks + 3);
                // ra, a0, a1
                slots[0] = near(&mut random);
                slots[7] = near(&mut random);
                slots[8] = random.below(2);
                let run = Run {
                    entry: 4 * entry,
                    slots,
                    gas,
                    refills: vec![random.below(60), random.below(60)],
                };
                loaded.agree(&run, &format!("seed {seed} entry {entry} gas {gas}"));
            }
        }
    }
}
