//! x86-64 recompiler for PVM2.
//!
//! ```text
//!  code ──▶ translate ──▶ lower/* ──▶ asm ──▶ memory (pwrite into a memfd)
//!             │ gate: one sub, one fused branch                │ read-execute mapping
//!             ▼                                                ▼
//!          chunk: sites, traps                     run ──▶ stubs ──▶ generated code
//!             ▲                                     │                    │
//!             └── activation ◀── cold calls, host calls, faults ◀────────┘
//! ```
//!
//! A [`Program`] is translated chunk by chunk as its blocks are reached. [`Program::run`] enters it
//! with guest memory in a window ([`rivet_paging::AddressSpace`]) and a [`Host`] that answers calls without
//! leaving; `abi.rs` says which register holds what.
//!
//! Unsafe code is behind doors: `memory/sys.rs` maps code memory, `run.rs`, `stubs.rs` and `gs.rs`
//! enter generated code, `process.rs` recognises forks. Everything that decides what code is
//! emitted is safe Rust; that the code keeps inside its window follows from `asm/memory.rs`, the
//! only place that encodes memory operands.
#![cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
#![deny(unsafe_code)]

mod abi;
mod activation;
mod asm;
mod chunk;
mod context;
mod gate;
#[expect(unsafe_code, reason = "door: the GS base of the thread")]
mod gs;
mod host;
mod lower;
mod memory;
mod places;
#[expect(
    unsafe_code,
    reason = "door: a page that the kernel clears in forked children"
)]
mod process;
mod program;
#[expect(unsafe_code, reason = "door: entering generated code")]
mod run;
#[expect(unsafe_code, reason = "door: entering generated code")]
mod stubs;
#[expect(unsafe_code, reason = "door: probing the GS base")]
mod support;
mod translate;
mod translation;

pub use activation::{Left, RunError};
pub use host::{Call, CallKind, CallMemory, Flow, Host, NoHost};
pub use memory::{CodeCache, CodeCacheConfig, MemoryError};
pub use program::{Gates, NativeChunk, Program, ProgramError, Totals};
pub use run::Cpu;
pub use support::{Unsupported, supported};
