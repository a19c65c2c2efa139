//! What a host answers, noted as a vector says it.

use super::model::{Answer, Bytes, RegSet};
use rivet_engine::{Call, CallContext, Flow, Host, Quote, View};
use rivet_isa::GuestAddr;
use std::cell::RefCell;
use std::ops::Range;

/// A host that does what another one does and notes its answers, so that a vector can give them
/// without that host.
pub struct Listener<'a> {
    host: &'a mut dyn Host,
    /// Work and ranges of the last quote, which the next call performed is about.
    quoted: RefCell<(u64, Vec<Range<u64>>)>,
    answers: Vec<Answer>,
}

impl<'a> Listener<'a> {
    /// Listens to this host.
    pub fn new(host: &'a mut dyn Host) -> Self {
        Self {
            host,
            quoted: RefCell::default(),
            answers: Vec::new(),
        }
    }

    /// Notes that this call was the exit because it was not answered, in case the run goes on.
    pub fn left(&mut self, call: Call) {
        self.answers.push(Answer::none(call));
    }

    /// The answers so far, in order.
    pub fn into_answers(self) -> Vec<Answer> {
        self.answers
    }
}

impl Host for Listener<'_> {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        let quote = self.host.quote(call, view);
        if let Some((work, ranges)) = quote.terms() {
            *self.quoted.borrow_mut() = (work, ranges.to_vec());
        }
        quote
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let (regs, gas) = (*context.regs(), context.gas());
        let flow = self.host.perform(call, context);
        let (extra, ranges) = self.quoted.take();
        let written = ranges.into_iter().filter_map(|range| {
            let addr = GuestAddr::wrapping(range.start);
            let mut bytes = vec![0; usize::try_from(range.end - range.start).ok()?];
            context.read(addr, &mut bytes).ok()?;
            (!bytes.is_empty()).then_some(Bytes { addr, bytes })
        });
        self.answers.push(Answer {
            call,
            flow: Some(flow),
            extra,
            writes: written.collect(),
            gas: (context.gas() != gas).then_some(context.gas()),
            regs: RegSet::between(&regs, context.regs()),
        });
        flow
    }
}
