//! Jumps, and what fills in their displacements later.

use super::x64::{Asm, Bytes, Cond};

/// Offset in the buffer of a 32-bit displacement that still has to be filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rel32(pub(crate) u32);

impl Asm {
    /// `jcc` with a 32-bit displacement to be filled in.
    #[inline(always)]
    pub(crate) fn jump_if(&mut self, cond: Cond) -> Rel32 {
        self.put(Bytes::new().byte(0x0F).byte(0x80 | cond as u64));
        self.rel32()
    }

    /// `jmp` with a 32-bit displacement to be filled in.
    #[inline(always)]
    pub(crate) fn jump(&mut self) -> Rel32 {
        self.code.put(0xE9, 1);
        self.rel32()
    }

    /// `call` with a 32-bit displacement to be filled in.
    #[inline(always)]
    pub(crate) fn call(&mut self) -> Rel32 {
        self.code.put(0xE8, 1);
        self.rel32()
    }

    /// `push rsp`: pushes the address of what lies above.
    #[inline(always)]
    pub(crate) fn push_rsp(&mut self) {
        self.code.put(0x54, 1);
    }

    #[inline(always)]
    fn rel32(&mut self) -> Rel32 {
        let at = self.code.len() as u32;
        self.code.put(0, 4);
        Rel32(at)
    }

    /// `jcc` or `jmp` back to `target`, in the two-byte form where it reaches.
    #[inline(always)]
    pub(crate) fn jump_back(&mut self, cond: Option<Cond>, target: u32) {
        let here = self.code.len() as i64;
        if let Ok(short) = i8::try_from(i64::from(target) - (here + 2)) {
            let opcode = cond.map_or(0xEB, |cond| 0x70 | cond as u64);
            return self.put(Bytes::new().byte(opcode).byte(u64::from(short as u8)));
        }
        let hole = match cond {
            Some(cond) => self.jump_if(cond),
            None => self.jump(),
        };
        self.bind_to(hole, target);
    }

    /// Fills in a displacement so that it leads to buffer offset `target`.
    pub(crate) fn bind_to(&mut self, hole: Rel32, target: u32) {
        self.code
            .patch_u32(hole.0 as usize, target.wrapping_sub(hole.0 + 4));
    }

    /// Padding of `count` bytes made of long no-ops.
    pub(crate) fn pad(&mut self, mut count: usize) {
        const NOPS: [u64; 9] = [
            0,
            0x90,
            0x9066,
            0x1F_0F,
            0x0040_1F0F,
            0x0044_1F0F,
            0x441F_0F66,
            0x80_1F0F,
            0x0084_1F0F,
        ];
        while count > 0 {
            let step = count.min(8);
            self.code.put(NOPS[step], step);
            count -= step;
        }
    }
}

/// Short forward jumps within one template.
impl Asm {
    /// `jcc` with an 8-bit displacement to be bound by [`Asm::bind_short`].
    #[inline(always)]
    pub(crate) fn jump_short(&mut self, cond: Cond) -> Rel8 {
        self.put(Bytes::new().byte(0x70 | cond as u64).byte(0));
        Rel8(self.code.len() as u32)
    }

    /// `jmp` with an 8-bit displacement.
    #[inline(always)]
    pub(crate) fn jump_short_always(&mut self) -> Rel8 {
        self.put(Bytes::new().byte(0xEB).byte(0));
        Rel8(self.code.len() as u32)
    }

    /// Lets a short jump land here. Templates are shorter than 127 bytes.
    pub(crate) fn bind_short(&mut self, hole: Rel8) {
        let distance = self.code.len() as u32 - hole.0;
        debug_assert!(distance < 128, "a template outgrew its short jumps");
        self.code.patch_u8(hole.0 as usize - 1, distance as u8);
    }
}

/// Buffer offset just behind an 8-bit displacement that still has to be filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rel8(u32);
