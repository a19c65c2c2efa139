//! Random programs on several cores: a process for each, because engines in one process contend
//! for its one memory map, and because one that dies leaves the others to go on.
//!
//! ```text
//!  this process ──arguments──────▶ share: seeds of its own
//!               ◀─lines of JSON─── how far it is, and the totals     standard output
//!               ──end of input───▶ that is enough                    standard input
//! ```

use super::Args;
use super::random::{Done, MOST, Progress};
use crate::failure::Failure;
use rivet::engine::diff::Volume;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

/// Seeds that one process compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Share {
    seed: u64,
    runs: u64,
}

/// As even shares of whole cases as there can be, empty ones left out.
fn shares(volume: &Volume, jobs: usize) -> Vec<Share> {
    let cases = u128::from(volume.runs.div_ceil(volume.kind.runs()));
    let first = |job: usize| (cases * job as u128 / jobs as u128) as u64;
    let share = |job| {
        let cases = first(job + 1) - first(job);
        Share {
            seed: volume.seed + first(job) * volume.kind.stride(),
            runs: cases * volume.kind.runs(),
        }
    };
    (0..jobs)
        .map(share)
        .filter(|share| share.runs > 0)
        .collect()
}

/// What a process lets hear of it.
enum News {
    Done(Done),
    Ended,
}

/// A process at work.
struct Worker {
    share: Share,
    child: Child,
    /// Dropped to make it stop.
    input: Option<ChildStdin>,
    done: Done,
}

impl Worker {
    fn start(args: &Args, share: Share) -> std::io::Result<(Self, ChildStdout)> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["diff", "--share"])
            .arg(format!("--random={}", share.runs))
            .arg(format!("--seed={}", share.seed))
            .arg(format!("--bundle={}", args.bundle))
            .arg(format!("--a={}", args.a))
            .arg(format!("--b={}", args.b))
            .arg("--findings")
            .arg(&args.findings);
        let flags = [
            (args.hostile, "--hostile"),
            (args.neighbours, "--neighbours"),
            (args.every_block, "--every-block"),
        ];
        command.args(flags.iter().filter(|flag| flag.0).map(|flag| flag.1));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let worker = Self {
            share,
            input: child.stdin.take(),
            child,
            done: Done::default(),
        };
        Ok((worker, output))
    }

    /// Fails if the process, which says no more, has not done all of its work.
    fn check(&mut self) -> Result<(), Failure> {
        let status = self.child.wait();
        let status =
            status.map_err(|e| Failure::message(format!("cannot await a process: {e}")))?;
        let Share { seed, runs } = self.share;
        if matches!(status.code(), Some(0 | 1)) {
            return Ok(());
        }
        let what = format!(
            "the process that compared {runs} runs from seed {seed} on ended with {status}, after \
             {} of them",
            self.done.runs
        );
        Err(Failure::message(what).help(format!(
            "repeat it with --random {runs} --seed {seed} --jobs 1, the other options as they were"
        )))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        // It ends by itself, having kept what it found; nothing is left of it then.
        let _ = self.child.wait();
    }
}

/// Compares in so many processes.
pub(super) fn compare(
    args: &Args,
    volume: &Volume,
    jobs: usize,
    progress: &mut Progress,
) -> Result<Done, Failure> {
    let mut workers = Vec::new();
    let mut outputs = Vec::new();
    for share in shares(volume, jobs) {
        let (worker, output) = Worker::start(args, share)
            .map_err(|error| Failure::message(format!("cannot start a process: {error}")))?;
        workers.push(worker);
        outputs.push(output);
    }
    let (sender, news) = channel();
    for (number, output) in outputs.into_iter().enumerate() {
        let sender = sender.clone();
        thread::spawn(move || listen(number, output, &sender));
    }
    drop(sender);
    let mut shown = Instant::now();
    loop {
        match news.recv_timeout(progress.pause()) {
            Ok((number, News::Done(done))) => workers[number].done = done,
            Ok((number, News::Ended)) => workers[number].check()?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let all = total(&workers);
        if all.found >= MOST {
            workers.iter_mut().for_each(|worker| worker.input = None);
        }
        if shown.elapsed() >= progress.pause() {
            shown = Instant::now();
            progress.show(all);
        }
    }
    Ok(total(&workers))
}

fn total(workers: &[Worker]) -> Done {
    let add = |sum: Done, worker: &Worker| Done {
        runs: sum.runs + worker.done.runs,
        blocks: sum.blocks + worker.done.blocks,
        found: sum.found + worker.done.found,
        busy: sum.busy.zip(worker.done.busy).map(|(a, b)| a + b),
    };
    let none = Done {
        busy: Some(0),
        ..Done::default()
    };
    workers.iter().fold(none, add)
}

/// Passes on what a process says until it says no more.
fn listen(number: usize, output: ChildStdout, news: &Sender<(usize, News)>) {
    for line in BufReader::new(output).lines() {
        let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(done) = said else { break };
        if news.send((number, News::Done(done))).is_err() {
            return;
        }
    }
    let _ = news.send((number, News::Ended));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet::engine::diff::{Kind, Plan};

    fn volume(kind: Kind, runs: u64) -> Volume {
        Volume {
            kind,
            seed: 10,
            runs,
            threads: 1,
            plan: Plan::default(),
        }
    }

    #[test]
    fn shares_are_whole_cases_one_behind_the_other() {
        let bundles = volume(Kind::Valid { bundle: 4 }, 17);
        let expected = [(10, 4), (14, 8), (22, 8)].map(|(seed, runs)| Share { seed, runs });
        assert_eq!(shares(&bundles, 3), expected, "five bundles of four");
        let few = volume(Kind::Hostile, 1);
        assert_eq!(shares(&few, 8).len(), 1, "one case is one share");
    }
}
