//! The only two ways to reach memory through GS.
//!
//! ```text
//!   gs base − size_of(Context) … gs base        the context: `gs:[disp32]`, 64-bit address
//!   gs base … gs base + 2^32                    the guest:   `gs:[r32 + disp]` or
//!                                               `gs:[r32 + r32·2ⁿ + disp]`, 32-bit address
//! ```
//!
//! Every guest access carries the address-size prefix, so its effective address is cut to 32
//! bits before the base is added: that is the alias rule of ISA §4, and the reason why no
//! address a guest can form reaches the context.

use dynasmrt::{DynasmApi as _, dynasm};

use super::x64::{Alu, Asm, Bytes, F7, Host, Width};

/// Loads of guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    S8,
    S16,
    S32,
    U8,
    U16,
    U32,
    U64,
}

/// Stores to guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    B8,
    B16,
    B32,
    B64,
}

const GS: u64 = 0x65;
const ADDRESS_SIZE: u64 = 0x67;
const OPERAND_SIZE: u64 = 0x66;

/// The mode bits of ModRM for a displacement, and how many bytes of it follow.
#[inline(always)]
fn displacement_mode(base: Host, disp: i32) -> (u64, usize) {
    // rbp and r13 have no form without displacement.
    if disp == 0 && base.low() != 5 {
        (0x00, 0)
    } else if i8::try_from(disp).is_ok() {
        (0x40, 1)
    } else {
        (0x80, 4)
    }
}

impl Bytes {
    /// ModRM (and SIB) of `[base + disp]`, and how many displacement bytes follow.
    #[inline(always)]
    pub(super) fn address(self, reg: u64, base: Host, disp: i32) -> (Self, usize) {
        let (mode, tail) = displacement_mode(base, disp);
        let bytes = self.byte(mode | (reg << 3) | base.low());
        // rsp and r12 as base need a SIB byte.
        (
            if base.low() == 4 {
                bytes.byte(0x24)
            } else {
                bytes
            },
            tail,
        )
    }
}

impl Asm {
    /// A guest access with the operand `gs:[base32 + disp]`: prefixes, `opcode`, operand.
    #[inline(always)]
    fn guest(&mut self, prefix: Bytes, opcode: Opcode, reg: u64, base: Host, disp: i32) {
        let Opcode {
            width,
            two,
            byte,
            forced,
        } = opcode;
        let bytes = prefix.rex(width, reg >> 3, 0, base.high(), forced);
        let bytes = if two { bytes.byte(0x0F) } else { bytes };
        let (bytes, tail) = bytes.byte(byte).address(reg & 7, base, disp);
        self.put(bytes);
        self.code.put(disp as u32 as u64, tail);
    }

    /// `dst = guest[base + disp]`.
    #[inline(always)]
    pub(crate) fn load(&mut self, kind: Load, dst: Host, base: Host, disp: i32) {
        let prefix = Bytes::new().byte(GS).byte(ADDRESS_SIZE);
        self.guest(prefix, Opcode::of_load(kind), u64::from(dst.0), base, disp);
    }

    /// `dst = guest[base + (index << scale) + disp]`, the sum cut to 32 bits like any other.
    pub(crate) fn load_indexed(&mut self, kind: Load, dst: Host, at: Indexed) {
        let Indexed {
            base,
            index,
            scale,
            disp,
        } = at;
        let Opcode {
            width, two, byte, ..
        } = Opcode::of_load(kind);
        let bytes = Bytes::new().byte(GS).byte(ADDRESS_SIZE);
        let bytes = bytes.rex(width, dst.high(), index.high(), base.high(), false);
        let bytes = if two { bytes.byte(0x0F) } else { bytes };
        let (mode, tail) = displacement_mode(base, disp);
        let sib = (u64::from(scale) << 6) | (index.low() << 3) | base.low();
        self.put(bytes.byte(byte).byte(mode | (dst.low() << 3) | 4).byte(sib));
        self.code.put(disp as u32 as u64, tail);
    }

    /// `guest[base + disp] = src`.
    #[inline(always)]
    pub(crate) fn store(&mut self, kind: Store, src: Host, base: Host, disp: i32) {
        let prefix = Bytes::new().byte(GS).byte(ADDRESS_SIZE);
        let prefix = if kind == Store::B16 {
            prefix.byte(OPERAND_SIZE)
        } else {
            prefix
        };
        let width = if kind == Store::B64 {
            Width::W64
        } else {
            Width::W32
        };
        let byte = if kind == Store::B8 { 0x88 } else { 0x89 };
        let opcode = Opcode {
            width,
            two: false,
            byte,
            forced: kind == Store::B8 && src.0 >= 4,
        };
        self.guest(prefix, opcode, u64::from(src.0), base, disp);
    }

