//! Paging: starting, writing, resetting, forking and settling, with the ratios that matter.
//!
//! `cargo bench -p rivet-benches --bench paging` measures everything and ends with a table of
//! ratios and targets, all from the same run.

mod paging_guest;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use paging_guest::{DATA, Guest, Kind, Native, Read, layout};
use rivet_paging::*;

const MIB: u64 = 256;
const PLENTY: u64 = 1 << 50;

/// The best time of each measurement, in nanoseconds for one iteration.
static BEST: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// Measures `body`, which returns how long its interesting part took.
fn measure(c: &mut Criterion, group: &str, id: &str, mut body: impl FnMut() -> Duration) {
    let name = format!("{group}/{id}");
    let mut group = c.benchmark_group(group);
    group.bench_function(BenchmarkId::from_parameter(id), |b| {
        b.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let one = body();
                total += one;
                let mut best = BEST.lock().expect("no measurement panics");
                let entry = best.entry(name.clone()).or_insert(f64::MAX);
                *entry = entry.min(one.as_nanos() as f64);
            }
            total
        });
    });
    group.finish();
}

fn best(name: &str) -> f64 {
    let best = BEST.lock().expect("no measurement panics");
    best.get(name).copied().unwrap_or(f64::NAN)
}

fn timed<R>(body: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    black_box(body());
    start.elapsed()
}

fn start(c: &mut Criterion) {
    for mib in [1, 64, 1024] {
        let layout = layout(Kind::Anonymous, mib * MIB);
        let pool = WindowPool::default();
        Guest::new(&layout, &pool, Tracker::Trap, PLENTY);
        let id = format!("{mib} MiB");
        measure(c, "start from the pool", &id, || {
            let mut guest = None;
            let time = timed(|| guest = Some(Guest::new(&layout, &pool, Tracker::Windows, PLENTY)));
            drop(guest);
            time
        });
    }
    let layouts = [layout(Kind::Anonymous, MIB), layout(Kind::Slab, MIB)];
    let pool = WindowPool::new(1, 48_000);
    let mut turn = 0;
    measure(c, "start from the pool", "another layout", || {
        turn += 1;
        let mut guest = None;
        let layout = &layouts[turn % 2];
        let time = timed(|| guest = Some(Guest::new(layout, &pool, Tracker::Windows, PLENTY)));
        drop(guest);
        time
    });
}

fn first_writes(c: &mut Criterion) {
    const PAGES: u64 = 4096;
    for kind in [Kind::Anonymous, Kind::Slab] {
        let native = Native::new(kind, PAGES);
        measure(c, "4096 first writes", &format!("{kind:?} native"), || {
            native.first_writes(1)
        });
        let layout = layout(kind, PAGES);
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let pool = WindowPool::default();
            let id = format!("{kind:?} {tracker:?}");
            measure(c, "4096 first writes", &id, || {
                let mut guest = Guest::new(&layout, &pool, tracker, PLENTY);
                timed(|| {
                    guest.touch(DATA, PAGES, 1);
                    guest.end();
                })
            });
        }
    }
}

fn reset(c: &mut Criterion) {
    let layout = layout(Kind::Anonymous, 64 * MIB);
    let pool = WindowPool::default();
    for pages in [0, 16, 1024] {
        measure(c, "reset", &format!("{pages} pages"), || {
            let mut guest = Guest::new(&layout, &pool, Tracker::Windows, PLENTY);
            guest.touch(DATA, pages, 1);
            guest.end();
            timed(|| guest.space.reset().expect("resets"))
        });
    }
}

fn fork(c: &mut Criterion) {
    let layout = layout(Kind::Anonymous, 64 * MIB);
    let pool = WindowPool::default();
    for pages in [0, 16, 1024] {
        let mut guest = Guest::new(&layout, &pool, Tracker::Windows, PLENTY);
        guest.touch(DATA, pages, 1);
        guest.end();
        measure(c, "fork in a window", &format!("{pages} pages"), || {
            timed(|| guest.space.fork().expect("forks"))
        });
        guest.space.detach().expect("the run ended");
        measure(c, "fork paused", &format!("{pages} pages"), || {
            timed(|| guest.space.fork().expect("forks"))
        });
    }
}

