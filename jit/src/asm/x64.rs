//! Register forms of the x86-64 instructions that lowering uses, in their shortest encoding.

use super::buffer::CodeBuffer;

/// A host register by its x86 number, 0 (rax) to 15 (r15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Host(pub(crate) u8);

impl From<Host> for u8 {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl Host {
    pub(crate) const RAX: Self = Self(0);
    pub(crate) const RCX: Self = Self(1);
    pub(crate) const RDX: Self = Self(2);
    pub(crate) const RBX: Self = Self(3);
    pub(crate) const RBP: Self = Self(5);
    pub(crate) const RSI: Self = Self(6);
    pub(crate) const RDI: Self = Self(7);
    pub(crate) const R8: Self = Self(8);
    pub(crate) const R9: Self = Self(9);
    pub(crate) const R10: Self = Self(10);
    pub(crate) const R11: Self = Self(11);
    pub(crate) const R12: Self = Self(12);
    pub(crate) const R13: Self = Self(13);
    pub(crate) const R14: Self = Self(14);
    pub(crate) const R15: Self = Self(15);

    /// The low three bits, which go into ModRM and SIB.
    #[inline(always)]
    pub(super) const fn low(self) -> u64 {
        (self.0 & 7) as u64
    }

    /// The high bit, which goes into the REX or VEX prefix.
    #[inline(always)]
    pub(super) const fn high(self) -> u64 {
        (self.0 >> 3) as u64
    }
}

/// Operand width of an arithmetic instruction; 32-bit forms clear the upper half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    W32 = 0,
    W64 = 1,
}

/// Two-operand arithmetic of opcode group 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Condition codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cond {
    Below = 2,
    AboveEqual = 3,
    Equal = 4,
    NotEqual = 5,
    Sign = 8,
    NotSign = 9,
    Less = 12,
    GreaterEqual = 13,
    LessEqual = 14,
    Greater = 15,
}

/// Shifts by a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shift {
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// Rotations by cl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rotate {
    Left = 0,
    Right = 1,
}

/// BMI2 shifts by a register; the value is the mandatory prefix in VEX form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ShiftX {
    Shl = 1,
    Sar = 2,
    Shr = 3,
}

/// One-operand arithmetic of opcode F7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum F7 {
    Not = 2,
    Neg = 3,
    Imul = 5,
    Div = 6,
    Idiv = 7,
}

/// Bit counts; the value is the second opcode byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Count {
    Ones = 0xB8,
    TrailingZeros = 0xBC,
    LeadingZeros = 0xBD,
}

/// Single-bit operations; the value is the immediate form's opcode extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BitOp {
    Test = 4,
    Set = 5,
    Reset = 6,
    Complement = 7,
}

/// The verbs of the assembler over its buffer.
#[derive(Debug, Default)]
pub(crate) struct Asm {
    pub(crate) code: CodeBuffer,
}

/// Bytes of one instruction being put together, lowest address first.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    bits: u64,
    len: u32,
}

impl Bytes {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self { bits: 0, len: 0 }
    }

    #[inline(always)]
    pub(super) const fn byte(self, byte: u64) -> Self {
        Self {
            bits: self.bits | (byte << (8 * self.len)),
            len: self.len + 1,
        }
    }

    /// A REX prefix, left out when it says nothing and `forced` is false.
    #[inline(always)]
    pub(super) const fn rex(
        self,
        width: Width,
        reg: u64,
        index: u64,
        base: u64,
        forced: bool,
    ) -> Self {
        let rex = 0x40 | ((width as u64) << 3) | (reg << 2) | (index << 1) | base;
        if rex != 0x40 || forced {
            self.byte(rex)
        } else {
            self
        }
    }

    #[inline(always)]
    pub(super) const fn registers(self, reg: u64, rm: u64) -> Self {
        self.byte(0xC0 | (reg << 3) | rm)
    }
}

