//! `rivet diff`: two engines on one program or on many random ones.

mod random;

use crate::Outcome;
use crate::failure::Failure;
use rivet::engine::diff::{Calls, Contender, Every};
use rivet::engine::{Backend, Config, Engine};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rivet diff --random 1000000                         valid random programs on all cores
  rivet diff --random 100000 --every-block --seed 7   compared after every block
  rivet diff --random 20000 --hostile --json          damaged programs, JSON at the end

Exit status: 0 no difference, 1 a difference, 2 usage or load error. Each finding is written to
the folder of --findings when it is made, so an interrupted run keeps it.";

/// Compare two engines, on many random programs
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Compare this many runs of random programs
    #[arg(long, value_name = "N")]
    random: u64,
    /// Seed of the first random program
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Threads for random programs [default: one for each core]
    #[arg(long, value_name = "T")]
    threads: Option<usize>,
    /// Damaged programs, odd maps and extreme registers instead of valid programs
    #[arg(long)]
    hostile: bool,
    /// Valid random programs that are loaded together
    #[arg(long, value_name = "K", default_value_t = 64)]
    bundle: u64,
    /// Folder for findings
    #[arg(long, value_name = "DIR", default_value = "rivet-findings")]
    findings: PathBuf,
    /// One side
    #[arg(long, value_name = "NAME", default_value = "jit")]
    a: Backend,
    /// The other side
    #[arg(long, value_name = "NAME", default_value = "interp")]
    b: Backend,
    /// Compare after every block, not at exits only
    #[arg(long)]
    every_block: bool,
    /// Print one JSON object on standard output at the end
    #[arg(long)]
    json: bool,
}

pub(crate) fn diff(args: &Args) -> Result<Outcome, Failure> {
    random::compare(args, args.random)
}

impl Args {
    fn every(&self) -> Every {
        if self.every_block {
            Every::Block
        } else {
            Every::Exit
        }
    }
}

/// An engine as a side.
fn contender(backend: Backend, calls: Calls) -> Result<Contender, Failure> {
    let engine = Engine::new(Config {
        backend,
        ..Config::default()
    })?;
    Ok(Contender::new(engine, calls))
}
