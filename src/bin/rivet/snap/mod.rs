//! `rivet snap`: paused runs in files and pipes.

pub(crate) mod file;
mod info;
mod resume;
mod transfer;

use crate::failure::Failure;
use crate::{Outcome, run};
use clap::Subcommand;
use rivet::engine::snapshot::{Parcel, ParcelState, Snapshot};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  rivet run --until gas=100000 --save state.snap prog.elf    pause a run
  rivet snap resume state.snap                               go on, here or elsewhere
  rivet snap info state.snap                                 what it holds
  rivet snap send state.snap | ssh HOST rivet snap receive state.snap
  rivet run --until call --save - prog.elf | rivet snap resume --engine interp -

A snapshot file holds the state and, unless it was left out, the image. It resumes on any backend
and any machine, and gives what the run would have given without a pause.";

/// Save, move, inspect and resume paused runs
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Save a run before it begins, or where --until says
    Save(SaveArgs),
    Resume(resume::Args),
    Info(info::InfoArgs),
    Diff(info::DiffArgs),
    Flatten(transfer::FlattenArgs),
    Send(transfer::SendArgs),
    Receive(transfer::ReceiveArgs),
}

const SAVE_EXAMPLES: &str = "\
Examples:
  rivet snap save start.snap --arg 10 prog.elf
  rivet snap save main.snap --until block=main prog.elf";

#[derive(clap::Args)]
#[command(after_help = SAVE_EXAMPLES)]
struct SaveArgs {
    /// File to write
    state: PathBuf,
    #[command(flatten)]
    run: run::Args,
}

pub(crate) fn snap(args: Args) -> Result<Outcome, Failure> {
    match args.command {
        Command::Save(SaveArgs { state, run }) => run::save(run, state),
        Command::Resume(args) => resume::resume(&args),
        Command::Info(args) => info::info(&args),
        Command::Diff(args) => info::diff(&args),
        Command::Flatten(args) => transfer::flatten(&args),
        Command::Send(args) => transfer::send(&args),
        Command::Receive(args) => transfer::receive(&args),
    }
}

/// A whole state from a file, which may hold a delta against the last of `bases`.
fn whole(path: &Path, bases: &[PathBuf]) -> Result<(Snapshot, Parcel), Failure> {
    let parcel = file::read(path)?;
    let delta = match &parcel.state {
        ParcelState::Snapshot(snapshot) => return Ok((snapshot.clone(), parcel)),
        ParcelState::Delta(delta) => delta,
    };
    let Some((last, before)) = bases.split_last() else {
        let what = format!("`{}` is a delta against {}", path.display(), delta.base());
        return Err(Failure::message(what).help("name the file of that state with --base"));
    };
    let (base, from) = whole(last, before)?;
    let whole = delta
        .onto(&base)
        .map_err(|error| Failure::message(format!("`{}` does not fit: {error}", path.display())))?;
    let image = parcel.image.or(from.image);
    let state = ParcelState::Snapshot(whole.clone());
    Ok((whole, Parcel { state, image }))
}
