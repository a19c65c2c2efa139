//! What each instruction does: one file per extension, one visitor method per row of the table.
//!
//! A method reads its sources before it writes rd, returns [`Step::Next`] for "go on", and leaves
//! control transfers to the loop, which knows the block starts.

mod i;
mod m;
mod xjar;
mod zba;
mod zbb;
mod zbs;
mod zicond;

use crate::machine::RunError;
use crate::memory::{AccessError, Memory, Width};
use rivet_isa::{GuestAddr, I, PageIndex, R, Reg, Regs, S, SLOTS, Shift, Slot, Unary, Visitor};

/// What follows an instruction.
#[derive(Debug)]
pub(crate) enum Step<E> {
    /// The next instruction.
    Next,
    /// The instruction this many bytes from the own pc, if it is a start.
    Taken(i32),
    /// The instruction at this offset, if it is a start.
    Indirect(u64),
    /// The end of the run.
    Stop(Stop<E>),
}

/// Why an instruction ends the run.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    Panic,
    Trap,
    Fault(PageIndex),
    HostCall(u32),
    KernelCall,
    Failed(RunError<E>),
}

/// The sixteen registers by number; x0 holds 0 between instructions.
#[derive(Clone, Debug)]
pub(crate) struct Registers([u64; 16]);

impl Registers {
    fn new(regs: &Regs) -> Self {
        let mut values = [0; 16];
        for reg in Reg::all() {
            values[usize::from(reg.number())] = regs.get(reg);
        }
        Self(values)
    }

    pub(crate) fn to_regs(&self) -> Regs {
        let mut slots = [0; SLOTS];
        for slot in Slot::all() {
            slots[slot.index()] = self.get(slot.reg());
        }
        Regs::new(slots)
    }

    #[inline(always)]
    pub(crate) fn get(&self, reg: Reg) -> u64 {
        self.0[usize::from(reg.number() & 15)]
    }

    /// Writes rd; clearing x0 afterwards is cheaper than asking which register it was.
    #[inline(always)]
    fn set(&mut self, reg: Reg, value: u64) {
        self.0[usize::from(reg.number() & 15)] = value;
        self.0[0] = 0;
    }
}

/// The state a run works on.
pub(crate) struct Machine<'m, M> {
    pub(crate) registers: Registers,
    pub(crate) gas: u64,
    memory: &'m mut M,
}

impl<'m, M> Machine<'m, M> {
    pub(crate) fn new(regs: &Regs, gas: u64, memory: &'m mut M) -> Self {
        Self {
            registers: Registers::new(regs),
            gas,
            memory,
        }
    }
}

/// The machine at one instruction of a predecoded block.
pub(crate) struct Cpu<'a, M> {
    pub(crate) registers: &'a mut Registers,
    pub(crate) gas: &'a mut u64,
    memory: &'a mut M,
    /// Offsets of the block's instructions.
    pcs: &'a [u32],
    /// Which of them it is.
    pub(crate) at: usize,
    /// Offset after the last one, which is what a jump links to.
    link: u32,
}

impl<M: Memory> Visitor for Cpu<'_, M> {
    type Out = Step<M::Error>;
}

impl<'a, M: Memory> Cpu<'a, M> {
    #[inline(always)]
    pub(crate) fn new(machine: &'a mut Machine<'_, M>, pcs: &'a [u32], link: u32) -> Self {
        Self {
            registers: &mut machine.registers,
            gas: &mut machine.gas,
            memory: machine.memory,
            pcs,
            at: 0,
            link,
        }
    }

    /// Offset of the instruction.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.pcs.get(self.at).map_or(0, |pc| u64::from(*pc))
    }

    #[inline(always)]
    fn get(&self, reg: Reg) -> u64 {
        self.registers.get(reg)
    }

    #[inline(always)]
    fn set(&mut self, reg: Reg, value: u64) -> Step<M::Error> {
        self.registers.set(reg, value);
        Step::Next
    }

    /// `rd = f(rs1, rs2)`
    #[inline(always)]
    fn binary(&mut self, o: R, f: impl FnOnce(u64, u64) -> u64) -> Step<M::Error> {
        self.set(o.rd, f(self.get(o.rs1), self.get(o.rs2)))
    }

    /// `rd = sx32(f(w(rs1), w(rs2)))`
    #[inline(always)]
    fn binary_w(&mut self, o: R, f: impl FnOnce(u32, u32) -> u32) -> Step<M::Error> {
        self.binary(o, |a, b| sx32(f(a as u32, b as u32)))
    }

    /// `rd = f(rs1, imm)`
    #[inline(always)]
    fn immediate(&mut self, o: I, f: impl FnOnce(u64, u64) -> u64) -> Step<M::Error> {
        self.set(o.rd, f(self.get(o.rs1), i64::from(o.imm) as u64))
    }

    /// `rd = f(rs1, amount)`
    #[inline(always)]
    fn shift(&mut self, o: Shift, f: impl FnOnce(u64, u32) -> u64) -> Step<M::Error> {
        self.set(o.rd, f(self.get(o.rs1), u32::from(o.amount)))
    }

    /// `rd = sx32(f(w(rs1), amount))`
    #[inline(always)]
    fn shift_w(&mut self, o: Shift, f: impl FnOnce(u32, u32) -> u32) -> Step<M::Error> {
        self.shift(o, |a, amount| sx32(f(a as u32, amount)))
    }

    /// `rd = f(rs1)`
    #[inline(always)]
    fn unary(&mut self, o: Unary, f: impl FnOnce(u64) -> u64) -> Step<M::Error> {
        self.set(o.rd, f(self.get(o.rs1)))
    }

    /// `rd = extend(memory at rs1 + imm)`; the access happens for rd = x0 too.
    #[inline(always)]
    fn load(&mut self, o: I, width: Width, extend: impl FnOnce(u64) -> u64) -> Step<M::Error> {
        let addr = address(self.get(o.rs1), o.imm);
        match self.memory.load(addr, width) {
            Ok(value) => self.set(o.rd, extend(value)),
            Err(error) => refused(error),
        }
    }

    /// Writes rs2 at rs1 + imm and pays for pages that became private, which the gate of the
    /// block has made sure is possible (gas §4.3).
    #[inline(always)]
    fn store(&mut self, o: S, width: Width) -> Step<M::Error> {
        let addr = address(self.get(o.rs1), o.imm);
        match self.memory.store(addr, width, self.get(o.rs2)) {
            Ok(0) => Step::Next,
            Ok(charge) => self.pay(charge),
            Err(error) => refused(error),
        }
    }

    #[cold]
    fn pay(&mut self, charge: u64) -> Step<M::Error> {
        let gas = *self.gas;
        match gas.checked_sub(charge) {
            Some(left) => {
                *self.gas = left;
                Step::Next
            }
            None => Step::Stop(Stop::Failed(RunError::Reserve { gas, charge })),
        }
    }
}

#[inline(always)]
fn address(base: u64, offset: i32) -> GuestAddr {
    GuestAddr::wrapping(base.wrapping_add(i64::from(offset) as u64))
}

#[cold]
fn refused<E>(error: AccessError<E>) -> Step<E> {
    Step::Stop(match error {
        AccessError::Fault(page) => Stop::Fault(page),
        AccessError::Host(error) => Stop::Failed(RunError::Memory(error)),
    })
}

#[inline(always)]
fn sx32(value: u32) -> u64 {
    i64::from(value as i32) as u64
}
