//! What exact gas costs: every guest with its gates and with the gates left out, and how large
//! native code is beside the guest's.
//!
//! `cargo bench -p rivet-benches --bench metering -- [ROUNDS] [GUEST…]`. Rounds are interleaved
//! and each time is the best of its rounds, so only the ratios mean much on a busy machine.
//! Translation is not counted. Both forms must give the guest's native value.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_engine::{Backend, Config, Engine, Start};
use rivet_image::{Key, Region, RegionKind};
use rivet_isa::{CODE_BASE, Exit, Gas, Pc, Reg, Regs};
use rivet_jit::{CodeCache, CodeCacheConfig, Cpu, Gates, Left, NoHost, Program, Totals};
use rivet_loader::{LinkOptions, link};
use rivet_paging::{
    AddressSpace, Layout, MemoryLimits, PageCount, PageIndex, PageRange, PageSource, Tracker,
    WindowPool,
};

/// Guests that call the host before they are done, which nobody answers here, or that mostly
/// wait for pages.
const APART: [&str; 3] = ["hostping", "touch", "words"];

/// What is aimed at: exact gas within three per cent, three native bytes for one of the guest.
const TARGETS: (f64, f64) = (1.03, 3.0);

struct Guest {
    name: String,
    value: u64,
    loaded: rivet_engine::Program,
    regs: Regs,
    pc: Pc,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn guests(wanted: &[String]) -> Vec<Guest> {
    let config = Config {
        backend: Backend::Interp,
        ..Config::default()
    };
    let engine = Engine::new(config).expect("the interpreter runs everywhere");
    let table = std::fs::read_to_string(root().join("guests/native-values.tsv")).expect("readable");
    let mut out = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, arg, value) = (columns[0], columns[6], columns[7]);
        let unwanted = !wanted.is_empty() && !wanted.iter().any(|want| want == name);
        let Some(arg) = arg.parse().ok().filter(|_| !unwanted) else {
            continue;
        };
        if APART.contains(&name) {
            continue;
        }
        let elf = std::fs::read(root().join(format!("guests/prebuilt/{name}.elf"))).expect("built");
        let image = link(&elf, &LinkOptions::default()).expect("prebuilt guests link");
        let loaded = engine.load(&image.image).expect("guests load");
        let start = Start::endpoint(Key::endpoint(0));
        let start = start.with_slot(Reg::A0.slot().expect("a0 has a slot"), arg);
        let machine = loaded.machine(start).expect("guests start");
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16).expect("hexadecimal");
        out.push(Guest {
            name: name.into(),
            value,
            regs: *machine.regs(),
            pc: machine.pc(),
            loaded,
        });
    }
    out
}

fn region(region: &Region) -> rivet_paging::Region {
    let first = PageIndex::new(region.first.index());
    let pages = first.zip(PageCount::new(region.pages));
    let range = pages.and_then(|(first, count)| PageRange::new(first, count));
    let range = range.expect("regions lie inside the address space");
    let content: Vec<_> = region
        .source
        .pages()
        .map(|page| (page.index, page.bytes))
        .collect();
    let source = PageSource::from_pages(&content).expect("memory for the content");
    match region.kind {
        RegionKind::Pinned => rivet_paging::Region::read_only(range, source),
        RegionKind::CopyOnWrite => rivet_paging::Region::copy_on_write(range, source, 1),
        RegionKind::Ephemeral => rivet_paging::Region::ephemeral(range, 1),
    }
}

fn memory(guest: &Guest, pool: &WindowPool) -> AddressSpace {
    let code = guest.loaded.code();
    let range = PageRange::from_bytes(CODE_BASE, (code.len() as u64).next_multiple_of(4096));
    let source = PageSource::from_bytes(code).expect("memory for the code");
    let code = rivet_paging::Region::read_only(range.expect("code fits"), source);
    let regions = guest.loaded.regions().iter().map(region).chain([code]);
    let layout = Arc::new(Layout::new(regions.collect()).expect("regions apart"));
    let mut memory = AddressSpace::new(layout, MemoryLimits::default());
    memory.attach(pool, Tracker::Trap).expect("a window");
    memory
}

/// Time of a run, translation excepted, and what was translated.
fn run(
    guest: &Guest,
    gates: Gates,
    cache: &Arc<CodeCache>,
    pool: &WindowPool,
) -> (Duration, Totals) {
    let (code, starts) = (guest.loaded.code().into(), guest.loaded.starts().clone());
    let program = Program::with_gates(code, starts.into(), guest.loaded.costs(), cache, gates);
    let program = program.expect("a table");
    let (mut regs, mut gas) = (guest.regs, Gas::MAX);
    let cpu = Cpu {
        regs: &mut regs,
        gas: &mut gas,
    };
    let mut memory = memory(guest, pool);
    let clock = Instant::now();
    let left = program.run(cpu, guest.pc, &mut memory, &mut NoHost);
    let time = clock.elapsed();
    let halted = matches!(left, Ok(Left::Exit(Exit::HostCall { .. }, _)));
    assert!(halted, "{}: {left:?}", guest.name);
    assert_eq!(
        regs.get(Reg::A0),
        guest.value,
        "{} gives its native value",
        guest.name
    );
    let totals = program.totals();
    (
        time.saturating_sub(Duration::from_nanos(totals.nanoseconds)),
        totals,
    )
}

fn main() {
    let args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (numbers, wanted): (Vec<_>, Vec<_>) = args.partition(|arg| arg.parse::<u32>().is_ok());
    let rounds: u32 = numbers
        .first()
        .and_then(|arg| arg.parse().ok())
        .unwrap_or(7);
    let cache = CodeCache::new(CodeCacheConfig::default());
    let pool = WindowPool::new(2, 60_000);
    println!(
        "{:<12} {:>9} {:>9} {:>7} {:>7}",
        "guest", "exact ms", "none ms", "ratio", "bytes"
    );
    let (mut logs, mut native, mut bytes) = (Vec::new(), 0, 0);
    for guest in guests(&wanted) {
        let mut best = [Duration::MAX; 2];
        let mut totals = Totals::default();
        for _ in 0..rounds.max(1) {
            for (gates, best) in [Gates::Exact, Gates::LeftOut].into_iter().zip(&mut best) {
                let (time, made) = run(&guest, gates, &cache, &pool);
                *best = time.min(*best);
                if gates == Gates::Exact {
                    totals = made;
                }
            }
        }
        let [exact, none] = best.map(|time| time.as_secs_f64() * 1e3);
        let size = totals.native_bytes as f64 / totals.guest_bytes as f64;
        println!(
            "{:<12} {exact:>9.2} {none:>9.2} {:>7.3} {size:>7.2}",
            guest.name,
            exact / none
        );
        logs.push((exact / none).ln());
        native += totals.native_bytes;
        bytes += totals.guest_bytes;
    }
    let ratio = (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp();
    println!(
        "exact gas {ratio:.3} of the time without, geomean of {} (target {})",
        logs.len(),
        TARGETS.0
    );
    let size = native as f64 / bytes.max(1) as f64;
    println!(
        "{size:.2} native bytes for one of the guests, all together (target {})",
        TARGETS.1
    );
}
