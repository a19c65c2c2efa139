//! What a run came to, for people and for scripts.

use crate::Outcome;
use crate::failure::Failure;
use crate::symbols::Symbols;
use rivet::engine::{Call, Exit, HostError, Machine, Pause, Ran, Unavailable};
use rivet::isa::{Gas, Reg};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// A finished run.
pub(crate) struct Report<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) result: Result<Ran, HostError>,
    pub(crate) start_gas: Gas,
    pub(crate) compile_ns: u128,
    pub(crate) run_ns: u128,
    pub(crate) fallback: Option<Unavailable>,
    /// Where the paused state is kept, if it is.
    pub(crate) saved: Option<&'a Path>,
}

/// The object of `--json`; the names are fixed for scripts.
#[derive(Serialize)]
struct Json {
    exit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u32>,
    pc: u64,
    regs: Vec<String>,
    value: String,
    gas_used: u64,
    gas_left: u64,
    private_pages: usize,
    memory_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<u32>,
    compile_ns: u128,
    run_ns: u128,
    translated_bytes: u64,
    native_bytes: u64,
    engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What stopped a run, as scripts see it.
const fn name(pause: Pause) -> &'static str {
    match pause {
        Pause::Gas => "gas",
        Pause::Block => "block",
        Pause::Call => "call",
        Pause::Interrupted => "interrupted",
        Pause::Deadline => "time",
    }
}

impl Report<'_> {
    /// Prints the report and says what the process should exit with.
    pub(crate) fn print(
        self,
        symbols: &Symbols,
        json: bool,
        stats: bool,
    ) -> Result<Outcome, Failure> {
        if json {
            let line = serde_json::to_string(&self.json())
                .map_err(|error| Failure::output(error.into()))?;
            writeln!(io::stdout(), "{line}").map_err(Failure::output)?;
        }
        let ran = self.result.clone()?;
        if !json {
            self.summary(ran, symbols, &mut io::stderr().lock())
                .map_err(Failure::output)?;
        }
        if stats {
            self.stats(&mut io::stderr().lock())
                .map_err(Failure::output)?;
        }
        Ok(match ran {
            Ran::Exit(Exit::Halt) | Ran::Paused(_) => Outcome::Done,
            Ran::Exit(_) => Outcome::GuestFailed,
        })
    }

    /// The selector of the `ecalli` that a paused run is at.
    fn pending_selector(&self) -> Option<u32> {
        match self.machine.pending()?.call {
            Call::Host { selector } => Some(selector),
            Call::Kernel => None,
        }
    }

    fn gas_used(&self) -> u64 {
        self.start_gas
            .value()
            .saturating_sub(self.machine.gas().value())
    }

    /// Why the interpreter ran although the recompiler was to.
    fn fallback(&self) -> Option<String> {
        let engine = self.fallback.map(|reason| reason.to_string());
        engine.or_else(|| Some(self.machine.fallback()?.to_string()))
    }

    /// Time spent translating, before and during the run.
    fn compiling(&self) -> u128 {
        self.compile_ns + u128::from(self.machine.program().translation().nanoseconds)
    }

    /// The rest of the run.
    fn running(&self) -> u128 {
        let translation = self.machine.program().translation();
        self.run_ns
            .saturating_sub(u128::from(translation.nanoseconds))
    }

    fn json(&self) -> Json {
        let (exit, paused) = match self.result {
            Ok(Ran::Exit(exit)) => (Some(exit), None),
            Ok(Ran::Paused(pause)) => (None, Some(name(pause))),
            Err(_) => (None, None),
        };
        let machine = self.machine;
        let translation = machine.program().translation();
        let (page, selector) = match exit {
            Some(Exit::PageFault { page }) => (Some(page.base().value()), None),
            Some(Exit::HostCall { selector, .. }) => (None, Some(selector)),
            None => (None, self.pending_selector()),
            _ => (None, None),
        };
        Json {
            exit: match (exit, paused) {
                (Some(exit), _) => exit.name(),
                (None, Some(_)) => "paused",
                (None, None) => "host-error",
            },
            exit_code: exit.map(|exit| exit.code()),
            pc: machine.pc().value(),
            regs: machine
                .regs()
                .slots()
                .iter()
                .map(|value| format!("{value:#x}"))
                .collect(),
            value: format!("{:#x}", machine.regs().get(Reg::A0)),
            gas_used: self.gas_used(),
            gas_left: machine.gas().value(),
            private_pages: machine.private_pages().len(),
            memory_hash: machine.memory_hash().to_string(),
            page,
            selector,
            compile_ns: self.compiling(),
            run_ns: self.running(),
            translated_bytes: translation.guest_bytes,
            native_bytes: translation.native_bytes,
            engine: machine.backend().name(),
            fallback: self.fallback(),
            paused,
            saved: self.saved.map(|path| path.display().to_string()),
            error: self.result.as_ref().err().map(ToString::to_string),
        }
    }

    fn summary(&self, ran: Ran, symbols: &Symbols, out: &mut dyn Write) -> io::Result<()> {
        let machine = self.machine;
        let value = machine.regs().get(Reg::A0);
        match ran {
            Ran::Exit(Exit::Halt) => writeln!(out, "halt: value {value:#x} ({value})")?,
            other => {
                let what = match other {
                    Ran::Exit(exit) => exit.to_string(),
                    Ran::Paused(pause) => format!("paused ({})", name(pause)),
                };
                let pc = machine.pc();
                let place = symbols
                    .describe(pc)
                    .map_or(String::new(), |name| format!(" in {name}"));
                writeln!(out, "{what} at pc {pc}{place}; a0 = {value:#x}")?;
            }
        }
        writeln!(out, "gas: {} used, {} left", self.gas_used(), machine.gas())?;
        let pages = machine.private_pages().len();
        writeln!(out, "pages: {pages} written ({} KiB)", pages * 4)?;
        match self.saved {
            Some(path) => writeln!(out, "saved: {}", path.display()),
            None => Ok(()),
        }
    }

    fn stats(&self, out: &mut dyn Write) -> io::Result<()> {
        let machine = self.machine;
        let costs = machine.program().costs();
        let translation = machine.program().translation();
        writeln!(out, "engine: {}", machine.backend())?;
        if let Some(reason) = self.fallback() {
            writeln!(out, "no recompiler: {reason}")?;
        }
        writeln!(
            out,
            "compile: {} us, run: {} us",
            self.compiling() / 1000,
            self.running() / 1000
        )?;
        writeln!(
            out,
            "translated: {} bytes to {} native, {} chunks left to the interpreter",
            translation.guest_bytes, translation.native_bytes, translation.refused_chunks
        )?;
        writeln!(out, "first writes: {}", machine.tracking())?;
        writeln!(
            out,
            "frame: {} cycles per memory access, {} gas for the dearest page",
            costs.mem_cycles(),
            costs.cow_max()
        )
    }
}
