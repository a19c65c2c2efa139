//! Reading ELF executables: everything that knows the file format and nothing that knows PVM2.

mod header;
pub(crate) mod object;
pub(crate) mod reloc;
mod segments;
pub(crate) mod symbols;
