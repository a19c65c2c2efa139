//! Runs that stop before they are over, always in front of a block, without an effect on the result.
//!
//! ```text
//!  true gas ├──────── held back ────────┤──── given to the backend ────┤
//!                                       0 ◀── gate fails: is it time to stop? no: give more
//! ```
//! A backend runs with a part of the gas. Where that part does not pass a gate, the run comes back
//! out of gas in front of that block, exactly as at the end of the whole: then the conditions are
//! looked at. If none holds, the one block runs with the true gas, and the rest with a new part. So
//! nothing is added to generated code, no other thread touches the guest's state, and a part that
//! passes a gate proves that the whole would have.
//!
//! Hosts see the true gas in their calls (`ration.rs`). `run.rs` is the loop.

mod ration;
mod run;

use crate::config::Backend;
use rivet_interp::State;
use rivet_isa::{Exit, Gas, Pc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Gas the interpreter is given at once while somebody may stop the run: milliseconds at most.
const SLICE: u64 = 1 << 20;

/// The same for generated code, which decides each gate the slow way on the last 2^16 of what it has
/// (`rivet_jit`, gate): a part must be long enough to make that tail short. One millisecond of a
/// tight loop, some tens of code that waits for memory.
const NATIVE_SLICE: u64 = 1 << 25;

/// Stops runs from any thread. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every run that watches it to stop in front of a block soon.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets runs go on again.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a run is to stop before its end: as soon as one of the conditions holds.
#[derive(Clone, Debug, Default)]
pub struct Until {
    gas: Option<Gas>,
    block: Option<Pc>,
    call: bool,
    interrupt: Option<Interrupt>,
    time: Option<Duration>,
}

impl Until {
    /// No condition: the run goes on to its exit.
    pub fn exit() -> Self {
        Self::default()
    }

    /// In front of the first block at which no more than this gas is left. The same block on every
    /// backend.
    #[must_use]
    pub const fn gas_left(mut self, gas: Gas) -> Self {
        self.gas = Some(gas);
        self
    }

    /// In front of the block at this pc; the block the run starts with does not count. The run is
    /// interpreted block by block.
    #[must_use]
    pub const fn block(mut self, pc: Pc) -> Self {
        self.block = Some(pc);
        self
    }

    /// At the next call, which is left pending and unpaid. A call that is pending already is
    /// offered to the host first; if that declines, the call is an exit.
    #[must_use]
    pub const fn call(mut self) -> Self {
        self.call = true;
        self
    }

    /// Soon after the interrupt is raised.
    #[must_use]
    pub fn interrupted(mut self, by: &Interrupt) -> Self {
        self.interrupt = Some(by.clone());
        self
    }

    /// Soon after this time has passed since the run began.
    #[must_use]
    pub const fn within(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }
}

/// Which condition stopped a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Pause {
    /// [`Until::gas_left`].
    Gas,
    /// [`Until::block`].
    Block,
    /// [`Until::call`].
    Call,
    /// [`Until::interrupted`].
    Interrupted,
    /// [`Until::within`].
    Deadline,
}

/// How a run that may be paused came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Ran {
    /// At an exit, as [`Machine::run`](crate::Machine::run) would have.
    Exit(Exit),
    /// Earlier.
    Paused(Pause),
}

/// The conditions of a run in progress.
struct Watch<'a> {
    until: &'a Until,
    start: (Pc, Gas),
    slice: u64,
    deadline: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(until: &'a Until, state: &State, backend: Backend) -> Self {
        Self {
            until,
            start: (state.pc, state.gas),
            slice: match backend {
                Backend::Jit => NATIVE_SLICE,
                _ => SLICE,
            },
            // A time beyond what clocks can show never comes.
            deadline: until.time.and_then(|time| Instant::now().checked_add(time)),
        }
    }

    /// Whether each block is to be looked at.
    const fn steps(&self) -> bool {
        self.until.block.is_some()
    }

    /// Why to stop whatever the state, if so.
    fn due(&self) -> Option<Pause> {
        let raised = |by: &Interrupt| by.is_raised();
        if self.until.interrupt.as_ref().is_some_and(raised) {
            return Some(Pause::Interrupted);
        }
        let passed = self.deadline.is_some_and(|end| Instant::now() >= end);
        passed.then_some(Pause::Deadline)
    }

    /// Why to stop in front of the block at `pc`, if so.
    fn stop(&self, pc: Pc, gas: Gas) -> Option<Pause> {
        if self.until.gas.is_some_and(|least| gas <= least) {
            return Some(Pause::Gas);
        }
        if self.until.block == Some(pc) && (pc, gas) != self.start {
            return Some(Pause::Block);
        }
        self.due()
    }

    /// How much of the gas to hold back.
    fn hold(&self, gas: Gas) -> u64 {
        let timed = self.until.interrupt.is_some() || self.deadline.is_some();
        let slice = if timed {
            gas.value().saturating_sub(self.slice)
        } else {
            0
        };
        let least = self.until.gas.map_or(0, Gas::value);
        slice.max(least).min(gas.value())
    }
}
