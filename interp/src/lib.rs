//! Reference interpreter for PVM2
#![forbid(unsafe_code)]
