//! What a host answers, noted as a vector says it.

use super::model::{Answer, Bytes, RegSet};
use rivet_engine::{Call, CallContext, Flow, Host, Quote, View};
use rivet_isa::GuestAddr;
use std::cell::RefCell;
use std::ops::Range;

/// Work and ranges of a quote for a call.
struct Quoted {
    call: Call,
    work: u64,
    ranges: Vec<Range<u64>>,
}

/// A host that does what another one does and notes its answers, so that a vector can give them
/// without that host.
pub struct Listener<'a> {
    host: &'a mut dyn Host,
    /// The last quote, which the next call performed is about.
    quoted: RefCell<Option<Quoted>>,
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

    /// Notes that the call quoted last could not be paid, which was the last exit: with no line for
    /// it, it would not be answered.
    pub fn unpayable(&mut self) {
        let Some(Quoted { call, work, ranges }) = self.quoted.take() else {
            return;
        };
        let writes = ranges.into_iter().filter_map(|range| {
            let len = usize::try_from(range.end - range.start).ok()?;
            (len > 0).then(|| Bytes {
                addr: GuestAddr::wrapping(range.start),
                bytes: vec![0; len],
            })
        });
        self.answers.push(Answer {
            flow: Some(Flow::Continue),
            extra: work,
            writes: writes.collect(),
            ..Answer::none(call)
        });
    }

    /// The answers so far, in order.
    pub fn into_answers(self) -> Vec<Answer> {
        self.answers
    }
}

impl Host for Listener<'_> {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        let quote = self.host.quote(call, view);
        *self.quoted.borrow_mut() = quote.terms().map(|(work, ranges)| Quoted {
            call,
            work,
            ranges: ranges.to_vec(),
        });
        quote
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let (regs, gas) = (*context.regs(), context.gas());
        let flow = self.host.perform(call, context);
        let quoted = self.quoted.take();
        let (extra, ranges) = quoted.map_or((0, Vec::new()), |q| (q.work, q.ranges));
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
