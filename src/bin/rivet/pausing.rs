//! Stopping a run early and keeping its state: `--until`, `--save`, and what `rivet run` and
//! `rivet snap resume` have in common.

use crate::Outcome;
use crate::failure::Failure;
use crate::number;
use crate::report::Report;
use crate::snap::file;
use crate::symbols::{self, Symbols};
use crate::whole;
use rivet::engine::snapshot::{Parcel, ParcelState, SnapshotError};
use rivet::engine::{Bare, HostError, Machine, Ran, Unavailable, Until};
use rivet::isa::{Gas, Pc};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When to stop.
#[derive(Clone, Debug)]
pub(crate) enum When {
    /// So much gas was used.
    Gas(u64),
    /// A symbol or a code offset.
    Block(String),
    Call,
    Time(Duration),
}

fn when(text: &str) -> Result<When, String> {
    match text.split_once('=') {
        None if text == "call" => Ok(When::Call),
        Some(("gas", used)) => number::number(used).map(When::Gas),
        Some(("block", place)) => Ok(When::Block(place.to_owned())),
        Some(("time", ms)) => Ok(When::Time(Duration::from_millis(number::number(ms)?))),
        _ => Err("expected gas=N, block=PC, call or time=MILLISECONDS".to_owned()),
    }
}

/// Options about stopping early.
#[derive(clap::Args, Default)]
pub(crate) struct Pausing {
    /// Stop early: after gas=N, in front of block=PC (or a symbol), at the next call, after time=MS
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(crate) until: Vec<When>,
    /// Keep the paused state in FILE, with the image; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Leave the image out of the saved file: whoever resumes it must have the program
    #[arg(long, requires = "save")]
    pub(crate) without_image: bool,
}

impl Pausing {
    fn conditions(&self, machine: &Machine, symbols: &Symbols) -> Result<Until, Failure> {
        let mut until = Until::exit();
        for when in &self.until {
            until = match when {
                When::Gas(used) => {
                    let left = machine.gas().checked_sub(*used).unwrap_or(Gas::ZERO);
                    until.gas_left(left)
                }
                When::Block(place) => until.block(block(machine, symbols, place)?),
                When::Call => until.call(),
                When::Time(time) => until.within(*time),
            };
        }
        Ok(until)
    }

    fn to_stdout(&self) -> bool {
        self.save.as_deref().is_some_and(file::is_dash)
    }
}

/// The block that `--until` names. A run never comes to an offset inside a block.
fn block(machine: &Machine, symbols: &Symbols, place: &str) -> Result<Pc, Failure> {
    let pc = symbols::place(symbols, "--until block", place)?;
    if machine.program().starts().contains(pc) {
        return Ok(pc);
    }
    let what = format!("--until block `{place}`: no block starts at {pc}");
    Err(Failure::message(what).help("`rivet gas FILE` lists the blocks of the code"))
}

/// Where the report goes and what it holds.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Reporting {
    /// Print one JSON object on standard output after the run
    #[arg(long)]
    json: bool,
    /// Print how the run was carried out
    #[arg(long)]
    stats: bool,
}

/// A machine about to run, and what is known of it.
pub(crate) struct Session<'a> {
    pub(crate) machine: Machine,
    pub(crate) symbols: &'a Symbols,
    pub(crate) pausing: &'a Pausing,
    pub(crate) reporting: Reporting,
    pub(crate) compile_ns: u128,
    pub(crate) fallback: Option<Unavailable>,
}

impl Session<'_> {
    /// Runs, saves, reports; `after` sees the machine before the report.
    pub(crate) fn run(
        mut self,
        after: impl FnOnce(&Machine) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let Reporting { json, stats } = self.reporting;
        if json && self.pausing.to_stdout() {
            return Err(
                Failure::message("--save - and --json both want standard output")
                    .help("save to a file, or leave out --json"),
            );
        }
        let start_gas = self.machine.gas();
        let until = self.pausing.conditions(&self.machine, self.symbols)?;
        match &self.pausing.save {
            Some(path) if !file::is_dash(path) => whole::check(path)?,
            _ => {}
        }
        let running = Instant::now();
        let result = self.execute(&until)?;
        let run_ns = running.elapsed().as_nanos();
        after(&self.machine)?;
        let saved = match (&self.pausing.save, &result) {
            (Some(path), Ok(_)) => self.save(path)?,
            _ => false,
        };
        let report = Report {
            machine: &self.machine,
            result,
            start_gas,
            compile_ns: self.compile_ns,
            run_ns,
            fallback: self.fallback,
            saved: self.pausing.save.as_deref().filter(|_| saved),
        };
        report.print(self.symbols, json, stats)
    }

    /// Runs with the guest's output on the stream that nothing else uses.
    fn execute(&mut self, until: &Until) -> Result<Result<Ran, HostError>, Failure> {
        let output: Box<dyn Write> = if self.reporting.json || self.pausing.to_stdout() {
            Box::new(io::stderr().lock())
        } else {
            Box::new(io::stdout().lock())
        };
        let mut host = Bare::new(io::BufWriter::new(output));
        let result = self.machine.run_until(&mut host, until);
        host.finish().map_err(Failure::output)?;
        Ok(result)
    }

    /// Writes the state; `false` if the run is over and there is none.
    fn save(&self, path: &Path) -> Result<bool, Failure> {
        let snapshot = match self.machine.snapshot() {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::Ended { exit }) => {
                let path = path.display();
                eprintln!("not saved to `{path}`: the run has ended with {exit}");
                return Ok(false);
            }
            Err(error) => return Err(Failure::message(format!("cannot save the run: {error}"))),
        };
        let image = if self.pausing.without_image {
            None
        } else {
            let image = self.machine.program().image();
            Some(image.map_err(|e| Failure::message(e.to_string()))?.clone())
        };
        let state = ParcelState::Snapshot(snapshot);
        file::write(path, &Parcel { state, image })?;
        Ok(true)
    }
}
