//! `rivet snap resume`: a paused run goes on.

use super::whole;
use crate::Outcome;
use crate::failure::Failure;
use crate::input::{self, Source};
use crate::number;
use crate::pausing::{Pausing, Reporting, Session};
use crate::symbols::Symbols;
use rivet::engine::{Backend, Config, Engine};
use rivet::isa::Gas;
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  rivet snap resume state.snap
  rivet snap resume --engine interp --json state.snap
  rivet snap resume --gas 1000000 state.snap            after it ran out of gas
  rivet snap resume --until gas=500 --save next.snap state.snap
  rivet snap resume --base state.snap change.delta      a state that is kept as a difference

gas_used in the report counts from where the run goes on. Exit status: 0 halted or paused as asked,
1 ended otherwise, 2 usage or load error.";

/// Go on with a paused run
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Snapshot file, `-` for standard input
    state: PathBuf,
    /// The program, if the file does not hold its image
    program: Option<PathBuf>,
    /// Backend: auto, jit, interp or checked
    #[arg(long, value_name = "NAME", default_value = "auto")]
    engine: Backend,
    /// Gas to go on with instead of what was left
    #[arg(long, value_name = "N", value_parser = number::gas)]
    gas: Option<Gas>,
    /// The state that a delta is against; for a chain, each in order, the oldest first
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    pausing: Pausing,
}

pub(super) fn resume(args: &Args) -> Result<Outcome, Failure> {
    let (snapshot, parcel) = whole(&args.state, &args.base)?;
    let source = match (&args.program, parcel.image) {
        (Some(path), _) => input::read(path, None)?,
        (None, Some(image)) => Source::Image {
            image,
            symbols: Symbols::default(),
        },
        (None, None) => {
            let what = format!("`{}` does not hold the image", args.state.display());
            let help = format!(
                "name the program behind it; its address is {}",
                snapshot.image()
            );
            return Err(Failure::message(what).help(help));
        }
    };
    let engine = Engine::new(Config {
        backend: args.engine,
        ..Config::default()
    })?;
    let compiling = Instant::now();
    let loaded = source.load(&engine)?;
    let resumed = loaded.program.resume(&snapshot);
    let mut machine = resumed.map_err(|error| {
        Failure::message(format!("cannot resume `{}`: {error}", args.state.display()))
    })?;
    if let Some(gas) = args.gas {
        machine.set_gas(gas);
    }
    let session = Session {
        machine,
        symbols: &loaded.symbols,
        pausing: &args.pausing,
        reporting: args.reporting,
        compile_ns: compiling.elapsed().as_nanos(),
        fallback: engine.fallback(),
    };
    session.run(|_| Ok(()))
}
