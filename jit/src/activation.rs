//! The Rust side of a running program: everything that generated code does not do itself.

use rivet_mutants::mutant;
use std::any::Any;

use rivet_isa::{CODE_BASE, Exit, Gas, Op, PageIndex, Pc, Regs, decode};
use rivet_paging::{
    Access, AccessLen, AddressSpace, Change, Denied, GuestAddr, HostError, Settle, SignalCheck,
};

use crate::chunk::{Site, SiteKind, Trap};
use crate::context::Context;
use crate::host::{Call, CallKind, CallMemory, Flow, Host};
use crate::process;
use crate::translation::{Entry, Translation};

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// As the specification says, at this offset.
    Exit(Exit, Pc),
    /// In front of this block, after one block was run by [`Program::step`](crate::Program::step).
    Stepped(Pc),
    /// In front of a block that is not translated: run it elsewhere and come back. Its gate has
    /// not been passed.
    Untranslated(Pc),
}

/// Why a run could not go on; nothing about the guest follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// The machine cannot run generated code.
    #[error(transparent)]
    Unsupported(#[from] crate::Unsupported),
    /// Guest memory is not in a window.
    #[error("guest memory is not in a window: attach it first")]
    NoWindow,
    /// Guest memory failed outside of an access.
    #[error(transparent)]
    Memory(#[from] HostError),
    /// An access is allowed but could not be made possible. Registers, gas and memory are as in
    /// front of the instruction; its block has been paid for.
    #[error("access at pc {}: {error}", pc.value())]
    Access {
        /// Offset of the load or store.
        pc: Pc,
        /// Why.
        error: HostError,
    },
    /// The window has no mappings left to close pages with, so that every gate would have to ask
    /// the page tables. Registers, gas and memory are as in front of the block at `pc`, whose gate
    /// has not been passed.
    #[error("gate at pc {}: {error}", pc.value())]
    Gate {
        /// Offset of the block.
        pc: Pc,
        /// What could not be mapped.
        error: HostError,
    },
    /// Generated code faulted where no guest access is.
    #[error("generated code faulted at {address:#x}, which is no guest access: report this")]
    StrayFault {
        /// Native address of the instruction.
        address: u64,
    },
    /// A forked child has no memory for a translation of its own.
    #[error("no memory below 2 GiB for the dispatch table of a forked process")]
    NoTable,
    /// Generated code asked for something that its tables do not know.
    #[error("code of chunk {chunk} asked for an unknown service at {address:#x}: report this")]
    UnknownSite {
        /// Number of the chunk.
        chunk: u64,
        /// Native address of the request.
        address: u64,
    },
    /// Gas left its domain, because charges were larger than reserves.
    #[error("gas of {gas} is outside 0..2^63: report this")]
    Gas {
        /// The figure as a signed number.
        gas: i64,
    },
}

/// A bias so large that no quick gate ever passes: each block comes to [`Activation::gate`].
pub(crate) const STEPPING_BIAS: u64 = i64::MAX as u64;

/// Where generated code goes on: a native address, or out.
pub(crate) const LEAVE: u64 = 0;

/// One run in progress.
pub(crate) struct Activation<'a, H> {
    pub(crate) translation: &'a Translation,
    pub(crate) signals: SignalCheck,
    /// The process that the translation belongs to.
    pub(crate) process: u32,
    pub(crate) memory: &'a mut AddressSpace,
    pub(crate) host: &'a mut H,
    pub(crate) result: Option<Result<Left, RunError>>,
    /// How many more blocks to run, if that is limited.
    pub(crate) steps: Option<u32>,
    /// Where to go on with a translation of its own if the host forked and this is the child.
    pub(crate) forked_at: Option<Pc>,
    /// A panic of the host, to be continued behind the generated code's frames.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// GS base to be in force while the host runs; `None` if the host does not use it.
    pub(crate) host_gs: Option<u64>,
}

impl Context {
    /// Gas left when every charged page and no open page is paid.
    pub(crate) fn gas_left(&self) -> u64 {
        self.gas.wrapping_add(self.bias) as u64
    }

    /// The bias that goes with `open` charges.
    fn bias_for(&self, open: u64) -> i64 {
        self.least_bias.saturating_add(open).min(STEPPING_BIAS) as i64
    }

    /// Sets that figure, and the bias that goes with `open` charges.
    pub(crate) fn set_gas(&mut self, gas: u64, open: u64) {
        self.bias = self.bias_for(open);
        self.gas = (gas as i64).wrapping_sub(self.bias);
    }
}

