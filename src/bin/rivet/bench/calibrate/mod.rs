//! `rivet bench --calibrate`: what gas stands for in time on this machine.
//!
//! Gas is right where a unit of it takes the same time whatever was done for it. This measures
//! that time for each class of instruction, each guest and each event with a price of its own,
//! searches for the program with the most time for its gas, and says what the placeholders of gas
//! §2 would have to be. It changes none of them: prices are part of the protocol.

mod classes;
mod clock;
mod events;
mod probe;
mod search;

use super::machine::{Machine, today};
use super::tables::{Section, number};
use super::workloads::{Class, WORKLOADS};
use crate::failure::Failure;
use crate::input::{self, Source};
use classes::Line;
use clock::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use probe::{Probe, Rate};
use rivet::engine::{Bare, Config, Engine, Start};
use rivet::image::Key;
use rivet::isa::gas::CostModel;
use rivet::isa::{Gas, Reg};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long calibration may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effort {
    Quick,
    Full,
}

impl Effort {
    fn search(self) -> Duration {
        Duration::from_secs(if self == Self::Quick { 10 } else { 90 })
    }

    fn tries(self) -> usize {
        if self == Self::Quick { 2 } else { 7 }
    }
}

/// Footprints whose scattered loads are timed, one for each tier, in MiB.
const FOOTPRINTS: [u64; 4] = [4, 16, 128, 512];

/// Time and gas of one guest, and what its translation took.
struct Guest {
    name: &'static str,
    rate: Rate,
    translation: f64,
    bytes: u64,
}

/// Everything that is measured, and the tables of it.
pub(crate) fn calibrate(source: &Path, effort: Effort) -> Result<Vec<Section>, Failure> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    // Before the process is bound to one core, which is then all that it sees.
    let machine = Machine::here();
    let core = super::rounds::core_for_runners();
    super::serve::settle_down(core.parse().ok());
    let (probe, tries) = (Probe::new()?, effort.tries());
    bar.set_message("guests");
    let guests = guests(source, tries)?;
    let mut rates: Vec<f64> = guests.iter().map(|guest| guest.rate.per_gas()).collect();
    rates.sort_by(f64::total_cmp);
    let Some(unit) = rates.get(rates.len() / 2).copied() else {
        return Err(Failure::message(
            "no guest ran, so gas has no time to compare with",
        ));
    };
    let lines = classes::measure(&probe, tries, || bar.set_message("classes"))?;
    bar.set_message("events");
    let events = constants(&guests, unit, tries)?;
    bar.set_message("footprints");
    let tiers = tiers(&probe, unit, effort)?;
    let worst = search::search(&probe, effort.search(), 1, |done| {
        bar.set_message(format!("search, {:.0} %", done * 100.0));
    })?;
    bar.finish_and_clear();
    Ok(vec![
        summary(&machine, unit, &guests, &lines, worst.as_ref()),
        classes_table(&lines, unit),
        guests_table(&guests, unit),
        events,
        tiers,
        worst_table(worst.as_ref(), unit),
    ])
}

/// Runs every guest twice and times the second run, which translates nothing.
fn guests(source: &Path, tries: usize) -> Result<Vec<Guest>, Failure> {
    let engine = Engine::new(Config::default())?;
    let a0 = Reg::A0.slot().expect("a0 has a slot");
    let mut guests = Vec::new();
    for workload in WORKLOADS
        .iter()
        .filter(|workload| workload.class != Class::Axis)
    {
        let path = source.join(format!("guests/prebuilt/{}.elf", workload.source));
        let Source::Image { image, .. } = input::read(&path, None)? else {
            continue;
        };
        let program = engine.load(&image)?;
        let mut best = (Duration::MAX, 0);
        for _ in 0..tries.min(3) + 1 {
            let start = Start::endpoint(Key::endpoint(0)).with_gas(Gas::MAX);
            let mut machine = program.machine(start.with_slot(a0, workload.full))?;
            let clock = Clock::now();
            machine.run(&mut Bare::new(io::sink()))?;
            let gas = Gas::MAX.value() - machine.gas().value();
            best = (best.0.min(clock.elapsed()), gas);
        }
        let translation = program.translation();
        // A program is translated once; the best of several loads is what translation takes.
        let mut least = translation.nanoseconds;
        for _ in 0..tries {
            let program = engine.load(&image)?;
            let start = Start::endpoint(Key::endpoint(0)).with_gas(Gas::MAX);
            let mut machine = program.machine(start.with_slot(a0, workload.small))?;
            machine.run(&mut Bare::new(io::sink()))?;
            let made = program.translation();
            if made.guest_bytes == translation.guest_bytes {
                least = least.min(made.nanoseconds);
            }
        }
        guests.push(Guest {
            name: workload.name,
            rate: Rate {
                time: best.0.as_secs_f64() * 1e9,
                gas: best.1 as f64,
            },
            translation: least as f64,
            bytes: translation.guest_bytes,
        });
    }
    Ok(guests)
}

