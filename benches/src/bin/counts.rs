//! Counts the instructions that fixed pieces of work take, and fails if they became more.
//!
//! ```text
//! counts              compare with counts.tsv; fail if a count rose by more than 3 %
//! counts --update     write counts.tsv
//! counts --one NAME   do one piece of work, for valgrind
//! ```
//!
//! Counts come from `valgrind --tool=callgrind`, only inside [`counted`], so they vary by a
//! fraction of a percent between machines where times vary by a tenth. The recompiler is asked to
//! translate, never to run: what it emits is counted as bytes, by the tests of the recompiler.
//! Exit status: 0 fine, 1 a count rose, 2 something failed, 3 valgrind is missing.
#![forbid(unsafe_code)]

use rivet_engine::{Backend, Config, Engine, NoHost, Start};
use rivet_image::{Image, Key, NoImages};
use rivet_isa::gas::{FrameCosts, block_cost};
use rivet_isa::{BlockStarts, Gas, Pc, Reg, decode};
use rivet_jit::{CodeCache, CodeCacheConfig};
use rivet_loader::{LinkOptions, link};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

/// By how much a count may rise, in percent.
const TOLERANCE: f64 = 3.0;

const FRAME: FrameCosts = FrameCosts::new(25, 256);

/// A piece of work: name, and what does it. Preparation stands outside of [`counted`].
type Work = (&'static str, fn());

const WORK: [Work; 8] = [
    ("decode", decoding),
    ("scan", scanning),
    ("gas", pricing),
    ("translate", translating),
    ("translate branches", translating_branches),
    ("link", linking),
    ("image", reading_images),
    ("interpret", interpreting),
];

/// Valgrind counts while this function runs and at no other time.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn guest(name: &str) -> Vec<u8> {
    std::fs::read(file(&format!("../guests/prebuilt/{name}.elf"))).expect("prebuilt guests")
}

/// Guests whose code is everybody's kind of code.
const GUESTS: [&str; 5] = ["alloc", "keccak", "print", "sort", "words"];

fn image(name: &str) -> Image {
    let linked = link(&guest(name), &LinkOptions::default());
    linked.expect("prebuilt guests link").image
}

fn code() -> Arc<[u8]> {
    let once: Vec<u8> = GUESTS
        .iter()
        .flat_map(|name| image(name).code().to_vec())
        .collect();
    once.into_iter().cycle().take(256 << 10).collect()
}

fn decoding() {
    let code = code();
    counted(|| {
        let (mut at, mut sum) = (0, 0u32);
        while let Some(found) = decode(&code, at) {
            sum = sum.wrapping_add(found.inst.imm() as u32);
            at += found.len.bytes() as usize;
        }
        sum
    });
}

fn scanning() {
    let code = code();
    counted(|| BlockStarts::scan(&code).end());
}

fn pricing() {
    let code = code();
    let starts = BlockStarts::scan(&code);
    counted(|| {
        let costs = starts.blocks().map(|block| block_cost(&code, block, FRAME));
        costs.map(|cost| cost.gate()).sum::<u64>()
    });
}

/// Translates all of a program, chunk by chunk.
fn translate(code: &Arc<[u8]>) {
    let starts = Arc::new(BlockStarts::scan(code));
    let cache = CodeCache::new(CodeCacheConfig::default());
    counted(|| {
        let program = rivet_jit::Program::new(Arc::clone(code), Arc::clone(&starts), FRAME, &cache);
        let program = program.expect("a table");
        for chunk in 0..(code.len() as u64).div_ceil(1 << 16) {
            if let Some(pc) = starts.from(Pc::new(chunk << 16)).next() {
                program.prepare(pc);
            }
        }
        assert!(program.totals().native_bytes > 0, "nothing was translated");
    });
}

fn translating() {
    translate(&code());
}

/// The densest blocks there are: a branch of two bytes each.
fn translating_branches() {
    translate(&[0x11u8, 0xE1].repeat(64 << 10).into());
}

