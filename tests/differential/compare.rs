//! Two engines, one case, everything a run leaves behind compared.

use rivet_engine::diff::{Case, Script, raw};
use rivet_engine::{
    Backend, CheckEvery, Config, Engine, Exit, HostError, Machine, MemoryHash, Program, Start,
};
use rivet_isa::generate::{self, usual_map};
use rivet_isa::{Gas, PageIndex, Pc, SLOTS, Slot};
use std::fmt::Write as _;

/// Most exits of one run that are followed.
const MAX_EXITS: usize = 60;

/// One run: entry, slots, gas, and what it is refilled with when it runs out.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) entry: u64,
    pub(crate) slots: [u64; SLOTS],
    pub(crate) gas: u64,
    pub(crate) refills: Vec<u64>,
}

impl Run {
    /// A generated run with other gas.
    pub(crate) fn with_gas(run: &generate::Run, gas: u64) -> Self {
        Self {
            entry: run.entry,
            slots: run.slots,
            gas,
            refills: Vec::new(),
        }
    }
}

/// What can be seen at an exit.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) exit: Result<Exit, HostError>,
    pub(crate) slots: [u64; SLOTS],
    pub(crate) pc: Pc,
    pub(crate) gas: u64,
    private: Vec<PageIndex>,
}

/// All exits of a run, and the memory after the last.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Trail {
    pub(crate) seen: Vec<Seen>,
    hash: MemoryHash,
}

/// The engines under comparison; the checked one compares every block.
pub(crate) struct Engines([Engine; 3]);

/// One program in all engines: interpreter, recompiler, and both at once.
pub(crate) struct Loaded {
    programs: [Program; 3],
    code: Vec<u8>,
}

impl Engines {
    pub(crate) fn new() -> Self {
        crate::maps::watch();
        Self(
            [Backend::Interp, Backend::Jit, Backend::Checked].map(|backend| {
                let config = Config {
                    backend,
                    check_every: CheckEvery::Block,
                    ..Config::default()
                };
                Engine::new(config).expect("the recompiler runs here")
            }),
        )
    }

    /// The code with the usual mappings, whose content is `data` from the start.
    pub(crate) fn load_with(&self, code: &[u8], data: &[u8]) -> Loaded {
        let mut map = usual_map();
        for mapping in &mut map {
            let given = data.len().min(mapping.content.len());
            mapping.content[..given].copy_from_slice(&data[..given]);
        }
        self.load(&Case {
            code: code.to_vec(),
            map,
            runs: Vec::new(),
        })
    }

    pub(crate) fn load(&self, case: &Case) -> Loaded {
        let load = |engine: &Engine| engine.load_raw(raw(case)).expect("the program loads");
        Loaded {
            programs: self.0.each_ref().map(load),
            code: case.code.clone(),
        }
    }
}

impl Loaded {
    /// Runs interpreter and recompiler and compares them; `name` says which case this is.
    #[track_caller]
    pub(crate) fn agree(&self, run: &Run, name: &dyn std::fmt::Display) -> Trail {
        let [interp, jit] = [0, 1].map(|i| trail(&self.programs[i], run).0);
        let failed = jit.seen.iter().any(|seen| seen.exit.is_err());
        if interp != jit || failed {
            panic!("{name}: {}", self.report(run, &interp, &jit));
        }
        interp
    }

    /// As [`Loaded::agree`], and lets the engine compare them at every call as well.
    #[track_caller]
    pub(crate) fn agree_checked(&self, run: &Run, name: &dyn std::fmt::Display) -> Trail {
        let expected = self.agree(run, name);
        let checked = trail(&self.programs[2], run).0;
        if checked != expected {
            panic!("{name}, checked: {}", self.report(run, &expected, &checked));
        }
        expected
    }

    /// The machine of the recompiler after a run, for looking at its memory.
    pub(crate) fn native(&self, run: &Run) -> Machine {
        trail(&self.programs[1], run).1
    }

    fn report(&self, run: &Run, left: &Trail, right: &Trail) -> String {
        let mut text = format!("the engines differ on {run:x?}\n");
        let same = left.seen.iter().zip(&right.seen);
        let same = same.take_while(|(a, b)| a == b).count();
        let _ = writeln!(
            text,
            "after {same} equal exits, hashes {}",
            left.hash == right.hash
        );
        let _ = writeln!(text, "interp {:x?}", left.seen.get(same));
        let _ = writeln!(text, "other  {:x?}", right.seen.get(same));
        if self.code.len() <= 0x2000 {
            let mut at = 0;
            while let Some(decoded) = rivet_isa::decode(&self.code, at) {
                let _ = writeln!(text, "{at:6x}  {}", decoded.inst);
                at += decoded.len.bytes() as usize;
            }
            let hex = self.code.iter().map(|byte| format!("{byte:02x}"));
            let _ = writeln!(text, "code {}", hex.collect::<String>());
        }
        text
    }
}

fn trail(program: &Program, run: &Run) -> (Trail, Machine) {
    let mut start = Start::at(run.entry).with_gas(Gas::new(run.gas).expect("gas in its domain"));
    for (slot, value) in Slot::all().zip(run.slots) {
        start = start.with_slot(slot, value);
    }
    let mut machine = program.machine(start).expect("no endpoint is named");
    let mut refills = run.refills.iter();
    let mut seen = Vec::new();
    let mut host = Script { answers: false };
    while seen.len() < MAX_EXITS {
        let exit = machine.run(&mut host);
        // A machine that failed has no state to compare.
        seen.push(Seen {
            slots: *machine.regs().slots(),
            pc: machine.pc(),
            gas: machine.gas().value(),
            private: machine.private_pages(),
            exit: exit.clone(),
        });
        host.answers = false;
        match exit {
            Err(_) => break,
            Ok(exit) if exit.is_final() => break,
            Ok(Exit::OutOfGas) => match refills.next() {
                Some(gas) => machine.set_gas(Gas::new(*gas).expect("gas in its domain")),
                None => break,
            },
            Ok(_) => host.answers = true,
        }
    }
    let hash = machine.memory_hash();
    (Trail { seen, hash }, machine)
}
