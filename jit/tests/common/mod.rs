//! What the tests of this crate share: guest memory in a window, and ways to run code in it.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod audit;
pub(crate) mod maps;
pub(crate) mod semantics;

use std::sync::{Arc, LazyLock};

use audit::Audited;

use rivet_isa::gas::{CostModel, FrameCosts};
use rivet_isa::{BlockStarts, CODE_BASE, DATA_BASE, Gas, Inst, Pc, Regs, encode};
use rivet_jit::{CodeCache, CodeCacheConfig, Cpu, Host, Left, Program};
use rivet_paging::{
    AddressSpace, Layout, MemoryLimits, PageRange, PageSource, Region, Tracker, WindowPool,
};

/// Bytes of the writable region at DATA_BASE.
pub(crate) const DATA_LEN: u64 = 1 << 20;
/// Price of a private page.
pub(crate) const COW: u64 = 256;

static POOL: LazyLock<WindowPool> = LazyLock::new(|| WindowPool::new(8, 60_000));

/// The costs of a frame with `DATA_LEN` bytes of memory.
pub(crate) fn costs() -> FrameCosts {
    CostModel::default().frame(DATA_LEN / 4096, [DATA_LEN / 4096])
}

/// A program of these bytes with a code cache of its own.
pub(crate) fn program(code: &[u8]) -> Audited {
    program_in(code, &CodeCache::new(CodeCacheConfig::default()))
}

/// A program of these bytes in a cache.
pub(crate) fn program_in(code: &[u8], cache: &Arc<CodeCache>) -> Audited {
    maps::watch();
    let starts = Arc::new(BlockStarts::scan(code));
    Audited(Program::new(code.into(), starts, costs(), cache).unwrap())
}

/// Memory with the code mapped at CODE_BASE, these further regions, and a window.
pub(crate) fn memory_with(code: &[u8], regions: impl IntoIterator<Item = Region>) -> AddressSpace {
    let mut all: Vec<Region> = regions.into_iter().collect();
    if !code.is_empty() {
        let len = (code.len() as u64).next_multiple_of(4096);
        let range = PageRange::from_bytes(CODE_BASE, len).unwrap();
        all.push(Region::read_only(
            range,
            PageSource::from_bytes(code).unwrap(),
        ));
    }
    let layout = Arc::new(Layout::new(all).unwrap());
    let mut memory = AddressSpace::new(layout, MemoryLimits::default());
    memory.attach(&POOL, Tracker::Windows).unwrap();
    memory
}

/// A writable region.
pub(crate) fn writable(start: u64, len: u64) -> Region {
    Region::ephemeral(PageRange::from_bytes(start, len).unwrap(), COW)
}

/// Memory with the code and `DATA_LEN` writable bytes at DATA_BASE.
pub(crate) fn memory(code: &[u8]) -> AddressSpace {
    memory_with(code, [writable(DATA_BASE, DATA_LEN)])
}

/// The bytes of instructions in their 32-bit encodings.
pub(crate) fn bytes(insts: impl IntoIterator<Item = Inst>) -> Vec<u8> {
    insts
        .into_iter()
        .flat_map(|inst| encode(inst).unwrap().to_le_bytes())
        .collect()
}

/// Where and how a run ended, and the state it left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) left: Left,
    pub(crate) regs: Regs,
    pub(crate) gas: u64,
}

/// Runs from `pc` with a host.
pub(crate) fn run<H: Host>(
    program: &Program,
    memory: &mut AddressSpace,
    pc: u64,
    regs: Regs,
    gas: u64,
    host: &mut H,
) -> Ended {
    let (mut regs, mut gas) = (regs, Gas::new(gas).unwrap());
    let cpu = Cpu {
        regs: &mut regs,
        gas: &mut gas,
    };
    let left = program.run(cpu, Pc::new(pc), memory, host).unwrap();
    Ended {
        left,
        regs,
        gas: gas.value(),
    }
}
