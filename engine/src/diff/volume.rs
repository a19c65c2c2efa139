//! Many random cases on all cores, findings reported as they are made.
//!
//! Loading a program costs more than running it, so valid ones are loaded in bundles; a finding is
//! named by the seed of its bundle and its number there.

use super::compare::{Difference, Plan, compare};
use super::parting::load;
use super::subject::Subject;
use crate::error::LoadError;
use rivet_isa::generate::{self, Case, Damage, Mix, Run};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Which cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Valid programs, this many loaded together.
    Valid {
        /// Programs of a bundle.
        bundle: u64,
    },
    /// Valid programs that are mostly instructions an engine may fuse, this many loaded together.
    Neighbours {
        /// Programs of a bundle.
        bundle: u64,
    },
    /// Hostile ones of every kind in turn, each started several times.
    Hostile,
}

impl Kind {
    /// The case of a seed.
    pub fn case(self, seed: u64) -> Case {
        match self {
            Self::Valid { bundle } => generate::chains(Mix::Usual, seed, bundle.max(1)),
            Self::Neighbours { bundle } => generate::chains(Mix::Neighbours, seed, bundle.max(1)),
            Self::Hostile => {
                let kinds = Damage::ALL;
                generate::hostile(kinds[(seed % kinds.len() as u64) as usize], seed)
            }
        }
    }

    /// Runs of each case.
    pub fn runs(self) -> u64 {
        match self {
            Self::Valid { bundle } | Self::Neighbours { bundle } => bundle.max(1),
            Self::Hostile => generate::HOSTILE_RUNS as u64,
        }
    }

    /// Whether a run may pass the programs of the runs behind it as well.
    pub(super) fn hands_over(self) -> bool {
        !matches!(self, Self::Hostile)
    }

    /// How far apart the seeds of two cases are.
    pub fn stride(self) -> u64 {
        match self {
            Self::Valid { bundle } | Self::Neighbours { bundle } => bundle.max(1),
            Self::Hostile => 1,
        }
    }
}

/// How many cases, which, and how they are run.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Which cases.
    pub kind: Kind,
    /// Seed of the first case.
    pub seed: u64,
    /// Runs to compare, rounded up to whole cases.
    pub runs: u64,
    /// Threads.
    pub threads: usize,
    /// How each run is carried out.
    pub plan: Plan,
}

/// A run on which the sides differ.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Seed of the case.
    pub seed: u64,
    /// Which of its runs.
    pub run: usize,
    /// The case, with this run alone.
    pub case: Case,
    /// The difference.
    pub difference: Box<Difference>,
}

/// What has been done so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// Runs compared.
    pub runs: AtomicU64,
    /// Blocks compared one by one.
    pub blocks: AtomicU64,
    /// Differences found.
    pub found: AtomicU64,
    /// Set to end early; what has been found stays found.
    pub stop: AtomicBool,
}

/// The result of a [`Volume`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Runs compared.
    pub runs: u64,
    /// Blocks compared one by one.
    pub blocks: u64,
    /// Differences found.
    pub found: u64,
}

impl Volume {
    /// Compares the sides, reporting each finding at once from the thread that made it.
    ///
    /// # Errors
    /// [`LoadError`] if a case cannot be loaded, which is the host's fault: generated cases obey
    /// ISA §12.
    pub fn compare(
        &self,
        sides: [&dyn Subject; 2],
        watch: &Watch,
        report: &(dyn Fn(Finding) + Sync),
    ) -> Result<Totals, LoadError> {
        let next = AtomicU64::new(0);
        let worker = || self.work(sides, watch, report, &next);
        let results: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(worker))
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(Totals {
            runs: watch.runs.load(Ordering::Relaxed),
            blocks: watch.blocks.load(Ordering::Relaxed),
            found: watch.found.load(Ordering::Relaxed),
        })
    }

    fn work(
        &self,
        sides: [&dyn Subject; 2],
        watch: &Watch,
        report: &(dyn Fn(Finding) + Sync),
        next: &AtomicU64,
    ) -> Result<(), LoadError> {
        let cases = self.runs.div_ceil(self.kind.runs());
        while !watch.stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases {
                break;
            }
            let seed = self.seed.wrapping_add(number * self.kind.stride());
            let case = self.kind.case(seed);
            let [mut a, mut b] = load(sides, &case)?;
            let mut i = 0;
            while let Some(run) = case.runs.get(i) {
                let result = compare(&mut *a, &mut *b, run, &self.plan);
                let mut passed = 1;
                match result {
                    Ok(summary) => {
                        if self.kind.hands_over() {
                            passed = summary.programs;
                        }
                        watch.blocks.fetch_add(summary.blocks, Ordering::Relaxed);
                    }
                    Err(difference) => {
                        watch.found.fetch_add(1, Ordering::Relaxed);
                        report(Finding {
                            seed,
                            run: i,
                            case: alone(&case, run),
                            difference,
                        });
                        // A side that failed is poisoned.
                        [a, b] = load(sides, &case)?;
                    }
                }
                watch.runs.fetch_add(passed, Ordering::Relaxed);
                i += passed as usize;
            }
        }
        Ok(())
    }
}

/// The case with one run.
fn alone(case: &Case, run: &Run) -> Case {
    Case {
        code: case.code.clone(),
        map: case.map.clone(),
        runs: vec![run.clone()],
    }
}
