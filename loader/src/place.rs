//! Where instructions go: inserted `fallthrough`s, widened branches, new positions.
//!
//! ```text
//!  old   a  b  c.beqz L     L: d          (d is a target, b does not end a block)
//!  new   a  b  beq L  fallthrough  L: d
//! ```
//!
//! What needs a `fallthrough` depends on the order of instructions only: a target that is neither
//! first, nor behind a terminator, nor a host or kernel call. Widening never changes that, since
//! each form of a branch ends in a terminator as the branch itself does. So insertion is decided
//! once, and widening runs to a fixpoint after it: forms only grow, and every branch that does not
//! reach in its present form takes the next larger one.
//!
//! | form     | bytes | reach      |                                    |
//! |----------|-------|------------|------------------------------------|
//! | `Short`  | 2     | ±256, ±2 K | as compressed in the source        |
//! | `Word`   | 4     | ±4 K, ±1 M | the same operation                 |
//! | `Around` | 8     | ±1 M       | inverted branch over a `jal x0`    |
//! | `Far`    | 8     | ±2 G       | `jal rd`: `auipc rd` and `jalr rd` |

use rivet_isa::{Inst, Len, MAX_CODE_SIZE, Op};

use crate::branches::Branch;
use crate::error::LinkError;
use crate::program::Program;

/// How a branch or direct jump is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Short,
    Word,
    Around,
    Far,
}

impl Form {
    /// Size in bytes.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::Short => 2,
            Self::Word => 4,
            Self::Around | Self::Far => 8,
        }
    }

    /// Distances from the first byte of the form that it can cover: below `-min` and at `max` and
    /// above it cannot.
    fn reach(self, op: Op) -> (i64, i64) {
        let symmetric = |reach: i64| (-reach, reach);
        match (self, op) {
            (Self::Short, Op::Jal) => symmetric(1 << 11),
            (Self::Short, _) => symmetric(1 << 8),
            (Self::Word, Op::Jal) => symmetric(1 << 20),
            (Self::Word, _) => symmetric(1 << 12),
            // The jump is the second instruction.
            (Self::Around, _) => ((4 - (1 << 20)), (1 << 20) + 4),
            (Self::Far, _) => (-(1 << 31), (1 << 31) - 0x800),
        }
    }

    /// The next larger form, if there is one.
    fn wider(self, inst: Inst) -> Option<Self> {
        match (self, inst.op()) {
            (Self::Short, _) => Some(Self::Word),
            (Self::Word, Op::Jal) if inst.rd().is_zero() => None,
            (Self::Word, Op::Jal) => Some(Self::Far),
            (Self::Word, _) => Some(Self::Around),
            (Self::Around | Self::Far, _) => None,
        }
    }
}

/// A branch with its form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) branch: Branch,
    pub(crate) form: Form,
}

/// Positions of all instructions.
pub(crate) struct Placement {
    /// New offset of each instruction, and the size of the code at the end.
    pub(crate) pcs: Vec<u32>,
    /// Whether a `fallthrough` stands right before each instruction.
    pub(crate) inserted: Vec<bool>,
    /// By instruction index.
    pub(crate) branches: Vec<Placed>,
    /// Number of inserted `fallthrough`s.
    pub(crate) fallthroughs: u32,
    /// Number of branches in a larger form than in the source.
    pub(crate) widened: u32,
}

/// Rounds that widen exactly what does not reach; later rounds widen with growing slack, which
/// ends the chain reactions that a hostile program can build.
const EXACT_ROUNDS: u32 = 24;

