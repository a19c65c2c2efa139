//! The rounds: every lane takes its turn in each, so that noise hits all alike.

use super::build::Programs;
use super::lanes::{BASE, Kind, LANES, Lane, Runner};
use super::machine;
use super::results::{Cell, Missing, Phase};
use super::server::{Refusal, Server};
use super::workloads::Workload;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::path::Path;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) cells: Vec<Cell>,
    pub(crate) missing: Vec<Missing>,
}

/// A turn: a lane on a workload at a size.
struct Turn<'a> {
    lane: &'static Lane,
    argument: u64,
    path: &'a Path,
    cell: Cell,
    refused: bool,
}

/// Runs all rounds of all workloads and hands what is there to `save` after each workload.
pub(crate) fn measure(
    programs: &Programs,
    workloads: &[&'static Workload],
    rounds: usize,
    mut save: impl FnMut(&Measured),
) -> Measured {
    let bar = ProgressBar::new((workloads.len() * rounds) as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut measured = Measured {
        cells: Vec::new(),
        missing: programs.missing.clone(),
    };
    let mut servers = Servers::new(programs);
    for workload in workloads {
        let mut turns = turns(programs, workload);
        for _ in 0..rounds {
            bar.set_message(workload.name);
            round(&mut servers, &mut turns, &mut measured.missing);
            bar.inc(1);
        }
        servers.end_native();
        let done = turns.into_iter().filter(|turn| !turn.refused);
        measured.cells.extend(done.map(|turn| turn.cell));
        save(&measured);
    }
    bar.finish_and_clear();
    measured
}

fn turns<'a>(programs: &'a Programs, workload: &'static Workload) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    for lane in &LANES {
        let Some(path) = programs.file(lane, workload) else {
            continue;
        };
        let mut arguments = match lane.kind {
            Kind::Native => vec![workload.full, workload.small],
            Kind::Compiled => vec![workload.full],
            Kind::Interpreted => vec![workload.small],
        };
        arguments.dedup();
        turns.extend(arguments.into_iter().map(|argument| Turn {
            lane,
            argument,
            path,
            cell: Cell {
                lane: lane.name.to_owned(),
                workload: workload.name.to_owned(),
                argument,
                value: String::new(),
                native_bytes: 0,
                compile: Vec::new(),
                start: Vec::new(),
                cold: Vec::new(),
                warm: Vec::new(),
            },
            refused: false,
        }));
    }
    turns
}

/// One turn of every lane. A lane that refuses is out for this workload.
fn round(servers: &mut Servers, turns: &mut [Turn<'_>], missing: &mut Vec<Missing>) {
    let mut natives = BTreeMap::new();
    for turn in turns.iter_mut().filter(|turn| !turn.refused) {
        let taken = servers.take(turn).and_then(|value| {
            let native = *natives.entry(turn.argument).or_insert(value);
            if value == native {
                return Ok(());
            }
            Err(Refusal::Differs { value, native })
        });
        if let Err(refusal) = taken {
            turn.refused = true;
            servers.end(turn.lane);
            missing.push(Missing {
                lane: turn.lane.name.to_owned(),
                workload: turn.cell.workload.clone(),
                reason: refusal.to_string(),
            });
        }
    }
}

/// The runners that are up: one for each lane, native ones for one workload at a time.
struct Servers<'a> {
    programs: &'a Programs,
    up: BTreeMap<&'static str, Server>,
}

impl<'a> Servers<'a> {
    fn new(programs: &'a Programs) -> Self {
        Self {
            programs,
            up: BTreeMap::new(),
        }
    }

    fn end(&mut self, lane: &Lane) {
        self.up.remove(lane.name);
    }

    fn end_native(&mut self) {
        for lane in LANES.iter().filter(|lane| lane.kind == Kind::Native) {
            self.end(lane);
        }
    }

    fn server(&mut self, turn: &Turn<'_>) -> Result<&mut Server, Refusal> {
        let lane = turn.lane;
        if !self.up.contains_key(lane.name) {
            let cpu = if lane.roams {
                "-"
            } else {
                self.programs.cpu.as_str()
            };
            let server = match lane.runner {
                Runner::Native => Server::start(turn.path, &[cpu])?,
                Runner::Rivet => {
                    let args = ["bench", "--serve", lane.mode, "--cpu", cpu];
                    Server::start(&self.programs.rivet, &args)?
                }
                Runner::Peer { feature, .. } => {
                    Server::start(&self.programs.runner(feature), &[lane.mode, cpu])?
                }
            };
            self.up.insert(lane.name, server);
        }
        self.up.get_mut(lane.name).ok_or(Refusal::Ended)
    }

    /// Compiles, runs cold, runs warm; the checksum.
    fn take(&mut self, turn: &mut Turn<'_>) -> Result<u64, Refusal> {
        let (path, argument, native) = (turn.path, turn.argument, turn.lane.kind == Kind::Native);
        let server = self.server(turn)?;
        let (compile, bytes) = if native { (0, 0) } else { server.load(path)? };
        let cold = server.run(argument)?;
        let warm = server.run(argument)?;
        if warm.value != cold.value {
            let (value, native) = (warm.value, cold.value);
            return Err(Refusal::Differs { value, native });
        }
        let cell = &mut turn.cell;
        cell.value = format!("{:#x}", cold.value);
        cell.native_bytes = warm.native_bytes.unwrap_or(bytes);
        cell.compile.push(compile);
        cell.start.push(warm.start);
        cell.cold.push(compile + cold.start + cold.run);
        cell.warm.push(warm.run);
        Ok(cold.value)
    }
}

/// The core that the runners share: the last one, which the system uses least. Nothing where
/// there is only one.
pub(crate) fn core_for_runners() -> String {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0 | 1 => "-".to_owned(),
        cores => (cores - 1).to_string(),
    }
}

/// Says so if the machine is busy with something else.
pub(crate) fn warn_if_busy() {
    if let Some(load) = machine::load().filter(|load| *load > 0.7) {
        eprintln!(
            "warning: {load} processes were runnable in the last minute; figures will be noisy"
        );
    }
}

/// The largest spread of the base lane, worst over best, as a measure of noise.
pub(crate) fn noise(cells: &[Cell]) -> Option<f64> {
    let base = cells.iter().filter(|cell| cell.lane == BASE);
    let spreads = base.map(|cell| cell.median(Phase::Warm) / cell.best(Phase::Warm));
    spreads
        .filter(|spread| spread.is_finite())
        .max_by(f64::total_cmp)
}
