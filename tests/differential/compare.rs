//! Two engines, one case, everything a run leaves behind compared.

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, HostError, Machine, MemoryHash,
    Program, Quote, Raw, Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::{Gas, GuestAddr, PageIndex, Pc, Reg, SLOTS, Slot};
use std::fmt::Write as _;

/// Data regions of every case: first address, bytes, kind, and how much content they have. They
/// touch each other, 2^31 and 2^32, have gaps between them, and one is large enough for stores far
/// from each other.
pub(crate) const REGIONS: [(u64, u64, RegionKind, usize); 6] = [
    (0x1000_0000, 0x2000, RegionKind::Pinned, 0x2000),
    (0x1000_2000, 0x2000, RegionKind::CopyOnWrite, 0x1800),
    (0x1001_0000, 0x3000, RegionKind::Ephemeral, 0),
    (0x2000_0000, 0x0100_0000, RegionKind::CopyOnWrite, 0x6000),
    (0x7FFF_F000, 0x2000, RegionKind::CopyOnWrite, 0x1004),
    (0xFFFF_E000, 0x2000, RegionKind::Ephemeral, 0),
];

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

/// A host whose answers depend on the selector and the registers only.
struct Script {
    answers: bool,
}

impl Script {
    fn buffer(regs: &rivet_isa::Regs) -> (GuestAddr, u64) {
        let addr = GuestAddr::wrapping(regs.get(Reg::A0));
        (addr, regs.get(Reg::A1) & 0x1FFF)
    }
}

impl Host for Script {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        let Call::Host { selector } = call else {
            return Quote::extra(view.regs().get(Reg::A4) & 0xFF);
        };
        let (addr, len) = Self::buffer(view.regs());
        match selector & 7 {
            4 if view.check_write(addr, len).is_ok() => Quote::floor().writing(addr, len),
            3 => Quote::extra(u64::from(selector >> 3)),
            6 if !self.answers => Quote::unanswered(),
            _ => Quote::floor(),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let Call::Host { selector } = call else {
            return Flow::Continue;
        };
        let (addr, len) = Self::buffer(context.regs());
        match selector & 7 {
            0 if selector == 0 => return Flow::Halt,
            1 => context.set_reg(Reg::A0, context.gas().value()),
            2 => {
                for reg in Reg::all() {
                    let old = context.regs().get(reg);
                    context.set_reg(reg, old.rotate_left(1) ^ u64::from(reg.number()));
                }
            }
            4 => {
                let bytes = vec![selector as u8; len as usize];
                let written = context.write(addr, &bytes).is_ok();
                context.set_reg(Reg::A2, u64::from(written));
            }
            5 => return Flow::Suspend,
            _ => {
                let mut bytes = [0; 8];
                let read = context.read(addr, &mut bytes).is_ok();
                context.set_reg(Reg::A3, u64::from_le_bytes(bytes) ^ u64::from(read));
            }
        }
        Flow::Continue
    }
}

/// The engines under comparison.
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
                    ..Config::default()
                };
                Engine::new(config).expect("the recompiler runs here")
            }),
        )
    }

    /// The program with the usual regions, whose content is `data` from the start.
    pub(crate) fn load_with(&self, code: &[u8], data: &[u8]) -> Loaded {
        let mut raw = Raw::new(code.to_vec());
        for (start, size, kind, content) in REGIONS {
            let mut bytes: Vec<u8> = (0..content).map(|i| (i * 7 + i / 256) as u8).collect();
            let given = data.len().min(bytes.len());
            bytes[..given].copy_from_slice(&data[..given]);
            raw = raw.region(start, size, kind, bytes);
        }
        let load = |engine: &Engine| engine.load_raw(raw.clone()).expect("the program loads");
        Loaded {
            programs: self.0.each_ref().map(load),
            code: code.to_vec(),
        }
    }

    pub(crate) fn load(&self, code: &[u8]) -> Loaded {
        self.load_with(code, &[])
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
