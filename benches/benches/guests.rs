//! Every guest on the recompiler and the interpreter, as a ratio to the same C compiled by
//! `clang -O2`, with exact gas. Rounds are interleaved so that noise hits all alike; each figure
//! is the best of its rounds, and values must equal the native ones before a time counts.
//!
//! `cargo bench -p rivet-benches --bench guests -- [ROUNDS] [GUEST…]`

use rivet_benches::figure::{Figure, geomean};
use rivet_benches::guests::{APART, Guest, Native, Natives, guests, run};
use rivet_engine::{Backend, Config, Engine};
use std::time::Duration;

/// The interpreter runs this fraction of the work, and so does the native program beside it.
const INTERP_SHARE: u64 = 4;

/// Best times in milliseconds: native, recompiler, and a share of the work natively and interpreted.
/// From the native ones the best time of a run that does next to nothing is taken away.
fn best_times(engines: [&Engine; 2], guest: &Guest, native: &Native, rounds: u32) -> [f64; 4] {
    let [jit, interp] = engines;
    let small = (guest.arg / INTERP_SHARE).max(2);
    let mut best = [Duration::MAX; 5];
    for _ in 0..rounds {
        let (time, value) = run(jit, guest, guest.arg);
        assert_eq!(value, guest.value, "{} gives its native value", guest.name);
        let times = [
            native.time(guest.arg),
            time,
            native.time(small),
            run(interp, guest, small).0,
            native.time(1),
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    let [native, fast, native_small, slow, empty] = best.map(|time| time.as_secs_f64() * 1e3);
    [native - empty, fast, native_small - empty, slow].map(|time| time.max(1e-3))
}

fn measure(natives: &Natives, wanted: &[String], rounds: u32) {
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
    for guest in guests(wanted) {
        let Some(program) = natives.compile(&guest) else {
            continue;
        };
        let [native, fast, native_small, slow] =
            best_times([&jit, &interp], &guest, &program, rounds);
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
    for (name, ratios, goal) in [("jit", jit_ratios, 1.25), ("interp", interp_ratios, 25.0)] {
        let what = format!("{name} over native, {} guests", ratios.len());
        println!("{}", Figure::new(what, "geomean", geomean(&ratios), goal));
    }
}

fn main() {
    let args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (numbers, wanted): (Vec<_>, Vec<_>) = args.partition(|arg| arg.parse::<u32>().is_ok());
    let rounds = numbers.first().and_then(|arg| arg.parse().ok());
    match Natives::new() {
        Ok(natives) => measure(&natives, &wanted, rounds.unwrap_or(5)),
        Err(error) => println!("native programs: {error}"),
    }
}
