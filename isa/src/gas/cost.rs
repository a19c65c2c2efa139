//! The cost table of gas §6 and the register bits of §7.

use super::model::CYCLE_CAP;
use crate::inst::{Inst, Op};
use crate::reg::Reg;
use rivet_mutants::mutant;

/// Gas class of an operation: a row of the cost table (gas §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Class {
    /// Reserved encodings, `trap`, `fallthrough`.
    Stop,
    /// `jalr`.
    JumpIndirect,
    /// `jal`.
    Jump,
    /// Conditional branches.
    Branch,
    /// `fence`, `fence.i`.
    Fence,
    /// Loads.
    Load,
    /// Stores.
    Store,
    /// `lui`, `auipc`.
    Upper,
    /// 64-bit operations with an immediate.
    AluImm,
    /// 32-bit operations with an immediate.
    AluImmW,
    /// 64-bit additions, subtractions, logic, address generation, single bits.
    Alu,
    /// 64-bit shifts and rotations by a register.
    Shift,
    /// `slt`, `sltu`.
    SetLess,
    /// `addw`, `subw`.
    AluW,
    /// 32-bit shifts and rotations by a register.
    ShiftW,
    /// `mul`.
    Mul,
    /// `mulw`.
    MulW,
    /// `mulh`, `mulhu`.
    MulHigh,
    /// `mulhsu`.
    MulHighMixed,
    /// Divisions and remainders.
    Divide,
    /// Counts, extensions and byte permutations of one source.
    Unary,
    /// `ctz`, `ctzw`.
    TrailingZeros,
    /// Minimum and maximum.
    MinMax,
    /// `andn`, `orn`.
    NotLogic,
    /// `xnor`.
    Xnor,
    /// `czero.eqz`, `czero.nez`.
    CondZero,
    /// `ecall.jar`, `ecalli`: dynamic, never simulated (gas §9).
    Call,
}

/// When an instruction needs one decode slot fewer.
#[derive(Clone, Copy)]
enum Overlap {
    /// The number of slots is fixed.
    Never,
    /// rd is not x0 and equals rs1.
    Rs1,
    /// rd is not x0 and equals rs1 or rs2.
    Any,
}

#[derive(Clone, Copy)]
enum Cycles {
    Fixed(u8),
    /// `mem_cycles` of the frame.
    Memory,
}

/// Whether the model tracks the value an instruction writes (gas G-03).
#[derive(Clone, Copy)]
enum Destination {
    Tracked,
    Untracked,
}

struct Price {
    cycles: Cycles,
    /// Decode slots without overlap; with overlap it is one fewer.
    slots: u8,
    overlap: Overlap,
    result: Destination,
}

impl Class {
    const fn price(self) -> Price {
        use Cycles::{Fixed, Memory};
        use Destination::{Tracked, Untracked};
        use Overlap::{Any, Never, Rs1};
        let (cycles, slots, overlap, result) = match self {
            Self::Stop => (Fixed(2), 1, Never, Untracked),
            Self::JumpIndirect => (Fixed(22), 1, Never, Untracked),
            Self::Jump => (Fixed(15), 1, Never, Tracked),
            Self::Branch => (Fixed(20), 1, Never, Untracked),
            Self::Fence => (Fixed(1), 1, Never, Untracked),
            Self::Load => (Memory, 1, Never, Tracked),
            Self::Store => (Memory, 1, Never, Untracked),
            Self::Upper => (Fixed(1), 2, Never, Tracked),
            Self::AluImm => (Fixed(1), 2, Rs1, Tracked),
            Self::AluImmW => (Fixed(2), 3, Rs1, Tracked),
            Self::Alu => (Fixed(1), 2, Any, Tracked),
            Self::Shift => (Fixed(1), 3, Rs1, Tracked),
            Self::SetLess => (Fixed(3), 3, Never, Tracked),
            Self::AluW => (Fixed(2), 3, Any, Tracked),
            Self::ShiftW => (Fixed(2), 4, Rs1, Tracked),
            Self::Mul => (Fixed(3), 2, Any, Tracked),
            Self::MulW => (Fixed(4), 3, Any, Tracked),
            Self::MulHigh => (Fixed(4), 4, Never, Tracked),
            Self::MulHighMixed => (Fixed(6), 4, Never, Tracked),
            Self::Divide => (Fixed(60), 4, Never, Tracked),
            Self::Unary => (Fixed(1), 1, Never, Tracked),
            Self::TrailingZeros => (Fixed(2), 1, Never, Tracked),
            Self::MinMax => (Fixed(3), 3, Any, Tracked),
            Self::NotLogic => (Fixed(2), 3, Never, Tracked),
            Self::Xnor => (Fixed(2), 3, Any, Tracked),
            Self::CondZero => (Fixed(2), 2, Never, Tracked),
            Self::Call => (Fixed(0), 0, Never, Untracked),
        };
        Price {
            cycles,
            slots,
            overlap,
            result,
        }
    }
}

