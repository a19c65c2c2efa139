//! `rivet explore`: a program as one page for a browser, guest and native code side by side.
//!
//! ```text
//!  FILE ─ input ─▶ program, symbols ─ select ─▶ blocks ─┬─ guest listing ─┐
//!   └── sidecar ─ lines ─▶ file:line ───────────────────┤                 ├─ page ─▶ HTML
//!                               engine.translate ───────┴─ native listing ┘
//! ```
//!
//! The page needs nothing else: no network, no other file. How much it can hold is bounded, and it
//! says what was left out. Everything that comes from the program is escaped.

#[path = "explore/lines.rs"]
mod lines;
#[path = "explore/native.rs"]
mod native;
#[path = "explore/page.rs"]
mod page;
#[path = "explore/select.rs"]
mod select;

use crate::Outcome;
use crate::failure::Failure;
use crate::input::{self, RawArgs};
use crate::number;
use crate::whole;
use lines::Sections;
use native::Native;
use page::Page;
use rivet::engine::{Backend, Config, Engine};
use std::ops::Range;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  rivet explore prog.elf -o prog.html
  rivet explore prog.pvm --symbol main -o main.html
  rivet explore --raw --range 0:0x400 code.bin -o code.html

The page lists symbols and blocks, each block with its cost and reserve, its guest instructions, the
native code they became, and source lines where the ELF file has debug information.";

/// Write a page that shows guest and native code side by side
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    /// Where the page goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Take FILE as bare code bytes
    #[arg(long)]
    raw: bool,
    /// Show only the code of this symbol; may be given again
    #[arg(long = "symbol", value_name = "NAME")]
    symbols: Vec<String>,
    /// Show only blocks that start in this range of code offsets; may be given again
    #[arg(long = "range", value_name = "START:END", value_parser = range)]
    ranges: Vec<Range<u64>>,
    /// Most guest instructions on the page
    #[arg(long, value_name = "N", default_value = "20000", value_parser = number::number)]
    limit: u64,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text
        .split_once(':')
        .ok_or("a range is START:END, two code offsets")?;
    let (start, end) = (number::number(start)?, number::number(end)?);
    if start >= end {
        return Err("the range is empty: END must be above START".to_owned());
    }
    Ok(start..end)
}

pub(crate) fn explore(args: &Args) -> Result<Outcome, Failure> {
    let engine = Engine::new(Config {
        backend: Backend::Auto,
        ..Config::default()
    })?;
    let raw = args.raw.then_some(RawArgs { maps: &[] });
    let loaded = input::read(&args.file, raw)?.load(&engine)?;
    let sidecar = match args.raw {
        true => None,
        false => input::source_map(&args.file)?,
    };
    let sections = sidecar.as_ref().map(Sections::of);
    let wanted = select::wanted(&loaded.symbols, &args.symbols, &args.ranges)?;
    let selection = select::select(&loaded.program, &wanted, args.limit);
    for block in &selection.blocks {
        loaded.program.translate(block.block.start);
    }
    let page = Page {
        title: title(&args.file),
        loaded: &loaded,
        selection,
        native: Native::of(loaded.program.translated()),
        lines: sections.as_ref().and_then(Sections::lines),
        no_native: engine.fallback().map(|reason| reason.to_string()),
    };
    whole::write(&args.output, |out| page.write(out))?;
    Ok(Outcome::Done)
}

fn title(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}
