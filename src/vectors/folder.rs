//! Finding and reading vector files.

use super::error::FolderError;
use super::model::VectorFile;
use super::parse::parse;
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of text in one file: 256 MiB.
const MAX_TEXT: u64 = 256 << 20;

/// The vector files at a path, in order: the file itself, or every `*.vec` and `*.vec.gz` of a
/// folder and the folders below it.
///
/// # Errors
/// [`FolderError`] if a folder cannot be read or holds no vector file.
pub fn collect(path: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let fail = |path: &Path, error| FolderError::Read {
        path: path.to_owned(),
        error,
    };
    if !fs::metadata(path).map_err(|e| fail(path, e))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| fail(&folder, e))? {
            let entry = entry.map_err(|e| fail(&folder, e))?;
            // Links are not followed: a folder cannot lead back into itself.
            let kind = entry.file_type().map_err(|e| fail(&entry.path(), e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if name.ends_with(".vec") || name.ends_with(".vec.gz") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    if found.is_empty() {
        let path = path.to_owned();
        return Err(FolderError::Empty { path });
    }
    Ok(found)
}

/// Reads one file, uncompressed or compressed by gzip.
///
/// # Errors
/// [`FolderError`] if it cannot be read or is malformed.
pub fn read(path: &Path) -> Result<VectorFile, FolderError> {
    let fail = |error| FolderError::Read {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(fail)?;
    let compressed = path.extension().is_some_and(|e| e == "gz");
    let source: Box<dyn Read> = match compressed {
        true => Box::new(GzDecoder::new(io::BufReader::new(file))),
        false => Box::new(file),
    };
    let mut content = Vec::new();
    let taken = source.take(MAX_TEXT + 1).read_to_end(&mut content);
    if taken.map_err(fail)? as u64 > MAX_TEXT {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
            limit: MAX_TEXT,
        });
    }
    Ok(parse(&path.to_string_lossy(), &content)?)
}
