//! What each computational instruction gives, from ISA §6 alone and bit by bit where the engine
//! would use an operator, so that a slip in one is not repeated in the other.

use rivet_isa::Op;

fn bit(value: u64, i: u32) -> bool {
    i < 64 && (value >> i) % 2 == 1
}

fn from_bits(f: impl Fn(u32) -> bool) -> u64 {
    (0..64).filter(|i| f(*i)).map(|i| 2u64.pow(i)).sum()
}

/// Sign-extends from bit `top`.
pub(crate) fn extend(value: u64, top: u32) -> u64 {
    from_bits(|i| bit(value, i.min(top)))
}

fn low32(value: u64) -> u64 {
    value % (1 << 32)
}

fn modulo(value: u128) -> u64 {
    (value % (1 << 64)) as u64
}

fn add(a: u64, b: u64) -> u64 {
    modulo(u128::from(a) + u128::from(b))
}

fn negate(a: u64) -> u64 {
    modulo((1 << 64) - u128::from(a))
}

fn less(a: u64, b: u64) -> bool {
    let differing = (0..64).rev().find(|i| bit(a, *i) != bit(b, *i));
    differing.is_some_and(|i| bit(b, i))
}

fn less_signed(a: u64, b: u64) -> bool {
    match (bit(a, 63), bit(b, 63)) {
        (true, false) => true,
        (false, true) => false,
        _ => less(a, b),
    }
}

fn left(a: u64, n: u32) -> u64 {
    from_bits(|i| i >= n && bit(a, i - n))
}

fn right(a: u64, n: u32) -> u64 {
    from_bits(|i| bit(a, i + n))
}

fn right_signed(a: u64, n: u32, top: u32) -> u64 {
    from_bits(|i| bit(a, (i + n).min(top)))
}

fn rotate_right(a: u64, n: u32, width: u32) -> u64 {
    from_bits(|i| i < width && bit(a, (i + n) % width))
}

/// High half of the unsigned product, by halves.
fn high(a: u64, b: u64) -> u64 {
    let (a1, a0, b1, b0) = (a >> 32, low32(a), b >> 32, low32(b));
    let middle = a1 * b0 + ((a0 * b0) >> 32);
    let middle2 = a0 * b1 + low32(middle);
    a1 * b1 + (middle >> 32) + (middle2 >> 32)
}

/// Unsigned quotient and remainder, one bit at a time.
fn divide(a: u64, b: u64) -> (u64, u64) {
    let (mut quotient, mut rest) = (0, 0u128);
    for i in (0..64).rev() {
        rest = rest * 2 + u128::from(bit(a, i));
        if rest >= u128::from(b) {
            rest -= u128::from(b);
            quotient += 2u64.pow(i);
        }
    }
    (quotient, rest as u64)
}

fn divide_signed(a: u64, b: u64) -> (u64, u64) {
    let magnitude = |v| if bit(v, 63) { negate(v) } else { v };
    let (q, r) = divide(magnitude(a), magnitude(b));
    let sign = |v, negative| if negative { negate(v) } else { v };
    (sign(q, bit(a, 63) != bit(b, 63)), sign(r, bit(a, 63)))
}

fn count(value: u64, width: u32) -> u64 {
    (0..width).filter(|i| bit(value, *i)).count() as u64
}

fn trailing(value: u64, width: u32) -> u64 {
    (0..width).take_while(|i| !bit(value, *i)).count() as u64
}

fn leading(value: u64, width: u32) -> u64 {
    (0..width).rev().take_while(|i| !bit(value, *i)).count() as u64
}

fn byte(value: u64, i: u32) -> u64 {
    right(value, 8 * i) % 256
}

fn bytes(f: impl Fn(u32) -> u64) -> u64 {
    (0..8).map(|i| left(f(i), 8 * i)).sum()
}

/// Whether a branch is taken; `None` for what is no branch.
pub(crate) fn taken(op: Op, a: u64, b: u64) -> Option<bool> {
    Some(match op {
        Op::Beq => (0..64).all(|i| bit(a, i) == bit(b, i)),
        Op::Bne => (0..64).any(|i| bit(a, i) != bit(b, i)),
        Op::Blt => less_signed(a, b),
        Op::Bge => !less_signed(a, b),
        Op::Bltu => less(a, b),
        Op::Bgeu => !less(a, b),
        _ => return None,
    })
}

/// Width in bytes and whether a load extends the sign.
pub(crate) fn load(op: Op) -> Option<(u32, bool)> {
    Some(match op {
        Op::Lb => (1, true),
        Op::Lh => (2, true),
        Op::Lw => (4, true),
        Op::Ld => (8, true),
        Op::Lbu => (1, false),
        Op::Lhu => (2, false),
        Op::Lwu => (4, false),
        _ => return None,
    })
}

/// Width of a store in bytes.
pub(crate) fn store(op: Op) -> Option<u32> {
    Some(match op {
        Op::Sb => 1,
        Op::Sh => 2,
        Op::Sw => 4,
        Op::Sd => 8,
        _ => return None,
    })
}

/// Value of a computational instruction: `a` is rs1, `b` is rs2, the sign-extended immediate or
/// the amount. `None` for what does not compute.
pub(crate) fn value(op: Op, a: u64, b: u64) -> Option<u64> {
    value_w(op, a, b).or_else(|| value_x(op, a, b))
}