fn linking() {
    let files = GUESTS.map(guest);
    counted(|| {
        files.map(|elf| {
            let linked = link(&elf, &LinkOptions::default()).expect("prebuilt guests link");
            linked.image.code().len()
        })
    });
}

fn reading_images() {
    let bytes = GUESTS.map(|name| image(name).encode().expect("images have a wire form"));
    counted(|| {
        bytes.map(|bytes| {
            let image = Image::decode(&bytes, &NoImages).expect("it was written just now");
            image.address()
        })
    });
}

fn interpreting() {
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    });
    let engine = engine.expect("the interpreter runs everywhere");
    let machines = [("keccak", 10), ("sort", 2000), ("bcvm", 20)].map(|(name, argument)| {
        let program = engine.load(&image(name)).expect("guests load");
        let start = Start::endpoint(Key::endpoint(0))
            .with_gas(Gas::MAX)
            .with_slot(Reg::A0.slot().expect("a0 has a slot"), argument);
        program.machine(start).expect("guests start")
    });
    counted(|| {
        for mut machine in machines {
            let exit = machine.run(&mut NoHost).expect("the host works");
            assert_eq!(exit.name(), "host-call", "the guest is through");
        }
    });
}

/// Instructions of one piece of work, or what went wrong.
fn count(name: &str) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = std::env::temp_dir().join(format!("rivet-counts-{}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counts::counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(this)
        .args(["--one", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&out).unwrap_or_default();
    // Nothing is lost if it stays.
    let _ = std::fs::remove_file(&out);
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total
        .and_then(|total| total.trim().parse().ok())
        .filter(|total| *total > 0);
    match total {
        Some(total) if status.success() => Ok(total),
        _ => Err(format!("valgrind counted nothing in `{name}` ({status})")),
    }
}

fn recorded() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(file("counts.tsv")).unwrap_or_default();
    let rows = text.lines().filter_map(|line| {
        let (name, count) = line.split_once('\t')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    rows.collect()
}

fn compare(update: bool) -> Result<ExitCode, String> {
    let before = recorded();
    let mut table = String::from("#work\tinstructions\n");
    let mut rose = false;
    for (name, _) in WORK {
        let now = count(name)?;
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name}\t{now}");
        let change = before
            .get(name)
            .map(|before| (now as f64 / *before as f64 - 1.0) * 100.0);
        let verdict = match change {
            None if update => "new",
            None => "not recorded: just counts --update",
            Some(change) if change > TOLERANCE => "MORE",
            Some(change) if change < -TOLERANCE => "less; record it: just counts --update",
            Some(_) => "same",
        };
        rose |= change.is_none_or(|change| change > TOLERANCE);
        let change = change.map_or("-".to_owned(), |change| format!("{change:+.2} %"));
        println!("{name:<20} {now:>12} {change:>10}  {verdict}");
    }
    if update {
        std::fs::write(file("counts.tsv"), table).map_err(|error| error.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if rose {
        println!(
            "a count rose by more than {TOLERANCE} %: make it cheaper, or record it with \
             `just counts --update` and say why"
        );
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["--one", name] = args[..] {
        let Some((_, work)) = WORK.iter().find(|(known, _)| *known == name) else {
            eprintln!("counts: no work `{name}`");
            return ExitCode::from(2);
        };
        work();
        return ExitCode::SUCCESS;
    }
    let update = match args[..] {
        [] => false,
        ["--update"] => true,
        _ => {
            eprintln!("usage: counts [--update]");
            return ExitCode::from(2);
        }
    };
    let valgrind = Command::new("valgrind").arg("--version").output();
    if valgrind.is_err() {
        eprintln!("counts: valgrind is missing: apt-get install valgrind");
        return ExitCode::from(3);
    }
    compare(update).unwrap_or_else(|error| {
        eprintln!("counts: {error}");
        ExitCode::from(2)
    })
}
