//! `rivet bench`: this engine beside native code and other engines, in one run on one machine.
//!
//! ```text
//!   forms       workloads        server: a child process for each lane
//!     │  clang      │               ▲
//!     ▼             ▼               │ load, run, run
//!   build ──▶ programs ──▶ rounds ──┘      A B C … A B C …
//!                             │
//!                             ▼
//!                          results ──▶ JSON, text, Markdown, HTML, comparison
//! ```
//!
//! A time counts only if the checksum is the native one. Whatever does not build, start or agree
//! is in the report with its error.

mod budget;
mod build;
mod calibrate;
mod compare;
mod forms;
mod html;
mod lanes;
mod machine;
mod markdown;
mod plots;
mod results;
mod rounds;
mod serve;
mod server;
mod tables;
mod wins;
mod workloads;

use crate::Outcome;
use crate::failure::Failure;
use crate::whole;
use budget::{Budget, Part};
use calibrate::Effort;
use forms::Toolchain;
use lanes::{LANES, Lane, Runner};
use machine::Machine;
use markdown::Style;
use results::{Missing, Results, SCHEMA};
use rounds::{Measured, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use workloads::{WORKLOADS, Workload};

const EXAMPLES: &str = "\
Examples:
  rivet bench                                 both engines against clang -O2 and -O3
  rivet bench --peers --html report.html      all peers; builds them first
  rivet bench --peers --quick fib sort        two workloads, two rounds
  rivet bench --peers --budget 10m            as many rounds as fit, building included
  rivet bench --json new.json --compare old.json
  rivet bench --from new.json --markdown      tables of an earlier run
  rivet bench --calibrate                     what gas stands for in time

Needs clang, for --peers also lld and cargo, and a source checkout: the one around the current
directory, the one this command was built from, or --source.";

/// Rounds of a full and of a quick run.
const ROUNDS: usize = 7;
const QUICK_ROUNDS: usize = 2;

/// Measure against native code and other engines
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Workloads to run [default: all]
    names: Vec<String>,
    /// Build the other engines and measure them too
    #[arg(long)]
    peers: bool,
    /// Fewer rounds
    #[arg(long)]
    quick: bool,
    /// Rounds; each figure is the best or the median of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..1000))]
    rounds: Option<u16>,
    /// Time that all of it may take; rounds that would take longer are left out
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = budget::duration)]
    budget: Duration,
    /// Relate gas to time instead, search for the worst program, propose constants
    #[arg(long, conflicts_with_all = ["peers", "compare", "from", "rounds", "names"])]
    calibrate: bool,
    /// Write what was measured to a file, after every workload
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report with plots, one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the tables as Markdown
    #[arg(long)]
    markdown: bool,
    /// Compare with an earlier run on the same machine
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Report an earlier run instead of measuring
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["peers", "quick", "rounds", "names"])]
    from: Option<PathBuf>,
    /// Source checkout with guests/ and benches/peers/
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Answer the line protocol on standard input as this backend
    #[arg(long, hide = true, value_name = "BACKEND")]
    serve: Option<String>,
    /// Core for --serve, or `-`
    #[arg(long, hide = true, requires = "serve", allow_hyphen_values = true)]
    cpu: Option<String>,
}

pub(crate) fn bench(args: &Args) -> Result<Outcome, Failure> {
    if let Some(backend) = &args.serve {
        let cpu = args.cpu.as_deref().and_then(|cpu| cpu.parse().ok());
        return serve::serve(backend, cpu);
    }
    let style = if args.markdown {
        Style::Markdown
    } else {
        Style::Text
    };
    if args.calibrate {
        let effort = if args.quick {
            Effort::Quick
        } else {
            Effort::Full
        };
        let sections = calibrate::calibrate(&source(args.source.as_deref())?, effort)?;
        if let Some(path) = &args.html {
            let page = html::tables("rivet: gas and time", &sections);
            whole::write(path, |out| out.write_all(page.as_bytes()))?;
        }
        if let Some(path) = &args.json {
            write(path, &sections)?;
        }
        print!("{}", markdown::tables(&sections, style));
        return Ok(Outcome::Done);
    }
    // A run that could not be compared is refused before it takes its time.
    let old = args.compare.as_deref().map(read).transpose()?;
    if let Some(old) = &old
        && args.from.is_none()
    {
        compare::same_machine(&old.machine, &Machine::here())?;
    }
    let results = match &args.from {
        Some(path) => read(path)?,
        None => measure(args)?,
    };
    if let Some(path) = &args.html {
        whole::write(path, |out| out.write_all(html::page(&results).as_bytes()))?;
    }
    let style = if args.markdown {
        Style::Markdown
    } else {
        Style::Text
    };
    print!("{}", markdown::report(&results, style));
    if let Some(old) = &old {
        compare::same_machine(&old.machine, &results.machine)?;
        print!("{}", compare::table(old, &results));
    }
    Ok(Outcome::Done)
}

