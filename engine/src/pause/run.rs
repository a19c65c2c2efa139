//! The loop of a run that may be paused.

use super::ration::{Ration, whole};
use super::{Pause, Ran, Until, Watch};
use crate::call::Host;
use crate::error::HostError;
use crate::machine::{Machine, Reach, Status};
use rivet_interp::State;
use rivet_isa::{Exit, Gas};

impl Machine {
    /// Runs until an exit or until one of the conditions holds, whichever is first. A run that is
    /// paused is in front of a block, or at a call if that was asked for; running on gives what
    /// one unpaused run gives, on every backend.
    ///
    /// A condition that holds at once pauses before anything is done. Time and interrupts are
    /// looked at after each call and every 2^20 gas, every 2^25 where generated code runs, so a
    /// block, a call and that much gas are the longest that a run goes on.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_until(&mut self, host: &mut dyn Host, until: &Until) -> Result<Ran, HostError> {
        let watch = Watch::new(until, &self.state, self.backend());
        match self.status {
            Status::Ended(exit) => return Ok(Ran::Exit(exit)),
            Status::Poisoned => return Err(HostError::Poisoned),
            Status::Ready | Status::Pending(_) | Status::Suspended(_) => {}
        }
        if let Some(pause) = watch.stop(self.state.pc, self.state.gas) {
            return Ok(Ran::Paused(pause));
        }
        // What does not return leaves it so.
        let status = std::mem::replace(&mut self.status, Status::Poisoned);
        let (status, ran) = self.watched(status, host, &watch)?;
        self.status = status;
        Ok(ran)
    }

    /// What the machine is afterwards, and how the run came back.
    fn watched(
        &mut self,
        status: Status,
        host: &mut dyn Host,
        watch: &Watch<'_>,
    ) -> Result<(Status, Ran), HostError> {
        if let Status::Pending(call) = status
            && let Some(exit) = self.answer(call, host)?
        {
            return Ok((Status::after(exit), Ran::Exit(exit)));
        }
        loop {
            let State { pc, gas, .. } = self.state;
            // The end of the code is no pause point once the call in front of it is done.
            let pausable = self.program.starts().contains(pc);
            if let Some(pause) = watch.stop(pc, gas).filter(|_| pausable) {
                return Ok((Status::Ready, Ran::Paused(pause)));
            }
            let held = if watch.steps() { 0 } else { watch.hold(gas) };
            let mut ration = Ration { host, watch, held };
            let exit = if watch.steps() {
                self.proceed(Reach::Block, &mut ration)?
            } else {
                self.state.gas = gas.checked_sub(held).unwrap_or(Gas::ZERO);
                self.proceed(Reach::Exit, &mut ration)?
            };
            self.state.gas = whole(self.state.gas, ration.held);
            match exit {
                Some(Exit::OutOfGas) if ration.held > 0 => {}
                Some(exit) => return Ok(watch.ended(exit)),
                None => continue,
            }
            let State { pc, gas, .. } = self.state;
            if let Some(pause) = watch.stop(pc, gas) {
                return Ok((Status::Ready, Ran::Paused(pause)));
            }
            // The part did not pass this gate; the whole decides.
            let mut ration = Ration {
                host,
                watch,
                held: 0,
            };
            let exit = self.proceed(Reach::Block, &mut ration)?;
            self.state.gas = whole(self.state.gas, ration.held);
            if let Some(exit) = exit {
                return Ok(watch.ended(exit));
            }
        }
    }
}

impl Watch<'_> {
    /// What an exit of the guest means: a call that was left alone is a pause.
    fn ended(&self, exit: Exit) -> (Status, Ran) {
        let status = Status::after(exit);
        let ran = match status {
            Status::Pending(_) if self.until.call => Ran::Paused(Pause::Call),
            _ => Ran::Exit(exit),
        };
        (status, ran)
    }
}
