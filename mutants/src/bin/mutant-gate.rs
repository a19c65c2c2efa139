//! Plants each mutant and runs the tests until one reports it.
//!
//! ```text
//! cargo build of the tests, switch on ─▶ per binary: passes without a mutant
//!                                     ─▶ per mutant: binaries in order until a test fails
//!                                     ─▶ CAUGHT.md
//! ```
//!
//! With `--smoke` a sample is tried on the vectors alone, which takes one test binary and seconds: the
//! vectors must pass without a mutant and fail with each.
//!
//! Exit status: 0 every mutant was caught, 1 one was not, 2 usage or build error.
#![forbid(unsafe_code)]

use rivet_mutants::{Mutant, VARIABLE};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: mutant-gate [--smoke | NAME…]

  (nothing)   every mutant against every test; writes mutants/CAUGHT.md
  NAME…       these mutants, table on standard output only
  --smoke     a sample of the mutants against the vectors";

/// Package, test binary, filter.
type Test = (&'static str, &'static str, &'static str);

/// What is tried, in order. Quick and broad first.
const SUITE: &[Test] = &[
    ("rivet", "vectors", "jit::"),
    ("rivet", "vectors", "interp::"),
    ("rivet", "journeys", ""),
    ("rivet-isa", "golden", ""),
    ("rivet-isa", "rivet_isa", ""),
    ("rivet-paging", "rivet_paging", ""),
    ("rivet-paging", "reuse", ""),
    ("rivet-paging", "straddle", ""),
    ("rivet-paging", "software", ""),
    ("rivet-paging", "agreement", ""),
    ("rivet-interp", "memory", ""),
    ("rivet-engine", "quotes", ""),
    ("rivet-engine", "calls_interp", ""),
    ("rivet-engine", "calls_jit", ""),
    ("rivet-engine", "pauses", ""),
    ("rivet-engine", "faults", ""),
    ("rivet-jit", "gas", ""),
    ("rivet-jit", "returns", ""),
    ("rivet-jit", "instructions", ""),
    ("rivet", "differential", ""),
];
/// CPU time a mutant may take before it counts as not caught.
const LIMIT: Duration = Duration::from_secs(120);
/// Longest wait for one binary: a mutant may well make a program run for ever.
const PATIENCE: Duration = Duration::from_secs(400);
/// What the smoke run tries: something of every place, most of it seen by few vectors.
const SAMPLE: &[Mutant] = &[
    Mutant::ImmediateUnsigned,
    Mutant::HintsReserved,
    Mutant::ReserveOnePage,
    Mutant::DecodeWidthBeyond,
    Mutant::LatencyWraps,
    Mutant::TierExclusive,
    Mutant::InterpOddTarget,
    Mutant::InterpDivideOverflow,
    Mutant::InterpChargedTwice,
    Mutant::JitSubAlias,
    Mutant::JitFusedClobber,
    Mutant::JitFailedJumpPc,
    Mutant::JitReturnUnchecked,
    Mutant::JitGateReserve,
    Mutant::StraddleChargedOnce,
    Mutant::SettleFree,
    Mutant::EdgePagesOpened,
    Mutant::WipeLeavesOpen,
    Mutant::CallHalfPaid,
];
/// What it tries them on.
const VECTORS: &[Test] = &[
    ("rivet", "vectors", "jit::"),
    ("rivet", "vectors", "interp::"),
];

/// A test binary, with the part of it that is run.
#[derive(Clone)]
struct Binary {
    package: String,
    target: String,
    file: PathBuf,
    filter: &'static str,
}

/// How a binary ended.
enum Ended {
    Passed,
    /// Names of the tests that failed, or what else happened.
    Failed(Vec<String>),
    TimedOut,
}

/// What became of a mutant.
struct Verdict {
    mutant: Mutant,
    /// Binary and tests.
    caught: Option<(String, Vec<String>)>,
    cpu: Duration,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(what) => {
            eprintln!("mutant-gate: {what}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &[String]) -> Result<bool, String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return Ok(true);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if args == ["--smoke"] {
        return smoke(&root);
    }
    let chosen: Vec<Mutant> = match args {
        [] => Mutant::ALL.to_vec(),
        names => {
            let find = |name: &String| {
                let found = Mutant::ALL.iter().find(|m| m.name() == name);
                found.copied().ok_or(format!("no mutant `{name}`\n{USAGE}"))
            };
            names.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    let mut suite = Suite {
        binaries: build(&root, SUITE)?,
        sound: Vec::new(),
    };
    let mut verdicts = Vec::new();
    for mutant in chosen {
        let verdict = suite.plant(mutant)?;
        eprintln!("{}", row(&verdict));
        verdicts.push(verdict);
    }
    let table = table(&verdicts);
    if args.is_empty() {
        let path = root.join("mutants/CAUGHT.md");
        std::fs::write(&path, table).map_err(|e| format!("{}: {e}", path.display()))?;
    } else {
        print!("{table}");
    }
    Ok(verdicts.iter().all(|v| v.caught.is_some()))
}

/// Builds the tests with the switch and finds the binaries of a suite. The features are those of the
/// whole workspace, so that what other crates were built into for `cargo test` serves again.
fn build(root: &Path, suite: &[Test]) -> Result<Vec<Binary>, String> {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()));
    cargo
        .current_dir(root)
        .args(["test", "--workspace", "--no-run", "--message-format=json"])
        .args(["--features", "rivet-mutants/switch"]);
    // Unit tests of a library have its name.
    let is_unit = |test: &Test| test.1 == test.0.replace('-', "_");
    if suite.iter().any(is_unit) {
        cargo.arg("--lib");
    }
    for (_, target, _) in suite.iter().filter(|test| !is_unit(test)) {
        cargo.args(["--test", target]);
    }
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| format!("cannot start cargo: {e}"))?;
    if !output.status.success() {
        return Err("the tests do not build with the switch".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.contains("\"test\":true")) {
        let file = field(line, "\"executable\":\"");
        // path+file:///…/jit#rivet-jit@0.1.0, or without the name if it is the folder's.
        let id = field(line, "\"package_id\":\"").unwrap_or_default();
        let (folder, tail) = id.rsplit_once('#').unwrap_or((id, ""));
        let package = match tail.split_once('@') {
            Some((name, _)) => name,
            None => folder.rsplit('/').next().unwrap_or_default(),
        };
        let target = line
            .split_once("\"target\":")
            .and_then(|(_, rest)| field(rest, "\"name\":\""));
        if let (Some(file), Some(target)) = (file, target) {
            found.push(Binary {
                package: package.to_owned(),
                target: target.to_owned(),
                file: file.into(),
                filter: "",
            });
        }
    }
    let mut binaries = Vec::new();
    for (package, target, filter) in suite {
        let same = |b: &&Binary| b.target == *target && b.package == *package;
        let binary = found.iter().find(same);
        let binary = binary.ok_or(format!("there is no test `{target}` in {package}"))?;
        binaries.push(Binary {
            filter,
            ..binary.clone()
        });
    }
    Ok(binaries)
}

/// The JSON string that follows `key` in a line.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Runs a binary with or without a mutant.
fn execute(binary: &Binary, mutant: Option<Mutant>, patience: Duration) -> Result<Ended, String> {
    let mut command = Command::new(&binary.file);
    command.arg(binary.filter);
    match mutant {
        Some(mutant) => command.env(VARIABLE, mutant.name()),
        None => command.env_remove(VARIABLE),
    };
    command.env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    let log = std::env::temp_dir().join(format!("mutant-gate-{}.log", std::process::id()));
    let file = std::fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let errors = file.try_clone().map_err(|e| e.to_string())?;
    let child = command.stdout(file).stderr(errors).spawn();
    let mut child = child.map_err(|e| format!("{}: {e}", binary.file.display()))?;
    let Some(status) = wait(&mut child, patience)? else {
        return Ok(Ended::TimedOut);
    };
    let output = std::fs::read(&log).map_err(|e| e.to_string())?;
    let _ = std::fs::remove_file(&log);
    if status.success() {
        return Ok(Ended::Passed);
    }
    let text = String::from_utf8_lossy(&output);
    let failed = text.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.to_owned())
    });
    let mut failed: Vec<String> = failed.collect();
    if failed.is_empty() {
        failed.push(format!("ends with {status}"));
    }
    Ok(Ended::Failed(failed))
}

