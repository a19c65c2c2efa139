//! Many random programs on two engines, with progress and findings while it runs.

use super::file::{Found, smallest};
use super::reproducer::{self, Shown};
use super::{Args, contenders, journeys, shares};
use crate::Outcome;
use crate::failure::Failure;
use crate::whole;
use rivet::engine::diff::{Calls, Contender, Finding, Kind, Plan, Subject, Volume, Watch, locate};
use std::io::{self, IsTerminal, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Gas that a run gets once more when it runs out.
const REFILL: u64 = 3000;

/// Exits after which a run is long enough: a few programs call in a loop.
const EXITS: usize = 400;

/// Findings that are shrunk; more of them are rarely something new.
const SHRUNK: u64 = 8;

/// Findings after which the comparison stops.
pub(super) const MOST: u64 = 256;

/// Most processes at once.
const MOST_JOBS: usize = 256;

/// Programs for each journey that goes before them: what machines keep from one run to the next is
/// not seen by programs that run once.
const PER_JOURNEY: u64 = 200;

/// Most journeys that go before programs: a few seconds of them.
const MOST_JOURNEYS: u64 = 4000;

/// How often progress is shown on a terminal, and elsewhere.
pub(super) const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_A_LOG: Duration = Duration::from_secs(10);

/// What has been done so far, or in all.
#[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Done {
    /// Runs compared.
    pub(super) runs: u64,
    /// Blocks compared one by one.
    pub(super) blocks: u64,
    /// Differences found.
    pub(super) found: u64,
    /// Nanoseconds that cores spent on it, where the host says.
    pub(super) busy: Option<u64>,
}

impl Done {
    fn of(watch: &Watch) -> Self {
        Self {
            runs: watch.runs.load(Ordering::Relaxed),
            blocks: watch.blocks.load(Ordering::Relaxed),
            found: watch.found.load(Ordering::Relaxed),
            busy: None,
        }
    }
}

pub(super) fn compare(args: &Args, count: u64) -> Result<Outcome, Failure> {
    // The last bundle is a whole one.
    let end = args.seed.checked_add(count);
    if end.and_then(|end| end.checked_add(args.bundle)).is_none() {
        let (seed, last) = (args.seed, "2^64 - 1");
        let what = format!("{count} runs from seed {seed} on need seeds above {last}");
        return Err(Failure::message(what).help("give a smaller --seed"));
    }
    let volume = volume(args, count);
    if args.share {
        return serve(args, &volume);
    }
    // Whether there are two sides shows before there are processes to say so as well.
    let sides = contenders(args, Calls::Script)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores).clamp(1, MOST_JOBS);
    let (journeys, detours) = match volume.kind {
        Kind::Valid { .. } => {
            let journeys = (count / PER_JOURNEY + 1).min(MOST_JOURNEYS);
            journeys::travel(args, journeys, jobs)?
        }
        _ => (0, 0),
    };
    let begin = Instant::now();
    let mut progress = Progress {
        terminal: io::stderr().is_terminal(),
        count,
        begin,
    };
    let mut done = if jobs == 1 {
        let pause = progress.pause();
        here(args, &sides, &volume, Arc::default(), pause, &mut |done| {
            progress.show(done);
        })?
    } else {
        drop(sides);
        shares::compare(args, &volume, jobs, &mut progress)?
    };
    progress.end();
    done.found += detours;
    summarise(args, jobs, done, journeys, begin.elapsed());
    Ok(outcome(done))
}

fn outcome(done: Done) -> Outcome {
    match done.found {
        0 => Outcome::Done,
        _ => Outcome::GuestFailed,
    }
}

/// Compares a share of another process's programs: progress and totals go to standard output, each
/// a line of JSON, until standard input ends.
fn serve(args: &Args, volume: &Volume) -> Result<Outcome, Failure> {
    let sides = contenders(args, Calls::Script)?;
    let watch = Arc::new(Watch::default());
    let until = Arc::clone(&watch);
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        until.stop.store(true, Ordering::Relaxed);
    });
    let told = Arc::clone(&watch);
    let mut tell = |done: Done| {
        let line = serde_json::json!(done);
        if writeln!(io::stdout(), "{line}").is_err() {
            told.stop.store(true, Ordering::Relaxed);
        }
    };
    let done = here(args, &sides, volume, watch, ON_TERMINAL, &mut tell)?;
    tell(done);
    Ok(outcome(done))
}

