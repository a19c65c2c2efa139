//! Multiplication and division (ISA §6.10).
//!
//! `mul` instructions that need rax, and all divisions, put the guest register that lives there
//! aside in the context. Divisions branch around the two cases in which the hardware would trap.

use rivet_isa::{Inst, Op, R, VisitM};
use rivet_mutants::mutant;

use super::{Lower, Lowering, Targets};
use crate::abi::hosts;
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
        self.this.word([o.rd, o.rs1, o.rs2], |asm, d, a, b| {
            low(asm, Width::W32, d, a, b)
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
            if mutant!(JitMulhsuSign, true, false) {
                asm.alu(Width::W64, Alu::Sub, Host::RDX, b);
            }
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
            let results = match part {
                Part::Quotient => Results {
                    quotient: Some(d),
                    remainder: None,
                },
                Part::Remainder => Results {
                    quotient: None,
                    remainder: Some(d),
                },
            };
            divide(asm, width, sign, results, [a, b]);
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
    let swap = mutant!(JitMulhRax, b == Host::RAX, false);
    let (a, b) = if swap { (b, a) } else { (a, b) };
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

/// `div q, a, b; rem r, a, b` of one width and sign: one division. Says whether it is that.
pub(super) fn quotient_and_remainder(this: &mut Lowering, div: Inst, rem: Inst) -> bool {
    let (width, sign) = match (div.op(), rem.op()) {
        (Op::Div, Op::Rem) => (Width::W64, Sign::Signed),
        (Op::Divu, Op::Remu) => (Width::W64, Sign::Unsigned),
        (Op::Divw, Op::Remw) => (Width::W32, Sign::Signed),
        (Op::Divuw, Op::Remuw) => (Width::W32, Sign::Unsigned),
        _ => return false,
    };
    let (q, r) = (div.rd(), rem.rd());
    let same = (div.rs1(), div.rs2()) == (rem.rs1(), rem.rs2());
    if !same || q == r || q == div.rs1() || q == div.rs2() {
        return false;
    }
    let Some([q, r, a, b]) = hosts([q, r, div.rs1(), div.rs2()]) else {
        return false;
    };
    divide(
        &mut this.asm,
        width,
        sign,
        Results {
            quotient: Some(q),
            remainder: Some(r),
        },
        [a, b],
    );
    true
}

/// Where the parts of a division go; at least one is wanted, and they differ.
#[derive(Clone, Copy)]
struct Results {
    quotient: Option<Host>,
    remainder: Option<Host>,
}

impl Results {
    fn contains(self, host: Host) -> bool {
        self.quotient == Some(host) || self.remainder == Some(host)
    }
}

/// Division with the special cases of ISA §6.10.
///
/// ```text
///   divisor 0    quotient all ones     remainder = dividend
///   divisor −1   quotient −dividend    remainder 0            (signed; covers the overflow)
/// ```
///
/// If both parts are wanted, the quotient's register is neither operand.
fn divide(asm: &mut Asm, width: Width, sign: Sign, results: Results, [a, b]: [Host; 2]) {
    asm.test(width, b, b);
    let by_zero = asm.jump_short(Cond::Equal);
    let by_minus_one = (sign == Sign::Signed).then(|| {
        asm.alu_imm(width, Alu::Cmp, b, -1);
        asm.jump_short(Cond::Equal)
    });

    hardware_divide(asm, width, sign, results, [a, b]);
    let mut done: [Option<Rel8>; 2] = [Some(asm.jump_short_always()), None];

    if let Some(minus_one) = by_minus_one {
        asm.bind_short(minus_one);
        if let Some(q) = results.quotient {
            asm.mov(Width::W64, q, a);
            if mutant!(JitDivideOverflow, true, false) {
                asm.unary(width, F7::Neg, q);
            }
            if width == Width::W32 {
                asm.movsxd(q, q);
            }
        }
        if let Some(r) = results.remainder {
            asm.zero(r);
        }
        done[1] = Some(asm.jump_short_always());
    }

    asm.bind_short(by_zero);
    if let Some(q) = results.quotient {
        asm.mov_imm(q, u64::MAX);
    }
    if let Some(r) = results.remainder {
        let width = mutant!(JitRemainderUpper, width, Width::W64);
        extend(asm, width, r, a);
    }
    done.into_iter()
        .flatten()
        .for_each(|hole| asm.bind_short(hole));
}

/// `d = a`, sign-extended from the width.
fn extend(asm: &mut Asm, width: Width, d: Host, a: Host) {
    match width {
        Width::W64 => asm.mov(Width::W64, d, a),
        Width::W32 => asm.movsxd(d, a),
    }
}

/// The hardware's division, for a divisor it accepts.
fn hardware_divide(asm: &mut Asm, width: Width, sign: Sign, results: Results, [a, b]: [Host; 2]) {
    let restored = !results.contains(Host::RAX);
    if restored || b == Host::RAX {
        asm.store_context(RAX_ASIDE, Host::RAX);
    }
    asm.mov(Width::W64, Host::RAX, a);
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
    // The quotient leaves rax first: the remainder may be wanted there.
    if let Some(q) = results.quotient {
        extend(asm, width, q, Host::RAX);
    }
    if let Some(r) = results.remainder {
        extend(asm, width, r, Host::RDX);
    }
    if restored {
        asm.load_context(Host::RAX, RAX_ASIDE);
    }
}
