//! Every guest on the recompiler and the interpreter, as a ratio to the same C compiled by
//! `clang -O2`, with exact gas. Rounds are interleaved so that noise hits all alike; each figure
//! is the best of its rounds, and values must equal the native ones before a time counts.
//!
//! `cargo bench -p rivet-benches --bench guests -- [ROUNDS] [GUEST…]`

use rivet_engine::{Backend, Bare, Config, Engine, Exit, Start};
use rivet_image::{Image, Key};
use rivet_isa::{Gas, Reg};
use rivet_loader::{LinkOptions, link};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Guests whose native form does other work: floating point in hardware, calls that do nothing,
/// pages that the host hands out in bulk.
const APART: [&str; 3] = ["floats", "hostping", "touch"];

/// The interpreter runs this fraction of the work, and so does the native program beside it.
const INTERP_SHARE: u64 = 4;

struct Guest {
    name: String,
    arg: u64,
    value: u64,
    image: Image,
    native: PathBuf,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Guests with a size for benchmarks; `None` without clang.
fn guests(folder: &Path, wanted: &[String]) -> Option<Vec<Guest>> {
    let table = std::fs::read_to_string(root().join("guests/native-values.tsv")).expect("readable");
    let mut out = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, arg, value) = (columns[0], columns[6], columns[7]);
        let source = root().join(format!("guests/c/{name}.c"));
        let skip = arg == "-" || !source.exists();
        if skip || !wanted.is_empty() && !wanted.iter().any(|want| want == name) {
            continue;
        }
        let elf = std::fs::read(root().join(format!("guests/prebuilt/{name}.elf"))).expect("built");
        let image = link(&elf, &LinkOptions::default())
            .expect("prebuilt guests link")
            .image;
        let native = folder.join(name);
        let compiled = Command::new("clang-22")
            .args(["-O2", "-w"])
            .args([source, root().join("guests/c/native.c")])
            .arg("-o")
            .arg(&native)
            .arg("-lm")
            .status()
            .ok()?;
        assert!(compiled.success(), "{name} compiles natively");
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16).expect("hexadecimal");
        out.push(Guest {
            name: name.into(),
            arg: arg.parse().expect("a number"),
            value,
            image,
            native,
        });
    }
    Some(out)
}

/// Time of the native program as a process, its start included.
fn native(guest: &Guest, arg: u64) -> Duration {
    let start = Instant::now();
    let status = Command::new(&guest.native)
        .arg(arg.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    start.elapsed()
}

/// Time of one run and the value it gave; translation is not counted.
fn run(engine: &Engine, guest: &Guest, arg: u64) -> (Duration, u64) {
    let program = engine.load(&guest.image).expect("guests load");
    let a0 = Reg::A0.slot().expect("a0 has a slot");
    let start = Start::endpoint(Key::endpoint(0))
        .with_gas(Gas::MAX)
        .with_slot(a0, arg);
    let mut machine = program.machine(start).expect("guests start");
    let clock = Instant::now();
    let exit = machine
        .run(&mut Bare::new(std::io::sink()))
        .expect("the host works");
    let time = clock.elapsed();
    assert_eq!(exit, Exit::Halt, "{}", guest.name);
    let translating = Duration::from_nanos(program.translation().nanoseconds);
    (
        time.saturating_sub(translating),
        machine.regs().get(Reg::A0),
    )
}

fn geomean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// Best times in milliseconds: native, recompiler, and a share of the work natively and interpreted.
/// From the native ones the best time of a run that does next to nothing is taken away.
fn best_times(engines: [&Engine; 2], guest: &Guest, rounds: u32) -> [f64; 4] {
    let [jit, interp] = engines;
    let small = (guest.arg / INTERP_SHARE).max(2);
    let mut best = [Duration::MAX; 5];
    for _ in 0..rounds {
        let (time, value) = run(jit, guest, guest.arg);
        assert_eq!(value, guest.value, "{} gives its native value", guest.name);
        let times = [
            native(guest, guest.arg),
            time,
            native(guest, small),
            run(interp, guest, small).0,
            native(guest, 1),
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    let [native, fast, native_small, slow, empty] = best.map(|time| time.as_secs_f64() * 1e3);
    [native - empty, fast, native_small - empty, slow].map(|time| time.max(1e-3))
}

fn measure(guests: &[Guest], rounds: u32) {
    let engine = |backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).expect("both engines run here")
    };
    let (jit, interp) = (engine(Backend::Jit), engine(Backend::Interp));
    println!(
        "{:<12} {:>10} {:>10} {:>7} {:>8}",
        "guest", "native ms", "jit ms", "jit", "interp"
    );
    let (mut jit_ratios, mut interp_ratios) = (Vec::new(), Vec::new());
    for guest in guests {
        let [native, fast, native_small, slow] = best_times([&jit, &interp], guest, rounds);
        let ratios = (fast / native, slow / native_small);
        let apart = APART.contains(&guest.name.as_str());
        let mark = if apart { " (not in the mean)" } else { "" };
        println!(
            "{:<12} {native:>10.2} {fast:>10.2} {:>7.2} {:>8.1}{mark}",
            guest.name, ratios.0, ratios.1
        );
        // A native run too short to time gives no ratio for the interpreter.
        if !apart {
            jit_ratios.push(ratios.0);
            if native_small > 0.5 {
                interp_ratios.push(ratios.1);
            }
        }
    }
    for (name, ratios) in [("jit", jit_ratios), ("interp", interp_ratios)] {
        println!(
            "geomean {name} {:.3} over {} guests",
            geomean(&ratios),
            ratios.len()
        );
    }
}

fn main() {
    let args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (numbers, wanted): (Vec<_>, Vec<_>) = args.partition(|arg| arg.parse::<u32>().is_ok());
    let rounds = numbers
        .first()
        .and_then(|arg| arg.parse().ok())
        .unwrap_or(5);
    let folder = std::env::temp_dir().join(format!("rivet-guests-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for native programs");
    match guests(&folder, &wanted) {
        Some(guests) => measure(&guests, rounds),
        None => println!("clang-22 is missing: apt-get install clang-22"),
    }
    let _ = std::fs::remove_dir_all(folder);
}
