//! Branches and jumps (ISA §6.3, §6.4, §8).
//!
//! A static target is a block of this chunk (a direct jump), a block of another chunk (a direct
//! jump if that chunk is translated, else through its entry in the dispatch table), or no start
//! at all (a cold call that panics with the own pc, if it is ever taken).
//!
//! ```text
//!  jalr:   lea   edx, [rs1 + imm - CODE_BASE]     the target's offset, modulo 2^32
//!          cmp   edx, limit                       an even number
//!          jae   cold
//!          and   edx, mask                        even, and inside the table in any case
//!          mov   edx, [table + 2·rdx]
//!          test  edx, edx
//!          jz    cold                             not a start, or not translated yet
//!          mov   rd, link
//!          jmp   rdx
//! ```
//!
//! Calls and returns through ra are paired with the host's, so that returns are predicted:
//!
//! ```text
//!  jal ra:  test  esp, 4096                       room on the return stack?
//!           jz    cold
//!           mov   r13, link
//!           call  target
//!           cmp   r13, link                       does the guest return here as well?
//!           jne   chunk's jump to `mismatched_return`
//!  ret:     mov   edx, own pc
//!           ret
//! ```
//!
//! The mask changes no offset below the limit but its lowest bit, as ISA §8.2 wants it. It is there
//! for the processor that guesses that the jump is not taken: what it reads then is of the table,
//! whose size is a power of two for that.
//!
//! The link register is written after the check, so that the cold path still sees rs1 when rd is
//! the same register; it writes the link itself.

use dynasmrt::{DynasmApi as _, dynasm};
use rivet_isa::{B, CODE_BASE, I, J, Reg};
use rivet_mutants::mutant;

use super::{Link, Lower, Lowering, Target, Targets};
use crate::abi::{Home, SCRATCH, home};
use crate::asm::{Alu, Cond, Width};
use crate::chunk::{Site, SiteKind};
use crate::context::slot_field;

/// Bit of the stack pointer that is set as long as the return stack has room (`stubs.rs`).
const RETURN_STACK: u32 = 1 << 12;

