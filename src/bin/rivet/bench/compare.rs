//! Two runs on one machine side by side. Runs of different machines are refused: their difference
//! would be the machines'.

use super::machine::Machine;
use super::results::{Phase, Results, geomean};
use crate::failure::Failure;
use std::fmt::Write;

/// Refuses unless both are the same machine.
pub(crate) fn same_machine(old: &Machine, new: &Machine) -> Result<(), Failure> {
    let differences = new.differences(old);
    if differences.is_empty() {
        return Ok(());
    }
    let failure = Failure::message("the runs are of different machines and do not compare");
    let failure = differences
        .into_iter()
        .fold(failure, |failure, (field, new, old)| {
            failure.note(format!("{field}: {new} now, {old} then"))
        });
    Err(failure.help("measure the older version again on this machine"))
}

/// New time over old time for every lane and workload that both have.
pub(crate) fn table(old: &Results, new: &Results) -> String {
    let mut text = format!(
        "\nNew time over old time ({} {} against {} {}); below 1 is faster\n\n",
        new.version, new.date, old.version, old.date
    );
    for lane in new.lanes() {
        let mut changes = Vec::new();
        for cell in new.cells.iter().filter(|cell| cell.lane == lane.name) {
            let before = old.cells.iter().find(|before| {
                before.lane == cell.lane
                    && before.workload == cell.workload
                    && before.argument == cell.argument
            });
            let change = before.map(|before| cell.best(Phase::Warm) / before.best(Phase::Warm));
            changes.extend(
                change
                    .filter(|c| c.is_finite())
                    .map(|c| (c, &cell.workload)),
            );
        }
        let values: Vec<f64> = changes.iter().map(|(change, _)| *change).collect();
        let Some(mean) = geomean(&values) else {
            continue;
        };
        changes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ends = [changes.first(), changes.last()];
        let ends = ends.into_iter().flatten();
        let ends: Vec<String> = ends.map(|(c, name)| format!("{name} {c:.2}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<22} geomean {mean:.3}   from {} to {}",
            lane.name,
            ends.first().map_or("-", String::as_str),
            ends.last().map_or("-", String::as_str)
        );
    }
    text
}
