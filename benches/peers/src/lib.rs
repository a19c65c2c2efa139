//! What the runners of all peers share: the line protocol that `rivet bench` speaks.
//!
//! ```text
//!   runner MODE CPU          MODE names a configuration of the engine, CPU a core or `-`
//!
//!   → ready                          ← written once the engine is there
//!   ← load FILE
//!   → ok NANOSECONDS NATIVE_BYTES    compiled; 0 bytes where there is no native code
//!   ← run N
//!   → ok VALUE START RUN             checksum, ns to make an instance, ns inside the guest
//!   → error MESSAGE                  in place of `ok`, on one line
//! ```
//!
//! Each run is a fresh instance of what was loaded last. The process ends with its input.
#![forbid(unsafe_code)]

use rustix::process::{getpid, setpriority_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What goes wrong inside a peer; only its text is used.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What a guest exports.
pub const MAIN: &str = "guest_main";

/// Gas or fuel for a metered run: more than any workload needs, and representable everywhere.
pub const PLENTY: u64 = 1 << 60;

/// An engine in one configuration.
pub trait Peer: Sized {
    /// A compiled program.
    type Program;

    /// The engine in the configuration of this name.
    ///
    /// # Errors
    /// A name it does not know, or a configuration that cannot run here.
    fn open(mode: &str) -> Result<Self, Failure>;

    /// Turns the file into the engine's own format; not part of any time.
    ///
    /// # Errors
    /// The file is not a program for this engine.
    fn convert(&self, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(file)
    }

    /// Compiles a program; all of it counts as time to compile. Returns the bytes of native code.
    ///
    /// # Errors
    /// The engine refuses the program.
    fn compile(&self, program: &[u8]) -> Result<(Self::Program, usize), Failure>;

    /// Makes a fresh instance and runs it.
    ///
    /// # Errors
    /// The guest did not return a value.
    fn run(&self, program: &Self::Program, argument: u64) -> Result<Run, Failure>;
}

/// One run of a fresh instance.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The checksum that the guest returned.
    pub value: u64,
    /// Time to make the instance.
    pub start: Duration,
    /// Time inside the guest, host calls included.
    pub run: Duration,
}

/// Times `work`.
///
/// # Errors
/// Those of `work`.
pub fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let clock = Instant::now();
    let value = work()?;
    Ok((value, clock.elapsed()))
}

/// Serves the protocol on standard input and output until the input ends.
pub fn serve<P: Peer>() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mode, cpu) = (args.next().unwrap_or_default(), args.next());
    settle_down(cpu.and_then(|cpu| cpu.parse().ok()));
    let peer = match P::open(&mode) {
        Ok(peer) => peer,
        Err(error) => {
            reply(&format!("error {}", line(&*error)));
            return ExitCode::FAILURE;
        }
    };
    reply("ready");
    let mut loaded = None;
    for command in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = answer(&peer, &command, &mut loaded);
        reply(&answer.unwrap_or_else(|error| format!("error {}", line(&*error))));
    }
    ExitCode::SUCCESS
}

fn answer<P: Peer>(
    peer: &P,
    command: &str,
    loaded: &mut Option<P::Program>,
) -> Result<String, Failure> {
    match command.split_once(' ') {
        Some(("load", path)) => {
            *loaded = None;
            let program = peer.convert(std::fs::read(path)?)?;
            let ((program, bytes), time) = timed(|| peer.compile(&program))?;
            *loaded = Some(program);
            Ok(format!("ok {} {bytes}", time.as_nanos()))
        }
        Some(("run", argument)) => {
            let program = loaded.as_ref().ok_or("nothing is loaded")?;
            let Run { value, start, run } = peer.run(program, argument.parse()?)?;
            Ok(format!(
                "ok {value:#x} {} {}",
                start.as_nanos(),
                run.as_nanos()
            ))
        }
        _ => Err(format!("`{command}` is neither load nor run").into()),
    }
}

/// Stays on one core, ahead of other work, where both are allowed.
fn settle_down(cpu: Option<usize>) {
    // Neither is needed for right results, so neither may fail the run.
    let _ = setpriority_process(Some(getpid()), -10);
    if let Some(cpu) = cpu.filter(|cpu| *cpu < CpuSet::MAX_CPU) {
        let mut set = CpuSet::new();
        set.set(cpu);
        let _ = sched_setaffinity(None, &set);
    }
}

fn reply(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone ends the input too.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// An error and its causes on one line.
fn line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
