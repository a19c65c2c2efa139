//! Whether two sides part on the runs of a case, carried out one after the other.

use super::compare::{Difference, Every, Plan, compare};
use super::subject::{Session, Subject};
use crate::error::LoadError;
use rivet_isa::generate::Case;

/// Where two sides part among the runs of a case.
#[derive(Clone, PartialEq, Debug)]
pub struct Parting {
    /// The run, from 0.
    pub run: usize,
    /// The difference.
    pub difference: Box<Difference>,
}

impl Parting {
    /// The exit of the run at which they were found to part, from 1; `None` if it was at a block.
    pub fn exit(&self, plan: &Plan) -> Option<u64> {
        (plan.every == Every::Exit).then_some(self.difference.after + 1)
    }
}

/// Loads the case on both sides and starts its runs in order, each on the memory as the case says
/// but on the same pair of sessions; the first difference. A case that cannot be loaded has none.
///
/// Sides are [fresh](Subject::fresh) where they can be, so that what is found needs this case only.
pub fn parting(sides: [&dyn Subject; 2], case: &Case, plan: &Plan) -> Option<Parting> {
    let [mut a, mut b] = load_fresh(sides, case).ok()?;
    let mut runs = case.runs.iter().enumerate();
    runs.find_map(|(run, start)| {
        let difference = compare(&mut *a, &mut *b, start, plan).err()?;
        Some(Parting { run, difference })
    })
}

/// [`load`] on sides that nothing was left in.
pub(super) fn load_fresh(
    sides: [&dyn Subject; 2],
    case: &Case,
) -> Result<[Box<dyn Session>; 2], LoadError> {
    let fresh = sides.map(Subject::fresh);
    let [x, y] = &fresh;
    let sides = [
        x.as_deref().unwrap_or(sides[0]),
        y.as_deref().unwrap_or(sides[1]),
    ];
    load(sides, case)
}

pub(super) fn load(
    sides: [&dyn Subject; 2],
    case: &Case,
) -> Result<[Box<dyn Session>; 2], LoadError> {
    let a = sides[0].load(case)?;
    let b = sides[1].load_beside(case, &*a)?;
    Ok([a, b])
}
