//! The host that answers calls as a vector says.

use super::model::Answer;
use rivet_engine::{Call, CallContext, Exit, Flow, Host, Quote, View};
use rivet_isa::Payment;
use std::collections::VecDeque;

/// Answers in order. A call that the next answer does not belong to is not answered.
pub(super) struct Script {
    answers: VecDeque<Answer>,
    /// Set when a write was refused: the vector asks for what it may not.
    pub(super) refused: Option<String>,
}

impl Script {
    pub(super) fn new(answers: &[Answer]) -> Self {
        Self {
            answers: answers.iter().cloned().collect(),
            refused: None,
        }
    }

    fn next(&self, call: Call) -> Option<&Answer> {
        self.answers.front().filter(|answer| answer.call == call)
    }

    /// Uses up the line that leaves this call unanswered, which was the exit.
    pub(super) fn left(&mut self, exit: Exit) {
        let unpaid = call_left(exit);
        let line = unpaid.and_then(|call| self.next(call));
        if line.is_some_and(|line| line.flow.is_none()) {
            self.answers.pop_front();
        }
    }
}

impl Host for Script {
    fn quote(&self, call: Call, _: &View<'_>) -> Quote {
        let Some(answer) = self.next(call).filter(|line| line.flow.is_some()) else {
            return Quote::unanswered();
        };
        let ranges = answer.writes.iter();
        ranges.fold(Quote::extra(answer.extra), |quote, write| {
            quote.writing(write.addr, write.bytes.len() as u64)
        })
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        let Some(answer) = self.answers.pop_front() else {
            return Flow::Suspend;
        };
        for (reg, value) in &answer.regs.0 {
            context.set_reg(*reg, *value);
        }
        for write in &answer.writes {
            if let Err(error) = context.write(write.addr, &write.bytes) {
                self.refused = Some(error.to_string());
            }
        }
        if let Some(gas) = answer.gas {
            context.set_gas(gas);
        }
        answer.flow.unwrap_or(Flow::Suspend)
    }
}

/// The call that nobody answered, if that is why a run ended.
pub(super) fn call_left(exit: Exit) -> Option<Call> {
    match exit {
        Exit::HostCall {
            selector,
            payment: Payment::Unpaid,
        } => Some(Call::Host { selector }),
        Exit::Ecall {
            payment: Payment::Unpaid,
        } => Some(Call::Kernel),
        _ => None,
    }
}
