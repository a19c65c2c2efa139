//! `rivet trace`: what a run passes, block by block or instruction by instruction.

mod binary;
mod filter;
mod text;

use crate::Outcome;
use crate::failure::Failure;
use crate::input::Loaded;
use crate::program::ProgramArgs;
use filter::Filter;
use rivet::engine::{Backend, Bare, Config, Engine, Exit, HostError, Machine, Tracer};
use std::io;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rivet trace prog.elf | head                       one line for each block
  rivet trace --instructions --symbol main prog.elf
  rivet trace --pc 0x100:0x180 --gas-window 0:5000 prog.pvm
  rivet trace --binary prog.trace prog.elf && rivet diff prog.elf --trace prog.trace

A trace shows gas and registers in front of a block's or an instruction's work, the block's cost
taken. Filters leave out lines, not work: the result is that of `rivet run`. What the guest writes is
dropped. A binary trace holds all registers; its format is that of `rivet::engine::trace`. Exit
status: 0 halted, 1 ended otherwise, 2 usage or load error.";

/// Show what a run passes
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    #[command(flatten)]
    program: ProgramArgs,
    /// Every instruction, not blocks only
    #[arg(long)]
    instructions: bool,
    /// Write a binary trace to this file, `-` for standard output
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Backend that runs a binary trace of blocks; all others are interpreted
    #[arg(long, value_name = "NAME", default_value = "interp")]
    engine: Backend,
    /// Only offsets from FROM up to TO, without TO
    #[arg(long = "pc", value_name = "FROM:TO", value_parser = filter::range)]
    pcs: Vec<(u64, u64)>,
    /// Only code of this symbol
    #[arg(long = "symbol", value_name = "NAME")]
    symbols: Vec<String>,
    /// Only while gas left is from LOW to HIGH
    #[arg(long = "gas-window", value_name = "LOW:HIGH", value_parser = filter::range)]
    window: Option<(u64, u64)>,
}

pub(crate) fn trace(args: &Args) -> Result<Outcome, Failure> {
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?;
    let (loaded, start) = args.program.open(&args.file, &engine)?;
    let filter = Filter::new(args, &loaded.symbols)?;
    let machine = loaded.program.machine(start)?;
    let exit = match &args.binary {
        Some(path) => binary::write(args, path, &loaded, machine, &filter)?,
        None => text::print(args, &loaded, machine, &filter)?,
    };
    match exit {
        Some(Exit::Halt) => Ok(Outcome::Done),
        _ => Ok(Outcome::GuestFailed),
    }
}

/// Runs to the first exit, or until the tracer cannot write any more.
fn run<T: Tracer>(
    machine: &mut Machine,
    tracer: &mut T,
    failed: impl Fn(&T) -> bool,
) -> Result<Option<Exit>, HostError> {
    let mut host = Bare::new(io::sink());
    while !failed(tracer) {
        if let Some(exit) = machine.trace(&mut host, tracer)? {
            return Ok(Some(exit));
        }
    }
    Ok(None)
}

/// A name for an offset, if there is one.
fn name(loaded: &Loaded, pc: rivet::isa::Pc) -> String {
    loaded.symbols.describe(pc).unwrap_or_default()
}
