//! Calls during a run with a part of the gas: the host sees and changes the whole.

use super::Watch;
use crate::call::{Call, CallContext, Flow, Host, Quote, View};
use rivet_isa::Gas;

/// A host in front of the real one.
pub(super) struct Ration<'a, 'w> {
    pub(super) host: &'a mut dyn Host,
    pub(super) watch: &'a Watch<'w>,
    /// Gas that the backend does not know of.
    pub(super) held: u64,
}

/// The whole of a part and what is held back; both come from gas below 2^63.
pub(super) fn whole(part: Gas, held: u64) -> Gas {
    Gas::new(part.value().saturating_add(held)).unwrap_or(Gas::MAX)
}

impl Host for Ration<'_, '_> {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        if self.held > 0 && view.gas == Gas::ZERO {
            // Priced at the floor it cannot be paid, so the run comes back in front of the call.
            return Quote::floor();
        }
        if self.watch.until.call {
            return Quote::unanswered();
        }
        let View { regs, memory, .. } = *view;
        let gas = whole(view.gas, self.held);
        self.host.quote(call, &View { regs, gas, memory })
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let mut gas = whole(*context.gas, self.held);
        let flow = self.host.perform(
            call,
            &mut CallContext {
                regs: context.regs,
                gas: &mut gas,
                memory: context.memory,
                writes: context.writes,
            },
        );
        self.held = match self.watch.due() {
            Some(_) => gas.value(),
            None => self.watch.hold(gas),
        };
        *context.gas = gas.checked_sub(self.held).unwrap_or(Gas::ZERO);
        flow
    }
}
