//! Engine, Program, Machine, run, Exit: the embedding interface of rivet
#![forbid(unsafe_code)]