/// Compares in this process, and tells from time to time how far it is.
fn here(
    args: &Args,
    [a, b]: &[Contender; 2],
    volume: &Volume,
    watch: Arc<Watch>,
    pause: Duration,
    tell: &mut (dyn FnMut(Done) + Send),
) -> Result<Done, Failure> {
    let failure = Mutex::new(None);
    let reported = AtomicU64::new(0);
    let report = |finding: Finding| {
        let number = reported.fetch_add(1, Ordering::Relaxed);
        if number + 1 == MOST {
            watch.stop.store(true, Ordering::Relaxed);
            eprintln!("stopping: {MOST} differences tell as much as more of them");
        }
        let shrink = number < SHRUNK;
        if let Err(error) = keep(args, volume, [a, b], &finding, shrink) {
            watch.stop.store(true, Ordering::Relaxed);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    };
    let before = processor_time();
    thread::scope(|scope| {
        let (ended, end) = channel::<()>();
        let watch = &*watch;
        scope.spawn(move || {
            while end.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                tell(Done::of(watch));
            }
        });
        let totals = volume.compare([a, b], watch, &report);
        drop(ended);
        totals
    })?;
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let busy = processor_time().zip(before).map(|(after, before)| {
        let nanos = after.saturating_sub(before).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    });
    Ok(Done {
        busy,
        ..Done::of(&watch)
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
    let bundle = args.bundle;
    Volume {
        kind: match (args.hostile, args.neighbours) {
            (true, _) => Kind::Hostile,
            (false, true) => Kind::Neighbours { bundle },
            (false, false) => Kind::Valid { bundle },
        },
        seed: args.seed,
        runs,
        threads: 1,
        plan: Plan {
            every: args.every(),
            ..plan()
        },
    }
}

/// How far the work is, on standard error.
pub(super) struct Progress {
    terminal: bool,
    count: u64,
    begin: Instant,
}

impl Progress {
    /// How often it is worth showing.
    pub(super) fn pause(&self) -> Duration {
        if self.terminal { ON_TERMINAL } else { IN_A_LOG }
    }

    pub(super) fn show(&mut self, done: Done) {
        let Done { runs, found, .. } = done;
        let rate = runs as f64 / self.begin.elapsed().as_secs_f64();
        let count = self.count;
        let line = format!("{runs} of {count} runs, {rate:.0} per second, {found} differences");
        if self.terminal {
            eprint!("\r{line}   ");
        } else {
            eprintln!("{line}");
        }
    }

    fn end(&self) {
        if self.terminal {
            eprint!("\r{:70}\r", "");
        }
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
    let every = if args.every_block {
        " --every-block"
    } else {
        ""
    };
    let text = format!(
        "seed {seed} run {run}\n{difference}\n\nrivet diff --random 1 --seed {seed} {again}{every} \
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
    let count = reproducer::instructions(&reduced.case.code);
    let runs = match reduced.case.runs.len() {
        1 => String::new(),
        runs => format!(" in {runs} runs"),
    };
    let path = path.display();
    eprintln!("reproducer of {count} instructions{runs} in {path}");
    Ok(())
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

fn summarise(args: &Args, jobs: usize, done: Done, journeys: u64, took: Duration) {
    let Done {
        runs,
        blocks,
        found,
        busy,
    } = done;
    let seconds = took.as_secs_f64();
    let rate = runs as f64 / seconds;
    let per_core = busy.map(|nanos| runs as f64 / (nanos as f64 / 1e9));
    let what = if args.hostile { "runs" } else { "programs" };
    if args.json {
        let object = serde_json::json!({
            "runs": runs,
            "blocks": blocks,
            "journeys": journeys,
            "differences": found,
            "seconds": seconds,
            "runs_per_second": rate,
            "runs_per_second_of_a_core": per_core,
            "jobs": jobs,
            "seed": args.seed,
        });
        println!("{object}");
        return;
    }
    let per_core = per_core.map_or(String::new(), |rate| {
        format!(", {rate:.0} per second of a core")
    });
    let processes = if jobs == 1 { "process" } else { "processes" };
    println!(
        "{runs} {what} in {seconds:.1} s in {jobs} {processes}: {rate:.0} per second{per_core}; \
         {blocks} blocks and {journeys} journeys compared, {found} differences"
    );
}
