//! What a run measured, as it is written to a file, and the figures that follow from it.

use super::budget::Spent;
use super::lanes::{self, BASE, Kind, Lane};
use super::machine::Machine;
use super::workloads::{self, Class};
use serde::{Deserialize, Serialize};

/// Version of the file's layout.
pub(crate) const SCHEMA: u32 = 1;

/// One run of `rivet bench`. All times are nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) schema: u32,
    /// Version of rivet.
    pub(crate) version: String,
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// The C compiler of all programs.
    pub(crate) compiler: String,
    /// Rounds of all workloads; the last one may have come to some of them only.
    pub(crate) rounds: usize,
    /// Seconds that the run might take.
    #[serde(default)]
    pub(crate) budget: u64,
    /// What its parts took, one after the other.
    #[serde(default)]
    pub(crate) spent: Vec<Spent>,
    /// Runnable processes before the first round and after the last.
    pub(crate) load: [Option<f64>; 2],
    /// RV64E instructions of the program of nothing but code.
    pub(crate) big_instructions: u64,
    pub(crate) versions: Vec<Version>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) missing: Vec<Missing>,
}

/// The release of a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) package: String,
    pub(crate) version: String,
}

/// All rounds of one lane on one workload at one size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) lane: String,
    pub(crate) workload: String,
    pub(crate) argument: u64,
    /// The checksum, equal to the native one.
    pub(crate) value: String,
    pub(crate) native_bytes: u64,
    /// From bytes to a program.
    pub(crate) compile: Vec<u64>,
    /// To make the instance of a program that has run before.
    pub(crate) start: Vec<u64>,
    /// Everything from bytes to the result of the first run.
    pub(crate) cold: Vec<u64>,
    /// The second run, its instance not counted.
    pub(crate) warm: Vec<u64>,
}

/// A figure that is not there, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) lane: String,
    /// Empty if the lane has no figure at all.
    pub(crate) workload: String,
    pub(crate) reason: String,
}

/// Which samples of a cell are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Start,
    Cold,
    Warm,
}

impl Cell {
    pub(crate) fn samples(&self, phase: Phase) -> &[u64] {
        match phase {
            Phase::Start => &self.start,
            Phase::Cold => &self.cold,
            Phase::Warm => &self.warm,
        }
    }

    /// Best time of a phase.
    pub(crate) fn best(&self, phase: Phase) -> f64 {
        self.samples(phase)
            .iter()
            .min()
            .map_or(f64::NAN, |ns| *ns as f64)
    }

    /// Median time of a phase.
    pub(crate) fn median(&self, phase: Phase) -> f64 {
        median(self.samples(phase))
    }
}

/// The median; of an even number the lower of the two in the middle.
fn median(samples: &[u64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).map_or(f64::NAN, |ns| *ns as f64)
}

/// The geometric mean; nothing of nothing.
pub(crate) fn geomean(ratios: &[f64]) -> Option<f64> {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
}

/// How a lane stands over all workloads that count.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) geomean: f64,
    pub(crate) worst: (f64, String),
    pub(crate) count: usize,
}

impl Results {
    /// The lanes that have figures.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &'static Lane> + '_ {
        let measured = |lane: &&Lane| self.cells.iter().any(|cell| cell.lane == lane.name);
        lanes::LANES.iter().filter(measured)
    }

    /// Measured workloads of the means, in their order.
    pub(crate) fn counted(&self) -> Vec<&'static workloads::Workload> {
        let measured = |name: &str| self.cells.iter().any(|cell| cell.workload == name);
        let all = workloads::WORKLOADS.iter();
        all.filter(|workload| workload.class != Class::Axis && measured(workload.name))
            .collect()
    }

    /// The cell of a lane and workload. Native lanes have two sizes, others one.
    pub(crate) fn cell(&self, lane: &str, workload: &str) -> Option<&Cell> {
        let wanted = |cell: &&Cell| cell.lane == lane && cell.workload == workload;
        self.cells.iter().find(wanted)
    }

    /// The native cell that did the same work.
    fn base(&self, cell: &Cell) -> Option<&Cell> {
        self.cells.iter().find(|base| {
            base.lane == BASE && base.workload == cell.workload && base.argument == cell.argument
        })
    }

    /// Time of a lane over the best warm time of native code at the same size.
    pub(crate) fn ratio(&self, lane: &str, workload: &str, phase: Phase) -> Option<f64> {
        let cell = self.cell(lane, workload)?;
        let base = self.base(cell)?.best(Phase::Warm);
        Some(cell.best(phase) / base).filter(|ratio| ratio.is_finite())
    }

    /// The same with medians on both sides.
    pub(crate) fn median_ratio(&self, lane: &str, workload: &str) -> Option<f64> {
        let cell = self.cell(lane, workload)?;
        let base = self.base(cell)?.median(Phase::Warm);
        Some(cell.median(Phase::Warm) / base).filter(|ratio| ratio.is_finite())
    }

    /// How a lane stands; nothing if it has no ratio.
    pub(crate) fn standing(&self, lane: &'static Lane, phase: Phase) -> Option<Standing> {
        let ratios: Vec<(f64, &str)> = self
            .counted()
            .into_iter()
            .filter_map(|workload| {
                let ratio = self.ratio(lane.name, workload.name, phase)?;
                Some((ratio, workload.name))
            })
            .collect();
        let worst = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let values: Vec<f64> = ratios.iter().map(|(ratio, _)| *ratio).collect();
        Some(Standing {
            geomean: geomean(&values)?,
            worst: (worst.0, worst.1.to_owned()),
            count: values.len(),
        })
    }

    /// The fastest peer of a kind on a workload, with its ratio to native code.
    pub(crate) fn best_peer(
        &self,
        kind: Kind,
        workload: &str,
        phase: Phase,
        counts: impl Fn(&Lane) -> bool,
    ) -> Option<(&'static Lane, f64)> {
        let peers = self
            .lanes()
            .filter(|lane| lane.is_peer() && lane.kind == kind);
        let peers = peers.filter(|lane| counts(lane));
        let ratios = peers.filter_map(|lane| Some((lane, self.ratio(lane.name, workload, phase)?)));
        ratios.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_means_are_those_computed_by_hand() {
        assert_eq!(median(&[9, 1, 5]), 5.0);
        assert_eq!(median(&[4, 1, 2, 3]), 2.0);
        assert!(median(&[]).is_nan());
        assert_eq!(geomean(&[]), None);
        let mean = geomean(&[0.5, 2.0, 8.0]).expect("three ratios");
        assert!((mean - 2.0).abs() < 1e-12);
    }
}