    /// `guest[base + disp] = 0`.
    #[inline(always)]
    pub(crate) fn store_zero(&mut self, kind: Store, base: Host, disp: i32) {
        let prefix = Bytes::new().byte(GS).byte(ADDRESS_SIZE);
        let prefix = if kind == Store::B16 {
            prefix.byte(OPERAND_SIZE)
        } else {
            prefix
        };
        let width = if kind == Store::B64 {
            Width::W64
        } else {
            Width::W32
        };
        let byte = if kind == Store::B8 { 0xC6 } else { 0xC7 };
        self.guest(
            prefix,
            Opcode {
                width,
                two: false,
                byte,
                forced: false,
            },
            0,
            base,
            disp,
        );
        let immediate = match kind {
            Store::B8 => 1,
            Store::B16 => 2,
            Store::B32 | Store::B64 => 4,
        };
        self.code.put(0, immediate);
    }

    /// `guest[base + disp] = xmm0`, its low bytes.
    pub(crate) fn store_vector(&mut self, kind: Store, base: Host, disp: i32) {
        match kind {
            Store::B8 => {
                dynasm!(self.code ; .arch x64 ; gs pextrb [DWORD Rd(base) + disp], xmm0, 0)
            }
            Store::B16 => {
                dynasm!(self.code ; .arch x64 ; gs pextrw [DWORD Rd(base) + disp], xmm0, 0)
            }
            Store::B32 => dynasm!(self.code ; .arch x64 ; gs movd [DWORD Rd(base) + disp], xmm0),
            Store::B64 => dynasm!(self.code ; .arch x64 ; gs movq [DWORD Rd(base) + disp], xmm0),
        }
    }

    /// `opcode reg, gs:[disp]` on the context.
    #[inline(always)]
    fn context(&mut self, width: Width, opcode: u64, reg: u64, disp: i32) {
        let bytes = Bytes::new()
            .byte(GS)
            .rex(width, reg >> 3, 0, 0, false)
            .byte(opcode);
        self.put(bytes.byte(0x04 | ((reg & 7) << 3)).byte(0x25));
        self.code.put(disp as u32 as u64, 4);
    }

    /// `dst = context field`.
    #[inline(always)]
    pub(crate) fn load_context(&mut self, dst: Host, field: i32) {
        self.context(Width::W64, 0x8B, u64::from(dst.0), field);
    }

    /// `op reg, context field`.
    #[inline(always)]
    pub(crate) fn alu_context(&mut self, op: Alu, reg: Host, field: i32) {
        self.context(Width::W64, ((op as u64) << 3) | 3, u64::from(reg.0), field);
    }

    /// One-operand arithmetic on a context field.
    #[inline(always)]
    pub(crate) fn unary_context(&mut self, width: Width, op: F7, field: i32) {
        self.context(width, 0xF7, op as u64, field);
    }

    /// `context field = src`.
    #[inline(always)]
    pub(crate) fn store_context(&mut self, field: i32, src: Host) {
        self.context(Width::W64, 0x89, u64::from(src.0), field);
    }
}

/// What an opcode is made of, besides its operands.
#[derive(Clone, Copy)]
struct Opcode {
    width: Width,
    two: bool,
    byte: u64,
    forced: bool,
}

impl Opcode {
    #[inline(always)]
    fn of_load(kind: Load) -> Self {
        let (width, two, byte) = match kind {
            Load::S8 => (Width::W64, true, 0xBE),
            Load::S16 => (Width::W64, true, 0xBF),
            Load::S32 => (Width::W64, false, 0x63),
            Load::U8 => (Width::W32, true, 0xB6),
            Load::U16 => (Width::W32, true, 0xB7),
            Load::U32 => (Width::W32, false, 0x8B),
            Load::U64 => (Width::W64, false, 0x8B),
        };
        Self {
            width,
            two,
            byte,
            forced: false,
        }
    }
}

/// A guest address that is the sum of two registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) base: Host,
    pub(crate) index: Host,
    /// log2 of what the index is multiplied with, at most 3.
    pub(crate) scale: u8,
    pub(crate) disp: i32,
}
