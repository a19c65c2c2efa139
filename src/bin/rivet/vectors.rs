//! `rivet vectors`: run conformance vectors, and write vectors of a program's start.

mod export;
mod junit;
mod run;

use crate::Outcome;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  rivet vectors run conformance-vectors
  rivet vectors export guests/prebuilt/fib.elf --arg 10 -o fib.vec";

/// Run conformance vectors, or write one
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Run(run::Args),
    Export(export::Args),
}

pub(crate) fn vectors(args: Args) -> Result<Outcome, Failure> {
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::Export(args) => export::export(args),
    }
}
