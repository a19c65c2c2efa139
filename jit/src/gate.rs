//! The gas charge at the head of a block (gas §4).
//!
//! The gas register holds the true figure minus a bias that covers everything a gate can demand
//! beyond the cost: [`SMALL_RESERVE`], plus the charges of pages the guest may write without a
//! trap. So one subtraction and one fused branch decide:
//!
//! ```text
//!   quick, reserve ≤ SMALL_RESERVE      large
//!     sub r15, cost                       cmp r15, cost + reserve    (or through rdx)
//!     jl  cold                            jl  cold
//!                                         sub r15, cost
//! ```
//!
//! quick: a result that is not negative proves gas − bias ≥ cost, hence gas ≥ cost + reserve.
//! large: what is compared is smaller than gas, so passing proves the same.
//! A failure proves nothing; the cold side restores the register and applies the exact rule.
//! `jl` and not `js`: it reads the true sign of the difference even where 64 bits overflow, and
//! is the form that all processors fuse.

use dynasmrt::dynasm;
use rivet_isa::gas::BlockCost;
use rivet_mutants::mutant;

use crate::abi::{GAS, SCRATCH};
use crate::asm::{Alu, Cond, Width};
use crate::chunk::{Site, SiteKind};
use crate::lower::Lowering;

/// Reserves up to here are covered by the bias.
pub(crate) const SMALL_RESERVE: u64 = 1 << 16;

impl Lowering {
    /// Emits the gate of the block at `pc`. Its cost fits 31 bits because blocks have a largest
    /// length.
    pub(crate) fn gate(&mut self, pc: u32, numbers: BlockCost) {
        let cost = i32::try_from(numbers.cost).expect("the longest block costs less than 2^31");
        let hole;
        let kind;
        if mutant!(JitGateReserve, numbers.reserve <= SMALL_RESERVE, true) {
            kind = SiteKind::QuickGate;
            self.asm.alu_imm(Width::W64, Alu::Sub, GAS, cost);
            hole = self.asm.jump_if(Cond::Less);
        } else {
            kind = SiteKind::LargeGate;
            if let Ok(gate) = i32::try_from(numbers.gate()) {
                self.asm.alu_imm(Width::W64, Alu::Cmp, GAS, gate);
            } else {
                self.asm.mov_imm(SCRATCH, numbers.gate());
                dynasm!(self.asm.code ; .arch x64 ; cmp r15, rdx);
            }
            hole = self.asm.jump_if(Cond::Less);
            self.asm.alu_imm(Width::W64, Alu::Sub, GAS, cost);
        }
        let body = self.asm.code.len() as u32;
        let site = Site {
            kind,
            pc,
            body,
            cost: numbers.cost as u32,
            reserve: numbers.reserve,
        };
        self.link_cold(hole, site);
    }
}
