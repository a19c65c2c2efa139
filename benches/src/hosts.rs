//! Hosts that benchmarks run guests under.

use rivet_engine::{Call, CallContext, Flow, Host, Quote, View};

/// Answers every call with nothing.
pub struct Answers;

impl Host for Answers {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        Flow::Continue
    }
}

/// Pauses the guest at every call, so that each run enters it: a call that nobody answers would be
/// offered again without that.
pub struct Suspends;

impl Host for Suspends {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        Flow::Suspend
    }
}
