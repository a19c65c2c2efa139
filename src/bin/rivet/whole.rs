//! Files that are there whole or not at all.
//!
//! ```text
//!  content ─▶ FOLDER/.rivet-XXXXXX.part ─ sync, rename ─▶ FILE        nothing there, or a file
//!  content ──────────────────────────────────────────────▶ FILE        a device or pipe
//! ```
//!
//! A rename would put a file in the place of a device, so those are written to; behind a symbolic
//! link the file is replaced and the link stays.

use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a path names.
enum Target {
    /// A file to put in place, links followed.
    File(PathBuf),
    /// A device or pipe.
    Stream,
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Ok(Self::Stream),
            Ok(_) => Ok(Self::File(path.canonicalize()?)),
            Err(_) => Ok(Self::File(path.to_owned())),
        }
    }
}

/// Writes a file, which then has all that `fill` wrote, or what it had before.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    put(path, fill).map_err(|error| Failure::file("write", path, error))
}

/// Whether a path names a device or pipe, beside which nothing else belongs.
pub(crate) fn is_stream(path: &Path) -> bool {
    matches!(Target::of(path), Ok(Target::Stream))
}

/// Whether a file can be made at this place, asked before a long run whose result goes there.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let tried = Target::of(path).and_then(|target| match target {
        Target::File(file) => temporary(&file).map(drop),
        Target::Stream => Ok(()),
    });
    tried.map_err(|error| Failure::file("write", path, error))
}

fn put(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match Target::of(path)? {
        Target::Stream => {
            let mut out = BufWriter::new(File::options().write(true).open(path)?);
            fill(&mut out)?;
            out.flush()
        }
        Target::File(path) => {
            let file = temporary(&path)?;
            let mut out = BufWriter::new(file.as_file());
            fill(&mut out)?;
            out.flush()?;
            drop(out);
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        }
    }
}

/// A neighbour of a file that goes away unless it is renamed; with the permissions any new file has.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rivet-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // Its own errors name the temporary file, which says nothing to anybody.
    builder
        .tempfile_in(folder)
        .map_err(|error| error.kind().into())
}