/// The status of a process that ends in time; it is killed otherwise.
fn wait(child: &mut Child, patience: Duration) -> Result<Option<std::process::ExitStatus>, String> {
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => return Ok(Some(status)),
            None if started.elapsed() > patience => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .map_err(|e| e.to_string())?;
                return Ok(None);
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// CPU time of all children so far; on Linux, elsewhere none.
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let tick = |n: usize| fields.split_whitespace().nth(n)?.parse::<u64>().ok();
    // cutime and cstime, in hundredths of a second.
    Duration::from_millis(10 * (tick(13).unwrap_or(0) + tick(14).unwrap_or(0)))
}

/// The binaries, and which of them are known to pass without a mutant.
struct Suite {
    binaries: Vec<Binary>,
    sound: Vec<bool>,
}

impl Suite {
    /// Makes sure that a binary passes without a mutant: else its failure would mean nothing.
    fn check_sound(&mut self, index: usize) -> Result<(), String> {
        self.sound.resize(self.binaries.len(), false);
        if self.sound[index] {
            return Ok(());
        }
        let binary = &self.binaries[index];
        match execute(binary, None, PATIENCE)? {
            Ended::Passed => self.sound[index] = true,
            Ended::Failed(tests) => {
                let names = tests.join(", ");
                return Err(format!("{} fails without a mutant: {names}", binary.target));
            }
            Ended::TimedOut => return Err(format!("{} does not end", binary.target)),
        }
        Ok(())
    }

