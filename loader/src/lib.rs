//! Linker from RV64E ELF executables to PVM2 images
#![forbid(unsafe_code)]
