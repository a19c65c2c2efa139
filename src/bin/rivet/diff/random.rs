//! Many random programs on two engines, with progress and findings while it runs.

use super::file::{Found, smallest};
use super::reproducer::{self, Shown};
use super::{Args, contenders};
use crate::Outcome;
use crate::failure::Failure;
use crate::whole;
use rivet::engine::diff::{Calls, Finding, Kind, Plan, Subject, Totals, Volume, Watch, locate};
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Gas that a run gets once more when it runs out.
const REFILL: u64 = 3000;

/// Exits after which a run is long enough: a few programs call in a loop.
const EXITS: usize = 400;

/// Findings that are shrunk; more of them are rarely something new.
const SHRUNK: u64 = 8;

/// Findings after which the comparison stops.
const MOST: u64 = 256;

/// How often progress is shown on a terminal, and elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_A_LOG: Duration = Duration::from_secs(10);

pub(super) fn compare(args: &Args, count: u64) -> Result<Outcome, Failure> {
    let seed = args.seed;
    // The last bundle is a whole one.
    let end = seed
        .checked_add(count)
        .and_then(|end| end.checked_add(args.bundle));
    if end.is_none() {
        let what = format!("{count} runs from seed {seed} on need seeds above 2^64 - 1");
        return Err(Failure::message(what).help("give a smaller --seed"));
    }
    let volume = volume(args, count);
    let [a, b] = contenders(args, Calls::Script)?;
    let watch = Watch::default();
    let failure = Mutex::new(None);
    let reported = AtomicU64::new(0);
    let report = |finding: Finding| {
        let number = reported.fetch_add(1, Ordering::Relaxed);
        if number + 1 == MOST {
            watch.stop.store(true, Ordering::Relaxed);
            eprintln!("stopping: {MOST} differences tell as much as more of them");
        }
        let shrink = number < SHRUNK;
        if let Err(error) = keep(args, &volume, [&a, &b], &finding, shrink) {
            watch.stop.store(true, Ordering::Relaxed);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    };
    let begin = Instant::now();
    let busy = processor_time();
    let totals = thread::scope(|scope| {
        let (done, finished) = channel::<()>();
        scope.spawn(|| show_progress(&watch, count, begin, finished));
        let totals = volume.compare([&a, &b], &watch, &report);
        drop(done);
        totals
    })?;
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let busy = processor_time().zip(busy);
    let took = Took {
        wall: begin.elapsed(),
        cores: busy.map(|(end, begin)| end.saturating_sub(begin)),
    };
    summarise(args, &volume, totals, took);
    Ok(match totals.found {
        0 => Outcome::Done,
        _ => Outcome::GuestFailed,
    })
}

/// How each run is carried out.
fn plan() -> Plan {
    Plan {
        refills: vec![REFILL],
        exits: EXITS,
        ..Plan::default()
    }
}

fn volume(args: &Args, runs: u64) -> Volume {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let bundle = args.bundle;
    Volume {
        kind: match (args.hostile, args.neighbours) {
            (true, _) => Kind::Hostile,
            (false, true) => Kind::Neighbours { bundle },
            (false, false) => Kind::Valid { bundle },
        },
        seed: args.seed,
        runs,
        threads: args.threads.unwrap_or(cores).clamp(1, 256),
        plan: Plan {
            every: args.every(),
            ..plan()
        },
    }
}

/// Shows on standard error how far the work is, until the other end of `finished` is dropped.
fn show_progress(watch: &Watch, count: u64, begin: Instant, finished: Receiver<()>) {
    let terminal = io::stderr().is_terminal();
    let pause = if terminal { ON_TERMINAL } else { IN_A_LOG };
    while finished.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let runs = watch.runs.load(Ordering::Relaxed);
        let found = watch.found.load(Ordering::Relaxed);
        let rate = runs as f64 / begin.elapsed().as_secs_f64();
        let line = format!("{runs} of {count} runs, {rate:.0} per second, {found} differences");
        if terminal {
            eprint!("\r{line}   ");
        } else {
            eprintln!("{line}");
        }
    }
    if terminal {
        eprint!("\r{:70}\r", "");
    }
}