fn measure(args: &Args) -> Result<Results, Failure> {
    let budget = Budget::new(args.budget);
    let workloads = chosen(&args.names)?;
    let source = source(args.source.as_deref())?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::message(format!("cannot create a folder: {error}")))?;
    let toolchain = Toolchain::new(&source, scratch.path())?;
    let mut spent = Vec::new();
    let broken = if args.peers {
        let part = Part::begin(&[]);
        let broken = build::peers(&source);
        spent.push(part.end("building the peers", &[]));
        broken
    } else {
        BTreeMap::new()
    };
    let wanted = LANES.iter().filter(|lane| args.peers || !lane.is_peer());
    let (usable, unusable): (Vec<&Lane>, Vec<&Lane>) =
        wanted.partition(|lane| reason(lane, &broken).is_none());
    let part = Part::begin(&[]);
    let mut programs = build::workloads(&toolchain, &source, &usable, &workloads)?;
    spent.push(part.end("compiling the workloads", &[]));
    programs
        .missing
        .extend(unusable.into_iter().map(|lane| Missing {
            lane: lane.name.to_owned(),
            workload: String::new(),
            reason: reason(lane, &broken).unwrap_or_default(),
        }));
    rounds::warn_if_busy();
    let rounds = args
        .rounds
        .map_or(if args.quick { QUICK_ROUNDS } else { ROUNDS }, usize::from);
    let empty = Results {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: machine::today(),
        command: command(),
        machine: Machine::here(),
        compiler: toolchain.version(),
        rounds: 0,
        budget: budget.limit().as_secs(),
        spent,
        load: [machine::load(), None],
        big_instructions: programs.instructions(),
        versions: if args.peers {
            build::versions(&source)
        } else {
            Vec::new()
        },
        cells: Vec::new(),
        missing: Vec::new(),
    };
    let with = |measured: &Measured| Results {
        cells: measured.cells.clone(),
        missing: measured.missing.clone(),
        rounds: measured.rounds,
        spent: [empty.spent.as_slice(), &measured.spent].concat(),
        load: [empty.load[0], machine::load()],
        ..empty.clone()
    };
    let mut failure = None;
    let plan = Plan { rounds, budget };
    let measured = rounds::measure(&programs, &workloads, plan, |measured| {
        if let Some(path) = &args.json {
            failure = write(path, &with(measured)).err();
        }
    });
    failure.map_or_else(|| Ok(with(&measured)), Err)
}

/// Why a lane cannot run, if its peer was not built.
fn reason(lane: &Lane, broken: &BTreeMap<&'static str, String>) -> Option<String> {
    match lane.runner {
        Runner::Peer { feature, .. } => broken.get(feature).cloned(),
        Runner::Native | Runner::Rivet => None,
    }
}

/// The workloads of these names, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Workload>, Failure> {
    if names.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let known = || {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("there are {}", names.join(", "))
    };
    let find = |name: &String| {
        workloads::named(name)
            .ok_or_else(|| Failure::message(format!("no workload `{name}`")).help(known()))
    };
    names.iter().map(find).collect()
}

/// The source checkout.
fn source(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let is_checkout = |path: &Path| {
        path.join("guests/c/guest.h").is_file() && path.join("benches/peers/Cargo.toml").is_file()
    };
    let absolute = |path: &Path| {
        path.canonicalize()
            .map_err(|error| Failure::file("open", path, error))
    };
    if let Some(path) = given {
        if is_checkout(path) {
            return absolute(path);
        }
        let what = format!("`{}` is not a checkout of rivet", path.display());
        return Err(Failure::message(what)
            .help("--source names the folder that holds guests/ and benches/peers/"));
    }
    let here = std::env::current_dir().unwrap_or_default();
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = here.ancestors().chain([built_from]);
    match places.find(|path| is_checkout(path)) {
        Some(path) => absolute(path),
        None => Err(
            Failure::message("no checkout of rivet here: the workloads are in its source")
                .help("run in a checkout, or name one with --source DIR"),
        ),
    }
}

/// How this run was started, without folders.
fn command() -> String {
    let mut words = vec!["rivet".to_owned()];
    words.extend(std::env::args().skip(1).map(|word| {
        let path = Path::new(&word);
        let name = path.file_name().filter(|_| path.is_absolute());
        name.map_or_else(|| word.clone(), |name| name.to_string_lossy().into_owned())
    }));
    words.join(" ")
}

fn read(path: &Path) -> Result<Results, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, error))?;
    let wrong = |what: String| {
        Failure::message(format!(
            "`{}` holds no results of rivet bench: {what}",
            path.display()
        ))
        .help("--json writes such files")
    };
    let results: Results = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if results.schema != SCHEMA {
        return Err(wrong(format!(
            "its layout is {}, not {SCHEMA}",
            results.schema
        )));
    }
    Ok(results)
}

/// Writes results for tools.
fn write(path: &Path, results: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(results)
        .map_err(|error| Failure::message(error.to_string()))?;
    whole::write(path, |out| writeln!(out, "{text}"))
}
