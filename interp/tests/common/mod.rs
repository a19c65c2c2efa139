//! Shared by the test programs: building machines and running them.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod compare;
pub(crate) mod oracle;
pub(crate) mod semantics;

use rivet_interp::sparse::{Access, Region, Source};
use rivet_interp::{Program, SparseMemory, State, run};
use rivet_isa::gas::FrameCosts;
use rivet_isa::{Exit, Gas, GuestAddr, Pc, Reg};

/// Tier 1, flat multiplier.
pub(crate) const COSTS: FrameCosts = FrameCosts::new(25, 256);

pub(crate) fn assemble(text: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn program(code: &[u8]) -> Program {
    Program::new(code.into(), COSTS)
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

pub(crate) fn reg(name: &str) -> Reg {
    Reg::parse(name).unwrap()
}

pub(crate) fn region(start: u32, pages: u32, access: Access, source: Source) -> Region {
    Region {
        start: GuestAddr::new(start).page(),
        pages,
        access,
        source,
    }
}

pub(crate) const RW: Access = Access::CopyOnWrite { cow_cost: 256 };

/// `pages` zero pages that can be written.
pub(crate) fn ephemeral(start: u32, pages: u32) -> Region {
    region(start, pages, RW, Source::zeros())
}

pub(crate) fn empty() -> SparseMemory {
    SparseMemory::new(1 << 20)
}

pub(crate) fn state(gas: u64) -> State {
    State {
        gas: Gas::new(gas).unwrap(),
        ..State::default()
    }
}

pub(crate) fn go(program: &Program, state: &mut State, memory: &mut SparseMemory) -> Exit {
    run(program, state, memory).unwrap()
}

/// Runs code with ample gas and no memory but the code's own page.
pub(crate) fn run_code(code: &[u8], set: &[(&str, u64)]) -> (Exit, State) {
    let mut state = state(1 << 40);
    for (name, value) in set {
        state.regs.set(reg(name), *value);
    }
    let mut memory = empty();
    memory.map_code(code.into()).unwrap();
    let exit = go(&program(code), &mut state, &mut memory);
    (exit, state)
}

pub(crate) fn pc(value: u64) -> Pc {
    Pc::new(value)
}

/// Registers by number before and after code that ends by running off its end.
pub(crate) fn run_registers(code: &[u8], before: [u64; 16]) -> [u64; 16] {
    let mut state = state(1 << 40);
    for reg in Reg::all() {
        state.regs.set(reg, before[usize::from(reg.number())]);
    }
    let exit = go(&program(code), &mut state, &mut empty());
    assert_eq!((exit, state.pc), (Exit::Panic, Pc::new(code.len() as u64)));
    let mut after = [0; 16];
    for reg in Reg::all() {
        after[usize::from(reg.number())] = state.regs.get(reg);
    }
    after
}