impl Asm {
    #[inline(always)]
    pub(super) fn put(&mut self, bytes: Bytes) {
        self.code.put(bytes.bits, bytes.len as usize);
    }

    #[inline(always)]
    fn imm32(&mut self, value: i32) {
        self.code.put(value as u32 as u64, 4);
    }

    /// `opcode reg, rm` with a one-byte opcode and both operands in registers.
    #[inline(always)]
    fn op_rr(&mut self, width: Width, opcode: u64, reg: Host, rm: Host) {
        let bytes = Bytes::new()
            .rex(width, reg.high(), 0, rm.high(), false)
            .byte(opcode);
        self.put(bytes.registers(reg.low(), rm.low()));
    }

    /// `0F opcode reg, rm`.
    #[inline(always)]
    fn op_0f_rr(&mut self, width: Width, opcode: u64, reg: Host, rm: Host) {
        let bytes = Bytes::new()
            .rex(width, reg.high(), 0, rm.high(), false)
            .byte(0x0F)
            .byte(opcode);
        self.put(bytes.registers(reg.low(), rm.low()));
    }

    /// `opcode /digit rm`.
    #[inline(always)]
    fn op_digit(&mut self, width: Width, opcode: u64, digit: u64, rm: Host) {
        let bytes = Bytes::new().rex(width, 0, 0, rm.high(), false).byte(opcode);
        self.put(bytes.registers(digit, rm.low()));
    }

    /// A three-byte VEX prefix, opcode and register operands.
    #[inline(always)]
    fn vex(&mut self, map: u64, prefix: u64, width: Width, opcode: u64, ops: [Host; 3]) {
        let [reg, extra, rm] = ops;
        let second = ((reg.high() ^ 1) << 7) | 0x40 | ((rm.high() ^ 1) << 5) | map;
        let third = ((width as u64) << 7) | ((u64::from(extra.0) ^ 15) << 3) | prefix;
        let bytes = Bytes::new()
            .byte(0xC4)
            .byte(second)
            .byte(third)
            .byte(opcode);
        self.put(bytes.registers(reg.low(), rm.low()));
    }

    /// `op dst, src`.
    #[inline(always)]
    pub(crate) fn alu(&mut self, width: Width, op: Alu, dst: Host, src: Host) {
        self.op_rr(width, ((op as u64) << 3) | 1, src, dst);
    }

    /// `op dst, imm`.
    #[inline(always)]
    pub(crate) fn alu_imm(&mut self, width: Width, op: Alu, dst: Host, imm: i32) {
        if let Ok(short) = i8::try_from(imm) {
            let bytes = Bytes::new().rex(width, 0, 0, dst.high(), false).byte(0x83);
            self.put(
                bytes
                    .registers(op as u64, dst.low())
                    .byte(u64::from(short as u8)),
            );
        } else {
            self.op_digit(width, 0x81, op as u64, dst);
            self.imm32(imm);
        }
    }

    /// `test a, b`.
    #[inline(always)]
    pub(crate) fn test(&mut self, width: Width, a: Host, b: Host) {
        self.op_rr(width, 0x85, b, a);
    }

    /// `mov dst, src`, nothing if they are one register and the width is 64.
    #[inline(always)]
    pub(crate) fn mov(&mut self, width: Width, dst: Host, src: Host) {
        if dst != src || width == Width::W32 {
            self.op_rr(width, 0x89, src, dst);
        }
    }

    /// `mov dst, value` in the shortest form that leaves the flags alone.
    #[inline(always)]
    pub(crate) fn mov_imm(&mut self, dst: Host, value: u64) {
        if let Ok(small) = u32::try_from(value) {
            self.put(
                Bytes::new()
                    .rex(Width::W32, 0, 0, dst.high(), false)
                    .byte(0xB8 | dst.low()),
            );
            self.code.put(u64::from(small), 4);
        } else if let Ok(signed) = i32::try_from(value as i64) {
            self.op_digit(Width::W64, 0xC7, 0, dst);
            self.imm32(signed);
        } else {
            self.put(
                Bytes::new()
                    .rex(Width::W64, 0, 0, dst.high(), false)
                    .byte(0xB8 | dst.low()),
            );
            self.code.put(value, 8);
        }
    }