    /// Runs binaries with the mutant until one reports it.
    fn plant(&mut self, mutant: Mutant) -> Result<Verdict, String> {
        let mut cpu = Duration::ZERO;
        let mut caught = None;
        for index in 0..self.binaries.len() {
            self.check_sound(index)?;
            let before = children_cpu();
            let binary = &self.binaries[index];
            let ended = execute(binary, Some(mutant), PATIENCE)?;
            cpu += children_cpu().saturating_sub(before);
            let tests = match ended {
                Ended::Passed => Vec::new(),
                Ended::Failed(tests) => tests,
                Ended::TimedOut => vec!["does not end".to_owned()],
            };
            if !tests.is_empty() {
                caught = Some((binary.target.clone(), tests));
            }
            if caught.is_some() || cpu > LIMIT {
                break;
            }
        }
        let caught = caught.filter(|_| cpu <= LIMIT);
        Ok(Verdict {
            mutant,
            caught,
            cpu,
        })
    }
}

fn row(verdict: &Verdict) -> String {
    let Verdict {
        mutant,
        caught,
        cpu,
    } = verdict;
    let by = match caught {
        None => "**nothing**".to_owned(),
        Some((target, tests)) => {
            let more = match tests.len() {
                0 | 1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            format!("{target} `{}`{more}", tests[0])
        }
    };
    let (name, place, about) = (mutant.name(), mutant.place(), mutant.about());
    let tenths = cpu.as_millis() / 100;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!("| `{name}` | {place} | {about} | {by} | {whole}.{tenth} |")
}

fn table(verdicts: &[Verdict]) -> String {
    let caught = verdicts.iter().filter(|v| v.caught.is_some()).count();
    let mut out = format!(
        "# Which test reports which mistake\n\n\
         Written by `just mutants`: {caught} of {} mutants are caught. CPU time in seconds, of all \
         tests up to\nthe one that reports it.\n\n\
         | mutant | planted in | what it gets wrong | first reported by | CPU |\n\
         |---|---|---|---|---|\n",
        verdicts.len()
    );
    for verdict in verdicts {
        writeln!(out, "{}", row(verdict)).expect("invariant: writing to a string does not fail");
    }
    out
}

/// Tries a sample of the mutants on the vectors.
fn smoke(root: &Path) -> Result<bool, String> {
    let mut suite = Suite {
        binaries: build(root, VECTORS)?,
        sound: Vec::new(),
    };
    let mut fine = true;
    for mutant in SAMPLE {
        let verdict = suite.plant(*mutant)?;
        let by = verdict.caught.as_ref().map(|(_, tests)| tests[0].as_str());
        let by = by.map_or("NOT CAUGHT".to_owned(), |test| format!("caught by {test}"));
        println!("{} ({}): {by}", mutant.name(), mutant.place());
        fine &= verdict.caught.is_some();
    }
    Ok(fine)
}
