//! Runs one case on the engine, in all its ways of running, and on the oracle.

use super::oracle::{Oracle, OraclePage};
use rivet_interp::sparse::{Access, Region, Source};
use rivet_interp::{Program, SparseMemory, State, Tracer, View, run, run_block, run_traced};
use rivet_isa::gas::FrameCosts;
use rivet_isa::{Exit, Gas, GuestAddr, Inst, PageIndex, Pc, Reg};

/// A run of pages: start address, page count, page price (`None`: read-only), initial bytes.
pub(crate) type Mapping = (u32, u32, Option<u64>, Vec<u8>);

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) code: Vec<u8>,
    pub(crate) costs: FrameCosts,
    /// By register number.
    pub(crate) x: [u64; 16],
    pub(crate) mappings: Vec<Mapping>,
}

/// Everything that ISA §14 wants equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// Every exit, with pc and gas there.
    pub(crate) exits: Vec<(Exit, u64, u64)>,
    pub(crate) x: Vec<u64>,
    pub(crate) private: Vec<u32>,
    /// Data pages that are not zero.
    pub(crate) contents: Vec<(u32, Vec<u8>)>,
}

/// How the engine is driven.
#[derive(Clone, Copy, Debug)]
enum Drive {
    Whole,
    ByBlock,
    Traced,
}

const MAX_EXITS: usize = 50;

struct Looker(u64);

impl Tracer for Looker {
    fn block(&mut self, start: Pc, view: View<'_>) {
        self.0 ^= start.value() ^ view.gas();
    }

    fn instruction(&mut self, pc: Pc, inst: Inst, view: View<'_>) {
        self.0 ^= pc.value() ^ view.reg(inst.rs1());
    }
}

impl Case {
    fn memory(&self) -> SparseMemory {
        let mut memory = SparseMemory::new(1 << 20);
        memory.map_code(self.code.as_slice().into()).unwrap();
        for (start, pages, cow_cost, bytes) in &self.mappings {
            let region = Region {
                start: GuestAddr::new(*start).page(),
                pages: *pages,
                access: match cow_cost {
                    Some(cow_cost) => Access::CopyOnWrite {
                        cow_cost: *cow_cost,
                    },
                    None => Access::ReadOnly,
                },
                source: Source::bytes(bytes.as_slice().into()),
            };
            memory.map(region).unwrap();
        }
        memory
    }

    fn oracle(&self) -> Oracle {
        let mut oracle = Oracle::new(&self.code, self.costs);
        for (start, pages, cow_cost, bytes) in &self.mappings {
            for i in 0..*pages {
                let first = bytes.len().min(i as usize * 4096);
                let last = bytes.len().min(first + 4096);
                let mut bytes = bytes[first..last].to_vec();
                bytes.resize(4096, 0);
                let page = OraclePage {
                    cow_cost: *cow_cost,
                    private: false,
                    bytes,
                };
                oracle.pages.insert((start >> 12) + i, page);
            }
        }
        oracle
    }

    /// The oracle's outcome; calls are resumed without charge.
    pub(crate) fn expected(&self, pc: u64, gas: u64) -> Outcome {
        let mut oracle = self.oracle();
        (oracle.x, oracle.pc, oracle.gas) = (self.x, pc, gas);
        let mut exits = Vec::new();
        while exits.len() < MAX_EXITS {
            let exit = oracle.run();
            exits.push((exit, oracle.pc, oracle.gas));
            if !matches!(exit, Exit::HostCall { .. } | Exit::Ecall { .. }) {
                break;
            }
        }
        let private = oracle.pages.iter().filter(|(_, page)| page.private);
        let data = oracle.pages.range(0x1_0000..);
        let contents = data.filter(|(_, page)| page.bytes.iter().any(|byte| *byte != 0));
        Outcome {
            exits,
            x: oracle.x.to_vec(),
            private: private.map(|(index, _)| *index).collect(),
            contents: contents.map(|(i, page)| (*i, page.bytes.clone())).collect(),
        }
    }

    fn actual(&self, program: &Program, drive: Drive, pc: u64, gas: u64) -> Outcome {
        let mut memory = self.memory();
        let mut state = State {
            pc: Pc::new(pc),
            gas: Gas::new(gas).unwrap(),
            ..State::default()
        };
        for reg in Reg::all() {
            state.regs.set(reg, self.x[usize::from(reg.number())]);
        }
        let mut exits = Vec::new();
        while exits.len() < MAX_EXITS {
            let exit = match drive {
                Drive::Whole => run(program, &mut state, &mut memory).unwrap(),
                Drive::Traced => {
                    run_traced(program, &mut state, &mut memory, &mut Looker(0)).unwrap()
                }
                Drive::ByBlock => loop {
                    if let Some(exit) = run_block(program, &mut state, &mut memory).unwrap() {
                        break exit;
                    }
                },
            };
            exits.push((exit, state.pc.value(), state.gas.value()));
            if !matches!(exit, Exit::HostCall { .. } | Exit::Ecall { .. }) {
                break;
            }
        }
        let private = memory.private_pages().map(PageIndex::index).collect();
        let contents = memory
            .contents()
            .filter(|(_, _, bytes)| bytes.iter().any(|byte| *byte != 0));
        let contents = contents.map(|(page, _, bytes)| (page.index(), bytes.to_vec()));
        Outcome {
            exits,
            x: Reg::all().map(|reg| state.regs.get(reg)).collect(),
            private,
            contents: contents.collect(),
        }
    }

    /// Runs the case in every way and compares with the oracle.
    #[track_caller]
    pub(crate) fn check(&self, pc: u64, budgets: impl IntoIterator<Item = u64>) {
        let program = Program::new(self.code.as_slice().into(), self.costs);
        let cramped = Program::new(self.code.as_slice().into(), self.costs).cache_limit(0);
        for gas in budgets {
            let expected = self.expected(pc, gas);
            for (program, drive) in [
                (&program, Drive::Whole),
                (&program, Drive::ByBlock),
                (&program, Drive::Traced),
                (&cramped, Drive::Whole),
            ] {
                let actual = self.actual(program, drive, pc, gas);
                if actual != expected {
                    panic!(
                        "{drive:?} from {pc:#x} with gas {gas} of\n{}\nactual {:#x?}\nexpected {:#x?}",
                        listing(&self.code),
                        (&actual.exits, &actual.x, &actual.private),
                        (&expected.exits, &expected.x, &expected.private),
                    );
                }
            }
        }
    }
}

/// The code as the walk sees it.
fn listing(code: &[u8]) -> String {
    let mut at = 0;
    let mut out = String::new();
    while let Some(decoded) = rivet_isa::decode(code, at) {
        out += &format!("{at:#6x}: {}\n", decoded.inst);
        at += decoded.len.bytes() as usize;
    }
    out
}
