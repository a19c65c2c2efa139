//! A case as a file that shows the difference again.

use crate::failure::Failure;
use crate::whole;
use rivet::engine::Backend;
use rivet::engine::diff::{Access, Case};
use rivet::image::RegionKind;
use rivet::isa::{Gas, GuestAddr, PAGE_SIZE, Pc, Regs, decode};
use rivet::vectors::{Bytes, Engines, Map, Origin, Vector, VectorFile, record, write};
use std::path::{Path, PathBuf};

/// Instructions of a case's code.
pub(super) fn instructions(case: &Case) -> usize {
    let mut at = 0;
    let mut count = 0;
    while let Some(decoded) = decode(&case.code, at) {
        at += decoded.len.bytes() as usize;
        count += 1;
    }
    count
}

/// Writes the case's first run as a vector whose expectations are the interpreter's, up to its
/// first exit with no host.
pub(super) fn save(folder: &Path, name: &str, note: &str, case: &Case) -> Result<PathBuf, Failure> {
    let vector = Vector {
        name: name.to_owned(),
        note: Some(note.to_owned()),
        ..vector(case)
    };
    let recorded = Engines::new(Backend::Interp)
        .map_err(|error| Failure::message(error.to_string()))
        .and_then(|engines| {
            record(&engines, &vector)
                .map_err(|error| Failure::message(format!("cannot record the vector: {error}")))
        })?;
    let text = write(&VectorFile {
        origin: Origin::Engine("rivet interp, as the reference of a difference".to_owned()),
        vectors: vec![recorded],
    });
    let path = folder.join(format!("{name}.vec"));
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, error))?;
    whole::write(&path, |out| out.write_all(text.as_bytes()))?;
    Ok(path)
}

fn vector(case: &Case) -> Vector {
    let run = &case.runs[0];
    let maps = case.map.iter().map(|mapping| Map {
        start: mapping.start,
        size: mapping.size,
        kind: match mapping.access {
            Access::Pinned => RegionKind::Pinned,
            Access::CopyOnWrite => RegionKind::CopyOnWrite,
            Access::Ephemeral => RegionKind::Ephemeral,
        },
    });
    let pages = case.map.iter().flat_map(|mapping| {
        let pages = mapping.content.chunks(PAGE_SIZE as usize);
        pages.zip((mapping.start..).step_by(PAGE_SIZE as usize))
    });
    let bytes = pages.filter_map(|(content, start)| {
        let first = content.iter().position(|byte| *byte != 0)?;
        let last = content.iter().rposition(|byte| *byte != 0)?;
        Some(Bytes {
            addr: GuestAddr::wrapping(start + first as u64),
            bytes: content[first..=last].to_vec(),
        })
    });
    Vector {
        code: case.code.clone(),
        maps: maps.collect(),
        bytes: bytes.collect(),
        pc: Pc::new(run.entry),
        gas: Gas::new(run.gas).unwrap_or(Gas::MAX),
        regs: Regs::new(run.slots),
        ..Vector::default()
    }
}
