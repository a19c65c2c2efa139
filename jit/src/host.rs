//! Who answers the guest's calls while it runs.

use std::ops::Deref;

use rivet_isa::{Exit, Gas, Payment, Pc, Regs};
use rivet_paging::{AddressSpace, Denied, GuestAddr};

/// Which call the guest makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallKind {
    /// `ecalli`, with its sign-extended selector.
    Host(u32),
    /// `ecall.jar`.
    Kernel,
}

/// A call in progress: the guest's state, open to change. Nothing has been charged for it.
pub struct Call<'a> {
    /// The call.
    pub kind: CallKind,
    /// Offset of the instruction behind the call, where the guest goes on.
    pub next_pc: Pc,
    /// All registers.
    pub regs: &'a mut Regs,
    /// Gas left, exact; what the host leaves here is what the guest goes on with.
    pub gas: &'a mut Gas,
    /// Memory.
    pub memory: CallMemory<'a>,
}

/// Guest memory during a call: everything that can be asked of an [`AddressSpace`], and writing.
/// It cannot be replaced, detached or reset, because the guest goes on in its window.
pub struct CallMemory<'a> {
    space: &'a mut AddressSpace,
}

impl<'a> CallMemory<'a> {
    pub(crate) fn new(space: &'a mut AddressSpace) -> Self {
        Self { space }
    }

    /// Writes for the host, as [`AddressSpace::write`] does, and returns the charge.
    ///
    /// # Errors
    /// The first page that cannot be written, with nothing written; or a host error.
    pub fn write(&mut self, addr: GuestAddr, from: &[u8]) -> Result<u64, Denied> {
        self.space.write(addr, from)
    }
}

impl Deref for CallMemory<'_> {
    type Target = AddressSpace;

    fn deref(&self) -> &AddressSpace {
        self.space
    }
}

/// What happens after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The guest goes on at next_pc.
    Continue,
    /// The run ends with this exit, at this offset.
    Stop(Exit, Pc),
}

/// Answers calls without leaving the run.
pub trait Host {
    /// Services one call. A panic ends the run and continues in the caller of it.
    fn call(&mut self, call: Call<'_>) -> Flow;
}

impl<F: FnMut(Call<'_>) -> Flow> Host for F {
    fn call(&mut self, call: Call<'_>) -> Flow {
        self(call)
    }
}

/// A host that is not there: every call is an exit, unpaid, at next_pc.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn call(&mut self, call: Call<'_>) -> Flow {
        let payment = Payment::Unpaid;
        let exit = match call.kind {
            CallKind::Host(selector) => Exit::HostCall { selector, payment },
            CallKind::Kernel => Exit::Ecall { payment },
        };
        Flow::Stop(exit, call.next_pc)
    }
}