/// What the pipeline model needs to know about one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstCost {
    /// Decode slots.
    pub slots: u8,
    /// Effective latency, with the surcharge for x3 and x4, at most 255.
    pub cycles: u8,
    /// Tracked source slots as a mask: bit = slot.
    pub sources: u16,
    /// Tracked destination slot as a mask of one bit or none.
    pub destination: u16,
}

/// Everything about an operation that does not depend on its operands, ready for the hot loop.
#[derive(Clone, Copy)]
pub(super) struct OpCost {
    /// Base latency; 0 where `memory` is set.
    base: u8,
    /// All ones where the latency is that of memory.
    memory: u8,
    slots: u8,
    /// 0 where rd = rs1 saves a slot, else 16, which no difference of two registers is.
    apart_rs1: u8,
    /// 0 where rd = rs2 saves a slot, else 16.
    apart_rs2: u8,
    /// 15 where the destination is tracked, else 0.
    tracked: u8,
    /// 1 for stores.
    store: u8,
}

static OP_COSTS: [OpCost; Op::ALL.len() + 1] = {
    let mut out = [op_cost(Op::Reserved); Op::ALL.len() + 1];
    let mut i = 0;
    while i < Op::ALL.len() {
        out[i] = op_cost(Op::ALL[i]);
        i += 1;
    }
    out
};

const fn op_cost(op: Op) -> OpCost {
    let price = op.row().class.price();
    let (base, memory) = match price.cycles {
        Cycles::Fixed(cycles) => (cycles, 0),
        Cycles::Memory => (0, u8::MAX),
    };
    let (apart_rs1, apart_rs2) = match price.overlap {
        Overlap::Never => (16, 16),
        Overlap::Rs1 => (0, 16),
        Overlap::Any => (0, 0),
    };
    let tracked = match price.result {
        Destination::Tracked => 15,
        Destination::Untracked => 0,
    };
    OpCost {
        base,
        memory,
        slots: price.slots,
        apart_rs1,
        apart_rs2,
        tracked,
        store: op.is_store() as u8,
    }
}

/// What the pipeline adds up for one instruction, by register number. Register 0 stands for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timing {
    pub(super) slots: u8,
    pub(super) cycles: u8,
    pub(super) sources: [usize; 2],
    pub(super) destination: usize,
    /// 1 for stores.
    pub(super) store: u8,
}

/// The two registers that live in memory, as a set of numbers (gas §7).
const SPILLED: u32 = 1 << Reg::GP.number() | 1 << Reg::TP.number();

/// A latency with the surcharge of an instruction that names x3 or x4, which few do.
#[cold]
#[inline(never)]
fn surcharged(base: u8, registers: [u8; 3], mem_cycles: u8) -> u8 {
    let spilled = registers.map(|register| SPILLED >> register & 1);
    let spilled = spilled.iter().sum::<u32>();
    let spilled = mutant!(SurchargeOnce, spilled, spilled.min(1));
    let cap = mutant!(LatencyWraps, u32::from(CYCLE_CAP), u32::MAX);
    (u32::from(base) + spilled * u32::from(mem_cycles)).min(cap) as u8
}

/// The timing of an instruction at `mem_cycles`.
#[inline(always)]
pub(super) fn timing(inst: Inst, mem_cycles: u8) -> Timing {
    let cost = &OP_COSTS[inst.op() as usize];
    let (rd, rs1, rs2) = (
        inst.rd().number() & 15,
        inst.rs1().number() & 15,
        inst.rs2().number() & 15,
    );
    let writes = mutant!(OverlapOfZero, rd != 0, true);
    let (first, second) = ((rd ^ rs1) | cost.apart_rs1, (rd ^ rs2) | cost.apart_rs2);
    // Which instructions overlap cannot be predicted, so this asks without a branch.
    let saved = u8::from(writes) & (u8::from(first == 0) | u8::from(second == 0));
    let destination = rd & cost.tracked;
    let mut cycles = cost.base | (cost.memory & mem_cycles);
    let named = 1u32 << rs1 | 1 << rs2 | 1 << destination;
    if named & SPILLED != 0 {
        cycles = surcharged(cycles, [rs1, rs2, destination], mem_cycles);
    }
    Timing {
        slots: cost.slots - saved,
        cycles,
        sources: [usize::from(rs1), usize::from(rs2)],
        destination: usize::from(destination),
        store: cost.store,
    }
}

/// Slots, latency and tracked registers of one instruction at `mem_cycles` (gas §6, §7).
///
/// Calls are priced when they run (gas §9); for them the answer is all zero.
pub fn instruction_cost(inst: Inst, mem_cycles: u8) -> InstCost {
    let timing = timing(inst, mem_cycles);
    let bit = |number: usize| {
        let slot = Reg::from_bits(number as u32).slot();
        slot.map_or(0, |slot| 1 << slot.index())
    };
    InstCost {
        slots: timing.slots,
        cycles: timing.cycles,
        sources: bit(timing.sources[0]) | bit(timing.sources[1]),
        destination: bit(timing.destination),
    }
}