impl<T: Targets> Lower<'_, T> {
    /// `if rs1 cond rs2 go to pc + imm`
    pub(super) fn branch(&mut self, o: B, cond: Cond) {
        let target = i64::from(self.this.step.pc) + i64::from(o.imm);
        match self.this.compare(o.rs1, o.rs2, cond) {
            Outcome::Never => {}
            Outcome::Always => self.jump_to(target),
            Outcome::If(cond) => self.jump_if(cond, target),
        }
    }

    /// Conditional transfer to a code offset; the flags are set.
    pub(super) fn jump_if(&mut self, cond: Cond, target: i64) {
        let this = &mut *self.this;
        match self.targets.find(target) {
            Target::Behind(offset) => this.asm.jump_back(Some(cond), offset),
            Target::Ahead => {
                let hole = this.asm.jump_if(cond);
                this.ahead.push(Link {
                    hole,
                    to: target as u32,
                });
            }
            Target::Native(address) => {
                let hole = this.asm.jump_if(cond);
                this.outside.push(Link { hole, to: address });
            }
            Target::Table => {
                let hole = this.asm.jump_if(cond);
                this.far.push(Link {
                    hole,
                    to: target as u32,
                });
            }
            Target::Nowhere => {
                let hole = this.asm.jump_if(cond);
                this.link_cold(
                    hole,
                    Site::plain(
                        SiteKind::Panic,
                        mutant!(JitFailedJumpPc, this.step.pc, this.step.next_pc()),
                    ),
                );
            }
        }
    }

    /// `rd = link; go to pc + imm`
    pub(super) fn jump_and_link(&mut self, o: J) {
        let target = i64::from(self.this.step.pc) + i64::from(o.imm);
        let callee = self.targets.find(target);
        if o.rd != Reg::RA || callee == Target::Nowhere || !self.returns_here() {
            self.this.write_link(o.rd);
            return self.jump_to(target);
        }
        let this = &mut *self.this;
        this.check_return_stack();
        this.write_link(o.rd);
        let hole = this.asm.call();
        match callee {
            Target::Behind(offset) => this.asm.bind_to(hole, offset),
            Target::Ahead => this.ahead.push(Link {
                hole,
                to: target as u32,
            }),
            Target::Native(address) => this.outside.push(Link { hole, to: address }),
            Target::Table | Target::Nowhere => this.far.push(Link {
                hole,
                to: target as u32,
            }),
        }
        self.landing();
    }

    /// Whether a call's next instruction is a block, so that something can return to it.
    fn returns_here(&self) -> bool {
        self.targets.find(i64::from(self.this.step.next_pc())) != Target::Nowhere
    }

    /// What a paired call returns to: goes on if the guest returns here too, else elsewhere.
    fn landing(&mut self) {
        let this = &mut *self.this;
        let link = CODE_BASE as i32 + this.step.next_pc() as i32;
        dynasm!(this.asm.code ; .arch x64 ; cmp r13, link);
        if mutant!(JitReturnUnchecked, true, false) {
            let hole = this.asm.jump_if(Cond::NotEqual);
            this.returns.push(hole);
        }
        let next = i64::from(this.step.next_pc());
        // A block ahead in this chunk is what is emitted next.
        if self.targets.find(next) != Target::Ahead {
            self.jump_to(next);
        }
    }

    /// Unconditional transfer to a code offset.
    pub(crate) fn jump_to(&mut self, target: i64) {
        let this = &mut *self.this;
        match self.targets.find(target) {
            Target::Behind(offset) => this.asm.jump_back(None, offset),
            Target::Ahead => {
                let hole = this.asm.jump();
                this.ahead.push(Link {
                    hole,
                    to: target as u32,
                });
            }
            Target::Native(address) => {
                let hole = this.asm.jump();
                this.outside.push(Link { hole, to: address });
            }
            Target::Table => this.jump_through_table(target as u32),
            Target::Nowhere => this.jump_cold(Site::plain(SiteKind::Panic, this.step.pc)),
        }
    }

    /// `rd = link; go to (rs1 + imm) & !1`
    pub(super) fn jump_indirect(&mut self, o: I) {
        if o.rd.is_zero() && o.rs1 == Reg::RA && mutant!(JitReturnOffset, o.imm == 0, true) {
            // The place it comes to needs to know who sent it there, for a failed jump.
            let pc = self.this.step.pc as i32;
            dynasm!(self.this.asm.code ; .arch x64 ; mov edx, pc ; ret);
            return;
        }
        let paired = o.rd == Reg::RA && self.returns_here();
        if paired {
            self.this.check_return_stack();
        }
        if mutant!(JitJalrAlias, false, true) {
            self.this.write_link(o.rd);
        }
        let this = &mut *self.this;
        let table = this.constants.table as i32;
        let limit = this.constants.limit as i32;
        let mask = this.constants.mask as i32;
        let disp = o.imm.wrapping_sub(CODE_BASE as i32);
        match home(o.rs1) {
            Home::Host(base) => this.asm.lea(Width::W32, SCRATCH, base, disp),
            Home::Context(slot) => {
                this.asm.load_context(SCRATCH, slot_field(slot));
                this.asm.lea(Width::W32, SCRATCH, SCRATCH, disp);
            }
            Home::Zero => this.asm.mov_imm(SCRATCH, u64::from(disp as u32)),
        }
        dynasm!(this.asm.code
            ; .arch x64
            ; cmp edx, limit
        );
        let hole = this.asm.jump_if(Cond::AboveEqual);
        this.link_cold(hole, Site::plain(SiteKind::Indirect, this.step.pc));
        dynasm!(this.asm.code
            ; .arch x64
            ; and edx, mask
            ; mov edx, [DWORD rdx * 2 + table]
            ; test edx, edx
        );
        let hole = this.asm.jump_if(Cond::Equal);
        this.link_cold(hole, Site::plain(SiteKind::Indirect, this.step.pc));
        this.write_link(o.rd);
        if paired {
            dynasm!(this.asm.code ; .arch x64 ; call rdx);
            self.landing();
        } else {
            dynasm!(this.asm.code ; .arch x64 ; jmp rdx);
        }
    }
}

