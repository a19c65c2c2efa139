//! A runner as a child process: one line asked, one line answered, within a time.
//!
//! The protocol is in `benches/peers/src/lib.rs`.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Longest time for one answer. The slowest workload takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a lane has no figure.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The runner could not be started.
    Spawn(String),
    /// The runner ended without an answer.
    Ended,
    /// No answer came in time; the runner was killed.
    Late,
    /// The runner's own words.
    Error(String),
    /// An answer outside the protocol.
    Garbled(String),
    /// The checksum is not the native one.
    Differs { value: u64, native: u64 },
    /// The time of the whole run was used up before its first turn.
    NoTime(Duration),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(error) => write!(f, "the runner does not start: {error}"),
            Self::Ended => f.write_str("the runner ended without an answer"),
            Self::Late => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Self::Error(text) => f.write_str(text),
            Self::Garbled(line) => write!(f, "the runner answered `{line}`"),
            Self::NoTime(limit) => write!(
                f,
                "the {} s of --budget were used up before its turn",
                limit.as_secs()
            ),
            Self::Differs { value, native } => {
                write!(f, "checksum {value:#x} is not the native {native:#x}")
            }
        }
    }
}

/// What a run reports, times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) value: u64,
    pub(crate) start: u64,
    pub(crate) run: u64,
    /// Native code so far, where it grows as the guest runs.
    pub(crate) native_bytes: Option<u64>,
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Server {
    /// Starts a runner and waits until it is ready.
    pub(crate) fn start(program: &Path, args: &[&str]) -> Result<Self, Refusal> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Refusal::Spawn(error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Refusal::Ended);
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // A receiver that is gone has no use for the rest.
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        let mut server = Self {
            child,
            input,
            lines,
        };
        let line = server.line()?;
        match line.split_once(' ') {
            None if line == "ready" => Ok(server),
            Some(("error", text)) => Err(Refusal::Error(text.to_owned())),
            _ => Err(Refusal::Garbled(line)),
        }
    }

    /// Compiles a program: nanoseconds and bytes of native code.
    pub(crate) fn load(&mut self, path: &Path) -> Result<(u64, u64), Refusal> {
        let line = self.ask(&format!("load {}", path.display()))?;
        let mut fields = line.split(' ').map(str::parse);
        match (fields.next(), fields.next()) {
            (Some(Ok(time)), Some(Ok(bytes))) => Ok((time, bytes)),
            _ => Err(Refusal::Garbled(line)),
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs what was loaded last in a fresh instance.
    pub(crate) fn run(&mut self, argument: u64) -> Result<Ran, Refusal> {
        let line = self.ask(&format!("run {argument}"))?;
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| fields.get(index).and_then(|text| text.parse().ok());
        let value = fields.first().and_then(|text| text.strip_prefix("0x"));
        let value = value.and_then(|text| u64::from_str_radix(text, 16).ok());
        match (value, number(1), number(2)) {
            (Some(value), Some(start), Some(run)) => Ok(Ran {
                value,
                start,
                run,
                native_bytes: number(3),
            }),
            _ => Err(Refusal::Garbled(line)),
        }
    }

    /// Asks and returns what follows `ok `.
    fn ask(&mut self, question: &str) -> Result<String, Refusal> {
        let asked = writeln!(self.input, "{question}").and_then(|()| self.input.flush());
        asked.map_err(|_| Refusal::Ended)?;
        let line = self.line()?;
        match line.split_once(' ') {
            Some(("ok", rest)) => Ok(rest.to_owned()),
            Some(("error", text)) => Err(Refusal::Error(text.to_owned())),
            _ => Err(Refusal::Garbled(line)),
        }
    }

    fn line(&mut self) -> Result<String, Refusal> {
        self.lines
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => Refusal::Late,
                RecvTimeoutError::Disconnected => Refusal::Ended,
            })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
