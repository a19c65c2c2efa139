//! From a finding to the smallest program known to show it.
//!
//! ```text
//!  cut behind the instruction ─┐
//!  in front of the block ──────┤
//!  the whole run ──────────────┼──▶ the first that differs ──▶ shrink ──▶ Reduced
//!  with the runs before it ────┘
//! ```
//!
//! A plain mistake shows in front of its block. What lies in the state of a machine (pages paid,
//! calls open, exits passed, runs before) needs more of the past.

use super::compare::{Every, Plan};
use super::locate::Located;
use super::parting::parting;
use super::shrink::{Effort, shrink};
use super::subject::Subject;
use super::volume::Volume;
use super::{compare, parting as parted};
use rivet_isa::generate::{Case, Run};

/// A case on which two sides part when its runs are carried out as the plan says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reduced {
    /// The case.
    pub case: Case,
    /// The plan.
    pub plan: Plan,
}

/// The smallest case known to show what was found on a case with one run: `located` says where, if
/// that is known, and `before` what may have run before on the same sessions. `None` if the sides do not part
/// on any of them.
pub fn reduce(
    sides: [&dyn Subject; 2],
    case: &Case,
    plan: &Plan,
    located: Option<&Located>,
    before: &mut dyn FnMut() -> Vec<Vec<Run>>,
    effort: Effort,
) -> Option<Reduced> {
    let first_exit = Plan {
        every: Every::Exit,
        refills: Vec::new(),
        exits: 1,
        ..plan.clone()
    };
    let shrunk = |case: &Case, plan: Plan| {
        parting(sides, case, &plan)?;
        let case = shrink(sides, case, &plan, effort);
        Some(Reduced { case, plan })
    };
    let cut = located.and_then(|found| found.instruction.as_ref());
    let restart = located.and_then(|found| found.restart.as_ref());
    let restarts = cut.map(|found| &found.case).into_iter().chain(restart);
    if let Some(reduced) = restarts
        .into_iter()
        .find_map(|case| shrunk(case, first_exit.clone()))
    {
        return Some(reduced);
    }
    // The fewer ways a run has to go on, the less a smaller one can depend on them.
    let no_refills = Plan {
        every: Every::Exit,
        refills: Vec::new(),
        ..plan.clone()
    };
    let exits = Plan {
        every: Every::Exit,
        ..plan.clone()
    };
    let mut plans = vec![first_exit, no_refills, exits];
    if plan.every == Every::Block {
        plans.push(plan.clone());
    }
    let alone = plans.iter().find_map(|plan| shrunk(case, plan.clone()));
    alone.or_else(|| {
        before().into_iter().find_map(|before| {
            let mut whole = case.clone();
            whole.runs.splice(0..0, before);
            plans.iter().find_map(|plan| shrunk(&whole, plan.clone()))
        })
    })
}

impl Volume {
    /// The runs that came before a finding of this volume: those on the same pair of sessions, and
    /// all of its case, as what they left may have been passed on. Does the work of that case once
    /// more.
    pub fn before(&self, sides: [&dyn Subject; 2], seed: u64, run: usize) -> Vec<Vec<Run>> {
        let case = self.kind.case(seed);
        let (mut before, mut all): (Vec<Run>, Vec<Run>) = Default::default();
        let mut pair = None;
        let mut i = 0;
        while i < run {
            let Some(start) = case.runs.get(i) else { break };
            if pair.is_none() {
                pair = parted::load_fresh(sides, &case).ok();
            }
            let Some([a, b]) = &mut pair else { break };
            let result = compare::compare(&mut **a, &mut **b, start, &self.plan);
            before.push(start.clone());
            all.push(start.clone());
            let mut passed = 1;
            match result {
                Ok(summary) if self.kind.hands_over() => passed = summary.programs,
                Ok(_) => {}
                Err(_) => {
                    pair = None;
                    before.clear();
                }
            }
            i += passed as usize;
        }
        vec![before, all]
    }
}
