//! `rivet run`: a program from start to end under the bare personality.

use crate::failure::Failure;
use crate::number::{self, DumpArg};
use crate::pausing::{Pausing, Reporting, Session, When};
use crate::program::ProgramArgs;
use crate::{Outcome, perf_map};
use rivet::engine::{Backend, CheckEvery, Config, Engine, Machine};
use rivet::isa::{GuestAddr, PAGE_SIZE};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  rivet run prog.elf                          link in memory and run
  rivet run --arg 10 --arg 0x20 prog.pvm      a0 = 10, a1 = 32
  rivet run --gas 100000 --json prog.pvm      one JSON object on standard output
  rivet run --until gas=5000 --save state.snap prog.elf && rivet snap resume state.snap
  rivet run --raw --entry 4 --reg 7=1 --map 0x10000000:4096 code.bin

The guest's output goes to standard output and the summary to standard error; with --json it is
the other way round. Exit status: 0 halted or paused as asked, 1 ended otherwise, 2 usage or load error.";

/// Run a program to its end
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    /// Backend: auto, jit, interp or checked
    #[arg(long, value_name = "NAME", default_value = "auto")]
    engine: Backend,
    /// With --engine checked: compare after every block, not at exits and calls only
    #[arg(long)]
    every_block: bool,
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    reporting: Reporting,
    /// Write /tmp/perf-PID.map after the run, in which `perf report` finds names for native code
    #[arg(long)]
    perf_map: bool,
    /// Write guest memory to a file after the run, unmapped bytes as zero
    #[arg(long = "dump", value_name = "START:LEN=FILE", value_parser = number::dump)]
    dumps: Vec<DumpArg>,
    #[command(flatten)]
    pausing: Pausing,
}

/// Saves a run to `state`: where `--until` says, else before it begins.
pub(crate) fn save(mut args: Args, state: PathBuf) -> Result<Outcome, Failure> {
    if args.pausing.save.is_some() {
        return Err(Failure::message(
            "`snap save` names its file once: leave out --save",
        ));
    }
    args.pausing.save = Some(state);
    if args.pausing.until.is_empty() {
        args.pausing.until.push(When::Gas(0));
    }
    run(&args)
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    if args.every_block && args.engine != Backend::Checked {
        return Err(Failure::message("--every-block needs --engine checked"));
    }
    let engine = Engine::new(Config {
        backend: args.engine,
        check_every: match args.every_block {
            true => CheckEvery::Block,
            false => CheckEvery::Exit,
        },
        ..Config::default()
    })?;
    let source = args.program.read(&args.file)?;
    let compiling = Instant::now();
    let loaded = source.load(&engine)?;
    let machine = loaded.program.machine(args.program.start(&loaded)?)?;
    let session = Session {
        machine,
        symbols: &loaded.symbols,
        pausing: &args.pausing,
        reporting: args.reporting,
        compile_ns: compiling.elapsed().as_nanos(),
        fallback: engine.fallback(),
    };
    session.run(|machine| {
        if args.perf_map {
            perf_map::write(&loaded)?;
        }
        let mut dumps = args.dumps.iter();
        dumps.try_for_each(|request| dump(machine, request))
    })
}

fn dump(machine: &Machine, request: &DumpArg) -> Result<(), Failure> {
    let fail = |error| Failure::file("write", &request.file, error);
    let mut file = io::BufWriter::new(File::create(&request.file).map_err(fail)?);
    let mut at = request.start;
    let end = request.start.saturating_add(request.len);
    while at < end {
        let piece = (PAGE_SIZE - at % PAGE_SIZE).min(end - at);
        let mut bytes = [0; PAGE_SIZE as usize];
        let bytes = &mut bytes[..piece as usize];
        // An unmapped page leaves the zeros in place.
        let _ = machine.read(GuestAddr::wrapping(at), bytes);
        file.write_all(bytes).map_err(fail)?;
        at += piece;
    }
    file.flush().map_err(fail)
}
