//! rivet: an engine for PVM2 programs. This crate gathers the workspace's libraries under one
//! name; the `rivet` command is its binary.
//!
//! | module | what it is for |
//! |---|---|
//! | [`engine`] | load a program, start a machine, run it to an exit |
//! | [`image`] | programs as values: wire form, address, memory layout |
//! | [`loader`] | ELF executables to images |
//! | [`isa`] | instructions, block starts, the gas model |
//! | `vectors` | conformance vectors: reading, writing, running (feature `vectors`) |
//!
//! ```
//! use rivet::engine::{Bare, Config, Engine, Raw, Start};
//! use rivet::isa::{Gas, asm::assemble};
//!
//! let program = Engine::new(Config::default())?.load_raw(Raw::new(assemble("ecalli 0")?))?;
//! let mut machine = program.machine(Start::at(0).with_gas(Gas::MAX))?;
//! assert_eq!(machine.run(&mut Bare::new(std::io::sink()))?.name(), "halt");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub use rivet_engine as engine;
pub use rivet_image as image;
pub use rivet_isa as isa;
pub use rivet_loader as loader;

#[cfg(feature = "vectors")]
pub mod vectors;
