//! A case as a file that shows the difference again.

use crate::failure::Failure;
use crate::whole;
use rivet::engine::diff::{Access, Calls, Case, Script, raw};
use rivet::engine::{Backend, Bare, Config, Engine, Start};
use rivet::image::RegionKind;
use rivet::isa::{Gas, GuestAddr, PAGE_SIZE, Pc, Regs, Slot, decode};
use rivet::vectors::{
    Answer, Bytes, Engines, Listener, Map, Origin, Vector, VectorFile, record, write,
};
use std::io;
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
/// first exit, with what the host answers before that.
pub(super) fn save(
    folder: &Path,
    name: &str,
    note: &str,
    case: &Case,
    calls: Calls,
) -> Result<PathBuf, Failure> {
    let vector = Vector {
        name: name.to_owned(),
        note: Some(note.to_owned()),
        answers: answers(case, calls)?,
        ..vector(case)
    };
    let recorded = Engines::new(Backend::Interp)
        .map_err(|error| Failure::message(error.to_string()))
        .and_then(|engines| {
            record(&engines, &vector, &[])
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

/// What the host of a comparison answers in the interpreter, up to the first exit.
fn answers(case: &Case, calls: Calls) -> Result<Vec<Answer>, Failure> {
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?;
    let run = &case.runs[0];
    let start = Start::at(run.entry).with_gas(Gas::new(run.gas).unwrap_or(Gas::MAX));
    let slots = Slot::all().zip(run.slots);
    let start = slots.fold(start, |start, (slot, value)| start.with_slot(slot, value));
    let mut machine = engine.load_raw(raw(case))?.machine(start)?;
    let (mut script, mut bare) = (Script::default(), Bare::new(io::sink()));
    let mut listener = Listener::new(match calls {
        Calls::Script => &mut script,
        Calls::Bare => &mut bare,
        Calls::Nobody => return Ok(Vec::new()),
    });
    let ended = machine.run(&mut listener);
    ended.map_err(|error| Failure::message(error.to_string()))?;
    Ok(listener.into_answers())
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