fn settle(c: &mut Criterion) {
    let layout = layout(Kind::Anonymous, 64 * MIB);
    let pool = WindowPool::default();
    for pages in [8, 512, 4096] {
        measure(c, "settle", &format!("{pages} pages"), || {
            let mut guest = Guest::new(&layout, &pool, Tracker::Windows, PLENTY);
            guest.touch(DATA, pages, 1);
            timed(|| guest.space.settle(Settle::Keep).expect("settles"))
        });
    }
}

fn every_other_page(c: &mut Criterion) {
    for mib in [16, 1024] {
        let pages = mib * MIB / 2;
        let native = Native::new(Kind::Anonymous, mib * MIB);
        measure(c, "every other page", &format!("{mib} MiB native"), || {
            native.first_writes(2)
        });
        let layout = layout(Kind::Anonymous, mib * MIB);
        let pool = WindowPool::default();
        measure(c, "every other page", &format!("{mib} MiB"), || {
            let mut guest = Guest::new(&layout, &pool, Tracker::Windows, PLENTY);
            timed(|| {
                guest.touch(DATA, pages, 2);
                guest.end();
            })
        });
    }
}

/// Machines that start, write 16 pages and stop, on several threads at once.
fn threads(c: &mut Criterion) {
    const EACH: u32 = 200;
    let layout = layout(Kind::Anonymous, 4 * MIB);
    let most = thread::available_parallelism().map_or(2, usize::from);
    let mut counts = vec![1, 2, most];
    counts.dedup();
    for count in counts {
        let pool = WindowPool::default();
        measure(c, "threads", &format!("{count}"), || {
            timed(|| {
                thread::scope(|scope| {
                    for _ in 0..count {
                        scope.spawn(|| {
                            for _ in 0..EACH {
                                let mut guest =
                                    Guest::new(&layout, &pool, Tracker::Windows, PLENTY);
                                guest.touch(DATA, 16, 1);
                                guest.end();
                            }
                        });
                    }
                });
            })
        });
    }
}

/// Loads and stores of an interpreter, in software.
fn software(c: &mut Criterion) {
    const COUNT: u64 = 4096;
    let layout = layout(Kind::Slab, MIB);
    let mut space = AddressSpace::new(layout, MemoryLimits::default());
    for (name, first) in [("unchanged", DATA), ("private", DATA + (1 << 19))] {
        let at = |i: u64| GuestAddr::wrapping(first + i * 56);
        if name == "private" {
            let bytes = vec![1; 1 << 18];
            space.write(at(0), &bytes).expect("writable");
        }
        measure(c, "4096 software", &format!("loads {name}"), || {
            timed(|| {
                (0..COUNT)
                    .map(|i| space.load(at(i), AccessLen::Double))
                    .fold(0u64, |sum, loaded| sum ^ loaded.unwrap_or(0))
            })
        });
        if name == "private" {
            measure(c, "4096 software", "stores private", || {
                timed(|| {
                    (0..COUNT)
                        .map(|i| space.store(at(i), AccessLen::Double, i))
                        .fold(0u64, |sum, charge| sum + charge.unwrap_or(0))
                })
            });
        }
    }
}

/// Runs a guest that touches a page for every 20 gas and its price, at budgets from nothing to all.
/// Returns the worst time for a unit of gas, relative to that of traps at the full budget.
fn worst_budget(layout: &Arc<Layout>, pages: u64, read: Read) -> f64 {
    const BUDGETS: u64 = 24;
    let pool = WindowPool::default();
    let total = pages * (256 + 20) + 512;
    let run = |gas: u64, tracker: Tracker| {
        let mut guest = Guest::new(layout, &pool, tracker, gas);
        if read == Read::All {
            guest.read(DATA, pages);
        }
        let time = timed(|| guest.touch_metered(DATA, pages, 20));
        (time.as_nanos() as f64, (gas - guest.left()) as f64)
    };
    let best = |gas, tracker| {
        let runs = (0..5).map(|_| run(gas, tracker));
        runs.min_by(|a, b| a.0.total_cmp(&b.0)).expect("five runs")
    };
    let (idle, _) = best(0, Tracker::Trap);
    let (time, used) = best(total, Tracker::Trap);
    let rate = (time - idle) / used;
    let budgets = (1..=BUDGETS).map(|n| total * n / BUDGETS);
    let worst = budgets.map(|gas| {
        let (time, used) = best(gas, Tracker::Windows);
        (time - idle) / used / rate
    });
    worst.fold(0.0, f64::max)
}

