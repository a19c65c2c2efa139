//! Facade of the rivet workspace.
#![forbid(unsafe_code)]
pub use rivet_isa as isa;
