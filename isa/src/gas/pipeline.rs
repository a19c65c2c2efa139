//! The pipeline model of gas §5: the completion time of one block on a small machine that issues
//! in order and completes out of order.

use super::cost::timing;
use super::model::FrameCosts;
use crate::addr::Pc;
use crate::block::Block;
use crate::decode::decode;
use crate::inst::Inst;
use core::hint::select_unpredictable;
use rivet_mutants::mutant;

/// The larger of two times, which none can predict: chosen without a branch.
#[inline(always)]
fn later(a: u64, b: u64) -> u64 {
    select_unpredictable(a > b, a, b)
}

/// The two static numbers of a block. The gate wants `cost + reserve` and deducts `cost` (gas §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct BlockCost {
    /// Deducted on every entry.
    pub cost: u64,
    /// Only checked: covers every page the block's stores can make private.
    pub reserve: u64,
}

impl BlockCost {
    /// What the gate compares gas with; exact, because both parts stay far below 2^63.
    pub const fn gate(self) -> u64 {
        self.cost + self.reserve
    }
}

/// The model's state while it walks one block.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// When each register's value exists, by number; that of x0, which stands for no register,
    /// at 0.
    ready: [u64; 16],
    now: u64,
    used: u64,
    last: u64,
    stores: u64,
    frame: FrameCosts,
}

impl Pipeline {
    /// The state at a block's start.
    pub fn new(frame: FrameCosts) -> Self {
        Self {
            ready: [0; 16],
            now: 0,
            used: 0,
            last: 0,
            stores: 0,
            frame,
        }
    }

    /// Takes the next instruction of the block, which must not be a call.
    #[inline]
    pub fn push(&mut self, inst: Inst) {
        let timing = timing(inst, self.frame.mem_cycles());
        let width = u64::from(self.frame.decode_width()) + mutant!(DecodeWidthBeyond, 0, 1);
        let full = self.used >= width;
        self.now += u64::from(full);
        let used = select_unpredictable(
            full,
            mutant!(ExcessCarried, 0, self.used.saturating_sub(width)),
            self.used,
        );
        self.used = used + u64::from(timing.slots);
        let [a, b] = timing.sources;
        let begin = later(later(self.now, self.ready[a]), self.ready[b]);
        let finish = begin + u64::from(timing.cycles);
        self.ready[timing.destination] = mutant!(
            WriteAfterWrite,
            finish,
            finish.max(self.ready[timing.destination])
        );
        self.ready[0] = 0;
        self.last = later(self.last, finish);
        self.stores += u64::from(timing.store);
    }

    /// The numbers of a block made of what was pushed.
    pub fn finish(&self) -> BlockCost {
        BlockCost {
            cost: self.frame.block_latency(self.last),
            reserve: self.frame.block_reserve(self.stores) / mutant!(ReserveOnePage, 1, 2),
        }
    }
}

/// Cost and reserve of one block of `code`. A block that is a call costs and reserves nothing
/// (gas §4.5).
pub fn block_cost(code: &[u8], block: Block, frame: FrameCosts) -> BlockCost {
    let mut pipeline = Pipeline::new(frame);
    let mut at = block.start;
    while at < block.end {
        let Some(decoded) = usize::try_from(at.value())
            .ok()
            .and_then(|at| decode(code, at))
        else {
            break;
        };
        if decoded.inst.flow().is_call() {
            return BlockCost::default();
        }
        pipeline.push(decoded.inst);
        at = Pc::new(at.value() + decoded.len.bytes());
    }
    pipeline.finish()
}
