//! Traces as lines of text.

use super::{Args, Filter, name, run};
use crate::failure::Failure;
use crate::input::Loaded;
use crate::output;
use rivet::engine::{Exit, HostError, Machine, Traced, Tracer};
use rivet::isa::{Inst, Pc, Regs, Slot};
use std::io::{self, Write};

pub(super) fn print(
    args: &Args,
    loaded: &Loaded,
    mut machine: Machine,
    filter: &Filter,
) -> Result<Option<Exit>, Failure> {
    let mut result: Result<Option<Exit>, HostError> = Ok(None);
    let start = *machine.regs();
    output::write(|out| {
        let mut lines = Lines {
            out,
            loaded,
            filter,
            instructions: args.instructions,
            last: start,
            failure: None,
        };
        result = run(&mut machine, &mut lines, |lines| lines.failure.is_some());
        if let Some(error) = lines.failure {
            return Err(error);
        }
        let (pc, gas) = (machine.pc(), machine.gas().value());
        let changes = changes(&lines.last, machine.regs());
        match &result {
            Ok(exit) => {
                let exit = exit.map_or("nothing".to_owned(), |exit| exit.to_string());
                writeln!(lines.out, "exit  {exit} at pc {pc} gas {gas}{changes}")
            }
            Err(error) => writeln!(lines.out, "host error: {error}"),
        }
    })?;
    result.map_err(|error| Failure::message(error.to_string()))
}

/// Writes a line for each block and, if asked for, each instruction.
struct Lines<'a> {
    out: &'a mut dyn Write,
    loaded: &'a Loaded,
    filter: &'a Filter,
    instructions: bool,
    /// Registers at the last line.
    last: Regs,
    failure: Option<io::Error>,
}

impl Lines<'_> {
    fn line(&mut self, what: &str, pc: Pc, view: Traced<'_>) {
        if self.failure.is_some() || !self.filter.passes(pc, view.gas()) {
            return;
        }
        let regs = view.regs();
        let changes = changes(&self.last, &regs);
        self.last = regs;
        let gas = view.gas();
        let written = writeln!(self.out, "{pc:>10} gas {gas:<20} {what}{changes}");
        self.failure = written.err();
    }
}

/// What registers became since the last line.
fn changes(before: &Regs, after: &Regs) -> String {
    let values = |slot: &Slot| (before.slots()[slot.index()], after.slots()[slot.index()]);
    let changed = Slot::all().filter(|slot| values(slot).0 != values(slot).1);
    let texts = changed.map(|slot| format!("  {}={:#x}", slot.reg().name(), values(&slot).1));
    texts.collect()
}

impl Tracer for Lines<'_> {
    fn block(&mut self, start: Pc, view: Traced<'_>) {
        let name = name(self.loaded, start);
        self.line(format!("block {name}").trim_end(), start, view);
    }

    fn instruction(&mut self, pc: Pc, inst: Inst, view: Traced<'_>) {
        if self.instructions {
            self.line(&format!("  {inst}"), pc, view);
        }
    }
}
