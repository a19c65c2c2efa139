//! A case as a file that shows the difference again.

use crate::failure::Failure;
use crate::whole;
use rivet::engine::diff::{Calls, Reduced};
use rivet::isa::decode;
use rivet::vectors::{Course, Origin, Vector, VectorFile, write};
use std::path::{Path, PathBuf};

/// Where the expectations of a reproducer come from.
const REFERENCE: &str = "rivet interp, as the reference of a difference";

/// Instructions of code.
pub(super) fn instructions(code: &[u8]) -> usize {
    let mut at = 0;
    let mut count = 0;
    while let Some(decoded) = decode(code, at) {
        at += decoded.len.bytes() as usize;
        count += 1;
    }
    count
}

/// What a case shows and how: its runs up to the exit at which the sides part.
pub(super) struct Shown<'a> {
    pub(super) reduced: &'a Reduced,
    /// The exit of the last run at which the sides part, from 1; the last one if that is not known.
    pub(super) exit: Option<u64>,
    pub(super) calls: Calls,
}

/// Writes the runs as a vector whose expectations are the interpreter's, with what the host
/// answers.
pub(super) fn save(
    folder: &Path,
    name: &str,
    note: &str,
    shown: &Shown<'_>,
) -> Result<PathBuf, Failure> {
    let Reduced { case, plan } = shown.reduced;
    let course = Course {
        case,
        plan,
        exit: shown.exit,
        calls: shown.calls,
    };
    let recorded = Vector::of_course(&course);
    let vector = Vector {
        name: name.to_owned(),
        note: Some(note.to_owned()),
        ..recorded.map_err(|error| Failure::message(error.to_string()))?
    };
    write_file(folder, name, REFERENCE, vector)
}

/// Writes one vector into a file of its own.
pub(super) fn write_file(
    folder: &Path,
    name: &str,
    origin: &str,
    vector: Vector,
) -> Result<PathBuf, Failure> {
    let text = write(&VectorFile {
        origin: Origin::Engine(origin.to_owned()),
        vectors: vec![vector],
    });
    let path = folder.join(format!("{name}.vec"));
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, error))?;
    whole::write(&path, |out| out.write_all(text.as_bytes()))?;
    Ok(path)
}
