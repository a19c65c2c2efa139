//! Recordings as a side of a comparison, and making them from one.

use super::compare::Plan;
use super::subject::{Session, Step, Subject, run_of};
use crate::error::{HostError, LoadError};
use crate::trace::{Extent, Header, Kind, Record, Recording, Writer, digest};
use rivet_interp::State;
use rivet_isa::generate::{Case, Run};
use rivet_isa::{Exit, Gas, PAGE_SIZE, PageIndex};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// Blocks after which a recording has the digests of all private pages, besides exits.
const PAGES_EVERY: u64 = 4096;

/// A recording of blocks as a side.
#[derive(Clone, Debug)]
pub struct Recorded {
    recording: Arc<Recording>,
}

/// Why a recording cannot be compared with a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mismatch {
    /// It is of instructions.
    #[error("the recording is of instructions: record blocks, without --instructions")]
    Instructions,
    /// Records were left out.
    #[error("the recording was filtered: record it without filters")]
    Filtered,
    /// It is of other code.
    #[error(
        "the recording is of other code: {recorded} bytes of code there, {code} bytes here, or \
         other bytes"
    )]
    Code {
        /// Bytes of code that was recorded.
        recorded: u64,
        /// Bytes of the code to compare with.
        code: u64,
    },
}

impl Recorded {
    /// The recording as a side for this code.
    ///
    /// # Errors
    /// [`Mismatch`] if it is not all of a run of this code, block by block.
    pub fn new(recording: Recording, code: &[u8]) -> Result<Self, Mismatch> {
        let header = &recording.header;
        if header.kind == Kind::Instructions {
            return Err(Mismatch::Instructions);
        }
        if header.extent == Extent::Filtered {
            return Err(Mismatch::Filtered);
        }
        let (recorded, len) = (header.code_len, code.len() as u64);
        if recorded != len || header.code_check != digest(code) {
            return Err(Mismatch::Code {
                recorded,
                code: len,
            });
        }
        Ok(Self {
            recording: Arc::new(recording),
        })
    }

    /// The run that was recorded.
    pub fn run(&self) -> Run {
        run_of(&self.recording.header.start)
    }

    /// Steps that were recorded.
    pub fn steps(&self) -> u64 {
        let steps = self.recording.records.iter();
        let steps = steps.filter(|r| matches!(r, Record::Step(..) | Record::Exit(..)));
        steps.count() as u64
    }
}

impl Subject for Recorded {
    fn name(&self) -> String {
        "recording".to_owned()
    }

    fn runs_anything(&self) -> bool {
        false
    }

    fn load(&self, _: &Case) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(Replay {
            recording: Arc::clone(&self.recording),
            at: 0,
            state: self.recording.header.start,
            private: Vec::new(),
            digests: BTreeMap::new(),
        }))
    }
}

/// A place in a recording.
#[derive(Clone)]
struct Replay {
    recording: Arc<Recording>,
    at: usize,
    state: State,
    private: Vec<PageIndex>,
    digests: BTreeMap<PageIndex, u64>,
}

impl Replay {
    fn arrive(&mut self, state: State, pages: &[PageIndex]) {
        self.state = state;
        self.private.extend(pages);
        self.private.sort_unstable();
        self.private.dedup();
        self.digests.clear();
        if let Some(Record::Pages(pages)) = self.recording.records.get(self.at) {
            self.digests = pages.iter().copied().collect();
        }
    }
}

impl Session for Replay {
    fn start(&mut self, _: &Run) -> Result<(), HostError> {
        self.at = 0;
        self.state = self.recording.header.start;
        self.private.clear();
        self.digests.clear();
        Ok(())
    }

    fn step(&mut self) -> Result<Step, HostError> {
        let recording = Arc::clone(&self.recording);
        while let Some(record) = recording.records.get(self.at) {
            self.at += 1;
            match record {
                Record::Step(state, pages) => {
                    self.arrive(*state, pages);
                    return Ok(Step::Block);
                }
                Record::Exit(exit, state, pages) => {
                    self.arrive(*state, pages);
                    return Ok(Step::Exit(*exit));
                }
                Record::Instruction(_) | Record::Pages(_) => {}
            }
        }
        // Nobody steps past the end who asked how long the recording is.
        Ok(Step::Block)
    }

    fn state(&self) -> State {
        self.state
    }

    /// What gas became is in the recording already.
    fn set_gas(&mut self, _: Gas) {}

    fn private_pages(&self) -> Vec<PageIndex> {
        self.private.clone()
    }

    fn digest(&self, page: PageIndex) -> Option<u64> {
        self.digests.get(&page).copied()
    }

    fn page(&self, _: PageIndex) -> Option<Box<[u8; PAGE_SIZE as usize]>> {
        None
    }

    fn fork(&mut self) -> Result<Box<dyn Session>, HostError> {
        Ok(Box::new(self.clone()))
    }
}

/// Why a recording could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The host failed, not the guest.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The recording could not be written.
    #[error("writing the recording: {0}")]
    Write(#[from] io::Error),
}

/// Which steps are recorded.
pub type Keep<'a> = Option<&'a dyn Fn(&State) -> bool>;

/// Runs a session block by block, at most as the plan says, and records it; the last exit.
///
/// # Errors
/// [`RecordError`].
pub fn record<W: Write>(
    session: &mut dyn Session,
    case: &Case,
    plan: &Plan,
    keep: Keep<'_>,
    out: W,
) -> Result<Option<Exit>, RecordError> {
    let run = &case.runs[0];
    session.start(run)?;
    let header = Header {
        kind: Kind::Blocks,
        extent: match keep {
            None => Extent::Whole,
            Some(_) => Extent::Filtered,
        },
        code_len: case.code.len() as u64,
        code_check: digest(&case.code),
        start: session.state(),
    };
    let mut writer = Writer::new(out, &header)?;
    let mut known: Vec<PageIndex> = Vec::new();
    let mut refills = plan.refills.iter();
    let mut exits = 0;
    let mut last = None;
    for block in 1..=plan.blocks {
        let before = session.state();
        let step = session.step()?;
        let private = session.private_pages();
        let is_new = |page: &PageIndex| known.binary_search(page).is_err();
        let new = private.iter().copied().filter(is_new).collect();
        let state = session.state();
        let kept = keep.is_none_or(|keep| keep(&before));
        let record = match step {
            Step::Block => Record::Step(state, new),
            Step::Exit(exit) => Record::Exit(exit, state, new),
        };
        if kept {
            writer.record(&record)?;
            let all = matches!(step, Step::Exit(_)) || block % PAGES_EVERY == 0;
            if all && !private.is_empty() {
                let digests = private.iter();
                let digests = digests.filter_map(|page| Some((*page, session.digest(*page)?)));
                writer.record(&Record::Pages(digests.collect()))?;
            }
        }
        known = private;
        let Step::Exit(exit) = step else { continue };
        exits += 1;
        last = Some(exit);
        if exit.is_final() || exits >= plan.exits {
            break;
        }
        if exit == Exit::OutOfGas {
            match refills.next().and_then(|gas| Gas::new(*gas)) {
                Some(gas) => session.set_gas(gas),
                None => break,
            }
        }
    }
    writer.finish()?;
    Ok(last)
}
