//! `rivet run --perf-map`: names for native code, where `perf report` looks for them.
//!
//! One line per block, `address size name` with both numbers in hexadecimal, in
//! `/tmp/perf-PID.map`. Code that the run did not reach is not translated and has no line.

use crate::failure::Failure;
use crate::input::Loaded;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where perf looks for the map of this process.
fn path() -> PathBuf {
    PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
}

/// Writes the map of what is translated.
pub(crate) fn write(loaded: &Loaded) -> Result<(), Failure> {
    let path = path();
    let written = replace(&path).and_then(|file| {
        let mut out = BufWriter::new(file);
        print(loaded, &mut out)?;
        out.flush()
    });
    written.map_err(|error| Failure::file("write", &path, error))
}

/// A new file, never one that was put there before: the folder belongs to everybody.
fn replace(path: &Path) -> io::Result<std::fs::File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn print(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    for chunk in loaded.program.translated() {
        let ends = chunk.blocks.iter().skip(1).map(|(_, offset)| *offset);
        for ((pc, offset), end) in chunk.blocks.iter().zip(ends.chain([chunk.cold])) {
            let (start, size) = (
                chunk.address + u64::from(*offset),
                end.saturating_sub(*offset),
            );
            // A line ends the name, so nothing else may.
            let name = loaded
                .symbols
                .describe(*pc)
                .unwrap_or_else(|| format!("pc {pc}"));
            let name = name.replace(char::is_control, "?");
            writeln!(out, "{start:x} {size:x} {name}")?;
        }
        let len = chunk.code.len() as u64 - u64::from(chunk.cold);
        let cold = chunk.address + u64::from(chunk.cold);
        writeln!(out, "{cold:x} {len:x} rivet runtime calls")?;
    }
    Ok(())
}