impl<H: Host> Activation<'_, H> {
    fn leave(&mut self, result: Result<Left, RunError>) -> u64 {
        self.result = Some(result);
        LEAVE
    }

    fn exit(&mut self, exit: Exit, pc: u32) -> u64 {
        self.leave(Ok(Left::Exit(exit, Pc::new(u64::from(pc)))))
    }

    /// Pays for open pages that were written, so that gas is exact.
    pub(crate) fn settle(&mut self, context: &mut Context, open: Settle) -> Result<(), HostError> {
        if self.memory.open_charge() > 0 {
            let charge = self.memory.settle(open)?;
            let gas = context.gas_left().wrapping_sub(charge);
            context.set_gas(gas, self.memory.open_charge());
        }
        Ok(())
    }

    /// A cold call of generated code.
    pub(crate) fn service(&mut self, context: &mut Context) -> u64 {
        let (chunk, address, pushes) = (context.chunk, context.site, context.pushes);
        let found = self
            .translation
            .chunk(chunk as usize)
            .and_then(|c| Some((c, c.site(address, pushes)?)));
        let Some((chunk, site)) = found else {
            return self.leave(Err(RunError::UnknownSite { chunk, address }));
        };
        match site.kind {
            SiteKind::QuickGate => {
                context.gas = context.gas.wrapping_add(i64::from(site.cost));
                self.gate(context, site, chunk.address_of(site.body))
            }
            SiteKind::LargeGate => self.gate(context, site, chunk.address_of(site.body)),
            SiteKind::Panic => self.exit(Exit::Panic, site.pc),
            SiteKind::Trap => self.exit(Exit::Trap, site.pc),
            SiteKind::Interpret => self.leave(Ok(Left::Untranslated(Pc::new(u64::from(site.pc))))),
            SiteKind::Overflow => {
                context.guest_rsp = context.top_rsp;
                chunk.address_of(site.body)
            }
            SiteKind::Resolve => self.go_to(site.pc, site.pc),
            SiteKind::Indirect => self.jump_indirect(&mut context.regs, site.pc),
        }
    }

    /// A return whose target the dispatch table does not know.
    pub(crate) fn returned(&mut self, context: &mut Context) -> u64 {
        self.jump_indirect(&mut context.regs, context.scratch as u32)
    }

    /// Whether the run is to end in front of the next block; counts it if not.
    fn is_last_step(&mut self) -> bool {
        match &mut self.steps {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    /// The exact gate of gas §4, after the quick one failed.
    fn gate(&mut self, context: &mut Context, site: Site, body: u64) -> u64 {
        if self.is_last_step() {
            return self.leave(Ok(Left::Stepped(Pc::new(u64::from(site.pc)))));
        }
        if let Err(error) = self.settle(context, Settle::Close) {
            return self.leave(Err(error.into()));
        }
        let (gas, cost) = (context.gas_left(), u64::from(site.cost));
        if gas < cost.saturating_add(site.reserve) {
            return self.exit(Exit::OutOfGas, site.pc);
        }
        if let Some(error) = self.memory.stuck() {
            let pc = Pc::new(u64::from(site.pc));
            return self.leave(Err(RunError::Gate { pc, error }));
        }
        context.set_gas(gas - cost, self.memory.open_charge());
        body
    }

    /// A `jalr` whose table entry is empty. Its link register is not written yet.
    fn jump_indirect(&mut self, regs: &mut Regs, pc: u32) -> u64 {
        let Some(jump) = decode(self.translation.code(), pc as usize) else {
            return self.exit(Exit::Panic, pc);
        };
        let base = regs.get(jump.inst.rs1());
        let target = base.wrapping_add(i64::from(jump.inst.imm()) as u64) & !1;
        if mutant!(JitFailedLink, true, false) {
            regs.set(jump.inst.rd(), CODE_BASE + u64::from(pc) + jump.len.bytes());
        }
        match (target as u32).checked_sub(CODE_BASE as u32) {
            Some(offset) => self.go_to(offset, pc),
            None => self.exit(Exit::Panic, pc),
        }
    }

    /// Goes to the block at `target`, or panics at `from` if there is none.
    fn go_to(&mut self, target: u32, from: u32) -> u64 {
        match self.translation.entry(Pc::new(u64::from(target))) {
            Entry::Native(address) => u64::from(address),
            Entry::Untranslated => self.leave(Ok(Left::Untranslated(Pc::new(u64::from(target))))),
            Entry::NotAStart => self.exit(Exit::Panic, from),
        }
    }

    /// A call of the guest; `false` to leave.
    #[inline(always)]
    pub(crate) fn call(&mut self, context: &mut Context, pc: u32) -> bool {
        if self.is_last_step() {
            self.leave(Ok(Left::Stepped(Pc::new(u64::from(pc)))));
            return false;
        }
        if let Err(error) = self.settle(context, Settle::Keep) {
            self.leave(Err(error.into()));
            return false;
        }
        let kind = kind_of(self.translation.code(), pc);
        let Some(mut gas) = Gas::new(context.gas_left()) else {
            self.leave(Err(RunError::Gas {
                gas: context.gas_left() as i64,
            }));
            return false;
        };
        let next_pc = Pc::new(u64::from(pc) + 4);
        let regs = &mut context.regs;
        let call = Call {
            kind,
            next_pc,
            regs,
            gas: &mut gas,
            memory: CallMemory::new(self.memory),
        };
        let flow = self.host.call(call);
        if self.memory.open_charge() > 0
            && let Err(error) = self.memory.check_untouched()
        {
            self.leave(Err(error.into()));
            return false;
        }
        if gas.value() != context.gas_left()
            || context.bias_for(self.memory.open_charge()) != context.bias
        {
            context.set_gas(
                gas.value(),
                mutant!(JitCallBias, self.memory.open_charge(), 0),
            );
        }
        match flow {
            Flow::Continue if process::id() != self.process => {
                // A child may not run its parent's code: the parent can reuse the memory.
                self.forked_at = Some(next_pc);
                false
            }
            Flow::Continue => true,
            Flow::Stop(exit, pc) => {
                self.result = Some(Ok(Left::Exit(exit, pc)));
                false
            }
        }
    }

    /// A fault of the host instruction at `context.site`.
    pub(crate) fn fault(&mut self, context: &mut Context) -> u64 {
        let address = context.site;
        let code = self.translation.code();
        let Some(trap) = self.translation.trap(address) else {
            return self.leave(Err(RunError::StrayFault { address }));
        };
        let before = registers_before(code, trap, &context.regs);
        let Some((at, len, access)) = access_of(code, trap.pc, &before) else {
            return self.leave(Err(RunError::StrayFault { address }));
        };
        let gas = context.gas_left();
        let error = match self.memory.access_opening(at, len, access, gas) {
            Ok(granted) if granted.change != Change::Nothing => {
                context.set_gas(
                    gas.wrapping_sub(granted.charge),
                    mutant!(JitTrapBias, self.memory.open_charge(), 0),
                );
                return address;
            }
            Ok(_) => HostError::Unexplained { page: at.page() },
            Err(Denied::Host(error)) => error,
            Err(Denied::Fault(fault)) => {
                context.regs = before;
                return match PageIndex::new(fault.page.value()) {
                    Some(page) => self.exit(Exit::PageFault { page }, trap.pc),
                    None => self.leave(Err(RunError::StrayFault { address })),
                };
            }
        };
        context.regs = before;
        self.leave(Err(RunError::Access {
            pc: Pc::new(u64::from(trap.pc)),
            error,
        }))
    }
}

/// The registers in front of the guest instruction of a trap, from those at the host instruction.
fn registers_before(code: &[u8], trap: Trap, regs: &Regs) -> Regs {
    let mut before = *regs;
    if trap.first == trap.pc {
        return before;
    }
    if let Some(add) = decode(code, trap.first as usize).map(|d| d.inst) {
        let (a, b) = (regs.get(add.rs1()), regs.get(add.rs2()));
        let scale = match add.op() {
            Op::Sh1add => 1,
            Op::Sh2add => 2,
            Op::Sh3add => mutant!(JitFusedFaultScale, 3, 2),
            _ => 0,
        };
        before.set(add.rd(), (a << scale).wrapping_add(b));
    }
    before
}

/// Which of the two calls stands at `pc`: their words differ in funct3, and `ecalli` has its
/// selector in the top twelve bits (ISA §6.13).
#[inline]
fn kind_of(code: &[u8], pc: u32) -> CallKind {
    const FUNCT3: u32 = 7 << 12;
    const ECALLI: u32 = 2 << 12;
    let word = code
        .get(pc as usize..)
        .and_then(|rest| rest.first_chunk::<4>());
    let word = word.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if word & FUNCT3 == ECALLI {
        CallKind::Host((word as i32 >> 20) as u32)
    } else {
        CallKind::Kernel
    }
}

/// The access of the load or store at `pc`, from registers as before it.
fn access_of(code: &[u8], pc: u32, regs: &Regs) -> Option<(GuestAddr, AccessLen, Access)> {
    let inst = decode(code, pc as usize)?.inst;
    let len = match inst.op() {
        Op::Lb | Op::Lbu | Op::Sb => AccessLen::Byte,
        Op::Lh | Op::Lhu | Op::Sh => AccessLen::Half,
        Op::Lw | Op::Lwu | Op::Sw => AccessLen::Word,
        Op::Ld | Op::Sd => AccessLen::Double,
        _ => return None,
    };
    let address = regs
        .get(inst.rs1())
        .wrapping_add(i64::from(inst.imm()) as u64);
    let access = if inst.op().is_store() {
        Access::Write
    } else {
        Access::Read
    };
    Some((GuestAddr::wrapping(address), len, access))
}
