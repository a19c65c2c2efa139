//! From guest instructions to native code, one template each.
//!
//! Files are named after extensions. A template gets host registers, any of which may be the
//! same, and may use rdx freely; x0, x3 and x4 as operands are replaced before it is called
//! (`borrow.rs`). Two rules hold for every template:
//!
//! * an instruction that can fault does so before it changes any guest register, and with all
//!   of them in their homes;
//! * flags and rdx carry nothing from one template to the next; a fused shape (`fuse.rs`) is one
//!   template.

use rivet_mutants::mutant;
mod alu;
mod borrow;
mod carry;
mod compare;
mod control;
mod fuse;
mod i;
mod m;
mod memory;
mod product;
mod xjar;
mod zba;
mod zbb;
mod zbs;
mod zicond;

use rivet_isa::{Inst, Reg, Visitor};

use crate::abi::{Home, home, hosts};
use crate::asm::{Asm, Host, Rel32};
use crate::chunk::{Site, Trap};

pub(crate) use fuse::{fuse_as, fusible};

/// One decoded guest instruction of the chunk being translated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) inst: Inst,
    pub(crate) pc: u32,
    pub(crate) len: u8,
}

impl Step {
    /// Offset of the instruction that follows in the code.
    #[inline(always)]
    pub(crate) fn next_pc(&self) -> u32 {
        self.pc + u32::from(self.len)
    }
}

/// Where a transfer to a code offset goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A block of this chunk, already emitted at this buffer offset.
    Behind(u32),
    /// A block of this chunk, not emitted yet.
    Ahead,
    /// A block of another chunk, translated, at this native address.
    Native(u32),
    /// A block of another chunk that may not be translated yet: through its table entry.
    Table,
    /// Not a start.
    Nowhere,
}

/// What the lowering of control flow asks about code offsets.
pub(crate) trait Targets {
    /// Classifies the mathematical offset `target`.
    fn find(&self, target: i64) -> Target;
}

/// A displacement waiting for its destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<T> {
    pub(crate) hole: Rel32,
    pub(crate) to: T,
}

/// Addresses and numbers of the program that are baked into its code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constants {
    /// Address of the dispatch table: one `u32` per halfword of code.
    pub(crate) table: u32,
    /// Code offsets from here on are no starts; its own table entry is always zero.
    pub(crate) limit: u32,
    /// The bits an even offset in the table can have.
    pub(crate) mask: u32,
}

/// The lowering of one chunk: the assembler and what is left to be bound.
#[derive(Debug)]
pub(crate) struct Lowering {
    pub(crate) asm: Asm,
    pub(crate) constants: Constants,
    /// The instruction being lowered.
    pub(crate) step: Step,
    /// The next instruction overwrites this one's result and depends on its low half only.
    low_half: bool,
    /// Guest accesses, ascending by native offset.
    pub(crate) traps: Vec<Trap>,
    /// Jumps to blocks ahead, by code offset.
    pub(crate) ahead: Vec<Link<u32>>,
    /// Jumps to native addresses outside the chunk.
    pub(crate) outside: Vec<Link<u32>>,
    /// Conditional jumps that go through the table, by code offset.
    pub(crate) far: Vec<Link<u32>>,
    /// Jumps to cold sites, by [`Lowering::link_cold`].
    pub(crate) cold: Vec<Rel32>,
    /// The sites they go to.
    pub(crate) sites: Vec<Site>,
    /// Jumps of mismatched returns.
    pub(crate) returns: Vec<Rel32>,
    /// Offset of the first cold site.
    pub(crate) cold_start: u32,
}

impl Lowering {
    /// A lowering without a chunk.
    pub(crate) fn new() -> Self {
        let nothing = Step {
            inst: Inst::RESERVED,
            pc: 0,
            len: 0,
        };
        Self {
            asm: Asm::default(),
            constants: Constants {
                table: 0,
                limit: 0,
                mask: 0,
            },
            step: nothing,
            low_half: false,
            traps: Vec::new(),
            ahead: Vec::new(),
            outside: Vec::new(),
            far: Vec::new(),
            cold: Vec::new(),
            sites: Vec::new(),
            returns: Vec::new(),
            cold_start: 0,
        }
    }

