//! The embedding interface of rivet: load a program, start a machine, run it to an exit.
//!
//! ```text
//! Config ─▶ Engine ─load─▶ Program ─machine─▶ Machine ─run(host)─▶ Exit
//!                          (Arc, shared)      (one execution)        │
//!                                                 ▲──── resume ──────┘
//! ```
//!
//! * [`Engine`] holds the configuration and picks the backend; [`Program`] is a loaded image,
//!   cheap to clone and shared between threads; [`Machine`] is one execution of it.
//! * An [`Exit`] is a result. A [`HostError`] is not: the machine it came from is poisoned, and a
//!   validator must stop rather than vote on it.
//! * Guest calls are answered by a [`Host`] in two phases, [`quote`](Host::quote) before the
//!   charge and [`perform`](Host::perform) after it, so that the check cannot be forgotten
//!   (gas §9). Calls that nobody answers surface as exits.
//! * [`Bare`] is the host that the command line uses: write, gas left, finished.
//!
//! ```
//! use rivet_engine::{Bare, Config, Engine, Exit, Raw, Start};
//! use rivet_isa::{Gas, asm::assemble};
//!
//! let engine = Engine::new(Config::default())?;
//! let code = assemble("li a0, 42\n fallthrough\n ecalli 0")?;
//! let program = engine.load_raw(Raw::new(code))?;
//! let mut machine = program.machine(Start::at(0).with_gas(Gas::new(1_000).unwrap()))?;
//! let exit = machine.run(&mut Bare::new(Vec::new()))?;
//! assert_eq!((exit, machine.regs().get(rivet_isa::Reg::A0)), (Exit::Halt, 42));
//! assert_eq!(machine.gas().value(), 1_000 - 1 - 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bare;
mod call;
mod checked;
mod config;
#[cfg(feature = "diff")]
pub mod diff;
mod error;
mod hash;
mod identity;
mod interpreted;
mod machine;
mod memory;
mod native;
mod pause;
mod program;
mod service;
pub mod snapshot;
pub mod trace;

pub use bare::{Bare, MAX_WRITE};
pub use call::{AccessError, Call, CallContext, Flow, Host, NoHost, Quote, View};
pub use checked::Divergence;
pub use config::{Backend, CheckEvery, Config, Limits};
pub use error::{EngineError, HostError, LoadError, StartError};
pub use hash::MemoryHash;
pub use identity::CostModelId;
pub use machine::Machine;
pub use native::{NativeCode, Translation, Unavailable, first_write_tracking, native_available};
pub use pause::{Interrupt, Pause, Ran, Until};
pub use program::{BlockInfo, Program, Raw, Start};
pub use rivet_interp::{State, Tracer, View as Traced};
pub use rivet_isa::{Exit, Payment};
pub use rivet_paging::SignalCheck;

mod engine;
pub use engine::Engine;
