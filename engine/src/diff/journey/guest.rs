//! The guest of a journey: routines that an embedder chooses and parametrises between two runs.
//!
//! ```text
//!   0:        jalr x0, 0(t0)           t0 names a routine
//!   routine:  fallthrough … loop …
//!             ecalli 5                 the script suspends here
//!             jalr x0, 0(t0)           t0 has been set meanwhile
//! ```

use super::moves::{Act, Routine};
use rivet_image::RegionKind;
use rivet_isa::{CODE_BASE, Inst, Op, Reg, encode};

use crate::program::Raw;

/// First address and size of every mapping: read-only beside writable, two writable ones that
/// touch, single pages and pairs, one large enough for stores far apart, the last page there is.
pub(super) const MAP: [(u64, u64, RegionKind); 8] = [
    (0x1000_0000, 0x2000, RegionKind::Pinned),
    (0x1000_2000, 0x6000, RegionKind::CopyOnWrite),
    (0x1000_8000, 0x3000, RegionKind::Ephemeral),
    (0x1001_0000, 0x1000, RegionKind::Ephemeral),
    (0x1001_2000, 0x2000, RegionKind::CopyOnWrite),
    (0x2000_0000, 0x0080_0000, RegionKind::CopyOnWrite),
    (0x3000_0000, 0x0020_0000, RegionKind::Ephemeral),
    (0xFFFF_C000, 0x4000, RegionKind::CopyOnWrite),
];

/// Bytes of content of a mapping that has some; the rest are zeros.
const CONTENT: usize = 0x1A00;

/// Stores of the block with the largest reserve that a quick gate may still cover.
const MANY: usize = 120;

/// The program and where its routines begin.
pub(super) struct Guest {
    code: Vec<u8>,
    entries: Vec<u64>,
}

fn word(op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) -> [u8; 4] {
    let word = encode(Inst::from_parts(op, rd, rs1, rs2, imm));
    word.unwrap_or_default().to_le_bytes()
}

/// `op a1, imm(base)`
fn store(op: Op, base: Reg, imm: i32) -> [u8; 4] {
    word(op, Reg::ZERO, base, Reg::A1, imm)
}

fn add(rd: Reg, other: Reg) -> [u8; 4] {
    word(Op::Add, rd, rd, other, 0)
}

fn call(selector: i32) -> [u8; 4] {
    word(Op::Ecalli, Reg::ZERO, Reg::ZERO, Reg::ZERO, selector)
}

/// The block of many stores.
fn many() -> Vec<[u8; 4]> {
    (0..MANY)
        .flat_map(|_| [store(Op::Sd, Reg::A0, 0), add(Reg::A0, Reg::A2)])
        .collect()
}

/// Counts `counter` down and goes back to `begin` while it is above zero.
fn close(code: &mut Vec<u8>, begin: usize, counter: Reg) {
    code.extend(word(Op::Addi, counter, counter, Reg::ZERO, -1));
    let back = begin as i32 - code.len() as i32;
    code.extend(word(Op::Blt, Reg::ZERO, Reg::ZERO, counter, back));
}

/// What a routine does each time around: a0 and a4 are addresses, a1 a value, a2 a stride; t1 counts down, and t2 after it.
fn body(routine: Routine) -> Vec<[u8; 4]> {
    let step = add(Reg::A0, Reg::A2);
    let other = add(Reg::A4, Reg::A2);
    match routine {
        Routine::Bytes => vec![store(Op::Sb, Reg::A0, 0), step],
        Routine::Halves => vec![store(Op::Sh, Reg::A0, 0), step],
        Routine::Words => vec![store(Op::Sw, Reg::A0, 0), step],
        Routine::Doubles => vec![store(Op::Sd, Reg::A0, 0), step],
        Routine::Pairs => vec![
            store(Op::Sd, Reg::A0, 0),
            store(Op::Sw, Reg::A4, 2047),
            step,
            other,
        ],
        Routine::Reads => vec![
            word(Op::Ld, Reg::A5, Reg::A0, Reg::ZERO, 0),
            add(Reg::S0, Reg::A5),
            step,
        ],
        Routine::Copies => vec![
            word(Op::Ld, Reg::A1, Reg::A0, Reg::ZERO, 0),
            store(Op::Sd, Reg::A4, 8),
            step,
            other,
        ],
        Routine::Many => many(),
        Routine::Squeeze => vec![store(Op::Sd, Reg::A0, 0), step],
        Routine::HostWrites => vec![call(4), step, store(Op::Sd, Reg::A0, 0)],
        Routine::AsksGas => vec![
            store(Op::Sd, Reg::A4, 0),
            call(1),
            word(Op::Xor, Reg::S0, Reg::S0, Reg::A0, 0),
            other,
        ],
        Routine::Unanswered => vec![store(Op::Sd, Reg::A0, 0), call(6), step],
        Routine::Kernel => vec![
            store(Op::Sd, Reg::A0, 0),
            word(Op::EcallJar, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0),
            step,
        ],
        Routine::Waits => vec![word(Op::Div, Reg::A5, Reg::A1, Reg::A2, 0)],
    }
}

impl Guest {
    pub(super) fn new() -> Self {
        let leave = word(Op::Jalr, Reg::ZERO, Reg::T0, Reg::ZERO, 0);
        let mut code = leave.to_vec();
        let mut entries = Vec::new();
        for routine in Routine::ALL {
            entries.push(CODE_BASE + code.len() as u64);
            let fallthrough = word(Op::Fallthrough, Reg::ZERO, Reg::ZERO, Reg::ZERO, 0);
            code.extend(fallthrough);
            let begin = code.len();
            code.extend(body(routine).concat());
            close(&mut code, begin, Reg::T1);
            if routine == Routine::Squeeze {
                code.extend(call(3));
                let begin = code.len();
                code.extend([store(Op::Sd, Reg::A0, 0), add(Reg::A0, Reg::A2)].concat());
                close(&mut code, begin, Reg::T2);
                code.extend(many().concat());
            }
            code.extend(call(5));
            code.extend(leave);
        }
        Self { code, entries }
    }

    /// What engines load.
    pub(super) fn raw(&self) -> Raw {
        let raw = Raw::new(self.code.clone());
        MAP.into_iter().fold(raw, |raw, (start, size, kind)| {
            let content = match kind {
                RegionKind::Ephemeral => Vec::new(),
                _ => (0..CONTENT).map(|i| (i * 7 + i / 256) as u8 | 1).collect(),
            };
            let most = content.len().min(size as usize);
            raw.region(start, size, kind, content[..most].to_vec())
        })
    }

    /// The registers with which a routine is entered.
    pub(super) fn registers(&self, act: &Act) -> [(Reg, u64); 7] {
        let entry = self.entries[act.routine as usize];
        [
            (Reg::T0, entry),
            (Reg::A0, act.at),
            (Reg::A1, act.value),
            (Reg::A2, act.stride),
            (Reg::T1, act.times),
            (Reg::T2, act.value & 63),
            (Reg::A4, act.other),
        ]
    }
}
