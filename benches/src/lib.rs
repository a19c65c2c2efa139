//! What more than one benchmark measures, so that a figure means the same wherever it is printed.
#![forbid(unsafe_code)]

pub mod figure;
pub mod gates;
pub mod guests;
pub mod hosts;
pub mod recompiler;
pub mod worst;
