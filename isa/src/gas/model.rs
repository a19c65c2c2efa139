//! Constants of gas §2 as one value, and the prices that follow from them.

use core::fmt;
use rivet_mutants::mutant;

/// Upper limit of an instruction's latency (gas §7).
pub const CYCLE_CAP: u8 = 255;
/// Most pages one access touches: eight bytes, pages of 4 KiB (gas §2).
pub const MAX_PAGES_PER_ACCESS: u64 = 2;
/// log2 of a cluster's bytes (gas §11).
pub const CLUSTER_SHIFT: u32 = 21;
/// Largest depth a mapping can have: 2^20 pages.
pub const MAX_DEPTH: usize = 20;
/// Largest depth multiplier (gas §10).
pub const MAX_MULTIPLIER: u32 = 1 << 20;

/// A footprint limit and the latency factor up to it (gas §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Tier {
    /// Largest footprint of the tier, in pages, inclusive.
    pub pages: u64,
    /// Factor on the base latency.
    pub factor: u8,
}

/// The depth multiplier of gas §10: one factor per depth 0..=20.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Multiplier([u32; MAX_DEPTH + 1]);

impl Multiplier {
    /// The default: 1 at every depth.
    pub const FLAT: Self = Self([1; MAX_DEPTH + 1]);

    /// A multiplier from its values; they must not decrease and lie in 1..=2^20.
    pub fn new(factors: [u32; MAX_DEPTH + 1]) -> Result<Self, ModelError> {
        let mut least = 1;
        for (depth, factor) in factors.into_iter().enumerate() {
            if factor < least || factor > MAX_MULTIPLIER {
                return Err(ModelError::Multiplier {
                    depth,
                    factor,
                    least,
                });
            }
            least = factor;
        }
        Ok(Self(factors))
    }

    /// The factor at a depth; depths above 20 do not exist and count as 20.
    pub fn at(&self, depth: u32) -> u32 {
        self.0[(depth as usize).min(MAX_DEPTH)]
    }
}

/// Why a set of cost parameters is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
    /// A multiplier is outside its range or smaller than at the depth before.
    Multiplier {
        /// Depth of the offending factor.
        depth: usize,
        /// The factor.
        factor: u32,
        /// Smallest value it may have.
        least: u32,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Multiplier {
                depth,
                factor,
                least,
            } => write!(
                f,
                "multiplier {factor} at depth {depth} is not in {least}..={MAX_MULTIPLIER}; \
                 multipliers must not decrease"
            ),
        }
    }
}

impl core::error::Error for ModelError {}

/// The protocol's cost parameters. Equal values have equal [`CostModel::to_bytes`], which is the
/// model's identity in cache keys and snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct CostModel {
    multiplier: Multiplier,
}

impl Default for CostModel {
    fn default() -> Self {
        Self {
            multiplier: Multiplier::FLAT,
        }
    }
}

impl CostModel {
    /// Cycles of a load, a store or one spilled operand at tier 1.
    pub const MEM_CYCLES_BASE: u8 = 25;
    /// Decode slots per cycle.
    pub const DECODE_WIDTH: u32 = 4;
    /// Subtracted from the latency of a block.
    pub const PIPELINE_CREDIT: u64 = 3;
    /// Least cost of a block.
    pub const MIN_BLOCK_COST: u64 = 1;
    /// Base price of one private page.
    pub const COW_COST: u64 = 256;
    /// Floor of an `ecalli`.
    pub const HOST_CALL_FLOOR: u64 = 100;
    /// Floor of an `ecall.jar`.
    pub const MGMT_OP_COST: u64 = 100;
    /// Base price of a frame.
    pub const CALL_FRAME_COST: u64 = 1024;
    /// Price of a 4 KiB page of code in a frame.
    pub const COMPILE_COST_PER_PAGE: u64 = 512;
    /// Price of a read-only unit.
    pub const PAGE_IN_COST: u64 = 64;
    /// Footprint tiers in ascending order; the last one has no limit.
    pub const TIERS: [Tier; 4] = [
        Tier {
            pages: 2048,
            factor: 1,
        },
        Tier {
            pages: 8192,
            factor: 2,
        },
        Tier {
            pages: 65536,
            factor: 3,
        },
        Tier {
            pages: u64::MAX,
            factor: 4,
        },
    ];

    /// The default constants with another depth multiplier.
    pub fn with_multiplier(multiplier: Multiplier) -> Self {
        Self { multiplier }
    }

    /// The depth multiplier.
    pub fn multiplier(&self) -> &Multiplier {
        &self.multiplier
    }

