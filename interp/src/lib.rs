//! Reference interpreter for PVM2: the loop of ISA §11.4, plain, safe and portable.
//!
//! ```text
//!  code ──▶ Program ── blocks as they are first entered ──▶ cache
//!                                                             │
//!  State { regs, pc, gas } ◀──────── run ◀────────────────────┤
//!                                     │                       │
//!                               Memory (trait) ◀──────────── exec/{i,m,zba,zbb,zbs,zicond,xjar}
//!                                     ▲
//!                               SparseMemory, or a page manager of the embedder
//! ```
//!
//! * [`run`] executes until an [`Exit`](rivet_isa::Exit); [`run_block`] executes one block,
//!   [`finish_block`] what is left of one; [`run_traced`] shows every instruction to a
//!   [`Tracer`].
//! * [`Program`] is the code with its block starts and costs. Blocks are predecoded when they are
//!   first entered and dropped when they outgrow a limit; no run can tell.
//! * [`Memory`] is what a run needs of guest memory; [`SparseMemory`] has the page states and
//!   prices of gas §10 and takes host memory only for pages that were written.
//!
//! An exit is a result. What the host lacks (memory, chiefly) is a [`RunError`], after which the
//! state and memory must not be used further.
//!
//! ```
//! use rivet_interp::{Program, SparseMemory, State, run};
//! use rivet_isa::{Exit, Gas, Pc, Reg, gas::FrameCosts};
//!
//! let code = rivet_isa::asm::assemble("li a0, 42\n trap")?;
//! let program = Program::new(code.into(), FrameCosts::new(25, 256));
//! let mut state = State { gas: Gas::MAX, ..State::default() };
//! let mut memory = SparseMemory::new(1024);
//! assert_eq!(run(&program, &mut state, &mut memory)?, Exit::Trap);
//! assert_eq!(state.regs.get(Reg::A0), 42);
//! assert_eq!(state.pc, Pc::new(4));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod cache;
mod exec;
mod machine;
mod memory;
mod program;
pub mod sparse;
mod trace;

pub use machine::{RunError, State, finish_block, run, run_block, run_block_traced, run_traced};
pub use memory::{AccessError, Memory, Width};
pub use program::{DEFAULT_CACHE_LIMIT, Program};
pub use sparse::SparseMemory;
pub use trace::{Tracer, View};