/// Share of the variance of time that a line through the origin explains.
fn explained(rates: &[Rate]) -> f64 {
    let sum = |f: &dyn Fn(&Rate) -> f64| rates.iter().map(f).sum::<f64>();
    let slope = sum(&|r| r.gas * r.time) / sum(&|r| r.gas * r.gas);
    let mean = sum(&|r| r.time) / rates.len() as f64;
    let left = sum(&|r| (r.time - slope * r.gas).powi(2));
    1.0 - left / sum(&|r| (r.time - mean).powi(2))
}

fn row<const N: usize>(cells: [String; N]) -> Vec<String> {
    cells.to_vec()
}

fn summary(
    machine: &Machine,
    unit: f64,
    guests: &[Guest],
    lines: &[Line],
    worst: Option<&search::Worst>,
) -> Section {
    let extreme = |name: &str, rate: Rate| format!("{:.2} ({name})", rate.per_gas() / unit);
    let by_rate = |a: &&Guest, b: &&Guest| a.rate.per_gas().total_cmp(&b.rate.per_gas());
    let slow = guests.iter().max_by(by_rate);
    let fast = guests.iter().min_by(by_rate);
    let class_rates: Vec<Rate> = lines.iter().map(|line| line.rate).collect();
    let mut rows = vec![
        row(["machine".to_owned(), machine.summary()]),
        row(["date".to_owned(), today()]),
        row(["ns per gas, median of guests".to_owned(), number(unit)]),
    ];
    let guest = |guest: Option<&Guest>| {
        guest.map_or("-".to_owned(), |guest| extreme(guest.name, guest.rate))
    };
    rows.push(row([
        "slowest guest for its gas, over the median".to_owned(),
        guest(slow),
    ]));
    rows.push(row(["fastest guest for its gas".to_owned(), guest(fast)]));
    let class = lines.first().map(|line| extreme(&line.name, line.rate));
    rows.push(row([
        "slowest class for its gas".to_owned(),
        class.unwrap_or_else(|| "-".to_owned()),
    ]));
    rows.push(row([
        "time explained by gas over classes, R2".to_owned(),
        format!("{:.2}", explained(&class_rates)),
    ]));
    let found =
        |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.2}", rate / unit));
    let random = worst.map_or(0, |worst| worst.random.1);
    rows.push(row([
        format!("worst of {random} random programs"),
        found(worst.map(|worst| worst.random.0)),
    ]));
    rows.push(row([
        "worst program found by the search".to_owned(),
        found(worst.map(|worst| worst.rate.per_gas())),
    ]));
    Section {
        title: "Gas and time",
        text: vec![
            "Ratios are time per gas over that of the median guest. Times are those of the \
             processor, not of the clock."
                .to_owned(),
        ],
        head: row(["what".to_owned(), "value".to_owned()]),
        rows,
    }
}

