//! The arguments that name a program and how it starts, for commands that look at runs.

use crate::failure::Failure;
use crate::input::{self, Loaded, RawArgs};
use crate::number::{self, MapArg};
use crate::symbols;
use rivet::engine::{Engine, Start, State};
use rivet::isa::{Gas, Reg, Slot};
use std::path::Path;

/// 2^62: no program of ordinary length runs out of it.
const DEFAULT_GAS: &str = "0x4000000000000000";

#[derive(clap::Args)]
pub(crate) struct ProgramArgs {
    /// Gas to start with, below 2^63
    #[arg(long, value_name = "N", default_value = DEFAULT_GAS, value_parser = number::gas)]
    gas: Gas,
    /// Where to start: a symbol or a code offset [default: _start, with --raw 0]
    #[arg(long, value_name = "ENTRY")]
    entry: Option<String>,
    /// Argument for a0, a1, … a5, in order
    #[arg(long = "arg", value_name = "X", value_parser = number::number, conflicts_with = "raw")]
    args: Vec<u64>,
    /// Take FILE as bare code bytes: every slot 0, nothing mapped
    #[arg(long)]
    raw: bool,
    /// With --raw: set a slot, the last value wins
    #[arg(long = "reg", value_name = "SLOT=VALUE", value_parser = number::slot_value, requires = "raw")]
    regs: Vec<(Slot, u64)>,
    /// With --raw: map a region, from a file or zeros
    #[arg(long = "map", value_name = "START:SIZE[:ro][=FILE]", value_parser = number::map, requires = "raw")]
    maps: Vec<MapArg>,
}

impl ProgramArgs {
    /// Reads and loads the program; with it, how it starts.
    pub(crate) fn open(&self, file: &Path, engine: &Engine) -> Result<(Loaded, Start), Failure> {
        let registers = [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5];
        if self.args.len() > registers.len() {
            return Err(Failure::message(
                "--arg may be given six times at most, for a0 to a5",
            ));
        }
        let source = input::read(file, self.raw.then_some(RawArgs { maps: &self.maps }))?;
        let loaded = source.load(engine)?;
        let mut start = match self.raw {
            true => Start::at(0),
            false => loaded.default_start()?,
        };
        if let Some(entry) = &self.entry {
            start = start.entering_at(symbols::resolve(&loaded.symbols, entry)?);
        }
        let slots = registers.into_iter().filter_map(Reg::slot);
        let arguments = slots.zip(self.args.iter().copied());
        for (slot, value) in arguments.chain(self.regs.iter().copied()) {
            start = start.with_slot(slot, value);
        }
        Ok((loaded, start.with_gas(self.gas)))
    }

    /// [`open`](Self::open) with the start as a state.
    pub(crate) fn open_at(&self, file: &Path, engine: &Engine) -> Result<(Loaded, State), Failure> {
        let (loaded, start) = self.open(file, engine)?;
        let machine = loaded.program.machine(start)?;
        let state = State {
            regs: *machine.regs(),
            pc: machine.pc(),
            gas: machine.gas(),
        };
        Ok((loaded, state))
    }
}
