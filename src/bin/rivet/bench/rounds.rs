//! The rounds: every lane takes its turn in each, so that noise hits all alike.

use super::budget::{Budget, Part, Spent};
use super::build::Programs;
use super::lanes::{BASE, Kind, LANES, Lane, Runner, Size};
use super::machine;
use super::results::{Cell, Missing, Phase};
use super::server::{Refusal, Server};
use super::workloads::Workload;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a round may take beyond the longest so far.
const MARGIN: f64 = 1.1;

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds if there is time for all of them.
    pub(crate) rounds: usize,
    pub(crate) budget: Budget,
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) cells: Vec<Cell>,
    pub(crate) missing: Vec<Missing>,
    /// Rounds that came to all workloads.
    pub(crate) rounds: usize,
    /// Time of each workload in all rounds.
    pub(crate) spent: Vec<Spent>,
}

/// A turn: a lane on a workload at a size.
struct Turn<'a> {
    lane: &'static Lane,
    argument: u64,
    path: &'a Path,
    cell: Cell,
    refused: bool,
}

/// Runs all rounds of all workloads that the budget has time for, and hands what is there to `save`
/// after each workload. A round goes through all workloads, so that the rounds of one are minutes
/// apart and do not all meet the same disturbance.
pub(crate) fn measure(
    programs: &Programs,
    workloads: &[&'static Workload],
    plan: Plan,
    mut save: impl FnMut(&Measured),
) -> Measured {
    let bar = ProgressBar::new((workloads.len() * plan.rounds) as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut measured = Measured {
        missing: programs.missing.clone(),
        ..Measured::default()
    };
    let mut rows: Vec<Row<'_>> = workloads
        .iter()
        .map(|workload| Row::new(programs, workload))
        .collect();
    let mut servers = Servers::new(programs);
    let mut longest = Duration::ZERO;
    // A round that would go beyond the budget is not begun, but for the first.
    while measured.rounds < plan.rounds
        && (measured.rounds == 0 || plan.budget.left() > longest.mul_f64(MARGIN))
    {
        let clock = Instant::now();
        for index in 0..rows.len() {
            let row = &mut rows[index];
            bar.set_message(format!("round {}, {}", measured.rounds + 1, row.name));
            row.round(&mut servers, plan.budget, &mut measured.missing);
            bar.inc(1);
            measured.cells = rows.iter().flat_map(Row::cells).collect();
            measured.spent = rows.iter().map(|row| row.spent.clone()).collect();
            save(&measured);
        }
        measured.rounds += 1;
        longest = longest.max(clock.elapsed());
        save(&measured);
    }
    bar.finish_and_clear();
    measured
}

/// A workload with the turns of all lanes.
struct Row<'a> {
    name: &'static str,
    turns: Vec<Turn<'a>>,
    spent: Spent,
}

impl<'a> Row<'a> {
    fn new(programs: &'a Programs, workload: &'static Workload) -> Self {
        let what = format!("measuring {}", workload.name);
        Self {
            name: workload.name,
            turns: turns(programs, workload),
            spent: Spent {
                what,
                ..Spent::default()
            },
        }
    }

    /// One turn of every lane, while there is time.
    fn round(&mut self, servers: &mut Servers<'_>, budget: Budget, missing: &mut Vec<Missing>) {
        let part = Part::begin(&servers.ids());
        round(servers, &mut self.turns, budget, missing);
        servers.end_native();
        let spent = part.end("", &servers.ids());
        self.spent.wall += spent.wall;
        self.spent.cpu += spent.cpu;
    }

    /// What there is of those that were not refused.
    fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let there = |turn: &&Turn<'_>| !turn.refused && !turn.cell.warm.is_empty();
        self.turns
            .iter()
            .filter(there)
            .map(|turn| turn.cell.clone())
    }
}

fn turns<'a>(programs: &'a Programs, workload: &'static Workload) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    for lane in &LANES {
        let Some(path) = programs.file(lane, workload) else {
            continue;
        };
        let mut arguments = match (lane.kind, lane.size) {
            (Kind::Native, _) => vec![workload.full, workload.small],
            (_, Size::Full) => vec![workload.full],
            (_, Size::Small) => vec![workload.small],
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

/// One turn of every lane. A lane that refuses is out for this workload, and so is one that had no
/// turn when the time was used up.
fn round(
    servers: &mut Servers<'_>,
    turns: &mut [Turn<'_>],
    budget: Budget,
    missing: &mut Vec<Missing>,
) {
    let mut natives = BTreeMap::new();
    for turn in turns.iter_mut().filter(|turn| !turn.refused) {
        let late = budget.left().is_zero();
        if late && !turn.cell.warm.is_empty() {
            continue;
        }
        let taken = if late {
            Err(Refusal::NoTime(budget.limit()))
        } else {
            servers.take(turn)
        };
        let agreed = taken.and_then(|value| {
            let native = *natives.entry(turn.argument).or_insert(value);
            if value == native {
                return Ok(());
            }
            Err(Refusal::Differs { value, native })
        });
        if let Err(refusal) = agreed {
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

    /// Their processes.
    fn ids(&self) -> Vec<u32> {
        self.up.values().map(Server::id).collect()
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