fn merkle(c: &mut Criterion) {
    let pages = PageCount::new(1 << 18).expect("1 GiB fits");
    let mut data = DataCap::new(pages, PageSource::empty()).expect("nothing fits");
    let mut value = 0;
    measure(c, "root after one page of 1 GiB", "write", || {
        value += 1;
        data.write(123 << 20, &[value as u8 | 1]).expect("in range");
        timed(|| data.data_root())
    });
}

/// One line of the final table.
fn line(what: &str, value: f64, unit: &str, target: f64) {
    let verdict = if value <= target { "ok" } else { "MISSED" };
    println!("{what:<58} {value:>9.2} {unit:<6} target {target:>7.2}  {verdict}");
}

fn table() {
    let us = |name: &str| best(name) / 1000.0;
    println!();
    for mib in [1, 64, 1024] {
        let time = us(&format!("start from the pool/{mib} MiB"));
        line(
            &format!("instance ready, {mib} MiB declared"),
            time,
            "us",
            5.0,
        );
    }
    line(
        "instance ready, window of another layout",
        us("start from the pool/another layout"),
        "us",
        5.0,
    );
    for kind in ["Anonymous", "Slab"] {
        let native = best(&format!("4096 first writes/{kind} native"));
        println!(
            "native first write, {kind}: {:.0} ns a page",
            native / 4096.0
        );
        for (tracker, target) in [("Windows", 1.15), ("Trap", 4.0)] {
            let ratio = best(&format!("4096 first writes/{kind} {tracker}")) / native;
            line(
                &format!("first writes, {kind}, {tracker} / native"),
                ratio,
                "x",
                target,
            );
        }
    }
    let idle = us("reset/0 pages");
    line("reset, nothing touched", idle, "us", 2.0);
    for pages in [16.0, 1024.0] {
        let per = (us(&format!("reset/{pages} pages")) - 2.0) / pages;
        line(
            &format!("reset beyond 2 us, per page of {pages}"),
            per,
            "us",
            0.3,
        );
    }
    for place in ["paused", "in a window"] {
        line(
            &format!("fork {place}, nothing private"),
            us(&format!("fork {place}/0 pages")),
            "us",
            10.0,
        );
        let per = (us(&format!("fork {place}/1024 pages")) - 10.0) / 1024.0;
        line(
            &format!("fork {place} beyond 10 us, per page of 1024"),
            per,
            "us",
            0.3,
        );
    }
    for pages in [8.0, 512.0, 4096.0] {
        let target = 1.5 + 0.03 * pages;
        line(
            &format!("settle, {pages} written pages"),
            us(&format!("settle/{pages} pages")),
            "us",
            target,
        );
    }
    for mib in [16, 1024] {
        let name = format!("every other page/{mib} MiB");
        let ratio = best(&name) / best(&format!("{name} native"));
        line(
            &format!("every other page of {mib} MiB, Windows / native"),
            ratio,
            "x",
            1.25,
        );
    }
    let small = layout(Kind::Anonymous, 2000);
    let worst = worst_budget(&small, 2000, Read::Nothing);
    line(
        "time per gas, worst of 24 budgets, Windows / Trap",
        worst,
        "x",
        2.0,
    );
    let large = layout(Kind::Anonymous, 1024 * MIB);
    let worst = worst_budget(&large, 20_000, Read::All);
    line(
        "the same after reading 80 MiB of 1 GiB declared",
        worst,
        "x",
        2.0,
    );
    let one = best("threads/1");
    line(
        "two threads doing the same each / one thread",
        best("threads/2") / one,
        "x",
        1.5,
    );
    for what in ["loads unchanged", "loads private", "stores private"] {
        let each = best(&format!("4096 software/{what}")) / 4096.0;
        println!("software {what}: {each:.1} ns");
    }
    println!(
        "root after one dirty page of 1 GiB: {:.1} us",
        us("root after one page of 1 GiB/write")
    );
}

fn main() {
    let mut c = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .configure_from_args();
    start(&mut c);
    first_writes(&mut c);
    reset(&mut c);
    fork(&mut c);
    settle(&mut c);
    every_other_page(&mut c);
    threads(&mut c);
    merkle(&mut c);
    software(&mut c);
    c.final_summary();
    table();
}