    /// Clears `dst` and the flags.
    #[inline(always)]
    pub(crate) fn zero(&mut self, dst: Host) {
        self.alu(Width::W32, Alu::Xor, dst, dst);
    }

    /// `lea dst, [base + disp]`; with width 32 the sum is cut to 32 bits and zero-extended.
    #[inline(always)]
    pub(crate) fn lea(&mut self, width: Width, dst: Host, base: Host, disp: i32) {
        let bytes = Bytes::new()
            .rex(width, dst.high(), 0, base.high(), false)
            .byte(0x8D);
        let (bytes, tail) = bytes.address(dst.low(), base, disp);
        self.put(bytes);
        self.code.put(disp as u32 as u64, tail);
    }

    /// `lea dst, [base + (index << scale)]`.
    #[inline(always)]
    pub(crate) fn lea_index(
        &mut self,
        width: Width,
        dst: Host,
        base: Host,
        index: Host,
        scale: u8,
    ) {
        let bytes = Bytes::new()
            .rex(width, dst.high(), index.high(), base.high(), false)
            .byte(0x8D);
        let sib = (u64::from(scale) << 6) | (index.low() << 3) | base.low();
        // With rbp or r13 as base, the form without displacement means something else.
        if base.low() == 5 {
            self.put(bytes.byte(0x44 | (dst.low() << 3)).byte(sib).byte(0));
        } else {
            self.put(bytes.byte(0x04 | (dst.low() << 3)).byte(sib));
        }
    }

    /// Shift of `dst` by a constant below the width.
    #[inline(always)]
    pub(crate) fn shift_imm(&mut self, width: Width, op: Shift, dst: Host, amount: u8) {
        if amount == 1 {
            return self.op_digit(width, 0xD1, op as u64, dst);
        }
        let bytes = Bytes::new().rex(width, 0, 0, dst.high(), false).byte(0xC1);
        self.put(
            bytes
                .registers(op as u64, dst.low())
                .byte(u64::from(amount)),
        );
    }

    /// `dst = src shifted by count`, the count masked by the hardware to the width.
    #[inline(always)]
    pub(crate) fn shift_by(&mut self, width: Width, op: ShiftX, dst: Host, src: Host, count: Host) {
        self.vex(2, op as u64, width, 0xF7, [dst, count, src]);
    }

    /// Rotation of `dst` by cl, which the hardware masks to the width.
    #[inline(always)]
    pub(crate) fn rotate(&mut self, width: Width, op: Rotate, dst: Host) {
        self.op_digit(width, 0xD3, op as u64, dst);
    }

    /// `dst = src rotated right by amount`, flags untouched.
    #[inline(always)]
    pub(crate) fn rorx(&mut self, width: Width, dst: Host, src: Host, amount: u8) {
        self.vex(3, 3, width, 0xF0, [dst, Host::RAX, src]);
        self.code.put(u64::from(amount), 1);
    }

    /// `dst = src & !inverted`.
    #[inline(always)]
    pub(crate) fn andn(&mut self, dst: Host, inverted: Host, src: Host) {
        self.vex(2, 0, Width::W64, 0xF2, [dst, inverted, src]);
    }

    /// `high:low = rdx * src`, unsigned; if both are one register it gets the high half.
    #[inline(always)]
    pub(crate) fn mulx(&mut self, high: Host, low: Host, src: Host) {
        self.vex(2, 3, Width::W64, 0xF6, [high, low, src]);
    }

    /// `dst *= src`, low half.
    #[inline(always)]
    pub(crate) fn imul(&mut self, width: Width, dst: Host, src: Host) {
        self.op_0f_rr(width, 0xAF, dst, src);
    }

