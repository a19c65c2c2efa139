//! Recording: a vector's expectations from this engine.

use super::check::{Engines, changes};
use super::model::{Begin, BlockLine, Bytes, Expect, Map, PageRun, RegSet, Stage, Statics, Vector};
use super::script::Script;
use super::start::{self, LoadFailure, StartFailure};
use rivet_engine::{Exit, HostError, Machine, Program, State};
use rivet_isa::{GuestAddr, PAGE_SIZE, PageIndex, Regs};
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
    Start(#[from] StartFailure),
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Runs the vector's start to its first exit and on from there as `rest` says, and returns the
/// vector with what was seen as its stages, and with its blocks. It ends early at an exit that
/// cannot be resumed although `rest` says so. Write it in a file of
/// [`Origin::Engine`](super::Origin::Engine): such a vector shows change, not agreement.
///
/// # Errors
/// [`RecordError`] if the program cannot be loaded or the host failed.
pub fn record(engines: &Engines, vector: &Vector, rest: &[Begin]) -> Result<Vector, RecordError> {
    Ok(recorded(engines, vector, rest)?)
}

fn recorded(engines: &Engines, vector: &Vector, rest: &[Begin]) -> Result<Vector, Cause> {
    let program = engines.load(vector)?;
    let mut machine = start::machine(&program, vector)?;
    let mut script = Script::new(&vector.answers);
    let initial = View::of(&machine, &vector.touched());
    let mut before = initial.clone();
    let mut stages: Vec<Stage> = Vec::new();
    for begin in [Begin::Start].iter().chain(rest) {
        match begin {
            Begin::Start => {}
            Begin::Resume(gas) => {
                if stages.last().is_none_or(|last| last.expect.exit.is_final()) {
                    break;
                }
                if let Some(gas) = gas {
                    machine.set_gas(*gas);
                }
            }
            Begin::Again(again) => {
                let state = again.state(vector);
                start::again(&mut machine, vector, state)?;
                before = View {
                    regs: state.regs,
                    ..initial.clone()
                };
            }
        }
        let exit = machine.run(&mut script)?;
        script.left(exit);
        let mut pages = vector.touched();
        pages.extend(machine.private_pages());
        let after = View::of(&machine, &pages);
        let expect = after.since(&before, exit, &machine);
        stages.push(Stage {
            begin: begin.clone(),
            expect,
        });
        before = after;
    }
    Ok(Vector {
        statics: Some(statics(&program)),
        stages,
        ..vector.clone()
    })
}

/// What an exit can change.
#[derive(Clone)]
struct View {
    regs: Regs,
    content: BTreeMap<PageIndex, Vec<u8>>,
    private: Vec<PageIndex>,
}

impl View {
    fn of(machine: &Machine, pages: &[PageIndex]) -> Self {
        Self {
            regs: *machine.regs(),
            content: content(machine, pages),
            private: machine.private_pages(),
        }
    }

    fn since(&self, before: &Self, exit: Exit, machine: &Machine) -> Expect {
        let changed = self.private != before.private;
        Expect {
            exit,
            pc: machine.pc(),
            gas: machine.gas(),
            regs: RegSet::between(&before.regs, &self.regs),
            bytes: changes(&before.content, &self.content),
            private: changed.then(|| PageRun::of(&self.private)),
        }
    }
}

fn statics(program: &Program) -> Statics {
    let blocks = program.blocks().map(|info| BlockLine {
        start: info.block.start.value(),
        end: info.block.end.value(),
        cost: info.cost.cost,
        reserve: info.cost.reserve,
    });
    Statics {
        blocks: blocks.collect(),
        end: program.starts().end(),
    }
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
