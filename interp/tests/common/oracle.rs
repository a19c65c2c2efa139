//! The loop of ISA §11.4 written down as it stands there, decoding every instruction every time,
//! on a map of pages. Slow and plain, to compare the engine with.

use super::semantics;
use rivet_isa::gas::{FrameCosts, block_cost};
use rivet_isa::{Block, CODE_BASE, Exit, Inst, Op, PageIndex, Payment, Pc, Reg, decode};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub(crate) struct OraclePage {
    /// Price of becoming private; `None` for a page that cannot be written.
    pub(crate) cow_cost: Option<u64>,
    pub(crate) private: bool,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    pub(crate) code: Vec<u8>,
    pub(crate) costs: FrameCosts,
    pub(crate) x: [u64; 16],
    pub(crate) pc: u64,
    pub(crate) gas: u64,
    pub(crate) pages: BTreeMap<u32, OraclePage>,
    starts: BTreeSet<u64>,
    end: u64,
}

/// Where control goes after an instruction.
enum Then {
    Next,
    To(u64),
    Exit(Exit),
}

const UNPAID: Payment = Payment::Unpaid;

impl Oracle {
    pub(crate) fn new(code: &[u8], costs: FrameCosts) -> Self {
        let (starts, end) = starts(code);
        let mut pages = BTreeMap::new();
        for (i, chunk) in code.chunks(4096).enumerate() {
            let mut bytes = chunk.to_vec();
            bytes.resize(4096, 0);
            let page = OraclePage {
                cow_cost: None,
                private: false,
                bytes,
            };
            pages.insert((CODE_BASE >> 12) as u32 + i as u32, page);
        }
        Self {
            code: code.to_vec(),
            costs,
            x: [0; 16],
            pc: 0,
            gas: 0,
            pages,
            starts,
            end,
        }
    }

    fn at(&self, pc: u64) -> (Inst, u64) {
        let decoded = decode(&self.code, pc as usize).expect("inside a block");
        (decoded.inst, decoded.len.bytes())
    }

    pub(crate) fn run(&mut self) -> Exit {
        loop {
            if !self.starts.contains(&self.pc) {
                return Exit::Panic;
            }
            let start = self.pc;
            let next = self.starts.range(start + 1..).next();
            let end = next.copied().unwrap_or(self.end);
            let first = self.at(start).0;
            if first.op() == Op::EcallJar {
                self.pc += 4;
                return Exit::Ecall { payment: UNPAID };
            }
            if first.op() == Op::Ecalli {
                self.pc += 4;
                let selector = first.imm() as u32;
                return Exit::HostCall {
                    selector,
                    payment: UNPAID,
                };
            }
            let block = Block {
                start: Pc::new(start),
                end: Pc::new(end),
            };
            let cost = block_cost(&self.code, block, self.costs);
            if self.gas < cost.cost + cost.reserve {
                return Exit::OutOfGas;
            }
            self.gas -= cost.cost;
            match self.block(end) {
                Some(exit) => return exit,
                None if self.pc == self.end => return Exit::Panic,
                None => {}
            }
        }
    }

    fn block(&mut self, end: u64) -> Option<Exit> {
        while self.pc != end {
            let (inst, len) = self.at(self.pc);
            match self.execute(inst, len) {
                Then::Next => self.pc += len,
                Then::To(target) => {
                    self.pc = target;
                    return None;
                }
                Then::Exit(exit) => return Some(exit),
            }
        }
        None
    }

    fn get(&self, reg: Reg) -> u64 {
        self.x[usize::from(reg.number())]
    }

    fn set(&mut self, reg: Reg, value: u64) {
        if reg.number() != 0 {
            self.x[usize::from(reg.number())] = value;
        }
    }

    fn jump(&self, target: i128) -> Then {
        match u64::try_from(target) {
            Ok(target) if self.starts.contains(&target) => Then::To(target),
            _ => Then::Exit(Exit::Panic),
        }
    }

