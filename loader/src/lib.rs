//! The linker that makes any conforming RV64E executable a PVM2 image.
//!
//! An executable of clang or Rust obeys RISC-V, not PVM2: branches go to places that are not block
//! starts (ISA §9), and data stands between instructions. This crate rewrites the code so that
//! both engines accept every jump it makes, and proves that nothing else changed.
//!
//! ```text
//!  ELF ─ elf ──▶ Object    headers, sections and segments checked
//!        text ─▶ Text      instructions, and the data between them
//!   code_refs ─▶ branches by decoding; auipc and lui pairs by relocation ┐ each must reproduce
//!   data_refs ─▶ pointers, jump tables, GOT by relocation                ┘ the bytes it made
//!      folded ─▶ refuses distances that the assembler has folded
//!       place ─▶ fallthrough before targets; branches widened to a fixpoint
//!      layout ─▶ data, heap, stack
//!        emit ─▶ new code, new data, address map
//!       proof ─▶ output against source by other means
//!      memory ─▶ Image                      sidecar ─▶ map, symbols, debug information
//! ```
//!
//! * Reading is total: no input makes it panic, and time and memory are proportional to the input.
//! * Nothing moves on trust. A relocation that does not reproduce the linked bytes, a target that
//!   is not the start of an instruction, an address part without relocation: each is a
//!   [`LinkError`] that names section, offset, symbol and instruction and says how to fix it.
//! * Debug information is not touched. [`AddressMap`] leads from a new pc to the address it speaks
//!   of; [`Sidecar`] holds both and goes beside the image.
//! * What runs an image, and how, is not here: that is the engine's.
//!
//! Unwinding tables (`.eh_frame`, `.eh_frame_hdr`, `.gcc_except_table`) are left out of the image:
//! code moves and they would lie. Code that refers to one of them is refused.
//!
//! ```no_run
//! let elf = std::fs::read("hello.elf")?;
//! match rivet_loader::link(&elf, &rivet_loader::LinkOptions::default()) {
//!     Ok(linked) => println!("{} bytes of code", linked.report.text_after),
//!     Err(error) => eprint!("{}", error.diagnostic("hello.elf")),
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod align;
mod bare_calls;
mod branches;
mod code_refs;
mod data_refs;
mod describe;
mod diagnostic;
mod elf;
mod emit;
mod error;
mod folded;
mod layout;
mod link;
mod map;
mod memory;
mod pair;
mod place;
mod program;
mod proof;
mod regions;
mod sidecar;
mod text;

pub use describe::{CodeSymbol, LinkReport, MemoryKind, MemoryReport};
pub use diagnostic::Diagnostic;
pub use elf::reloc::Kind as RelocationKind;
pub use error::{FlagFault, LinkError, Part, Rule, Site};
pub use link::{LinkOptions, Linked, link};
pub use map::AddressMap;
pub use sidecar::{DebugSection, SIDECAR_VERSION, Sidecar, SidecarError};
