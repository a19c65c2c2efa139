//! Everything that is built before the first round: the peers' runners and the workloads.

use super::forms::{Form, Toolchain};
use super::lanes::{LANES, Lane, Runner};
use super::results::{Missing, Version};
use super::rounds::core_for_runners;
use super::workloads::{BIG_CODE, Workload};
use crate::failure::Failure;
use crate::input::Source;
use indicatif::{ProgressBar, ProgressStyle};
use rivet::isa::decode;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Files to run, and the lanes that run them.
pub(crate) struct Programs {
    /// This command.
    pub(crate) rivet: PathBuf,
    /// The core that runners stay on, or `-`.
    pub(crate) cpu: String,
    pub(crate) missing: Vec<Missing>,
    runners: PathBuf,
    lanes: BTreeSet<&'static str>,
    files: BTreeMap<(Form, &'static str), PathBuf>,
}

impl Programs {
    /// The file that a lane runs for a workload.
    pub(crate) fn file(&self, lane: &Lane, workload: &Workload) -> Option<&Path> {
        let file = self.files.get(&(lane.form, workload.name));
        let file = file.filter(|_| self.lanes.contains(lane.name));
        file.map(PathBuf::as_path)
    }

    /// The runner of a peer.
    pub(crate) fn runner(&self, feature: &str) -> PathBuf {
        self.runners.join(format!("peer-{feature}"))
    }
}

/// The manifest of the peers.
fn manifest(source: &Path) -> PathBuf {
    source.join("benches/peers/Cargo.toml")
}

/// Builds the peers' runners: all at once, and one by one if that fails, so that one that does not
/// build leaves the others. Returns why each that failed did.
pub(crate) fn peers(source: &Path) -> BTreeMap<&'static str, String> {
    let manifest = manifest(source);
    if cargo(&manifest, "all peers", &["--all-features", "--bins"]).is_ok() {
        return BTreeMap::new();
    }
    let features: BTreeSet<&str> = LANES
        .iter()
        .filter_map(|lane| match lane.runner {
            Runner::Peer { feature, .. } => Some(feature),
            Runner::Native | Runner::Rivet => None,
        })
        .collect();
    let failed = features.into_iter().filter_map(|feature| {
        let binary = format!("peer-{feature}");
        let options = ["--features", feature, "--bin", &binary];
        let error = cargo(&manifest, feature, &options).err()?;
        eprintln!("warning: peer {feature} is left out: {error}");
        Some((feature, error))
    });
    failed.collect()
}

/// Runs `cargo build` on the peers; its first error if it fails.
fn cargo(manifest: &Path, what: &str, options: &[&str]) -> Result<(), String> {
    let bar = ProgressBar::new_spinner();
    bar.set_message(format!("building {what}"));
    bar.enable_steady_tick(Duration::from_millis(200));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .args(options)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let mut complaint = None;
    let output = child.stderr.take().map(BufReader::new);
    let lines = output.into_iter().flat_map(BufRead::lines);
    for line in lines.map_while(Result::ok) {
        if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
            bar.set_message(format!("building {what}: {package}"));
        }
        if line.starts_with("error") && complaint.is_none() {
            complaint = Some(line);
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    bar.finish_and_clear();
    if status.success() {
        return Ok(());
    }
    Err(complaint.unwrap_or_else(|| format!("cargo ended with {status}")))
}

/// Versions of the peers from their lock file.
pub(crate) fn versions(source: &Path) -> Vec<Version> {
    let lock = manifest(source).with_file_name("Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let packages: BTreeSet<&str> = LANES
        .iter()
        .filter_map(|lane| match lane.runner {
            Runner::Peer { package, .. } => Some(package),
            Runner::Native | Runner::Rivet => None,
        })
        .collect();
    let version = |package: &str| {
        let after = lock
            .split_once(&format!("name = \"{package}\"\nversion = \""))?
            .1;
        Some(after.split_once('"')?.0.to_owned())
    };
    let found = packages.into_iter().map(|package| Version {
        package: package.to_owned(),
        version: version(package).unwrap_or_else(|| "unknown".to_owned()),
    });
    found.collect()
}

/// Builds every workload for every lane, on all cores. What fails to build is missing, unless it
/// is what all others are compared with.
pub(crate) fn workloads(
    toolchain: &Toolchain,
    source: &Path,
    lanes: &[&'static Lane],
    workloads: &[&'static Workload],
) -> Result<Programs, Failure> {
    let forms: BTreeSet<Form> = lanes.iter().map(|lane| lane.form).collect();
    let mut broken: BTreeMap<Form, String> = BTreeMap::new();
    for form in &forms {
        if let Err(error) = toolchain.library(*form) {
            broken.insert(*form, error);
        }
    }
    let whole = forms.iter().filter(|form| !broken.contains_key(form));
    let jobs: Vec<(Form, &'static Workload)> = whole
        .flat_map(|form| workloads.iter().map(|workload| (*form, *workload)))
        .collect();
    let results = build_all(toolchain, &jobs);
    let mut programs = Programs {
        rivet: std::env::current_exe()
            .map_err(|error| Failure::message(format!("cannot find this command: {error}")))?,
        cpu: core_for_runners(),
        missing: Vec::new(),
        runners: source.join("benches/peers/target/release"),
        lanes: lanes.iter().map(|lane| lane.name).collect(),
        files: BTreeMap::new(),
    };
    for ((form, workload), result) in jobs.into_iter().zip(results) {
        match result {
            Ok(path) => {
                programs.files.insert((form, workload.name), path);
            }
            Err(error) if form == Form::Native => {
                let name = workload.name;
                return Err(Failure::message(format!("cannot compile {name}: {error}")));
            }
            Err(reason) => {
                let of_form = lanes.iter().filter(|lane| lane.form == form);
                programs.missing.extend(of_form.map(|lane| Missing {
                    lane: lane.name.to_owned(),
                    workload: workload.name.to_owned(),
                    reason: reason.clone(),
                }));
            }
        }
    }
    for lane in lanes {
        if let Some(reason) = broken.get(&lane.form) {
            programs.missing.push(Missing {
                lane: lane.name.to_owned(),
                workload: String::new(),
                reason: reason.clone(),
            });
        }
    }
    Ok(programs)
}

fn build_all(
    toolchain: &Toolchain,
    jobs: &[(Form, &'static Workload)],
) -> Vec<Result<PathBuf, String>> {
    let bar = ProgressBar::new(jobs.len() as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} guests compiled");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Result<PathBuf, String>>> = jobs
        .iter()
        .map(|_| Mutex::new(Err("not built".to_owned())))
        .collect();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some((form, workload)), Some(slot)) =
                        (jobs.get(index), results.get(index))
                    else {
                        break;
                    };
                    let result = toolchain.build(workload, *form);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = result;
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    results
        .into_iter()
        .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

impl Programs {
    /// Guest instructions in the program of nothing but code; 0 if it is not part of the run.
    pub(crate) fn instructions(&self) -> u64 {
        let file = self.files.get(&(Form::Pvm2, BIG_CODE));
        let source = file.and_then(|path| crate::input::read(path, None).ok());
        let Some(Source::Image { image, .. }) = source else {
            return 0;
        };
        let (code, mut at, mut count) = (image.code(), 0, 0);
        while let Some(decoded) = decode(code, at) {
            at += decoded.len.bytes() as usize;
            count += 1;
        }
        count
    }
}
