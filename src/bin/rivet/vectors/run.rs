//! `rivet vectors run`: every vector of files and folders on every backend.

use super::junit;
use crate::Outcome;
use crate::failure::Failure;
use crate::whole;
use rivet::engine::{Backend, native_available};
use rivet::vectors::{Engines, Origin, VectorFile, check, collect, read};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  rivet vectors run conformance-vectors
  rivet vectors run --engine jit --filter div conformance-vectors/m.vec
  rivet vectors run --junit report.xml conformance-vectors

conformance-vectors/README.md defines the format. Exit status: 0 every vector holds, 1 some do
not, 2 usage error or malformed file.";

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(200);

/// Run vectors and report every field that differs
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Vector files, or folders with such files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Backend: auto, jit, interp or checked; every one that runs here unless given
    #[arg(long, value_name = "NAME")]
    engine: Vec<Backend>,
    /// Run only vectors whose name contains TEXT
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print one JSON object on standard output instead of text
    #[arg(long)]
    json: bool,
}

/// One vector on one backend.
pub(super) struct Case {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) backend: &'static str,
    pub(super) differences: Vec<String>,
    pub(super) time: Duration,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut paths = Vec::new();
    for path in &args.paths {
        paths.extend(collect(path).map_err(|e| Failure::message(e.to_string()))?);
    }
    let mut files = Vec::new();
    for path in paths {
        let file = read(&path).map_err(|e| Failure::message(e.to_string()))?;
        files.push((path.display().to_string(), file));
    }
    let mut cases = Vec::new();
    for engines in backends(&args.engine)? {
        for (path, file) in &files {
            run_file(args, &engines, path, file, &mut cases)?;
        }
    }
    if cases.is_empty() {
        return Err(Failure::message("no vector was run")
            .help("--filter takes a part of a vector's name; without it all vectors run"));
    }
    if let Some(path) = &args.junit {
        whole::write(path, |out| out.write_all(junit::report(&cases).as_bytes()))?;
    }
    let recorded = files.iter().filter(|(_, f)| is_recorded(f)).count();
    report(args, &cases, recorded).map_err(Failure::output)?;
    match cases.iter().any(|case| !case.differences.is_empty()) {
        true => Ok(Outcome::GuestFailed),
        false => Ok(Outcome::Done),
    }
}

fn is_recorded(file: &VectorFile) -> bool {
    matches!(file.origin, Origin::Engine(_))
}

/// The engines asked for; all that can run here if none is named.
fn backends(named: &[Backend]) -> Result<Vec<Engines>, Failure> {
    let all = match native_available() {
        Ok(()) => &[Backend::Jit, Backend::Interp, Backend::Checked][..],
        Err(reason) => {
            eprintln!("warning: only the interpreter is run: {reason}");
            &[Backend::Interp]
        }
    };
    let wanted = if named.is_empty() { all } else { named };
    let engines = wanted.iter().map(|backend| Engines::new(*backend));
    engines.map(|e| e.map_err(Failure::from)).collect()
}

fn run_file(
    args: &Args,
    engines: &Engines,
    path: &str,
    file: &VectorFile,
    cases: &mut Vec<Case>,
) -> Result<(), Failure> {
    let backend = engines.backend().name();
    let show = io::stderr().is_terminal() && !args.json;
    let mut shown = Instant::now();
    for vector in &file.vectors {
        let filter = args.filter.as_deref().unwrap_or_default();
        if !vector.name.contains(filter) {
            continue;
        }
        if show && shown.elapsed() > PROGRESS {
            shown = Instant::now();
            let done = cases.len();
            write!(io::stderr(), "\r{done} run, {path} on {backend}\x1b[K")
                .map_err(Failure::output)?;
        }
        let started = Instant::now();
        let found = check(engines, vector);
        cases.push(Case {
            file: path.to_owned(),
            line: vector.line,
            name: vector.name.clone(),
            backend,
            differences: found.iter().map(ToString::to_string).collect(),
            time: started.elapsed(),
        });
    }
    if show {
        write!(io::stderr(), "\r\x1b[K").map_err(Failure::output)?;
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Json<'a> {
    run: usize,
    failed: usize,
    recorded_files: usize,
    failures: Vec<JsonFailure<'a>>,
}

#[derive(serde::Serialize)]
struct JsonFailure<'a> {
    file: &'a str,
    line: usize,
    vector: &'a str,
    engine: &'a str,
    differences: &'a [String],
}

fn report(args: &Args, cases: &[Case], recorded: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let failed = cases.iter().filter(|case| !case.differences.is_empty());
    if args.json {
        let failures: Vec<JsonFailure<'_>> = failed
            .map(|case| JsonFailure {
                file: &case.file,
                line: case.line,
                vector: &case.name,
                engine: case.backend,
                differences: &case.differences,
            })
            .collect();
        let json = Json {
            run: cases.len(),
            failed: failures.len(),
            recorded_files: recorded,
            failures,
        };
        return writeln!(out, "{}", serde_json::to_string(&json)?);
    }
    for case in failed.clone() {
        let Case { file, line, .. } = case;
        writeln!(
            out,
            "{file}:{line}: {} fails on {}",
            case.name, case.backend
        )?;
        for difference in &case.differences {
            writeln!(out, "  {difference}")?;
        }
    }
    let mut backends: Vec<&str> = cases.iter().map(|case| case.backend).collect();
    backends.dedup();
    for backend in backends {
        let of: Vec<&Case> = cases.iter().filter(|c| c.backend == backend).collect();
        let bad = of.iter().filter(|c| !c.differences.is_empty()).count();
        writeln!(
            out,
            "{backend}: {} of {} vectors hold",
            of.len() - bad,
            of.len()
        )?;
    }
    if recorded > 0 {
        writeln!(
            out,
            "note: {recorded} of the files were recorded by an engine and prove nothing about it"
        )?;
    }
    Ok(())
}
