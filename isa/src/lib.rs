//! PVM2 instruction table and all that derives from it: decode, encode, disassemble, assemble, blocks, gas
#![forbid(unsafe_code)]
