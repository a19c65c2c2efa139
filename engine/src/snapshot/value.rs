//! The value.

use super::pages::PageList;
use crate::call::Call;
use crate::identity::CostModelId;
use rivet_image::Digest;
use rivet_interp::State;
use rivet_isa::{Exit, Gas, Payment, Pc, Regs};

/// A call that is not finished: the pc is behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Pending {
    /// The call.
    pub call: Call,
    /// Unpaid: the next run offers it to its host. Paid: it was charged and performed, and the
    /// next run goes on behind it.
    pub payment: Payment,
}

impl Pending {
    /// The exit that reported the call.
    pub const fn exit(self) -> Exit {
        self.call.exit(self.payment)
    }
}

/// What a state has besides its pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) image: Digest,
    pub(crate) cost_model: CostModelId,
    pub(crate) state: State,
    pub(crate) pending: Option<Pending>,
}

/// A paused execution.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub(crate) head: Head,
    pub(crate) base: PageList,
    pub(crate) private: PageList,
}

impl Snapshot {
    /// Address of the program's image, see [`Program::image`](crate::Program::image).
    pub const fn image(&self) -> Digest {
        self.head.image
    }

    /// Identity of the cost parameters it was charged by.
    pub const fn cost_model(&self) -> CostModelId {
        self.head.cost_model
    }

    /// Where it goes on.
    pub const fn pc(&self) -> Pc {
        self.head.state.pc
    }

    /// The registers.
    pub const fn regs(&self) -> &Regs {
        &self.head.state.regs
    }

    /// Gas left.
    pub const fn gas(&self) -> Gas {
        self.head.state.gas
    }

    /// The call it is paused behind, if any.
    pub const fn pending(&self) -> Option<Pending> {
        self.head.pending
    }

    /// Pages whose content the embedder placed: neither charged nor private. A page that was placed
    /// with the content it had anyway is not among them.
    pub const fn base_pages(&self) -> &PageList {
        &self.base
    }

    /// Private pages, which have been charged for.
    pub const fn private_pages(&self) -> &PageList {
        &self.private
    }
}
