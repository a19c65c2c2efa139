//! Programs that nobody meant to write: damaged code, random bytes, jumps into the middle of
//! things, odd memory maps, extreme registers. They need not end; their gas is small instead.

use super::{Access, Case, Mapping, Run, bundle, program, usual_map};
use crate::arbitrary::Random;
use crate::{CODE_BASE, DATA_BASE, SLOTS};
use alloc::vec::Vec;

/// What was done to make a hostile program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Damage {
    /// Nothing but random bytes, about half of them with the opcode of a valid instruction.
    Bytes,
    /// Bits and bytes of a valid program changed, removed or added.
    Flips,
    /// A valid program that ends at any byte.
    Cut,
    /// A valid program entered anywhere, with registers that point anywhere into it.
    Entries,
    /// A valid program whose instructions lie across pages of code.
    Pages,
    /// A valid program on mappings it does not expect.
    Map,
}

impl Damage {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Bytes,
        Self::Flips,
        Self::Cut,
        Self::Entries,
        Self::Pages,
        Self::Map,
    ];
}

/// Starts of one hostile program.
pub const HOSTILE_RUNS: usize = 4;

/// The hostile program of a seed.
pub fn hostile(damage: Damage, seed: u64) -> Case {
    let mut random = Random::new(seed ^ (damage as u64) << 56 ^ 0x0DA3_A6ED);
    let mut program = match damage {
        Damage::Bytes => bytes(&mut random),
        Damage::Pages => paged(&mut random),
        _ => program(random.bits()),
    };
    match damage {
        Damage::Flips => flip(&mut program.code, &mut random),
        Damage::Cut => {
            let len = random.below(program.code.len() as u64 + 1);
            program.code.truncate(len as usize);
        }
        Damage::Map => program.map = map(&mut random),
        Damage::Bytes | Damage::Entries | Damage::Pages => {}
    }
    let first = program.runs[0].clone();
    program.runs = (0..HOSTILE_RUNS)
        .map(|i| run(&program.code, &first, damage, i, &mut random))
        .collect();
    program
}

/// The `i`-th start: the first is the program's own where it has one.
fn run(code: &[u8], own: &Run, damage: Damage, i: usize, random: &mut Random) -> Run {
    let gas = random.pick(&[0, 1, 300, 5000, 40_000, 60_000]);
    let keeps = i == 0 && !matches!(damage, Damage::Bytes | Damage::Entries);
    if keeps {
        return Run { gas, ..own.clone() };
    }
    let entry = match random.below(12) {
        0 => random.value(),
        1 => 0,
        2 => own.entry,
        _ => random.below(code.len() as u64 + 6),
    };
    let mut slots = [0; SLOTS];
    for slot in &mut slots {
        *slot = extreme(code.len() as u64, random);
    }
    Run { entry, slots, gas }
}

/// A register that points into the code, beside it, to the edge of a mapping, or anywhere.
fn extreme(code_len: u64, random: &mut Random) -> u64 {
    let inside = CODE_BASE + random.below(code_len + 3);
    let edges = [CODE_BASE, DATA_BASE, 1 << 31, 1 << 32, 1 << 63, 0x1001_1000];
    let edge = random
        .pick(&edges)
        .wrapping_add(random.below(17))
        .wrapping_sub(8);
    let value = random.value();
    let dirty = inside | random.bits() << 32;
    random.pick(&[inside, inside & !1, dirty, edge, value])
}

fn bytes(random: &mut Random) -> Case {
    const OPCODES: [u8; 12] = [
        0x33, 0x13, 0x3B, 0x1B, 0x03, 0x23, 0x63, 0x0B, 0x6F, 0x67, 0x37, 0x17,
    ];
    let len = random.below(120);
    let mut code: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
    for byte in code.iter_mut().step_by(2) {
        if random.once_in(2) {
            *byte = random.pick(&OPCODES);
        }
    }
    let run = Run {
        entry: 0,
        slots: [0; SLOTS],
        gas: 0,
    };
    Case {
        code,
        map: usual_map(),
        runs: [run].into(),
    }
}

fn flip(code: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(12) {
        let at = random.below(code.len() as u64) as usize;
        match random.below(6) {
            0 => code[at] = random.bits() as u8,
            1 => {
                code.remove(at);
            }
            2 => code.insert(at, random.bits() as u8),
            _ => code[at] ^= 1 << random.below(8),
        }
        if code.is_empty() {
            code.push(0);
        }
    }
}

/// Several programs behind padding of odd halfwords, so that one of them crosses a page at a
/// place that differs from seed to seed.
fn paged(random: &mut Random) -> Case {
    let mut program = bundle(random.bits(), 6);
    let shift = 2 * random.below(0x800);
    let nops = (0..shift).map(|i| (i + 1) as u8 & 1);
    program.code.splice(0..0, nops);
    for run in &mut program.runs {
        run.entry += shift;
    }
    let own = random.below(program.runs.len() as u64) as usize;
    program.runs.swap(0, own);
    program
}

/// Mappings of all kinds and sizes at odd places, perhaps none.
fn map(random: &mut Random) -> Vec<Mapping> {
    const STARTS: [u64; 9] = [
        DATA_BASE,
        0x1000_2000,
        0x1001_0000,
        0x1001_2000,
        0x2000_0000,
        0x7FFF_F000,
        0x8000_0000,
        0xFFFF_E000,
        0xFFFF_F000,
    ];
    const PAGES: [u64; 8] = [1, 1, 2, 3, 64, 2049, 8193, 65_537];
    let mut map = Vec::new();
    let mut free = DATA_BASE;
    for start in STARTS {
        if start < free || random.once_in(3) {
            continue;
        }
        let pages = random.pick(&PAGES);
        let size = (pages << 12).min((1 << 32) - start);
        let access = random.pick(&[Access::Pinned, Access::CopyOnWrite, Access::Ephemeral]);
        let most = if access == Access::Ephemeral {
            0
        } else {
            size.min(0x6000)
        };
        let content = random.below(most + 1) as usize;
        map.push(Mapping::patterned(start, size, access, content));
        free = start + size;
    }
    map
}
