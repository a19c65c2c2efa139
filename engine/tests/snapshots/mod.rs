//! What the tests of paused state share: engines, programs, hosts.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use rivet_engine::snapshot::Snapshot;
use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, Machine, Program, Quote, Raw,
    Start, View, native_available,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, PageIndex, Pc, Reg, SLOTS};

pub(crate) const DATA: u64 = 0x1000_0000;
/// First page of the data.
pub(crate) const FIRST: u32 = 0x1_0000;

/// An engine of each backend that can run here.
pub(crate) fn engines() -> Vec<Engine> {
    let all = [Backend::Interp, Backend::Jit, Backend::Checked];
    let here = all
        .into_iter()
        .filter(|backend| *backend == Backend::Interp || native_available().is_ok());
    here.map(|backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).expect("the backend runs here")
    })
    .collect()
}

/// Code with sixteen writable pages, the first two with content, then a pinned one, then four of
/// zeros.
pub(crate) fn raw(text: &str) -> Raw {
    Raw::new(assemble(text).expect("the assembly is right"))
        .region(DATA, 16 * 4096, RegionKind::CopyOnWrite, vec![0x5A; 5000])
        .region(
            DATA + 16 * 4096,
            4096,
            RegionKind::Pinned,
            b"pinned".to_vec(),
        )
        .region(DATA + 20 * 4096, 4 * 4096, RegionKind::Ephemeral, vec![])
}

pub(crate) fn load(engine: &Engine, text: &str) -> Program {
    engine.load_raw(raw(text)).expect("the program is fine")
}

pub(crate) fn gas(value: u64) -> Gas {
    Gas::new(value).expect("below 2^63")
}

pub(crate) fn machine(engine: &Engine, text: &str, budget: u64) -> Machine {
    let start = Start::at(0).with_gas(gas(budget));
    load(engine, text).machine(start).expect("it starts")
}

pub(crate) fn page(index: u32) -> PageIndex {
    PageIndex::new(FIRST + index).expect("inside the address space")
}

/// Everything of a machine that a run leaves behind.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) regs: [u64; SLOTS],
    pub(crate) pc: Pc,
    pub(crate) gas: u64,
    pub(crate) private: Vec<PageIndex>,
    pub(crate) hash: [u8; 32],
}

pub(crate) fn seen(machine: &Machine) -> Seen {
    Seen {
        regs: *machine.regs().slots(),
        pc: machine.pc(),
        gas: machine.gas().value(),
        private: machine.private_pages(),
        hash: *machine.memory_hash().as_bytes(),
    }
}

/// Answers calls by adding the selector to a0; its flow is what it is made with.
pub(crate) struct Adds(pub(crate) Flow);

impl Host for Adds {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::extra(7)
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let add = match call {
            Call::Host { selector } => u64::from(selector),
            Call::Kernel => 1000,
        };
        context.set_reg(Reg::A0, context.regs().get(Reg::A0) + add);
        self.0
    }
}

/// Answers this many calls as [`Adds`] does, then none.
pub(crate) struct First(pub(crate) usize, pub(crate) Flow);

impl Host for First {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        match self.0 {
            0 => Quote::unanswered(),
            _ => Adds(self.1).quote(call, view),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        self.0 -= 1;
        Adds(self.1).perform(call, context)
    }
}

/// The machine's snapshot, carried through bytes to a machine of each engine.
pub(crate) fn carried(machine: &Machine, text: &str) -> Vec<Machine> {
    let bytes = machine.snapshot().expect("it is paused").encode();
    let read = Snapshot::decode(&bytes).expect("canonical bytes are read");
    assert_eq!(read.encode(), bytes, "the same state has the same bytes");
    let resume = |engine: &Engine| load(engine, text).resume(&read).expect("it resumes");
    let machines: Vec<Machine> = engines().iter().map(resume).collect();
    for resumed in &machines {
        assert_eq!(seen(resumed), seen(machine));
        assert_eq!(resumed.pending(), machine.pending());
        assert_eq!(resumed.snapshot().expect("still paused").encode(), bytes);
    }
    machines
}

/// Runs on, answering calls, refilling gas once.
pub(crate) fn finish(machine: &mut Machine, refill: u64) -> (Exit, Seen) {
    let mut exit = machine
        .run(&mut Adds(Flow::Continue))
        .expect("no host fails");
    if exit == Exit::OutOfGas {
        machine.set_gas(gas(machine.gas().value() + refill));
        exit = machine
            .run(&mut Adds(Flow::Continue))
            .expect("no host fails");
    }
    (exit, seen(machine))
}
