//! x86-64 recompiler for PVM2
#![forbid(unsafe_code)]