impl Lowering {
    /// `rd = address of the next instruction`, without touching rdx or the flags.
    fn write_link(&mut self, rd: Reg) {
        let next = mutant!(JitCompressedLink, self.step.next_pc(), self.step.pc + 4);
        let link = CODE_BASE as u32 + next;
        match home(rd) {
            Home::Zero => {}
            Home::Host(d) => self.asm.mov_imm(d, u64::from(link)),
            Home::Context(slot) => {
                let field = slot_field(slot);
                dynasm!(self.asm.code ; .arch x64 ; gs mov QWORD [DWORD field], link as i32);
            }
        }
    }

    /// Lets a call that finds the return stack full start it again.
    fn check_return_stack(&mut self) {
        dynasm!(self.asm.code ; .arch x64 ; test esp, RETURN_STACK as i32);
        let hole = self.asm.jump_if(Cond::Equal);
        let body = self.asm.code.len() as u32;
        let site = Site {
            body,
            ..Site::plain(SiteKind::Overflow, self.step.pc)
        };
        self.link_cold(hole, site);
    }

    /// Jump to a block of another chunk, which may not be translated when this runs.
    pub(crate) fn jump_through_table(&mut self, target: u32) {
        let entry = self.constants.table.wrapping_add(2 * target) as i32;
        dynasm!(self.asm.code
            ; .arch x64
            ; mov edx, [DWORD entry]
            ; test edx, edx
        );
        let hole = self.asm.jump_if(Cond::Equal);
        self.link_cold(hole, Site::plain(SiteKind::Resolve, target));
        dynasm!(self.asm.code ; .arch x64 ; jmp rdx);
    }

    /// Unconditional jump to a cold call.
    pub(crate) fn jump_cold(&mut self, site: Site) {
        let hole = self.asm.jump();
        self.link_cold(hole, site);
    }

    /// Sets the flags for `a cond b` and says which condition to test.
    fn compare(&mut self, a: Reg, b: Reg, cond: Cond) -> Outcome {
        match (home(a), home(b)) {
            (Home::Zero, Home::Zero) => with_equal_operands(cond),
            (_, Home::Zero) => {
                let a = self.in_register(a);
                match cond {
                    Cond::Below => return Outcome::Never,
                    Cond::AboveEqual => return Outcome::Always,
                    _ => {}
                }
                self.asm.test(Width::W64, a, a);
                Outcome::If(match cond {
                    Cond::Less => Cond::Sign,
                    Cond::GreaterEqual => Cond::NotSign,
                    same => same,
                })
            }
            (Home::Zero, _) => {
                let b = self.in_register(b);
                self.asm.test(Width::W64, b, b);
                Outcome::If(match cond {
                    Cond::Less => Cond::Greater,
                    Cond::GreaterEqual => mutant!(JitZeroCompare, Cond::LessEqual, Cond::Less),
                    Cond::Below => Cond::NotEqual,
                    Cond::AboveEqual => Cond::Equal,
                    same => same,
                })
            }
            (_, Home::Host(b)) => {
                let a = self.in_register(a);
                self.asm.alu(Width::W64, Alu::Cmp, a, b);
                Outcome::If(cond)
            }
            (_, Home::Context(slot)) => {
                let a = self.in_register(a);
                self.asm.alu_context(Alu::Cmp, a, slot_field(slot));
                Outcome::If(cond)
            }
        }
    }

    /// A host register with the value of `reg`, which is not x0.
    fn in_register(&mut self, reg: Reg) -> crate::asm::Host {
        match home(reg) {
            Home::Host(host) => host,
            Home::Context(slot) => {
                self.asm.load_context(SCRATCH, slot_field(slot));
                SCRATCH
            }
            Home::Zero => {
                self.asm.mov_imm(SCRATCH, 0);
                SCRATCH
            }
        }
    }
}

/// What a comparison comes down to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Never,
    Always,
    If(Cond),
}

fn with_equal_operands(cond: Cond) -> Outcome {
    match cond {
        Cond::Equal | Cond::GreaterEqual | Cond::AboveEqual => Outcome::Always,
        _ => Outcome::Never,
    }
}