    /// Forgets the last chunk and keeps the memory.
    pub(crate) fn reset(&mut self, constants: Constants) {
        self.asm.code.clear();
        self.constants = constants;
        self.traps.clear();
        self.ahead.clear();
        self.outside.clear();
        self.far.clear();
        self.cold.clear();
        self.sites.clear();
        self.returns.clear();
        self.cold_start = 0;
    }

    /// Takes room at once for what so many instructions and blocks usually leave behind: memory
    /// that grows is copied, and memory that is not used is never there.
    pub(crate) fn reserve(&mut self, instructions: usize, blocks: usize) {
        self.traps.reserve(instructions);
        self.ahead.reserve(blocks);
        self.cold.reserve(2 * blocks);
        self.sites.reserve(2 * blocks);
    }

    /// Lets a jump go to a cold site of its own.
    #[inline(always)]
    pub(crate) fn link_cold(&mut self, hole: Rel32, site: Site) {
        self.cold.push(hole);
        self.sites.push(site);
    }

    /// The lowering of one instruction within `targets`.
    #[inline(always)]
    pub(crate) fn lower<T: Targets>(&mut self, step: Step, targets: &T) {
        self.step = step;
        step.inst.visit(&mut Lower {
            this: self,
            targets,
        });
    }

    /// Runs a template whose result has 32 bits, and extends the result unless it is as good
    /// without.
    #[inline(always)]
    fn word(&mut self, regs: [Reg; 3], body: impl FnOnce(&mut Asm, Host, Host, Host)) {
        let low_half = std::mem::take(&mut self.low_half);
        let low_half = mutant!(JitShiftWord, low_half, true);
        self.three(regs, |asm, d, a, b| {
            body(asm, d, a, b);
            if !low_half {
                asm.movsxd(d, d);
            }
        });
    }

    /// Runs a template with two sources; nothing is emitted for rd = x0.
    #[inline(always)]
    fn three(&mut self, regs: [Reg; 3], body: impl FnOnce(&mut Asm, Host, Host, Host)) {
        if regs[0].is_zero() {
            return;
        }
        match hosts(regs) {
            Some([d, a, b]) => body(&mut self.asm, d, a, b),
            None => borrow::with_loans(&mut self.asm, regs, body),
        }
    }

    /// Runs a template with one source; nothing is emitted for rd = x0.
    #[inline(always)]
    fn two(&mut self, rd: Reg, rs1: Reg, body: impl FnOnce(&mut Asm, Host, Host)) {
        if rd.is_zero() {
            return;
        }
        match hosts([rd, rs1]) {
            Some([d, a]) => body(&mut self.asm, d, a),
            None => borrow::with_loans(&mut self.asm, [rd, rs1, rs1], |asm, d, a, _| {
                body(asm, d, a)
            }),
        }
    }

    /// `rd = value`.
    fn constant(&mut self, rd: Reg, value: u64) {
        if rd.is_zero() {
            return;
        }
        match home(rd) {
            // Flags carry nothing between instructions, so the short form may clear them.
            Home::Host(d) if value == 0 => self.asm.zero(d),
            Home::Host(d) => self.asm.mov_imm(d, value),
            _ => borrow::with_loans(&mut self.asm, [rd; 3], |asm, d, _, _| asm.mov_imm(d, value)),
        }
    }
}

/// The visitor: a lowering and the targets its jumps may have.
pub(crate) struct Lower<'a, T> {
    this: &'a mut Lowering,
    targets: &'a T,
}

impl<'a, T> Lower<'a, T> {
    pub(crate) fn new(this: &'a mut Lowering, targets: &'a T) -> Self {
        Self { this, targets }
    }
}

impl<T> Visitor for Lower<'_, T> {
    type Out = ();
}
