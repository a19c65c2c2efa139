//! Machines of two engines on random journeys, findings reported and kept as they are made.

use super::Args;
use crate::Outcome;
use crate::failure::Failure;
use crate::whole;
use rivet::engine::diff::{Detour, JourneyError, Journeys};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Findings after which more of them tell nothing new.
const MOST: u64 = 8;

pub(super) fn compare(args: &Args, count: u64) -> Result<Outcome, Failure> {
    super::contenders(args, rivet::engine::diff::Calls::Script)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let begin = Instant::now();
    let (done, found) = travel(args, count, args.jobs.unwrap_or(cores).clamp(1, 256))?;
    let seconds = begin.elapsed().as_secs_f64();
    if args.json {
        let object = serde_json::json!({
            "journeys": done,
            "differences": found,
            "seconds": seconds,
            "seed": args.seed,
        });
        println!("{object}");
    } else {
        println!("{done} journeys in {seconds:.1} s, {found} differences");
    }
    Ok(match found {
        0 => Outcome::Done,
        _ => Outcome::GuestFailed,
    })
}

/// Compares the journeys of `count` seeds; says how many were made and on how many the sides differ.
pub(super) fn travel(args: &Args, count: u64, threads: usize) -> Result<(u64, u64), Failure> {
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(0));
    let failure = Mutex::new(None);
    let work = || {
        let journeys = Journeys::new([args.a, args.b]).map_err(|error| match error {
            JourneyError::Engine(error) => Failure::from(error),
            JourneyError::Load(error) => Failure::from(error),
        })?;
        while found.load(Ordering::Relaxed) < MOST {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let seed = args.seed.wrapping_add(number);
            if let Some(detour) = journeys.compare(seed) {
                found.fetch_add(1, Ordering::Relaxed);
                keep(args, seed, &detour)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = work() {
                    found.fetch_max(MOST, Ordering::Relaxed);
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok((next.into_inner().min(count), found.load(Ordering::Relaxed))),
    }
}

fn keep(args: &Args, seed: u64, detour: &Detour) -> Result<(), Failure> {
    let folder = &args.findings;
    let path = folder.join(format!("journey-{seed}.txt"));
    eprintln!("difference: journey {seed}: {detour}");
    std::fs::create_dir_all(folder).map_err(|e| Failure::file("create", folder, e))?;
    let text = format!(
        "journey {seed}: {detour}\nrivet diff --journeys 1 --seed {seed} --a {} --b {}\n",
        args.a, args.b
    );
    whole::write(&path, |out| out.write_all(text.as_bytes()))
}
