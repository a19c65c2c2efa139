//! Benchmarks of rivet
#![forbid(unsafe_code)]