/// Writes a finding to the folder: first where it was made and what differs, then, for the first
/// few, a small program that shows it.
fn keep(
    args: &Args,
    volume: &Volume,
    sides: [&dyn Subject; 2],
    finding: &Finding,
    shrink: bool,
) -> Result<(), Failure> {
    let folder = &args.findings;
    let (seed, run) = (finding.seed, finding.run);
    let name = format!("seed-{seed}-run-{run}");
    let path = folder.join(format!("{name}.txt"));
    let difference = &finding.difference;
    eprintln!("difference: seed {seed} run {run}: {difference}");
    std::fs::create_dir_all(folder).map_err(|e| Failure::file("create", folder, e))?;
    let again = match (args.hostile, args.neighbours) {
        (true, _) => "--hostile".to_owned(),
        (false, true) => format!("--neighbours --bundle {}", args.bundle),
        (false, false) => format!("--bundle {}", args.bundle),
    };
    let text = format!(
        "seed {seed} run {run}\n{difference}\n\nrivet diff --random 1 --seed {seed} {again} \
         --a {} --b {}\n",
        args.a, args.b
    );
    whole::write(&path, |out| out.write_all(text.as_bytes()))?;
    if !shrink {
        return Ok(());
    }
    // Not located: the block alone does not show it, or not without the runs before it.
    let located = locate(sides, &finding.case, &volume.plan).ok().flatten();
    let found = Found {
        case: &finding.case,
        plan: &volume.plan,
        located: located.as_ref(),
    };
    let mut before = || volume.before(sides, seed, run);
    let (reduced, exit) = smallest(sides, &found, &mut before);
    let shown = Shown {
        reduced: &reduced,
        exit,
        calls: Calls::Script,
    };
    let path = reproducer::save(folder, &name, &difference.to_string(), &shown)?;
    let count = reproducer::instructions(&reduced.case);
    let runs = match reduced.case.runs.len() {
        1 => String::new(),
        runs => format!(" in {runs} runs"),
    };
    let path = path.display();
    eprintln!("reproducer of {count} instructions{runs} in {path}");
    Ok(())
}

/// Time that the comparison took.
struct Took {
    wall: Duration,
    /// Time that cores spent on it, where the host says.
    cores: Option<Duration>,
}

/// Time that this process has spent on cores, which other processes do not lengthen.
fn processor_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let clock = rustix::time::ClockId::ProcessCPUTime;
        Duration::try_from(rustix::time::clock_gettime(clock)).ok()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

fn summarise(args: &Args, volume: &Volume, totals: Totals, took: Took) {
    let Totals {
        runs,
        blocks,
        found,
    } = totals;
    let seconds = took.wall.as_secs_f64();
    let rate = runs as f64 / seconds;
    let threads = volume.threads;
    let per_core = took.cores.map(|time| runs as f64 / time.as_secs_f64());
    let what = if args.hostile { "runs" } else { "programs" };
    if args.json {
        let object = serde_json::json!({
            "runs": runs,
            "blocks": blocks,
            "differences": found,
            "seconds": seconds,
            "runs_per_second": rate,
            "runs_per_second_per_thread": rate / threads as f64,
            "runs_per_second_of_a_core": per_core,
            "threads": threads,
            "seed": volume.seed,
        });
        println!("{object}");
        return;
    }
    let per_core = per_core.map_or(String::new(), |rate| {
        format!(", {rate:.0} per second of a core")
    });
    println!(
        "{runs} {what} in {seconds:.1} s on {threads} threads: {rate:.0} per second{per_core}; \
         {blocks} blocks compared, {found} differences"
    );
}
