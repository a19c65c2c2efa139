//! Recording: a vector's expectations from this engine.

use super::check::{Engines, LoadFailure, changes};
use super::model::{BlockLine, Bytes, Expect, Map, PageRun, RegSet, Stage, Statics, Vector};
use super::script::Script;
use rivet_engine::{AccessError, HostError, Machine, Program, StartError, State};
use rivet_image::RegionKind;
use rivet_isa::{GuestAddr, PAGE_SIZE, PageIndex};
use std::collections::BTreeMap;

/// Why a vector cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Load(#[from] LoadFailure),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("initial bytes lie outside the mappings: {0}")]
    Place(#[from] AccessError),
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Runs the vector's start to its first exit and returns the vector with what was seen as its only
/// stage, and with its blocks. Write it in a file of [`Origin::Engine`](super::Origin::Engine):
/// such a vector shows change, not agreement.
///
/// # Errors
/// [`RecordError`] if the program cannot be loaded or the host failed.
pub fn record(engines: &Engines, vector: &Vector) -> Result<Vector, RecordError> {
    Ok(recorded(engines, vector)?)
}

fn recorded(engines: &Engines, vector: &Vector) -> Result<Vector, Cause> {
    let program = engines.load(vector)?;
    let mut machine = engines.machine(&program, vector)?;
    for bytes in &vector.bytes {
        let of = |map: &&Map| {
            let at = u64::from(bytes.addr.value());
            map.kind == RegionKind::Ephemeral && at >= map.start && at - map.start < map.size
        };
        if vector.maps.iter().find(of).is_some() {
            machine.place(bytes.addr, &bytes.bytes)?;
        }
    }
    let before = content(&machine, &vector.touched());
    let mut script = Script::new(&vector.answers);
    let exit = machine.run(&mut script)?;
    let private = machine.private_pages();
    let mut pages = vector.touched();
    pages.extend(&private);
    let expect = Expect {
        exit,
        pc: machine.pc(),
        gas: machine.gas(),
        regs: RegSet::between(&vector.regs, machine.regs()),
        bytes: changes(&before, &content(&machine, &pages)),
        private: (!private.is_empty()).then(|| PageRun::of(&private)),
    };
    let blocks = program.blocks().map(|info| BlockLine {
        start: info.block.start.value(),
        end: info.block.end.value(),
        cost: info.cost.cost,
        reserve: info.cost.reserve,
    });
    let statics = Statics {
        blocks: blocks.collect(),
        end: program.starts().end(),
    };
    Ok(Vector {
        statics: Some(statics),
        stages: vec![Stage {
            resume_gas: None,
            expect,
        }],
        ..vector.clone()
    })
}

impl Vector {
    /// The start of a machine on a program, with nothing expected yet. Cost parameters are taken to
    /// be the default ones.
    pub fn of_program(program: &Program, start: &State) -> Self {
        let mut maps = Vec::new();
        let mut bytes = Vec::new();
        for region in program.regions() {
            maps.push(Map {
                start: u64::from(region.start().value()),
                size: region.size(),
                kind: region.kind,
            });
            for (i, page) in (0..region.source.page_count() as u32).zip(region.first.index()..) {
                let content = region.source.page(i);
                let used = content.iter().rposition(|byte| *byte != 0);
                let (Some(last), Some(page)) = (used, PageIndex::new(page)) else {
                    continue;
                };
                bytes.push(Bytes {
                    addr: page.base(),
                    bytes: content[..=last].to_vec(),
                });
            }
        }
        Self {
            code: program.code().to_vec(),
            maps,
            bytes,
            pc: start.pc,
            gas: start.gas,
            regs: start.regs,
            ..Self::default()
        }
    }

    /// Pages that hold listed bytes.
    fn touched(&self) -> Vec<PageIndex> {
        let mut pages = Vec::new();
        for bytes in &self.bytes {
            let len = bytes.bytes.len() as u64;
            let last = u64::from(bytes.addr.value()) + len.saturating_sub(1);
            let run = bytes.addr.page().index()..=GuestAddr::wrapping(last).page().index();
            pages.extend(run.filter_map(PageIndex::new));
        }
        pages
    }
}

fn content(machine: &Machine, pages: &[PageIndex]) -> BTreeMap<PageIndex, Vec<u8>> {
    let mut out = BTreeMap::new();
    for page in pages {
        let mut bytes = vec![0; PAGE_SIZE as usize];
        if machine.read(page.base(), &mut bytes).is_ok() {
            out.insert(*page, bytes);
        }
    }
    out
}
