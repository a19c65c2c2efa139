//! The goals of the recompiler, each with its figure, and `ok` or `MISS` beside it.
//!
//! ```text
//! cargo bench -p rivet-benches --bench goals                      all, in a few minutes
//! cargo bench -p rivet-benches --bench goals -- --rounds 3        fewer rounds
//! cargo bench -p rivet-benches --bench goals -- --json goals.json
//! ```
//!
//! Times are best of several on one core; guests run with exact gas, beside `clang -O2` of the same
//! C in the same round, and each must give its native value. A miss is no failure: exit status 0.

use rivet_benches::figure::{Figure, geomean};
use rivet_benches::gates;
use rivet_benches::guests::{APART, Natives, guests, run};
use rivet_benches::recompiler::{crossings, first_instruction, translation};
use rivet_benches::worst::{self, CASES};
use rivet_engine::{Backend, Config, Engine};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: goals [--rounds N] [--json FILE]";

/// Rounds of the guests.
const ROUNDS: u32 = 7;

/// What is printed, as it is measured, and kept.
#[derive(Default)]
struct Board {
    figures: Vec<Figure>,
    missing: Vec<String>,
}

impl Board {
    fn add(&mut self, figures: impl IntoIterator<Item = Figure>) {
        for figure in figures {
            println!("{figure}");
            self.figures.push(figure);
        }
    }

    fn fail(&mut self, reason: String) {
        println!("not measured: {reason}");
        self.missing.push(reason);
    }

    fn count(&self, verdict: &str) -> usize {
        let same = |figure: &&Figure| figure.verdict() == verdict;
        self.figures.iter().filter(same).count()
    }

    fn json(&self) -> String {
        let figures = self.figures.iter().map(|figure| {
            json!({
                "name": figure.name, "unit": figure.unit, "value": figure.value,
                "goal": figure.goal, "verdict": figure.verdict(),
            })
        });
        let figures: Vec<_> = figures.collect();
        let all = json!({ "figures": figures, "not_measured": self.missing });
        format!("{all:#}\n")
    }
}

/// Guests beside native code.
fn speed(board: &mut Board, rounds: u32) {
    let natives = match Natives::new() {
        Ok(natives) => natives,
        Err(error) => return board.fail(format!("guests over native code: {error}")),
    };
    let config = Config {
        backend: Backend::Jit,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the recompiler runs here");
    let mut ratios: Vec<(f64, String)> = Vec::new();
    let all = guests(&[]).into_iter();
    for guest in all.filter(|guest| !APART.contains(&guest.name.as_str())) {
        let Some(native) = natives.compile(&guest) else {
            continue;
        };
        let mut best = [Duration::MAX; 3];
        for _ in 0..rounds {
            let (time, value) = run(&engine, &guest, guest.arg);
            assert_eq!(value, guest.value, "{} gives its native value", guest.name);
            let times = [time, native.time(guest.arg), native.time(1)];
            for (best, time) in best.iter_mut().zip(times) {
                *best = time.min(*best);
            }
        }
        let [ours, native, empty] = best.map(|time| time.as_secs_f64());
        ratios.push((ours / (native - empty).max(1e-6), guest.name));
    }
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    let only: Vec<f64> = ratios.iter().map(|(ratio, _)| *ratio).collect();
    let Some((worst, name)) = ratios.first() else {
        return board.fail("guests over native code: there are no guests".to_owned());
    };
    board.add([
        Figure::new(
            format!(
                "run over clang -O2, geometric mean of {} guests",
                only.len()
            ),
            "",
            geomean(&only),
            1.25,
        ),
        Figure::new(
            format!("run over clang -O2, worst guest: {name}"),
            "",
            *worst,
            2.0,
        ),
    ]);
    board.add(
        ratios
            .iter()
            .map(|(ratio, name)| Figure::new(format!("    {name}"), "", *ratio, 2.0)),
    );
}

/// Gates.
fn metering(board: &mut Board, rounds: u32) {
    let rig = gates::Rig::new();
    let all = guests(&[]).into_iter();
    let all = all.filter(|guest| !gates::APART.contains(&guest.name.as_str()));
    let both: Vec<_> = all
        .map(|guest| (rig.measure(&guest, rounds), guest.name))
        .collect();
    let ratios: Vec<f64> = both.iter().map(|(both, _)| both.ratio()).collect();
    let sum = |f: fn(&gates::Both) -> u64| both.iter().map(|(b, _)| f(b)).sum::<u64>() as f64;
    let size = sum(|both| both.totals.native_bytes) / sum(|both| both.totals.guest_bytes);
    let worst = both
        .iter()
        .max_by(|a, b| a.0.ratio().total_cmp(&b.0.ratio()));
    board.add([
        Figure::new(
            format!(
                "exact gas over gates left out, geometric mean of {}",
                ratios.len()
            ),
            "",
            geomean(&ratios),
            1.03,
        ),
        Figure::new("native bytes for one of what the guests ran", "", size, 3.0),
    ]);
    board.add(worst.map(|(both, name)| {
        Figure::known(
            format!("exact gas over gates left out, worst guest: {name}"),
            "",
            both.ratio(),
        )
    }));
}

/// Stays on one core, the last one, where that is allowed; children stay there too.
fn pin() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cores - 1);
        // It is not needed for right results.
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

fn measure(rounds: u32, json: Option<PathBuf>) -> ExitCode {
    let clock = Instant::now();
    pin();
    let mut board = Board::default();
    speed(&mut board, rounds);
    metering(&mut board, rounds);
    board.add(translation());
    board.add(first_instruction());
    board.add(crossings());
    for case in &CASES {
        match case.figures() {
            Ok(figures) => board.add(figures),
            Err(reason) => board.fail(reason),
        }
    }
    println!(
        "{} ok, {} MISS, {} not measured, {:.0} s",
        board.count("ok"),
        board.count("MISS"),
        board.missing.len(),
        clock.elapsed().as_secs_f64()
    );
    if let Some(path) = json
        && let Err(error) = std::fs::write(&path, board.json())
    {
        eprintln!("goals: cannot write {}: {error}", path.display());
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let (mut rounds, mut json) = (ROUNDS, None);
    // cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        let value = args.next();
        match (arg.as_str(), value.as_deref()) {
            ("--worst", Some(name)) => {
                let Some(case) = worst::named(name) else {
                    eprintln!("goals: no case `{name}`");
                    return ExitCode::from(2);
                };
                case.measure_here();
                return ExitCode::SUCCESS;
            }
            ("--json", Some(path)) => json = Some(PathBuf::from(path)),
            ("--rounds", Some(count)) if count.parse().is_ok_and(|count: u32| count > 0) => {
                rounds = count.parse().unwrap_or(ROUNDS);
            }
            _ => {
                eprintln!("goals: `{arg}` is not an option with a value\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    measure(rounds, json)
}
