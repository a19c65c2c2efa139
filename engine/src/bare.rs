//! The bare personality: what a program run without a kernel can ask for.
//!
//! | `ecalli` | meaning |
//! |---|---|
//! | 0 | finished; the result is in a0 |
//! | −1 | writes the a1 bytes at a0 to the output; no register changes |
//! | −2 | a0 = the gas left after the floor |
//!
//! Each costs HOST_CALL_FLOOR. If a byte cannot be read or a1 exceeds [`MAX_WRITE`], nothing is
//! written. Everything else is not answered and surfaces as an exit.

use crate::call::{Call, CallContext, Flow, Host, Quote, View};
use rivet_isa::{GuestAddr, Reg};
use std::io::{self, Write};

/// Most bytes one write call may ask for: 16 MiB.
pub const MAX_WRITE: u64 = 16 << 20;

const FINISHED: u32 = 0;
const WRITE: u32 = -1i32 as u32;
const GAS_LEFT: u32 = -2i32 as u32;

/// The bare host, writing to `W`.
///
/// A failing output cannot be a matter of consensus: the guest never sees it. The first error is
/// kept and later output is dropped; see [`Bare::finish`].
#[derive(Debug)]
pub struct Bare<W> {
    output: W,
    failure: Option<io::Error>,
}

impl<W: Write> Bare<W> {
    /// A bare host whose guest output goes to `output`.
    pub fn new(output: W) -> Self {
        Self {
            output,
            failure: None,
        }
    }

    /// Flushes and returns the output, or the first error it gave.
    pub fn finish(mut self) -> io::Result<W> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.output.flush().map(|()| self.output),
        }
    }

    fn write(&mut self, context: &CallContext<'_>) {
        let addr = GuestAddr::wrapping(context.regs().get(Reg::A0));
        let len = context.regs().get(Reg::A1);
        if len > MAX_WRITE || self.failure.is_some() {
            return;
        }
        let mut bytes = vec![0; len as usize];
        if context.read(addr, &mut bytes).is_ok() {
            self.failure = self.output.write_all(&bytes).err();
        }
    }
}

impl<W: Write> Host for Bare<W> {
    fn quote(&self, call: Call, _: &View<'_>) -> Quote {
        match call {
            Call::Host {
                selector: FINISHED | WRITE | GAS_LEFT,
            } => Quote::floor(),
            _ => Quote::unanswered(),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        match call {
            Call::Host { selector: FINISHED } => return Flow::Halt,
            Call::Host { selector: WRITE } => self.write(context),
            _ => {
                let left = context.gas().value();
                context.set_reg(Reg::A0, left);
            }
        }
        Flow::Continue
    }
}