fn classes_table(lines: &[Line], unit: f64) -> Section {
    let rows = lines.iter().map(|line| {
        row([
            line.name.clone(),
            number(line.rate.time),
            number(line.rate.gas),
            number(line.rate.per_gas()),
            format!("{:.2}", line.rate.per_gas() / unit),
        ])
    });
    Section {
        title: "Classes of instructions",
        text: vec![
            "`chained` waits for the one before, `free` for nothing; an even mix of programs lies \
             between. Gas is the price of a long block, divided."
                .to_owned(),
        ],
        head: ["class", "ns", "gas", "ns per gas", "over median"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    }
}

fn guests_table(guests: &[Guest], unit: f64) -> Section {
    let mut sorted: Vec<&Guest> = guests.iter().collect();
    sorted.sort_by(|a, b| b.rate.per_gas().total_cmp(&a.rate.per_gas()));
    let rows = sorted.into_iter().map(|guest| {
        row([
            guest.name.to_owned(),
            number(guest.rate.time / 1e6),
            format!("{:.0}", guest.rate.gas),
            number(guest.rate.per_gas()),
            format!("{:.2}", guest.rate.per_gas() / unit),
        ])
    });
    Section {
        title: "Guests",
        text: Vec::new(),
        head: ["guest", "ms", "gas", "ns per gas", "over median"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    }
}

fn constants(guests: &[Guest], unit: f64, tries: usize) -> Result<Section, Failure> {
    let translation: f64 = guests.iter().map(|guest| guest.translation).sum();
    let bytes: u64 = guests.iter().map(|guest| guest.bytes).sum();
    let compile = translation / bytes.max(1) as f64 * 4096.0;
    let call = events::host_call(tries)?;
    let measured = [
        ("COW_COST", CostModel::COW_COST, events::new_page(tries)?),
        ("HOST_CALL_FLOOR", CostModel::HOST_CALL_FLOOR, call),
        ("MGMT_OP_COST", CostModel::MGMT_OP_COST, call),
        (
            "CALL_FRAME_COST",
            CostModel::CALL_FRAME_COST,
            events::frame(tries)?,
        ),
        (
            "COMPILE_COST_PER_PAGE",
            CostModel::COMPILE_COST_PER_PAGE,
            compile,
        ),
        (
            "PAGE_IN_COST",
            CostModel::PAGE_IN_COST,
            events::read_only_unit(tries)?,
        ),
    ];
    let rows = measured.into_iter().map(|(name, now, time)| {
        let proposed = (time / unit).round().max(1.0);
        row([
            name.to_owned(),
            now.to_string(),
            format!("{time:.0}"),
            format!("{proposed:.0}"),
            format!("{:.2}", proposed / now as f64),
        ])
    });
    Ok(Section {
        title: "Proposed constants",
        text: vec![
            "What each placeholder of gas section 2 would be if its unit of gas took as long as \
             the median guest's on this machine. Nothing is changed by this. COW_COST: first \
             write of a page of zeros; both floors: a call answered at once; CALL_FRAME_COST: a \
             machine made, entered and dropped; COMPILE_COST_PER_PAGE: translation of 4 KiB of \
             the guests' code; PAGE_IN_COST: first reads of all 512 pages of a unit."
                .to_owned(),
        ],
        head: ["constant", "now", "ns", "proposed", "over now"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    })
}

fn tiers(probe: &Probe, unit: f64, effort: Effort) -> Result<Section, Failure> {
    let mut rows = Vec::new();
    let few = effort.tries().min(3);
    let count = if effort == Effort::Quick {
        2
    } else {
        FOOTPRINTS.len()
    };
    let mut first = None;
    for mib in FOOTPRINTS.into_iter().take(count) {
        let Some(rate) = classes::scattered(probe, mib << 20, few)? else {
            continue;
        };
        let (base, cycles) = (
            *first.get_or_insert(rate.time),
            CostModel::default().mem_cycles(mib << 8),
        );
        rows.push(row([
            format!("{mib} MiB"),
            cycles.to_string(),
            number(rate.time),
            number(rate.gas),
            format!("{:.2}", rate.per_gas() / unit),
            format!("{:.2}", rate.time / base),
            format!("{:.0}", f64::from(cycles) * rate.per_gas() / unit),
        ]));
    }
    Ok(Section {
        title: "Footprints",
        text: vec![
            "Loads from all over the memory, each waiting for the one before, with five \
             instructions of arithmetic. `proposed` is the latency at which such a load would \
             take as long for its gas as the median guest."
                .to_owned(),
        ],
        head: [
            "memory",
            "mem_cycles now",
            "ns",
            "gas",
            "over median",
            "time over 4 MiB",
            "proposed",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    })
}

fn worst_table(worst: Option<&search::Worst>, unit: f64) -> Section {
    let Some(worst) = worst else {
        return Section {
            title: "Worst program found",
            text: vec!["None came to its end.".to_owned()],
            head: Vec::new(),
            rows: Vec::new(),
        };
    };
    Section {
        title: "Worst program found",
        text: vec![format!(
            "{:.2} times the median guest's time for its gas ({} ns and {} gas a pass), the worst \
             of {} programs tried; {} KiB of data, all written before. The body of its loop:",
            worst.rate.per_gas() / unit,
            number(worst.rate.time),
            number(worst.rate.gas),
            worst.tried,
            worst.data >> 10,
        )],
        head: vec!["instruction".to_owned()],
        rows: worst.text.iter().map(|line| vec![line.clone()]).collect(),
    }
}