    /// One-operand arithmetic.
    #[inline(always)]
    pub(crate) fn unary(&mut self, width: Width, op: F7, rm: Host) {
        self.op_digit(width, 0xF7, op as u64, rm);
    }

    /// `dst = zero-extended low byte of src`.
    #[inline(always)]
    pub(crate) fn movzx8(&mut self, dst: Host, src: Host) {
        let forced = src.0 >= 4;
        let bytes = Bytes::new().rex(Width::W32, dst.high(), 0, src.high(), forced);
        self.put(bytes.byte(0x0F).byte(0xB6).registers(dst.low(), src.low()));
    }

    /// `dst = zero-extended low 16 bits of src`.
    #[inline(always)]
    pub(crate) fn movzx16(&mut self, dst: Host, src: Host) {
        self.op_0f_rr(Width::W32, 0xB7, dst, src);
    }

    /// `dst = sign-extended low byte of src`.
    #[inline(always)]
    pub(crate) fn movsx8(&mut self, dst: Host, src: Host) {
        self.op_0f_rr(Width::W64, 0xBE, dst, src);
    }

    /// `dst = sign-extended low 16 bits of src`.
    #[inline(always)]
    pub(crate) fn movsx16(&mut self, dst: Host, src: Host) {
        self.op_0f_rr(Width::W64, 0xBF, dst, src);
    }

    /// `dst = sign-extended low 32 bits of src`.
    #[inline(always)]
    pub(crate) fn movsxd(&mut self, dst: Host, src: Host) {
        self.op_rr(Width::W64, 0x63, dst, src);
    }

    /// Low byte of `dst` = 1 if the condition holds, else 0; the rest keeps its value.
    #[inline(always)]
    pub(crate) fn set(&mut self, cond: Cond, dst: Host) {
        let bytes = Bytes::new().rex(Width::W32, 0, 0, dst.high(), dst.0 >= 4);
        self.put(
            bytes
                .byte(0x0F)
                .byte(0x90 | cond as u64)
                .registers(0, dst.low()),
        );
    }

    /// `if cond { dst = src }`.
    #[inline(always)]
    pub(crate) fn cmov(&mut self, cond: Cond, dst: Host, src: Host) {
        self.op_0f_rr(Width::W64, 0x40 | cond as u64, dst, src);
    }

    /// `dst = count(src)`.
    #[inline(always)]
    pub(crate) fn count(&mut self, width: Width, op: Count, dst: Host, src: Host) {
        self.code.put(0xF3, 1);
        self.op_0f_rr(width, op as u64, dst, src);
    }

    /// Reverses the bytes of `dst`.
    #[inline(always)]
    pub(crate) fn bswap(&mut self, dst: Host) {
        let bytes = Bytes::new()
            .rex(Width::W64, 0, 0, dst.high(), false)
            .byte(0x0F);
        self.put(bytes.byte(0xC8 | dst.low()));
    }

    /// Bit operation on the bit of `dst` that `index` names modulo 64; carry is its old value.
    #[inline(always)]
    pub(crate) fn bit(&mut self, op: BitOp, dst: Host, index: Host) {
        self.op_0f_rr(Width::W64, 0x83 | ((op as u64) << 3), index, dst);
    }

    /// Bit operation on bit `index` of `dst`; carry is its old value.
    #[inline(always)]
    pub(crate) fn bit_imm(&mut self, op: BitOp, dst: Host, index: u8) {
        let bytes = Bytes::new()
            .rex(Width::W64, 0, 0, dst.high(), false)
            .byte(0x0F)
            .byte(0xBA);
        self.put(bytes.registers(op as u64, dst.low()).byte(u64::from(index)));
    }

    /// Sign of rax (or eax) into rdx (or edx).
    #[inline(always)]
    pub(crate) fn sign_into_rdx(&mut self, width: Width) {
        self.put(Bytes::new().rex(width, 0, 0, 0, false).byte(0x99));
    }
}
