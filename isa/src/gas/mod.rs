//! The gas model: what a block costs and reserves, and every price of the specification.
//!
//! * `cost.rs`: the cost table of gas §6, one row per class, and the surcharge of §7.
//! * `pipeline.rs`: the block cost model of §5.
//! * `model.rs`: constants of §2 as a value with an identity, tiers, page and frame prices.
//!
//! Everything is exact 64-bit integer arithmetic and a function of its arguments alone.

mod cost;
mod model;
mod pipeline;

pub use cost::{Class, InstCost, instruction_cost};
pub use model::{
    CLUSTER_SHIFT, CYCLE_CAP, CostModel, FrameCosts, MAX_DEPTH, MAX_MULTIPLIER,
    MAX_PAGES_PER_ACCESS, ModelError, Multiplier, Tier, depth, ro_units,
};
pub use pipeline::{BlockCost, Pipeline, block_cost};
