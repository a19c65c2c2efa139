//! `rivet snap send|receive|flatten`: snapshot files on the move.

use super::{file, whole};
use crate::Outcome;
use crate::failure::Failure;
use crate::input::{self, Source};
use rivet::engine::snapshot::{Parcel, ParcelState};
use std::path::{Path, PathBuf};

const SEND_EXAMPLES: &str = "\
Examples:
  rivet snap send state.snap | ssh HOST rivet snap receive state.snap
  rivet snap send --program prog.pvm state.snap | nc HOST 7000
  rivet snap send --without-image state.snap | ssh HOST rivet snap resume - prog.pvm";

/// Write a snapshot file to standard output, checked first
#[derive(clap::Args)]
#[command(after_help = SEND_EXAMPLES)]
pub(crate) struct SendArgs {
    /// Snapshot file
    state: PathBuf,
    /// Program whose image to send along if the file does not hold it
    #[arg(long, value_name = "FILE", conflicts_with = "without_image")]
    program: Option<PathBuf>,
    /// Leave the image out: the other side has the program
    #[arg(long)]
    without_image: bool,
}

const RECEIVE_EXAMPLES: &str = "\
Examples:
  ssh HOST rivet snap send state.snap | rivet snap receive state.snap
  nc -l 7000 | rivet snap receive state.snap && rivet snap resume state.snap

The file is there when everything has arrived undamaged, and not before.";

/// Read a snapshot from standard input into a file
#[derive(clap::Args)]
#[command(after_help = RECEIVE_EXAMPLES)]
pub(crate) struct ReceiveArgs {
    /// File to write
    state: PathBuf,
}

const FLATTEN_EXAMPLES: &str = "\
Examples:
  rivet snap flatten --base a.snap --base ab.delta bc.delta -o c.snap";

/// Make a whole snapshot of a delta and its bases
#[derive(clap::Args)]
#[command(after_help = FLATTEN_EXAMPLES)]
pub(crate) struct FlattenArgs {
    /// The last delta of the chain
    state: PathBuf,
    /// The state that it is against; for a chain, each in order, the oldest first
    #[arg(long, value_name = "FILE", required = true)]
    base: Vec<PathBuf>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn send(args: &SendArgs) -> Result<Outcome, Failure> {
    let Parcel { state, image } = file::read(&args.state)?;
    let image = match &args.program {
        _ if args.without_image => None,
        Some(path) if image.is_none() => Some(image_of(path, &state)?),
        _ => image,
    };
    file::send(&Parcel { state, image })?;
    Ok(Outcome::Done)
}

/// The image of a program, which must be the one the state is of.
fn image_of(path: &Path, state: &ParcelState) -> Result<rivet::image::Image, Failure> {
    let Source::Image { image, .. } = input::read(path, None)? else {
        return Err(Failure::message("bare code has no image to send along"));
    };
    if image.address() != state.image() {
        let (path, own) = (path.display(), image.address());
        let what = format!("`{path}` is image {own}, the state is of {}", state.image());
        return Err(Failure::message(what).help("name the program that the state is of"));
    }
    Ok(image)
}

pub(super) fn receive(args: &ReceiveArgs) -> Result<Outcome, Failure> {
    let parcel = file::read(Path::new("-"))?;
    file::write(&args.state, &parcel)?;
    Ok(Outcome::Done)
}

pub(super) fn flatten(args: &FlattenArgs) -> Result<Outcome, Failure> {
    let (_, parcel) = whole(&args.state, &args.base)?;
    file::write(&args.output, &parcel)?;
    Ok(Outcome::Done)
}