    fn execute(&mut self, inst: Inst, len: u64) -> Then {
        let (a, b) = (self.get(inst.rs1()), self.get(inst.rs2()));
        let imm = i64::from(inst.imm());
        let here = i128::from(self.pc);
        let op = inst.op();
        if let Some(taken) = semantics::taken(op, a, b) {
            return if taken {
                self.jump(here + i128::from(imm))
            } else {
                Then::Next
            };
        }
        if let Some((width, signed)) = semantics::load(op) {
            return match self.access(a.wrapping_add(imm as u64), width, false) {
                Err(exit) => Then::Exit(exit),
                Ok(places) => {
                    let bytes = places.iter().rev();
                    let raw = bytes.fold(0u64, |v, (page, at)| {
                        v * 256 + u64::from(self.pages[page].bytes[*at])
                    });
                    let top = if signed { width * 8 - 1 } else { 63 };
                    self.set(inst.rd(), semantics::extend(raw, top));
                    Then::Next
                }
            };
        }
        if let Some(width) = semantics::store(op) {
            return match self.access(a.wrapping_add(imm as u64), width, true) {
                Err(exit) => Then::Exit(exit),
                Ok(places) => {
                    for (i, (page, at)) in places.iter().enumerate() {
                        let page = self.pages.get_mut(page).unwrap();
                        page.bytes[*at] = b.to_le_bytes()[i];
                    }
                    Then::Next
                }
            };
        }
        let second = match inst.op().format().has_rs2() {
            true => b,
            false => imm as u64,
        };
        if let Some(value) = semantics::value(op, a, second) {
            self.set(inst.rd(), value);
            return Then::Next;
        }
        let link = CODE_BASE + self.pc + len;
        match op {
            Op::Lui => self.set(inst.rd(), imm as u64),
            Op::Auipc => self.set(inst.rd(), (CODE_BASE + self.pc).wrapping_add(imm as u64)),
            Op::Jal => {
                self.set(inst.rd(), link);
                return self.jump(here + i128::from(imm));
            }
            Op::Jalr => {
                let target = a.wrapping_add(imm as u64) & !1;
                self.set(inst.rd(), link);
                let low = i128::from(target % (1 << 32));
                return self.jump(low - i128::from(CODE_BASE));
            }
            Op::Fence | Op::FenceI | Op::Fallthrough => {}
            Op::Trap => return Then::Exit(Exit::Trap),
            Op::Reserved => return Then::Exit(Exit::Panic),
            other => panic!("{other:?} is not in the oracle"),
        }
        Then::Next
    }

    /// Pages and offsets of the bytes of an access that is allowed, its pages made private.
    fn access(&mut self, addr: u64, width: u32, write: bool) -> Result<Vec<(u32, usize)>, Exit> {
        let places: Vec<_> = (0..u64::from(width))
            .map(|i| addr.wrapping_add(i) % (1 << 32))
            .map(|byte| ((byte >> 12) as u32, (byte % 4096) as usize))
            .collect();
        for (page, _) in &places {
            let allowed = match self.pages.get(page) {
                None => false,
                Some(found) => !write || found.cow_cost.is_some(),
            };
            if !allowed {
                let page = PageIndex::new(*page).unwrap();
                return Err(Exit::PageFault { page });
            }
        }
        for (page, _) in places.iter().filter(|_| write) {
            let page = self.pages.get_mut(page).unwrap();
            if !page.private {
                page.private = true;
                self.gas -= page.cow_cost.unwrap();
            }
        }
        Ok(places)
    }
}

/// STARTS and END, by ISA §9.1 and §9.2.
fn starts(code: &[u8]) -> (BTreeSet<u64>, u64) {
    let mut starts = BTreeSet::new();
    let (mut at, mut fresh) = (0, true);
    while let Some(decoded) = decode(code, at) {
        let op = decoded.inst.op();
        if fresh || matches!(op, Op::EcallJar | Op::Ecalli) {
            starts.insert(at as u64);
        }
        let jumps = [
            Op::Beq,
            Op::Bne,
            Op::Blt,
            Op::Bge,
            Op::Bltu,
            Op::Bgeu,
            Op::Jal,
            Op::Jalr,
        ];
        let stops = [
            Op::Trap,
            Op::EcallJar,
            Op::Ecalli,
            Op::Fallthrough,
            Op::Reserved,
        ];
        fresh = jumps.contains(&op) || stops.contains(&op);
        at += decoded.len.bytes() as usize;
    }
    (starts, at as u64)
}
