//! Watching a run without changing it.

use crate::exec::Registers;
use rivet_isa::{Inst, Pc, Reg, Regs};

/// The architectural state a tracer may look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    registers: &'a Registers,
    gas: u64,
}

impl<'a> View<'a> {
    pub(crate) fn new(registers: &'a Registers, gas: u64) -> Self {
        Self { registers, gas }
    }

    /// Value of one register.
    pub fn reg(&self, reg: Reg) -> u64 {
        self.registers.get(reg)
    }

    /// All registers.
    pub fn regs(&self) -> Regs {
        self.registers.to_regs()
    }

    /// Gas left, the block's cost already taken.
    pub fn gas(&self) -> u64 {
        self.gas
    }
}

/// Sees a run go by. Nothing a tracer does can reach the run; `()` is the tracer that costs
/// nothing.
pub trait Tracer {
    /// A block was entered and its cost deducted.
    fn block(&mut self, start: Pc, view: View<'_>) {
        let _ = (start, view);
    }

    /// `inst` at `pc` is about to execute; the view is from before it.
    fn instruction(&mut self, pc: Pc, inst: Inst, view: View<'_>) {
        let _ = (pc, inst, view);
    }
}

impl Tracer for () {}
