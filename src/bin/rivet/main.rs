//! The `rivet` command: parse the arguments, pick a command, map its outcome to an exit status.
//!
//! Exit status: 0 the guest halted (or the command did its work), 1 the guest ended otherwise
//! or what was compared differs, 2 usage or load error. Guest output goes to standard output, everything about the run to
//! standard error; with `--json` it is the other way round.
#![forbid(unsafe_code)]

mod bench;
mod cc;
mod diff;
mod dis;
mod doctor;
mod explore;
mod failure;
mod gas;
mod input;
mod link;
mod number;
mod output;
mod pausing;
mod perf_map;
mod program;
mod report;
mod run;
mod snap;
mod symbols;
mod trace;
mod vectors;
mod whole;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  rivet run guests/prebuilt/hello.elf
  rivet run --arg 30 --json guests/prebuilt/fib.elf
  rivet cc hello.c -o hello.pvm && rivet run hello.pvm
  rivet gas guests/prebuilt/sha256.elf";

/// Run, link and inspect PVM2 programs.
#[derive(Parser)]
#[command(name = "rivet", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Snap(snap::Args),
    Link(link::Args),
    Cc(cc::Args),
    Dis(dis::Args),
    Explore(explore::Args),
    Gas(gas::Args),
    Diff(diff::Args),
    Bench(bench::Args),
    Trace(trace::Args),
    Doctor(doctor::Args),
    Vectors(vectors::Args),
}

/// How a command that worked ended.
enum Outcome {
    /// It did what was asked.
    Done,
    /// A guest ran and did not halt, or what was compared differs.
    GuestFailed,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Snap(args) => snap::snap(args),
        Command::Link(args) => link::link(&args),
        Command::Cc(args) => cc::cc(&args),
        Command::Dis(args) => dis::dis(&args),
        Command::Explore(args) => explore::explore(&args),
        Command::Gas(args) => gas::gas(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Vectors(args) => vectors::vectors(args),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::GuestFailed) => ExitCode::from(1),
        Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

/// Prints help in full and every other complaint about the arguments in one line.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    match error.kind() {
        DisplayHelp | DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{error}");
            ExitCode::from(2)
        }
        _ => {
            let text = error.to_string();
            let what: Vec<&str> = text
                .split("\n\n")
                .next()
                .unwrap_or(&text)
                .lines()
                .map(str::trim)
                .collect();
            eprintln!("{} (see --help)", what.join(" "));
            ExitCode::from(2)
        }
    }
}
