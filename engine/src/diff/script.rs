//! A host for random programs: it does a little of everything a host may do, and what it does
//! follows from the selector and the registers only.

use crate::call::{Call, CallContext, Flow, Host, Quote, View};
use rivet_isa::{GuestAddr, Reg, Regs};

/// Registers that a call may change, so that the course of a generated program does not depend on
/// the host.
const CHANGED: [Reg; 6] = [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5];

/// Most bytes of a buffer, less one: up to three pages.
const LEN_MASK: u64 = 0x1FFF;

/// What `ecalli` does by the low three bits of its selector:
///
/// | bits | effect |
/// |---|---|
/// | 0 | halts if the selector is 0, else as 7 |
/// | 1 | a0 = gas left |
/// | 2 | changes a0 to a5 |
/// | 3 | asks the rest of the selector as extra gas, else as 7 |
/// | 4 | fills the a1 mod 8192 bytes at a0, if they are writable |
/// | 5 | suspends; so does [`HAND_OVER`](rivet_isa::generate::HAND_OVER) |
/// | 6 | is not answered unless [`answers`](Self::answers) |
/// | 7 | a3 = the eight bytes at a0 |
///
/// `ecall.jar` costs the low byte of a4 and does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// Whether calls with bits 6 are answered.
    pub answers: bool,
}

fn buffer(regs: &Regs) -> (GuestAddr, u64) {
    let addr = GuestAddr::wrapping(regs.get(Reg::A0));
    (addr, regs.get(Reg::A1) & LEN_MASK)
}

impl Host for Script {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        let Call::Host { selector } = call else {
            return Quote::extra(view.regs().get(Reg::A4) & 0xFF);
        };
        let (addr, len) = buffer(view.regs());
        match selector & 7 {
            4 if view.check_write(addr, len).is_ok() => Quote::floor().writing(addr, len),
            3 => Quote::extra(u64::from(selector >> 3)),
            6 if !self.answers => Quote::unanswered(),
            _ => Quote::floor(),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let Call::Host { selector } = call else {
            return Flow::Continue;
        };
        let (addr, len) = buffer(context.regs());
        match selector & 7 {
            0 if selector == 0 => return Flow::Halt,
            1 => context.set_reg(Reg::A0, context.gas().value()),
            2 => {
                for reg in CHANGED {
                    let old = context.regs().get(reg);
                    context.set_reg(reg, old.rotate_left(1) ^ u64::from(reg.number()));
                }
            }
            4 => {
                let bytes = vec![selector as u8; len as usize];
                let written = context.write(addr, &bytes).is_ok();
                context.set_reg(Reg::A2, u64::from(written));
            }
            5 => return Flow::Suspend,
            _ => {
                let mut bytes = [0; 8];
                let read = context.read(addr, &mut bytes).is_ok();
                context.set_reg(Reg::A3, u64::from_le_bytes(bytes) ^ u64::from(read));
            }
        }
        Flow::Continue
    }
}
