//! Snapshot files and pipes: read whole or not at all, written whole or not at all.

use crate::failure::Failure;
use crate::whole;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rivet::engine::snapshot::{Parcel, ParcelError, ParcelHeader};
use rivet::image::NoImages;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// From here on it takes long enough to be shown.
const LARGE: u64 = 8 << 20;

/// Bytes moved between two looks at the progress.
const PIECE: usize = 1 << 20;

/// Whether a name stands for a standard stream.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Progress on standard error, if that is a terminal and there is something to wait for.
pub(super) fn progress(doing: &'static str, bytes: u64) -> ProgressBar {
    if bytes < LARGE {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.with_message(doing)
}

/// Reads a parcel from a file, or from standard input if it is `-`.
pub(crate) fn read(path: &Path) -> Result<Parcel, Failure> {
    let damaged = |error: ParcelError| {
        let name = match is_dash(path) {
            true => "standard input".to_owned(),
            false => format!("`{}`", path.display()),
        };
        Failure::message(format!("{name} cannot be used: {error}"))
    };
    let mut from: Box<dyn Read> = if is_dash(path) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| Failure::file("read", path, error))?;
        Box::new(io::BufReader::with_capacity(PIECE, file))
    };
    let bytes = everything(&mut from).map_err(|error| Failure::file("read", path, error))?;
    let parcel = bytes.and_then(|(header, body)| header.open(&body, &NoImages));
    parcel.map_err(damaged)
}

/// The header and everything behind it. Memory grows with what arrives, not with what the header
/// promises.
fn everything(from: &mut dyn Read) -> io::Result<Result<(ParcelHeader, Vec<u8>), ParcelError>> {
    let mut head = Vec::new();
    from.take(ParcelHeader::LEN as u64).read_to_end(&mut head)?;
    let Some(head) = head.first_chunk() else {
        return Ok(Err(ParcelError::Length {
            expected: ParcelHeader::LEN as u64,
            found: head.len() as u64,
        }));
    };
    let header = match ParcelHeader::read(head) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let bar = progress("reading", header.body_len());
    let mut body = Vec::new();
    // One byte more than promised shows that something follows.
    let mut rest = bar.wrap_read(from.take(header.body_len().saturating_add(1)));
    rest.read_to_end(&mut body)?;
    bar.finish_and_clear();
    Ok(Ok((header, body)))
}

/// Writes a parcel to a file, which has all of it or what it had before, or to standard output if
/// it is `-`.
pub(crate) fn write(path: &Path, parcel: &Parcel) -> Result<(), Failure> {
    let bytes = encoded(parcel)?;
    if is_dash(path) {
        return stream(&bytes);
    }
    whole::write(path, |file| copy("writing", &bytes, file))
}

/// Writes a parcel to standard output.
pub(super) fn send(parcel: &Parcel) -> Result<(), Failure> {
    stream(&encoded(parcel)?)
}

fn encoded(parcel: &Parcel) -> Result<Vec<u8>, Failure> {
    let bytes = parcel.encode();
    bytes.map_err(|error| Failure::message(format!("the image has no file form: {error}")))
}

fn stream(bytes: &[u8]) -> Result<(), Failure> {
    use std::io::IsTerminal;
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        return Err(Failure::message("a snapshot is not for a terminal")
            .help("pipe it: `rivet snap send STATE | ssh HOST rivet snap receive STATE`"));
    }
    let lost = |error| Failure::message(format!("the snapshot was not sent: {error}"));
    copy("sending", bytes, &mut out).map_err(lost)
}

fn copy(doing: &'static str, bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let bar = progress(doing, bytes.len() as u64);
    for piece in bytes.chunks(PIECE) {
        to.write_all(piece)?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    to.flush()
}
