//! Loads and stores (ISA §6.5, §6.6, §10).
//!
//! Each guest instruction has exactly one host instruction that touches guest memory. Before it,
//! at most rdx and xmm0 change; so at a fault every guest register is at home, save for one case:
//! where an addition is folded into the access, the handler does it when the access faults.

use dynasmrt::{DynasmApi as _, dynasm};
use rivet_isa::{I, Op, Reg, S};
use rivet_mutants::mutant;

use super::{Lowering, Step};
use crate::abi::{Home, SCRATCH, home, hosts};
use crate::asm::{Host, Indexed, Load, Store};
use crate::chunk::Trap;
use crate::context::slot_field;

/// A guest address operand: a register whose low 32 bits, plus the displacement, are the address.
#[derive(Clone, Copy)]
struct Address {
    base: Host,
    disp: i32,
}

impl Lowering {
    /// `rd = memory[rs1 + imm]`; with rd = x0 the access still happens.
    #[inline(always)]
    pub(super) fn load(&mut self, kind: Load, o: I) {
        let Some([dst, base]) = hosts([o.rd, o.rs1]) else {
            return self.load_elsewhere(kind, o);
        };
        let native = self.asm.code.len();
        self.asm.load(kind, dst, base, o.imm);
        self.note(native, self.step.pc, self.step.pc);
    }

    /// The same where an operand has no host register.
    #[cold]
    #[inline(never)]
    fn load_elsewhere(&mut self, kind: Load, o: I) {
        let address = self.address(o.rs1, o.imm);
        let home = home(o.rd);
        if mutant!(JitZeroLoadSkipped, false, o.rd.is_zero()) {
            return;
        }
        let dst = if let Home::Host(d) = home { d } else { SCRATCH };
        self.note_trap();
        self.asm.load(kind, dst, address.base, address.disp);
        if let Home::Context(slot) = home
            && mutant!(JitSpilledLoad, true, false)
        {
            self.asm.store_context(slot_field(slot), dst);
        }
    }

    /// `memory[rs1 + imm] = rs2`.
    #[inline(always)]
    pub(super) fn store(&mut self, kind: Store, o: S) {
        let Some([src, base]) = hosts([o.rs2, o.rs1]) else {
            return self.store_elsewhere(kind, o);
        };
        let native = self.asm.code.len();
        self.asm.store(kind, src, base, o.imm);
        self.note(native, self.step.pc, self.step.pc);
    }

    /// The same where an operand has no host register.
    #[cold]
    #[inline(never)]
    fn store_elsewhere(&mut self, kind: Store, o: S) {
        match home(o.rs2) {
            Home::Host(src) => {
                let address = self.address(o.rs1, o.imm);
                self.note_trap();
                self.asm.store(kind, src, address.base, address.disp);
            }
            Home::Zero => {
                let address = self.address(o.rs1, o.imm);
                self.note_trap();
                self.asm.store_zero(kind, address.base, address.disp);
            }
            Home::Context(slot) => self.store_spilled(kind, o, slot),
        }
    }

    /// A store of x3 or x4. The address may need the scratch register, so the value goes through
    /// a vector register, which the guest does not have.
    fn store_spilled(&mut self, kind: Store, o: S, slot: usize) {
        let field = slot_field(slot);
        dynasm!(self.asm.code ; .arch x64 ; gs movq xmm0, [DWORD field]);
        let Address { base, disp } = self.address(o.rs1, o.imm);
        self.note_trap();
        self.asm.store_vector(kind, base, disp);
    }

    /// The address operand of `rs1 + imm`.
    #[inline(always)]
    fn address(&mut self, rs1: Reg, imm: i32) -> Address {
        match home(rs1) {
            Home::Host(base) => Address { base, disp: imm },
            Home::Context(slot) => {
                self.asm.load_context(SCRATCH, slot_field(slot));
                Address {
                    base: SCRATCH,
                    disp: imm,
                }
            }
            Home::Zero => {
                self.asm.mov_imm(SCRATCH, u64::from(imm as u32));
                Address {
                    base: SCRATCH,
                    disp: 0,
                }
            }
        }
    }

    /// `add t, a, b; ld t, imm(t)` and the like: one access with both registers in its address.
    /// If it faults, the handler makes up for the addition. Says whether it is that.
    pub(super) fn load_sum(&mut self, first: Step, second: Step) -> bool {
        let (add, load) = (first.inst, second.inst);
        let (scale, base, index) = match add.op() {
            Op::Add => (0, add.rs1(), add.rs2()),
            Op::Sh1add => (1, add.rs2(), add.rs1()),
            Op::Sh2add => (2, add.rs2(), add.rs1()),
            _ => (3, add.rs2(), add.rs1()),
        };
        let kind = match load.op() {
            Op::Lb => Load::S8,
            Op::Lh => Load::S16,
            Op::Lw => Load::S32,
            Op::Lbu => Load::U8,
            Op::Lhu => Load::U16,
            Op::Lwu => Load::U32,
            _ => Load::U64,
        };
        if load.rs1() != add.rd() || load.rd() != add.rd() {
            return false;
        }
        let Some([dst, base, index]) = hosts([load.rd(), base, index]) else {
            return false;
        };
        let native = self.asm.code.len();
        self.note(
            native,
            second.pc,
            mutant!(JitFusedFault, first.pc, second.pc),
        );
        self.asm.load_indexed(
            kind,
            dst,
            Indexed {
                base,
                index,
                scale,
                disp: load.imm(),
            },
        );
        true
    }

    /// Records that the next host instruction is this guest instruction's access.
    #[inline(always)]
    fn note_trap(&mut self) {
        self.note(self.asm.code.len(), self.step.pc, self.step.pc);
    }

    /// Records that the host instruction at offset `native` is the access of the guest instruction
    /// at `pc`, and stands for those from `first` on.
    #[inline(always)]
    fn note(&mut self, native: usize, pc: u32, first: u32) {
        let native = native as u32;
        let trap = Trap { native, pc, first };
        // Apart, so that what needs no more memory needs no registers saved for a call either.
        if self.traps.len() == self.traps.capacity() {
            return self.note_in_more_memory(trap);
        }
        self.traps.push(trap);
    }

    #[cold]
    #[inline(never)]
    fn note_in_more_memory(&mut self, trap: Trap) {
        self.traps.push(trap);
    }
}
