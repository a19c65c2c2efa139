//! `rivet vectors export`: the run of a program as a vector, recorded by this engine.

use crate::Outcome;
use crate::failure::Failure;
use crate::input::{self, RawArgs};
use crate::number::{self, MapArg};
use crate::symbols;
use rivet::engine::{Backend, Config, Engine, Start, State};
use rivet::isa::{Gas, Reg, Slot};
use rivet::vectors::{Engines, Origin, Vector, VectorFile, record, write};
use std::io::{self, Write};
use std::path::PathBuf;

/// Gas a run starts with.
const DEFAULT_GAS: &str = "1000000";

const EXAMPLES: &str = "\
Examples:
  rivet vectors export guests/prebuilt/fib.elf --arg 10 -o fib.vec
  rivet vectors export --raw code.bin --reg 7=1 --map 0x10000000:4096 --name one

The program runs to its first exit: no host answers, so a call is one. The file says `origin
engine`: it shows when results change, and is no independent expectation.";

/// Run a program to its first exit and write the run as a vector
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    /// Where to write the vector [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name of the vector
    #[arg(long, value_name = "NAME", default_value = "exported")]
    name: String,
    /// Backend that is recorded: auto, jit, interp or checked
    #[arg(long, value_name = "NAME", default_value = "interp")]
    engine: Backend,
    /// Gas to start with, below 2^63
    #[arg(long, value_name = "N", default_value = DEFAULT_GAS, value_parser = number::gas)]
    gas: Gas,
    /// Where to start: a symbol or a code offset [default: _start, with --raw 0]
    #[arg(long, value_name = "ENTRY")]
    entry: Option<String>,
    /// Argument for a0, a1, … a5, in order
    #[arg(long = "arg", value_name = "X", value_parser = number::number, conflicts_with = "raw")]
    args: Vec<u64>,
    /// Take FILE as bare code bytes: every slot 0, nothing mapped
    #[arg(long)]
    raw: bool,
    /// With --raw: set a slot, the last value wins
    #[arg(long = "reg", value_name = "SLOT=VALUE", value_parser = number::slot_value, requires = "raw")]
    regs: Vec<(Slot, u64)>,
    /// With --raw: map a region, from a file or zeros
    #[arg(long = "map", value_name = "START:SIZE[:ro][=FILE]", value_parser = number::map, requires = "raw")]
    maps: Vec<MapArg>,
}

pub(super) fn export(args: Args) -> Result<Outcome, Failure> {
    let name = &args.name;
    if name.is_empty() || name.starts_with('#') || name.contains(char::is_whitespace) {
        let what = "--name takes one word without white space that does not begin with #";
        return Err(Failure::message(what));
    }
    let vector = recorded(&args)?;
    let version = env!("CARGO_PKG_VERSION");
    let file = VectorFile {
        origin: Origin::Engine(format!("rivet {version}, {}", args.engine)),
        vectors: vec![vector],
    };
    let text = write(&file);
    match &args.output {
        Some(path) => std::fs::write(path, text).map_err(|e| Failure::file("write", path, e))?,
        None => write!(io::stdout(), "{text}").map_err(Failure::output)?,
    }
    Ok(Outcome::Done)
}

fn recorded(args: &Args) -> Result<Vector, Failure> {
    let source = input::read(&args.file, args.raw.then_some(RawArgs { maps: &args.maps }))?;
    let loaded = source.load(&Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?)?;
    let mut start = match args.raw {
        true => Start::at(0),
        false => loaded.default_start()?,
    };
    if let Some(entry) = &args.entry {
        start = start.entering_at(symbols::resolve(&loaded.symbols, entry)?);
    }
    let registers = [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5];
    if args.args.len() > registers.len() {
        return Err(Failure::message(
            "--arg may be given six times at most, for a0 to a5",
        ));
    }
    let arguments = registers
        .into_iter()
        .filter_map(Reg::slot)
        .zip(args.args.iter().copied());
    for (slot, value) in arguments.chain(args.regs.iter().copied()) {
        start = start.with_slot(slot, value);
    }
    let machine = loaded.program.machine(start)?;
    let state = State {
        regs: *machine.regs(),
        pc: machine.pc(),
        gas: args.gas,
    };
    let vector = Vector {
        name: args.name.clone(),
        note: Some(format!("{} with gas {}", args.file.display(), args.gas)),
        ..Vector::of_program(&loaded.program, &state)
    };
    let engines = Engines::new(args.engine)?;
    record(&engines, &vector).map_err(|e| Failure::message(format!("cannot record the run: {e}")))
}
