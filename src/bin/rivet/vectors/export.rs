//! `rivet vectors export`: the run of a program as a vector, recorded by this engine.

use crate::Outcome;
use crate::failure::Failure;
use crate::number;
use crate::program::{self, StartArgs};
use crate::whole;
use rivet::engine::{Backend, Config, Engine};
use rivet::isa::Gas;
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
    #[command(flatten)]
    start: StartArgs,
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
        Some(path) => whole::write(path, |out| out.write_all(text.as_bytes()))?,
        None => write!(io::stdout(), "{text}").map_err(Failure::output)?,
    }
    Ok(Outcome::Done)
}

fn recorded(args: &Args) -> Result<Vector, Failure> {
    let loaded = args.start.read(&args.file)?.load(&Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?)?;
    let start = args.start.start(&loaded)?.with_gas(args.gas);
    let state = program::state(&loaded, start)?;
    let vector = Vector {
        name: args.name.clone(),
        note: Some(format!("{} with gas {}", args.file.display(), args.gas)),
        ..Vector::of_program(&loaded.program, &state)
    };
    let engines = Engines::new(args.engine)?;
    record(&engines, &vector, &[])
        .map_err(|e| Failure::message(format!("cannot record the run: {e}")))
}