    /// Canonical bytes: every constant and factor, little-endian, in the order of gas §2:
    /// 21 numbers of eight bytes, 21 factors of four.
    pub fn to_bytes(&self) -> [u8; 252] {
        let mut out = [0; 252];
        let constants = [
            u64::from(Self::MEM_CYCLES_BASE),
            u64::from(Self::DECODE_WIDTH),
            Self::PIPELINE_CREDIT,
            Self::MIN_BLOCK_COST,
            Self::COW_COST,
            MAX_PAGES_PER_ACCESS,
            Self::HOST_CALL_FLOOR,
            Self::MGMT_OP_COST,
            Self::CALL_FRAME_COST,
            Self::COMPILE_COST_PER_PAGE,
            Self::PAGE_IN_COST,
            u64::from(CLUSTER_SHIFT),
            u64::from(CYCLE_CAP),
        ];
        let tiers = Self::TIERS
            .iter()
            .flat_map(|tier| [tier.pages, u64::from(tier.factor)]);
        let words = constants.into_iter().chain(tiers);
        for (chunk, word) in out[..168].chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        for (chunk, factor) in out[168..].chunks_exact_mut(4).zip(self.multiplier.0) {
            chunk.copy_from_slice(&factor.to_le_bytes());
        }
        out
    }

    /// Latency of memory instructions for a footprint of distinct pages (gas §3).
    pub fn mem_cycles(&self, footprint_pages: u64) -> u8 {
        let tier = Self::TIERS
            .iter()
            .find(|tier| footprint_pages <= tier.pages - mutant!(TierExclusive, 0, 1));
        Self::MEM_CYCLES_BASE * tier.map_or(4, |tier| tier.factor)
    }

    /// Price of one private page in a mapping of this depth (gas §10).
    pub fn cow_cost(&self, depth: u32) -> u64 {
        let depth = depth.saturating_sub(mutant!(DepthShallow, 0, 1));
        Self::COW_COST * u64::from(self.multiplier.at(depth))
    }

    /// Price of starting a callee frame (gas §11).
    pub fn call_frame_cost(&self, code_len: u64, ro_units: u64) -> u64 {
        Self::CALL_FRAME_COST
            + code_len.div_ceil(4096) * Self::COMPILE_COST_PER_PAGE
            + ro_units * Self::PAGE_IN_COST
    }

    /// The costs of a frame from its footprint and the declared sizes of its writable mappings,
    /// both in pages.
    pub fn frame(
        &self,
        footprint_pages: u64,
        writable: impl IntoIterator<Item = u64>,
    ) -> FrameCosts {
        let floor = self.cow_cost(0);
        let prices = writable
            .into_iter()
            .map(|pages| self.cow_cost(depth(pages)));
        FrameCosts {
            mem_cycles: self.mem_cycles(footprint_pages),
            cow_max: prices.fold(floor, u64::max),
        }
    }
}

/// What block costs depend on besides the block: a translation cache must key on it (gas §8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FrameCosts {
    mem_cycles: u8,
    cow_max: u64,
}

impl FrameCosts {
    /// A frame at this latency and largest page price, for engines and tests that have both.
    pub const fn new(mem_cycles: u8, cow_max: u64) -> Self {
        Self {
            mem_cycles,
            cow_max,
        }
    }

    /// Latency of memory instructions: 25, 50, 75 or 100.
    #[inline]
    pub const fn mem_cycles(self) -> u8 {
        self.mem_cycles
    }

    /// Largest price of one private page (gas §8).
    pub const fn cow_max(self) -> u64 {
        self.cow_max
    }

    #[inline]
    pub(super) const fn decode_width(self) -> u32 {
        CostModel::DECODE_WIDTH
    }

    /// Block cost from the latest completion (gas §5).
    pub(super) fn block_latency(self, last: u64) -> u64 {
        let least = CostModel::PIPELINE_CREDIT + CostModel::MIN_BLOCK_COST;
        mutant!(CreditBeforeMinimum, last.max(least), last.max(3)) - CostModel::PIPELINE_CREDIT
    }

    /// Reserve of a block with this many stores (gas §8).
    pub const fn block_reserve(self, stores: u64) -> u64 {
        stores * MAX_PAGES_PER_ACCESS * self.cow_max
    }
}

/// Depth of a mapping of `pages` pages: 0 up to one page, else ceil(log2) (gas §10).
pub const fn depth(pages: u64) -> u32 {
    if pages <= 1 {
        0
    } else {
        u64::BITS - (pages - 1).leading_zeros()
    }
}

/// Read-only units of a source at addresses `[start, end)` (gas §11); 0 if it is empty.
pub const fn ro_units(start: u64, end: u64) -> u64 {
    if end <= start {
        0
    } else {
        ((end - 1) >> CLUSTER_SHIFT) - (start >> CLUSTER_SHIFT) + 1
    }
}
