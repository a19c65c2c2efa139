//! `rivet diff`: two engines, or an engine and a recording, on one program, or two engines on many
//! random ones.

mod file;
mod journeys;
mod random;
mod reproducer;
mod shares;

use crate::Outcome;
use crate::failure::Failure;
use crate::program::ProgramArgs;
use rivet::engine::diff::{Calls, Contender, Every, Subject};
use rivet::engine::{Backend, Config, Engine, SignalCheck};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rivet diff prog.elf --arg 10                        jit and interp, block by block
  rivet diff prog.pvm --a jit --trace other.trace     jit and a recording (rivet trace --binary)
  rivet diff --random 1000000                         valid random programs on all cores
  rivet diff --random 100000 --every-block --seed 7   compared after every block
  rivet diff --random 20000 --hostile --json          damaged programs, JSON at the end
  rivet diff --journeys 20000                         machines that are rewound, forked, saved

A program is compared block by block up to its first exit, then without stopping. The first block and instruction on which
the sides differ are shown, and a small program that differs too is written to the folder of
--findings as a vector, with what the host answered. Random programs go on behind calls that suspend
and once more when gas runs out, and begin again on the same machine; what takes several exits or the
runs before is shrunk to few of them. Findings among random programs are written when they are made,
so an interrupted run keeps them. Against a recording, which cannot run smaller programs, the block
alone is written, with what the recording says of it.

Exit status: 0 no difference, 1 a difference, 2 usage or load error.";

/// More programs than this are too much code for one engine to hold at once.
const MAX_BUNDLE: u64 = 4096;

/// Compare two engines, on one program or on many random ones
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    #[arg(required_unless_present_any = ["random", "journeys"], conflicts_with_all = ["random", "journeys"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    program: ProgramArgs,
    /// The other side is this recording, which also says how the program starts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["b", "random", "gas", "entry", "args", "regs"])]
    trace: Option<PathBuf>,
    /// Compare this many random programs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    random: Option<u64>,
    /// Compare machines on this many journeys: runs between which an embedder rewinds, forks,
    /// saves and resumes them and places memory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
          conflicts_with_all = ["random", "hostile", "neighbours", "every_block"])]
    journeys: Option<u64>,
    /// Seed of the first random program or journey
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "file")]
    seed: u64,
    /// Processes that compare random programs at once [default: one for each core]
    #[arg(long, value_name = "J", conflicts_with = "file")]
    jobs: Option<usize>,
    /// This process is one of another one's
    #[arg(long, hide = true, requires = "random")]
    share: bool,
    /// Damaged programs, odd maps and extreme registers instead of valid programs
    #[arg(long, conflicts_with = "file")]
    hostile: bool,
    /// Valid programs made mostly of instructions an engine may fuse
    #[arg(long, conflicts_with_all = ["hostile", "file"])]
    neighbours: bool,
    /// Valid random programs that are loaded together
    #[arg(long, value_name = "K", default_value_t = 256, conflicts_with = "file",
          value_parser = clap::value_parser!(u64).range(1..=MAX_BUNDLE))]
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
    /// With --random: compare after every block, not at exits only
    #[arg(long, conflicts_with = "file")]
    every_block: bool,
    /// Print one JSON object on standard output at the end
    #[arg(long)]
    json: bool,
}

pub(crate) fn diff(args: &Args) -> Result<Outcome, Failure> {
    if let Some(count) = args.journeys {
        return journeys::compare(args, count);
    }
    match (&args.file, args.random) {
        (_, Some(count)) => random::compare(args, count),
        (Some(file), None) => file::compare(args, file),
        (None, None) => Err(Failure::message("name a FILE, or give --random N")),
    }
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

/// Both engines as sides. An engine agrees with itself whatever it does.
fn contenders(args: &Args, calls: Calls) -> Result<[Contender; 2], Failure> {
    let sides = [contender(args.a, calls)?, contender(args.b, calls)?];
    let [a, b] = sides.each_ref().map(Subject::name);
    if a == b {
        let what = format!(
            "--a {} and --b {} are both {a}, which agrees with itself",
            args.a, args.b
        );
        let other = if a == Backend::Interp.name() {
            "jit"
        } else {
            "interp"
        };
        return Err(Failure::message(what).help(format!("give --b {other}")));
    }
    Ok(sides)
}

/// An engine as a side.
fn contender(backend: Backend, calls: Calls) -> Result<Contender, Failure> {
    let engine = Engine::new(Config {
        backend,
        // This command leaves them alone, and most runs are short.
        signals: SignalCheck::FirstEntry,
        ..Config::default()
    })?;
    Ok(Contender::new(engine, calls))
}
