//! The arguments that name a program and how it starts, for commands that run one.

use crate::failure::Failure;
use crate::input::{self, Loaded, RawArgs, Source};
use crate::number::{self, MapArg};
use crate::symbols;
use rivet::engine::{Engine, Start, State};
use rivet::isa::{Gas, Pc, Reg, Slot};
use std::path::Path;

/// 2^62: no program of ordinary length runs out of it.
const DEFAULT_GAS: &str = "0x4000000000000000";

/// The registers that `--arg` sets, in order.
const ARGUMENTS: [Reg; 6] = [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5];

/// Where a program starts, with what in its registers and, if it is bare code, in memory.
#[derive(clap::Args)]
pub(crate) struct StartArgs {
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

impl StartArgs {
    /// Reads the program.
    pub(crate) fn read(&self, file: &Path) -> Result<Source, Failure> {
        if self.args.len() > ARGUMENTS.len() {
            return Err(Failure::message(
                "--arg may be given six times at most, for a0 to a5",
            ));
        }
        input::read(file, self.raw.then_some(RawArgs { maps: &self.maps }))
    }

    /// How the program starts.
    pub(crate) fn start(&self, loaded: &Loaded) -> Result<Start, Failure> {
        let mut start = match self.raw {
            true => Start::at(0),
            false => loaded.default_start()?,
        };
        if let Some(entry) = &self.entry {
            start = start.entering_at(self.resolve(loaded, entry)?);
        }
        let slots = ARGUMENTS.into_iter().filter_map(Reg::slot);
        let arguments = slots.zip(self.args.iter().copied());
        for (slot, value) in arguments.chain(self.regs.iter().copied()) {
            start = start.with_slot(slot, value);
        }
        Ok(start)
    }

    /// Bare code has no symbols to look an entry up in.
    fn resolve(&self, loaded: &Loaded, entry: &str) -> Result<Pc, Failure> {
        if !self.raw {
            return symbols::resolve(&loaded.symbols, entry);
        }
        let pc = number::number(entry).map(Pc::new);
        pc.map_err(|what| Failure::message(format!("--entry `{entry}`: {what}")))
    }
}

/// [`StartArgs`] and the gas to start with.
#[derive(clap::Args)]
pub(crate) struct ProgramArgs {
    /// Gas to start with, below 2^63
    #[arg(long, value_name = "N", default_value = DEFAULT_GAS, value_parser = number::gas)]
    gas: Gas,
    #[command(flatten)]
    start: StartArgs,
}

impl ProgramArgs {
    /// Reads the program.
    pub(crate) fn read(&self, file: &Path) -> Result<Source, Failure> {
        self.start.read(file)
    }

    /// How the program starts.
    pub(crate) fn start(&self, loaded: &Loaded) -> Result<Start, Failure> {
        Ok(self.start.start(loaded)?.with_gas(self.gas))
    }

    /// Reads and loads the program; with it, how it starts.
    pub(crate) fn open(&self, file: &Path, engine: &Engine) -> Result<(Loaded, Start), Failure> {
        let loaded = self.read(file)?.load(engine)?;
        let start = self.start(&loaded)?;
        Ok((loaded, start))
    }

    /// [`open`](Self::open) with the start as a state.
    pub(crate) fn open_at(&self, file: &Path, engine: &Engine) -> Result<(Loaded, State), Failure> {
        let (loaded, start) = self.open(file, engine)?;
        let state = state(&loaded, start)?;
        Ok((loaded, state))
    }
}

/// A start as a state.
pub(crate) fn state(loaded: &Loaded, start: Start) -> Result<State, Failure> {
    let machine = loaded.program.machine(start)?;
    Ok(State {
        regs: *machine.regs(),
        pc: machine.pc(),
        gas: machine.gas(),
    })
}