impl Placement {
    /// Places the code so that every instruction marked in `starts` is a block start.
    pub(crate) fn compute(
        program: &Program<'_>,
        branches: &[Branch],
        starts: &[bool],
    ) -> Result<Self, LinkError> {
        let insts = &program.text.insts;
        let mut inserted = vec![false; insts.len()];
        let mut fresh = true;
        for (index, one) in insts.iter().enumerate() {
            let flow = one.inst.flow();
            inserted[index] = starts[index] && !fresh && !flow.is_call();
            fresh = flow.is_terminator();
        }
        let branches = branches.iter().map(|&branch| {
            let short = insts[branch.inst as usize].len == Len::Two;
            Placed {
                branch,
                form: if short { Form::Short } else { Form::Word },
            }
        });
        let mut placement = Self {
            pcs: vec![0; insts.len() + 1],
            fallthroughs: inserted.iter().filter(|&&inserted| inserted).count() as u32,
            inserted,
            branches: branches.collect(),
            widened: 0,
        };
        let mut round = 0;
        loop {
            placement.assign(program)?;
            if !placement.widen(program, round)? {
                break;
            }
            round += 1;
        }
        placement.widened = placement.count_widened(program);
        Ok(placement)
    }

    /// Size of the new code in bytes.
    pub(crate) fn code_len(&self) -> u32 {
        self.pcs.last().copied().unwrap_or(0)
    }

    fn assign(&mut self, program: &Program<'_>) -> Result<(), LinkError> {
        let mut at = 0u64;
        let mut branches = self.branches.iter().peekable();
        for (index, one) in program.text.insts.iter().enumerate() {
            at += if self.inserted[index] { 4 } else { 0 };
            // Bounded by the last check: 8 bytes for each of at most 2^27 instructions.
            self.pcs[index] = at as u32;
            let placed = branches.next_if(|placed| placed.branch.inst as usize == index);
            at += u64::from(placed.map_or(one.size(), |placed| placed.form.size()));
        }
        if at > MAX_CODE_SIZE {
            return Err(LinkError::CodeTooLarge {
                size: at,
                limit: MAX_CODE_SIZE,
            });
        }
        if let Some(end) = self.pcs.last_mut() {
            *end = at as u32;
        }
        Ok(())
    }

    /// Takes the next form for every branch that does not reach; false if all do.
    fn widen(&mut self, program: &Program<'_>, round: u32) -> Result<bool, LinkError> {
        let slack = 1i64 << round.saturating_sub(EXACT_ROUNDS).min(40);
        let slack = if round > EXACT_ROUNDS { slack } else { 0 };
        let mut changed = false;
        for placed in &mut self.branches {
            let Branch { inst, target } = placed.branch;
            let from = i64::from(self.pcs[inst as usize]);
            let distance = i64::from(self.pcs[target as usize]) - from;
            let source = program.text.insts[inst as usize].inst;
            let (min, max) = placed.form.reach(source.op());
            if distance >= min && distance < max {
                let close = distance < min + slack || distance >= max - slack;
                // With slack only what has a larger form moves on; out of reach is out of reach.
                if let Some(wider) = placed.form.wider(source).filter(|_| close) {
                    placed.form = wider;
                    changed = true;
                }
                continue;
            }
            let Some(wider) = placed.form.wider(source) else {
                let at = Box::new(program.inst_site(inst));
                let target = format!("address {:#x}", program.text.address(target));
                return Err(LinkError::OutOfReach {
                    at,
                    target,
                    distance,
                });
            };
            placed.form = wider;
            changed = true;
        }
        Ok(changed)
    }

    fn count_widened(&self, program: &Program<'_>) -> u32 {
        let grown = |placed: &&Placed| {
            placed.form.size() > program.text.insts[placed.branch.inst as usize].size()
        };
        self.branches.iter().filter(grown).count() as u32
    }
}

/// The branch with the opposite condition.
pub(crate) fn inverted(op: Op) -> Option<Op> {
    Some(match op {
        Op::Beq => Op::Bne,
        Op::Bne => Op::Beq,
        Op::Blt => Op::Bge,
        Op::Bge => Op::Blt,
        Op::Bltu => Op::Bgeu,
        Op::Bgeu => Op::Bltu,
        _ => return None,
    })
}
