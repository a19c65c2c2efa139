//! Traces as files for tools.

use super::{Args, Filter, run};
use crate::failure::Failure;
use crate::input::Loaded;
use rivet::engine::diff::{Calls, Contender, Plan, RecordError, Subject, case_of, record};
use rivet::engine::trace::{Extent, Header, Kind, Record, Writer, digest};
use rivet::engine::{Config, Engine, Exit, Machine, State, Traced, Tracer};
use rivet::isa::{Gas, Inst, Pc};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

pub(super) fn write(
    args: &Args,
    path: &Path,
    loaded: &Loaded,
    machine: Machine,
    filter: &Filter,
) -> Result<Option<Exit>, Failure> {
    let out = BufWriter::new(open(path)?);
    if args.instructions {
        instructions(out, loaded, machine, filter)
            .map_err(|error| Failure::file("write", path, error))?
            .map_err(|error| Failure::message(error.to_string()))
    } else {
        blocks(args, path, out, loaded, &state(&machine), filter)
    }
}

/// The file, or standard output for `-`. Records go there as they are made: what has been written
/// of a run that is stopped is a trace of its beginning.
fn open(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path != Path::new("-") {
        let file = File::create(path).map_err(|error| Failure::file("create", path, error))?;
        return Ok(Box::new(file));
    }
    if io::stdout().is_terminal() {
        let what = "a binary trace does not belong on a terminal";
        return Err(
            Failure::message(what).help("name a file after --binary, or redirect the output")
        );
    }
    Ok(Box::new(io::stdout()))
}

fn state(machine: &Machine) -> State {
    State {
        regs: *machine.regs(),
        pc: machine.pc(),
        gas: machine.gas(),
    }
}

fn blocks(
    args: &Args,
    path: &Path,
    out: impl Write,
    loaded: &Loaded,
    start: &State,
    filter: &Filter,
) -> Result<Option<Exit>, Failure> {
    let engine = Engine::new(Config {
        backend: args.engine,
        ..Config::default()
    })?;
    let case = case_of(&loaded.program, start);
    let mut session = Contender::new(engine, Calls::Bare).load(&case)?;
    let plan = Plan {
        exits: 1,
        ..Plan::default()
    };
    let passes = |state: &State| filter.passes(state.pc, state.gas.value());
    let keep: Option<&dyn Fn(&State) -> bool> = filter.is_set().then_some(&passes);
    record(&mut *session, &case, &plan, keep, out).map_err(|error| match error {
        RecordError::Write(error) => Failure::file("write", path, error),
        RecordError::Host(error) => Failure::message(error.to_string()),
    })
}

type Ended = Result<Option<Exit>, rivet::engine::HostError>;

fn instructions<W: Write>(
    out: W,
    loaded: &Loaded,
    mut machine: Machine,
    filter: &Filter,
) -> io::Result<Ended> {
    let code = loaded.program.code();
    let header = Header {
        kind: Kind::Instructions,
        extent: match filter.is_set() {
            true => Extent::Filtered,
            false => Extent::Whole,
        },
        code_len: code.len() as u64,
        code_check: digest(code),
        start: state(&machine),
    };
    let mut records = Records {
        writer: Writer::new(out, &header)?,
        filter,
        failure: None,
    };
    let ended = run(&mut machine, &mut records, |records| {
        records.failure.is_some()
    });
    if let Some(error) = records.failure {
        return Err(error);
    }
    if let Ok(Some(exit)) = ended {
        let record = Record::Exit(exit, state(&machine), machine.private_pages());
        records.writer.record(&record)?;
    }
    records.writer.finish()?;
    Ok(ended)
}

/// Writes a record for each instruction.
struct Records<'a, W> {
    writer: Writer<W>,
    filter: &'a Filter,
    failure: Option<io::Error>,
}

impl<W: Write> Tracer for Records<'_, W> {
    fn instruction(&mut self, pc: Pc, _: Inst, view: Traced<'_>) {
        if self.failure.is_some() || !self.filter.passes(pc, view.gas()) {
            return;
        }
        let (regs, gas) = (view.regs(), Gas::new(view.gas()).unwrap_or(Gas::MAX));
        let written = self
            .writer
            .record(&Record::Instruction(State { regs, pc, gas }));
        self.failure = written.err();
    }
}