fn value_w(op: Op, a: u64, b: u64) -> Option<u64> {
    let n = (b % 32) as u32;
    let (a, b) = (low32(a), low32(b));
    let (sa, sb) = (extend(a, 31), extend(b, 31));
    let raw = match op {
        Op::Addw | Op::Addiw => add(a, b),
        Op::Subw => add(a, negate(b)),
        Op::Sllw | Op::Slliw => left(a, n),
        Op::Srlw | Op::Srliw => right(a, n),
        Op::Sraw | Op::Sraiw => right_signed(a, n, 31),
        Op::Rolw => rotate_right(a, (32 - n) % 32, 32),
        Op::Rorw | Op::Roriw => rotate_right(a, n, 32),
        Op::Mulw => modulo(u128::from(a) * u128::from(b)),
        Op::Divw | Op::Divuw if b == 0 => u64::MAX,
        Op::Remw | Op::Remuw if b == 0 => a,
        Op::Divw => divide_signed(sa, sb).0,
        Op::Remw => divide_signed(sa, sb).1,
        Op::Divuw => divide(a, b).0,
        Op::Remuw => divide(a, b).1,
        Op::Clzw => leading(a, 32),
        Op::Ctzw => trailing(a, 32),
        Op::Cpopw => count(a, 32),
        _ => return None,
    };
    Some(extend(raw, 31))
}

fn value_x(op: Op, a: u64, b: u64) -> Option<u64> {
    let n = (b % 64) as u32;
    let ua = low32(a);
    let pick = |take_a: bool| if take_a { a } else { b };
    Some(match op {
        Op::Add | Op::Addi => add(a, b),
        Op::Sub => add(a, negate(b)),
        Op::And | Op::Andi => from_bits(|i| bit(a, i) && bit(b, i)),
        Op::Or | Op::Ori => from_bits(|i| bit(a, i) || bit(b, i)),
        Op::Xor | Op::Xori => from_bits(|i| bit(a, i) != bit(b, i)),
        Op::Andn => from_bits(|i| bit(a, i) && !bit(b, i)),
        Op::Orn => from_bits(|i| bit(a, i) || !bit(b, i)),
        Op::Xnor => from_bits(|i| bit(a, i) == bit(b, i)),
        Op::Sll | Op::Slli => left(a, n),
        Op::Srl | Op::Srli => right(a, n),
        Op::Sra | Op::Srai => right_signed(a, n, 63),
        Op::Slt | Op::Slti => u64::from(less_signed(a, b)),
        Op::Sltu | Op::Sltiu => u64::from(less(a, b)),
        Op::Mul => modulo(u128::from(a) * u128::from(b)),
        Op::Mulhu => high(a, b),
        Op::Mulhsu => add(high(a, b), negate(if bit(a, 63) { b } else { 0 })),
        Op::Mulh => {
            let for_a = negate(if bit(a, 63) { b } else { 0 });
            let for_b = negate(if bit(b, 63) { a } else { 0 });
            add(add(high(a, b), for_a), for_b)
        }
        Op::Div | Op::Divu if b == 0 => u64::MAX,
        Op::Rem | Op::Remu if b == 0 => a,
        Op::Div => divide_signed(a, b).0,
        Op::Rem => divide_signed(a, b).1,
        Op::Divu => divide(a, b).0,
        Op::Remu => divide(a, b).1,
        Op::AddUw => add(b, ua),
        Op::Sh1add => add(b, left(a, 1)),
        Op::Sh2add => add(b, left(a, 2)),
        Op::Sh3add => add(b, left(a, 3)),
        Op::Sh1addUw => add(b, left(ua, 1)),
        Op::Sh2addUw => add(b, left(ua, 2)),
        Op::Sh3addUw => add(b, left(ua, 3)),
        Op::SlliUw => left(ua, n),
        Op::Clz => leading(a, 64),
        Op::Ctz => trailing(a, 64),
        Op::Cpop => count(a, 64),
        Op::Max => pick(less_signed(b, a)),
        Op::Maxu => pick(less(b, a)),
        Op::Min => pick(less_signed(a, b)),
        Op::Minu => pick(less(a, b)),
        Op::SextB => extend(a, 7),
        Op::SextH => extend(a, 15),
        Op::ZextH => a % 65536,
        Op::Rol => rotate_right(a, (64 - n) % 64, 64),
        Op::Ror | Op::Rori => rotate_right(a, n, 64),
        Op::OrcB => bytes(|i| if byte(a, i) == 0 { 0 } else { 255 }),
        Op::Rev8 => bytes(|i| byte(a, 7 - i)),
        Op::Bclr | Op::Bclri => from_bits(|i| i != n && bit(a, i)),
        Op::Bset | Op::Bseti => from_bits(|i| i == n || bit(a, i)),
        Op::Binv | Op::Binvi => from_bits(|i| (i == n) != bit(a, i)),
        Op::Bext | Op::Bexti => u64::from(bit(a, n)),
        Op::CzeroEqz => {
            if b == 0 {
                0
            } else {
                a
            }
        }
        Op::CzeroNez => {
            if b != 0 {
                0
            } else {
                a
            }
        }
        _ => return None,
    })
}
