//! What exact gas costs: a guest with its gates and with the gates left out.

use crate::guests::Guest;
use rivet_engine::{Backend, Config, Engine, Start};
use rivet_image::{Key, Region, RegionKind};
use rivet_isa::{CODE_BASE, Exit, Gas, Pc, Reg, Regs};
use rivet_jit::{CodeCache, CodeCacheConfig, Cpu, Gates, Left, NoHost, Program, Totals};
use rivet_paging::{
    AddressSpace, Layout, MemoryLimits, PageCount, PageIndex, PageRange, PageSource, Tracker,
    WindowPool,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Guests that call the host before they are done, which nobody answers here, or that mostly wait
/// for pages.
pub const APART: [&str; 3] = ["hostping", "touch", "words"];

/// Where guests run, with and without gates.
pub struct Rig {
    engine: Engine,
    cache: Arc<CodeCache>,
    pool: WindowPool,
}

/// The best times of a guest, translation excepted, and what was translated.
#[derive(Clone, Copy, Debug)]
pub struct Both {
    /// With exact gas.
    pub exact: Duration,
    /// With the gates left out.
    pub none: Duration,
    /// Of the form with gates.
    pub totals: Totals,
}

impl Both {
    /// Time with exact gas over time without.
    pub fn ratio(&self) -> f64 {
        self.exact.as_secs_f64() / self.none.as_secs_f64()
    }
}

/// A guest that is about to run.
struct Ready<'a> {
    guest: &'a Guest,
    loaded: rivet_engine::Program,
    regs: Regs,
    pc: Pc,
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

impl Rig {
    /// Nothing has run here.
    ///
    /// # Panics
    /// The interpreter, which makes the first state of a guest, does not run.
    pub fn new() -> Self {
        let config = Config {
            backend: Backend::Interp,
            ..Config::default()
        };
        Self {
            engine: Engine::new(config).expect("the interpreter runs everywhere"),
            cache: CodeCache::new(CodeCacheConfig::default()),
            pool: WindowPool::new(2, 60_000),
        }
    }

    /// Both forms in turn, so that noise hits them alike.
    ///
    /// # Panics
    /// The guest does not give its native value.
    pub fn measure(&self, guest: &Guest, rounds: u32) -> Both {
        let loaded = self.engine.load(&guest.image).expect("guests load");
        let start = Start::endpoint(Key::endpoint(0));
        let start = start.with_slot(Reg::A0.slot().expect("a0 has a slot"), guest.arg);
        let machine = loaded.machine(start).expect("guests start");
        let ready = Ready {
            guest,
            regs: *machine.regs(),
            pc: machine.pc(),
            loaded,
        };
        let mut both = Both {
            exact: Duration::MAX,
            none: Duration::MAX,
            totals: Totals::default(),
        };
        for _ in 0..rounds.max(1) {
            let (time, totals) = self.run(&ready, Gates::Exact);
            (both.exact, both.totals) = (time.min(both.exact), totals);
            both.none = self.run(&ready, Gates::LeftOut).0.min(both.none);
        }
        both
    }

    fn run(&self, ready: &Ready<'_>, gates: Gates) -> (Duration, Totals) {
        let (code, starts) = (ready.loaded.code().into(), ready.loaded.starts().clone());
        let costs = ready.loaded.costs();
        let program = Program::with_gates(code, starts.into(), costs, &self.cache, gates);
        let program = program.expect("memory for the table");
        let (mut regs, mut gas) = (ready.regs, Gas::MAX);
        let cpu = Cpu {
            regs: &mut regs,
            gas: &mut gas,
        };
        let mut memory = memory(&ready.loaded, &self.pool);
        let clock = Instant::now();
        let left = program.run(cpu, ready.pc, &mut memory, &mut NoHost);
        let time = clock.elapsed();
        let name = &ready.guest.name;
        let halted = matches!(left, Ok(Left::Exit(Exit::HostCall { .. }, _)));
        assert!(halted, "{name}: {left:?}");
        let value = regs.get(Reg::A0);
        assert_eq!(value, ready.guest.value, "{name} gives its native value");
        let totals = program.totals();
        let translating = Duration::from_nanos(totals.nanoseconds);
        (time.saturating_sub(translating), totals)
    }
}

fn region(region: &Region) -> rivet_paging::Region {
    let first = PageIndex::new(region.first.index());
    let pages = first.zip(PageCount::new(region.pages));
    let range = pages.and_then(|(first, count)| PageRange::new(first, count));
    let range = range.expect("regions lie inside the address space");
    let content: Vec<_> = region
        .source
        .pages()
        .map(|page| (page.index, page.bytes))
        .collect();
    let source = PageSource::from_pages(&content).expect("memory for the content");
    match region.kind {
        RegionKind::Pinned => rivet_paging::Region::read_only(range, source),
        RegionKind::CopyOnWrite => rivet_paging::Region::copy_on_write(range, source, 1),
        RegionKind::Ephemeral => rivet_paging::Region::ephemeral(range, 1),
    }
}

fn memory(loaded: &rivet_engine::Program, pool: &WindowPool) -> AddressSpace {
    let code = loaded.code();
    let range = PageRange::from_bytes(CODE_BASE, (code.len() as u64).next_multiple_of(4096));
    let source = PageSource::from_bytes(code).expect("memory for the code");
    let code = rivet_paging::Region::read_only(range.expect("code fits"), source);
    let regions = loaded.regions().iter().map(region).chain([code]);
    let layout = Arc::new(Layout::new(regions.collect()).expect("regions apart"));
    let mut memory = AddressSpace::new(layout, MemoryLimits::default());
    memory.attach(pool, Tracker::Trap).expect("a window");
    memory
}
