//! Multiplication and division (ISA §6.10).
//!
//! `mul` instructions that need rax, and all divisions, put the guest register that lives there
//! aside in the context. Divisions branch around the two cases in which the hardware would trap.

use rivet_isa::{R, VisitM};

use super::{Lower, Targets};
use crate::asm::{Alu, Asm, Cond, F7, Host, Rel8, Width};
use crate::context::aside_field;

/// Where rax waits; the loans of `borrow.rs` use the entries below.
const RAX_ASIDE: i32 = aside_field(3);

/// Which half of a division is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Quotient,
    Remainder,
}

/// How operands are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
}

impl<T: Targets> VisitM for Lower<'_, T> {
    fn mul(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            low(asm, Width::W64, d, a, b)
        });
    }

    fn mulw(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            low(asm, Width::W32, d, a, b);
            asm.movsxd(d, d);
        });
    }

    fn mulhu(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            asm.mov(Width::W64, Host::RDX, a);
            asm.mulx(d, d, b);
        });
    }

    fn mulh(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], signed_high);
    }

    fn mulhsu(&mut self, o: R) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            // With a read as unsigned, the product is too large by 2^64 · b if a is negative.
            asm.mov(Width::W64, Host::RDX, a);
            asm.mulx(Host::RDX, Host::RDX, b);
            asm.test(Width::W64, a, a);
            let positive = asm.jump_short(Cond::NotSign);
            asm.alu(Width::W64, Alu::Sub, Host::RDX, b);
            asm.bind_short(positive);
            asm.mov(Width::W64, d, Host::RDX);
        });
    }

    fn div(&mut self, o: R) {
        self.divide(o, Width::W64, Sign::Signed, Part::Quotient);
    }

    fn divu(&mut self, o: R) {
        self.divide(o, Width::W64, Sign::Unsigned, Part::Quotient);
    }

    fn rem(&mut self, o: R) {
        self.divide(o, Width::W64, Sign::Signed, Part::Remainder);
    }

    fn remu(&mut self, o: R) {
        self.divide(o, Width::W64, Sign::Unsigned, Part::Remainder);
    }

    fn divw(&mut self, o: R) {
        self.divide(o, Width::W32, Sign::Signed, Part::Quotient);
    }

    fn divuw(&mut self, o: R) {
        self.divide(o, Width::W32, Sign::Unsigned, Part::Quotient);
    }

    fn remw(&mut self, o: R) {
        self.divide(o, Width::W32, Sign::Signed, Part::Remainder);
    }

    fn remuw(&mut self, o: R) {
        self.divide(o, Width::W32, Sign::Unsigned, Part::Remainder);
    }
}

impl<T> Lower<'_, T> {
    fn divide(&mut self, o: R, width: Width, sign: Sign, part: Part) {
        self.this.three([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            divide(asm, width, sign, part, [d, a, b]);
        });
    }
}

/// Low half of the product.
fn low(asm: &mut Asm, width: Width, d: Host, a: Host, b: Host) {
    if d == b {
        asm.imul(width, d, a);
    } else {
        if d != a {
            asm.mov(Width::W64, d, a);
        }
        asm.imul(width, d, b);
    }
}

/// High half of the signed product.
fn signed_high(asm: &mut Asm, d: Host, a: Host, b: Host) {
    // The factors commute; rax, if it is one of them, comes first.
    let (a, b) = if b == Host::RAX { (b, a) } else { (a, b) };
    if d != Host::RAX {
        asm.store_context(RAX_ASIDE, Host::RAX);
    }
    asm.mov(Width::W64, Host::RAX, a);
    asm.unary(Width::W64, F7::Imul, b);
    if d != Host::RAX {
        asm.load_context(Host::RAX, RAX_ASIDE);
    }
    asm.mov(Width::W64, d, Host::RDX);
}

/// Quotient or remainder with the special cases of ISA §6.10.
///
/// ```text
///   divisor 0    quotient all ones     remainder = dividend
///   divisor −1   quotient −dividend    remainder 0            (signed; covers the overflow)
/// ```
fn divide(asm: &mut Asm, width: Width, sign: Sign, part: Part, [d, a, b]: [Host; 3]) {
    asm.test(width, b, b);
    let by_zero = asm.jump_short(Cond::Equal);
    let by_minus_one = (sign == Sign::Signed).then(|| {
        asm.alu_imm(width, Alu::Cmp, b, -1);
        asm.jump_short(Cond::Equal)
    });

    hardware_divide(asm, width, sign, part, [d, a, b]);
    let mut done: [Option<Rel8>; 2] = [Some(asm.jump_short_always()), None];

    if let Some(minus_one) = by_minus_one {
        asm.bind_short(minus_one);
        match part {
            Part::Quotient => {
                asm.mov(Width::W64, d, a);
                asm.unary(width, F7::Neg, d);
                if width == Width::W32 {
                    asm.movsxd(d, d);
                }
            }
            Part::Remainder => asm.zero(d),
        }
        done[1] = Some(asm.jump_short_always());
    }

    asm.bind_short(by_zero);
    match (part, width) {
        (Part::Quotient, _) => asm.mov_imm(d, u64::MAX),
        (Part::Remainder, Width::W64) => asm.mov(Width::W64, d, a),
        (Part::Remainder, Width::W32) => asm.movsxd(d, a),
    }
    done.into_iter()
        .flatten()
        .for_each(|hole| asm.bind_short(hole));
}

/// The hardware's division, for a divisor it accepts.
fn hardware_divide(asm: &mut Asm, width: Width, sign: Sign, part: Part, [d, a, b]: [Host; 3]) {
    let saved = d != Host::RAX || b == Host::RAX;
    if saved {
        asm.store_context(RAX_ASIDE, Host::RAX);
    }
    if a != Host::RAX {
        asm.mov(Width::W64, Host::RAX, a);
    }
    let op = match sign {
        Sign::Signed => {
            asm.sign_into_rdx(width);
            F7::Idiv
        }
        Sign::Unsigned => {
            asm.zero(Host::RDX);
            F7::Div
        }
    };
    if b == Host::RAX {
        asm.unary_context(width, op, RAX_ASIDE);
    } else {
        asm.unary(width, op, b);
    }
    let result = if part == Part::Quotient {
        Host::RAX
    } else {
        Host::RDX
    };
    match width {
        Width::W64 => asm.mov(Width::W64, d, result),
        Width::W32 => asm.movsxd(d, result),
    }
    if d != Host::RAX {
        asm.load_context(Host::RAX, RAX_ASIDE);
    }
}
