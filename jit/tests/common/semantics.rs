//! The semantics of computational instructions (ISA §6), written down once more in 128-bit
//! arithmetic, and values that show differences.

use rivet_isa::{CODE_BASE, Op, Regs};

/// Values at which arithmetic changes its behaviour.
pub(crate) const EDGES: [u64; 14] = [
    0,
    1,
    2,
    u64::MAX,
    1 << 63,
    (1 << 63) - 1,
    (1 << 63) + 1,
    0xFFFF_FFFF_8000_0000,
    0x8000_0000,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x0123_4567_89AB_CDEF,
    0xFEDC_BA98_0000_0080,
    0x5_0000_0000,
];

fn sx32(value: u64) -> u64 {
    i64::from(value as i32) as u64
}

fn orc_b(a: u64) -> u64 {
    u64::from_le_bytes(a.to_le_bytes().map(|byte| if byte == 0 { 0 } else { 0xFF }))
}

/// Quotient and remainder of the division rules of ISA §6.10 for operands of `bits` bits.
fn divide(a: i128, b: i128, all_ones: u64) -> (u64, u64) {
    if b == 0 {
        (all_ones, a as u64)
    } else {
        ((a / b) as u64, (a % b) as u64)
    }
}

/// What the instruction computes from its two sources; immediates come in `b`.
pub(crate) fn expected(op: Op, a: u64, b: u64, pc: u64) -> u64 {
    let (sa, sb) = (a as i64, b as i64);
    let (wa, wb) = (a as u32, b as u32);
    let (swa, swb) = (wa as i32, wb as i32);
    let n = (b & 63) as u32;
    let m = (b & 31) as u32;
    let ones = u64::MAX;
    match op {
        Op::Lui => sx32(b),
        Op::Auipc => CODE_BASE.wrapping_add(pc).wrapping_add(sx32(b)),
        Op::Add | Op::Addi => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::And | Op::Andi => a & b,
        Op::Or | Op::Ori => a | b,
        Op::Xor | Op::Xori => a ^ b,
        Op::Slt | Op::Slti => u64::from(sa < sb),
        Op::Sltu | Op::Sltiu => u64::from(a < b),
        Op::Sll | Op::Slli => a << n,
        Op::Srl | Op::Srli => a >> n,
        Op::Sra | Op::Srai => (sa >> n) as u64,
        Op::Addw | Op::Addiw => sx32(a.wrapping_add(b)),
        Op::Subw => sx32(a.wrapping_sub(b)),
        Op::Sllw | Op::Slliw => sx32(u64::from(wa << m)),
        Op::Srlw | Op::Srliw => sx32(u64::from(wa >> m)),
        Op::Sraw | Op::Sraiw => i64::from(swa >> m) as u64,
        Op::Mul => (u128::from(a) * u128::from(b)) as u64,
        Op::Mulh => ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
        Op::Mulhsu => ((i128::from(sa) * i128::from(b)) >> 64) as u64,
        Op::Mulhu => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        Op::Mulw => sx32(u64::from(wa.wrapping_mul(wb))),
        Op::Div => divide(i128::from(sa), i128::from(sb), ones).0,
        Op::Rem => divide(i128::from(sa), i128::from(sb), ones).1,
        Op::Divu => divide(i128::from(a), i128::from(b), ones).0,
        Op::Remu => divide(i128::from(a), i128::from(b), ones).1,
        Op::Divw => sx32(divide(i128::from(swa), i128::from(swb), ones).0),
        Op::Remw => sx32(divide(i128::from(swa), i128::from(swb), ones).1),
        Op::Divuw => sx32(divide(i128::from(wa), i128::from(wb), ones).0),
        Op::Remuw => sx32(divide(i128::from(wa), i128::from(wb), ones).1),
        Op::AddUw => b.wrapping_add(u64::from(wa)),
        Op::Sh1add => b.wrapping_add(a << 1),
        Op::Sh2add => b.wrapping_add(a << 2),
        Op::Sh3add => b.wrapping_add(a << 3),
        Op::Sh1addUw => b.wrapping_add(u64::from(wa) << 1),
        Op::Sh2addUw => b.wrapping_add(u64::from(wa) << 2),
        Op::Sh3addUw => b.wrapping_add(u64::from(wa) << 3),
        Op::SlliUw => u64::from(wa) << n,
        Op::Andn => a & !b,
        Op::Orn => a | !b,
        Op::Xnor => !(a ^ b),
        Op::Clz => u64::from(a.leading_zeros()),
        Op::Ctz => u64::from(a.trailing_zeros()),
        Op::Cpop => u64::from(a.count_ones()),
        Op::Clzw => u64::from(wa.leading_zeros()),
        Op::Ctzw => u64::from(wa.trailing_zeros()),
        Op::Cpopw => u64::from(wa.count_ones()),
        Op::Max => sa.max(sb) as u64,
        Op::Maxu => a.max(b),
        Op::Min => sa.min(sb) as u64,
        Op::Minu => a.min(b),
        Op::SextB => i64::from(a as i8) as u64,
        Op::SextH => i64::from(a as i16) as u64,
        Op::ZextH => u64::from(a as u16),
        Op::Rol => a.rotate_left(n),
        Op::Ror | Op::Rori => a.rotate_right(n),
        Op::Rolw => sx32(u64::from(wa.rotate_left(m))),
        Op::Rorw | Op::Roriw => sx32(u64::from(wa.rotate_right(m))),
        Op::OrcB => orc_b(a),
        Op::Rev8 => a.swap_bytes(),
        Op::Bclr | Op::Bclri => a & !(1 << n),
        Op::Bext | Op::Bexti => (a >> n) & 1,
        Op::Binv | Op::Binvi => a ^ (1 << n),
        Op::Bset | Op::Bseti => a | (1 << n),
        Op::CzeroEqz => {
            if b == 0 {
                0
            } else {
                a
            }
        }
        Op::CzeroNez => {
            if b == 0 {
                a
            } else {
                0
            }
        }
        other => panic!("{other:?} computes nothing"),
    }
}

/// A register file in which every slot has a value of its own, upper half included.
pub(crate) fn background() -> Regs {
    Regs::new(core::array::from_fn(|slot| {
        0xA5A5_0000_0000_0000 + (slot as u64 + 1) * 0x1_0001_0101
    }))
}
