//! The figures of a report as tables, the same for every way to show them.

use super::budget::Spent;
use super::lanes::{self, BASE, INTERP, JIT, Kind, Lane};
use super::results::{Phase, Results, geomean};
use super::rounds::noise;
use super::wins;
use super::workloads::{BIG_CODE, HOST_CALLS, PAGES, STARTUP};
use serde::Serialize;
use std::collections::BTreeMap;

/// A heading with what stands below it.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: Vec<String>,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Something measured once per lane, apart from the workloads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    figure: fn(&Results, &str) -> Option<f64>,
}

impl Axis {
    /// The figure of a lane; nothing where the difference it is made of drowns in noise.
    pub(crate) fn figure(&self, results: &Results, lane: &str) -> Option<f64> {
        (self.figure)(results, lane).filter(|figure| figure.is_finite() && *figure > 0.0)
    }
}

/// The axes, in the order of the columns.
pub(crate) const AXES: [Axis; 5] = [
    Axis {
        name: "start-up",
        unit: "µs",
        figure: |results, lane| Some(results.cell(lane, STARTUP)?.best(Phase::Cold) / 1e3),
    },
    Axis {
        name: "instance",
        unit: "µs",
        figure: |results, lane| Some(results.cell(lane, STARTUP)?.best(Phase::Start) / 1e3),
    },
    Axis {
        name: "compile",
        unit: "ns per instruction",
        figure: |results, lane| {
            let cell = results.cell(lane, BIG_CODE)?;
            // Native code was compiled before the first round.
            cell.compile.iter().find(|ns| **ns > 0)?;
            let extra = cell.best(Phase::Cold) - cell.best(Phase::Start) - cell.best(Phase::Warm);
            Some(extra.max(0.0) / results.big_instructions as f64)
        },
    },
    Axis {
        name: "host call",
        unit: "ns",
        figure: |results, lane| {
            let cell = results.cell(lane, HOST_CALLS)?;
            Some(cell.best(Phase::Warm) / cell.argument as f64)
        },
    },
    Axis {
        name: "new page",
        unit: "ns",
        figure: |results, lane| {
            let cell = results.cell(lane, PAGES)?;
            Some(cell.best(Phase::Warm) / cell.argument as f64)
        },
    },
];

/// All sections, the peers' wins first.
pub(crate) fn sections(results: &Results) -> Vec<Section> {
    let mut sections = Vec::new();
    if results.lanes().any(Lane::is_peer) {
        sections.push(wins::wins(results));
    }
    sections.push(standings(results, Kind::Compiled));
    sections.push(standings(results, Kind::Interpreted));
    sections.push(axes(results));
    sections.push(ratios(results, Kind::Compiled, Phase::Warm));
    sections.push(ratios(results, Kind::Compiled, Phase::Cold));
    sections.push(ratios(results, Kind::Interpreted, Phase::Warm));
    sections.push(medians(results));
    sections.push(missing(results));
    sections.push(method(results));
    sections.push(spent(results));
    sections.retain(|section| !section.rows.is_empty() || !section.text.is_empty());
    sections
}

/// The lane of this engine that peers of a kind are compared with.
pub(crate) fn ours(kind: Kind) -> &'static str {
    if kind == Kind::Interpreted {
        INTERP
    } else {
        JIT
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

/// Lanes of a kind; native ones stand beside the compiled.
pub(crate) fn of_kind(results: &Results, kind: Kind) -> Vec<&'static Lane> {
    let native = |lane: &&Lane| kind == Kind::Compiled && lane.kind == Kind::Native;
    results
        .lanes()
        .filter(|lane| lane.kind == kind || native(lane))
        .collect()
}

/// Geometric mean of our time over a lane's, over the workloads that both have.
pub(crate) fn against(results: &Results, lane: &Lane, phase: Phase) -> Option<f64> {
    let pairs = results.counted().into_iter().filter_map(|workload| {
        let mine = results.ratio(ours(lane.kind), workload.name, phase)?;
        Some(mine / results.ratio(lane.name, workload.name, phase)?)
    });
    geomean(&pairs.collect::<Vec<_>>())
}

fn standings(results: &Results, kind: Kind) -> Section {
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    for lane in of_kind(results, kind) {
        let Some(warm) = results.standing(lane, Phase::Warm) else {
            continue;
        };
        let cold = results.standing(lane, Phase::Cold);
        rows.push((
            warm.geomean,
            vec![
                lane.name.to_owned(),
                lane.metering.name().to_owned(),
                format!("{:.2}", warm.geomean),
                format!("{:.2} {}", warm.worst.0, warm.worst.1),
                cold.map_or("-".to_owned(), |cold| format!("{:.2}", cold.geomean)),
                against(results, lane, Phase::Warm).map_or("-".to_owned(), |r| format!("{r:.2}")),
                warm.count.to_string(),
            ],
        ));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let head = [
        "engine",
        "gas",
        "run",
        "worst",
        "cold",
        "rivet over it",
        "workloads",
    ];
    Section {
        title: match kind {
            Kind::Interpreted => "Interpreters",
            Kind::Native | Kind::Compiled => "Compilers",
        },
        text: vec![
            "Time over native `clang -O2`, geometric mean; `cold` adds compiling and the instance; \
             `rivet over it` compares the workloads that both run."
                .to_owned(),
        ],
        head: head.map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

fn axes(results: &Results) -> Section {
    let mut head = vec!["engine".to_owned()];
    head.extend(
        AXES.iter()
            .map(|axis| format!("{}, {}", axis.name, axis.unit)),
    );
    let rows = results.lanes().filter_map(|lane| {
        let figures: Vec<_> = AXES
            .iter()
            .map(|axis| axis.figure(results, lane.name))
            .collect();
        let any = figures.iter().any(Option::is_some);
        let cells = figures.into_iter().map(cell);
        any.then(|| std::iter::once(lane.name.to_owned()).chain(cells).collect())
    });
    Section {
        title: "Axes",
        text: vec![
            "start-up: a program that does nothing, from bytes to its value; instance: making one \
             of a compiled program (native: a fork); compile: what a first run of 1000 functions \
             costs beyond a second, per RV64E instruction; host call: there and back; new page: \
             first write of a page, with a few reads of it. Engines that make all pages before \
             the run pay for them in `instance`. `-`: too small to tell from noise, or not \
             measured; the reasons are below."
                .to_owned(),
        ],
        head,
        rows: rows.collect(),
    }
}

fn ratios(results: &Results, kind: Kind, phase: Phase) -> Section {
    let lanes = of_kind(results, kind);
    let lanes: Vec<_> = lanes.into_iter().filter(|lane| lane.name != BASE).collect();
    let peers = lanes.iter().any(|lane| lane.is_peer());
    let mut head = vec!["workload".to_owned(), "class".to_owned()];
    head.push("native ms".to_owned());
    head.extend(lanes.iter().map(|lane| lane.name.to_owned()));
    if peers {
        head.push(format!("{} over best peer", ours(kind)));
    }
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); lanes.len() + 1];
    let mut rows = Vec::new();
    for workload in results.counted() {
        let size = if kind == Kind::Interpreted {
            workload.small
        } else {
            workload.full
        };
        let native = results.cells.iter().find(|cell| {
            cell.lane == BASE && cell.workload == workload.name && cell.argument == size
        });
        let ratio = |lane: &str| results.ratio(lane, workload.name, phase);
        let mut figures: Vec<_> = lanes.iter().map(|lane| ratio(lane.name)).collect();
        if peers {
            let best = results.best_peer(kind, workload.name, phase, |_| true);
            figures.push(
                ratio(ours(kind))
                    .zip(best)
                    .map(|(mine, (_, best))| mine / best),
            );
        }
        for (column, figure) in columns.iter_mut().zip(&figures) {
            column.extend(figure);
        }
        let mut row = vec![workload.name.to_owned(), workload.class.name().to_owned()];
        row.push(cell(native.map(|native| native.best(Phase::Warm) / 1e6)));
        row.extend(figures.into_iter().map(cell));
        rows.push(row);
    }
    columns.truncate(head.len() - 3);
    let below = |name: &str, figure: fn(&[f64]) -> Option<f64>| {
        let cells = columns.iter().map(|column| cell(figure(column)));
        let names = [name, "", ""].map(str::to_owned).into_iter();
        names.chain(cells).collect::<Vec<_>>()
    };
    let worst = |column: &[f64]| column.iter().copied().max_by(f64::total_cmp);
    if rows.len() > 1 {
        rows.extend([below("geometric mean", geomean), below("worst", worst)]);
    }
    let (title, text) = match (kind, phase) {
        (Kind::Interpreted, _) => (
            "Interpreters by workload",
            "Time of a run over native, best of all rounds.",
        ),
        (_, Phase::Cold) => (
            "Compilers by workload, cold",
            "From bytes to the value of the first run, over a native run, best of all rounds.",
        ),
        _ => (
            "Compilers by workload",
            "Time of a run over native, best of all rounds.",
        ),
    };
    Section {
        title,
        text: vec![text.to_owned()],
        rows,
        head,
    }
}

fn medians(results: &Results) -> Section {
    let rows = results.counted().into_iter().map(|workload| {
        let both = [JIT, INTERP].into_iter().flat_map(|lane| {
            let best = results.ratio(lane, workload.name, Phase::Warm);
            [best, results.median_ratio(lane, workload.name)]
        });
        let cells = both.map(cell);
        std::iter::once(workload.name.to_owned())
            .chain(cells)
            .collect()
    });
    let head = [
        "workload",
        "rivet best",
        "rivet median",
        "interp best",
        "interp median",
    ];
    Section {
        title: "Best and median",
        text: vec![
            "Time over native with the best of all rounds and with their median.".to_owned(),
        ],
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

fn missing(results: &Results) -> Section {
    // The same reason for many is said once: engines that share workloads and a reason share a row.
    let mut lanes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for missing in &results.missing {
        let workload = match missing.workload.as_str() {
            "" => "all",
            name => name,
        };
        let lanes = lanes
            .entry((missing.reason.as_str(), workload))
            .or_default();
        if !lanes.contains(&missing.lane.as_str()) {
            lanes.push(&missing.lane);
        }
    }
    let mut workloads: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((reason, workload), lanes) in lanes {
        workloads.entry((reason, lanes)).or_default().push(workload);
    }
    let rows = workloads.into_iter().map(|((reason, lanes), workloads)| {
        let lanes = if lanes.len() == lanes::LANES.len() {
            "all".to_owned()
        } else {
            lanes.join(", ")
        };
        vec![lanes, workloads.join(", "), reason.to_owned()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    Section {
        title: "Not measured",
        text: if rows.is_empty() {
            Vec::new()
        } else {
            vec!["And why.".to_owned()]
        },
        head: ["engine", "workload", "reason"].map(str::to_owned).to_vec(),
        rows,
    }
}

fn method(results: &Results) -> Section {
    let load = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| load.to_string());
    let mut rows = vec![
        ["date".to_owned(), results.date.clone()],
        ["command".to_owned(), format!("`{}`", results.command)],
        ["rivet".to_owned(), results.version.clone()],
        ["C compiler".to_owned(), results.compiler.clone()],
        ["rounds".to_owned(), results.rounds.to_string()],
        [
            "time it might take, s".to_owned(),
            results.budget.to_string(),
        ],
    ];
    rows.extend(
        results
            .machine
            .fields()
            .map(|(name, value)| [name.to_owned(), value]),
    );
    let [before, after] = results.load;
    rows.push([
        "runnable before, after".to_owned(),
        format!("{}, {}", load(before), load(after)),
    ]);
    let spread = noise(&results.cells).map_or("unknown".to_owned(), |noise| format!("{noise:.2}"));
    rows.push(["native median over best, worst workload".to_owned(), spread]);
    let versions = results.versions.iter();
    rows.extend(versions.map(|peer| [peer.package.clone(), peer.version.clone()]));
    Section {
        title: "Machine and method",
        text: vec![
            "Every engine is a process of its own on one core (PolkaVM's linux sandbox on any), \
             ahead of other work where allowed. A round goes through all workloads; in each, \
             every engine compiles the program, runs it in a fresh instance (cold) and again in \
             another (the run); then the next engine. Rounds end before the time does. Figures are the best of all rounds. All programs are the same C with the same \
             headers. A time counts only if the checksum is the native one."
                .to_owned(),
        ],
        head: vec!["what".to_owned(), "value".to_owned()],
        rows: rows.into_iter().map(|row| row.to_vec()).collect(),
    }
}

fn spent(results: &Results) -> Section {
    let total = |f: fn(&Spent) -> f64| results.spent.iter().map(f).sum::<f64>();
    let row = |what: &str, wall: f64, cpu: f64| {
        vec![what.to_owned(), format!("{wall:.1}"), format!("{cpu:.1}")]
    };
    let rows = results.spent.iter();
    let rows = rows.map(|spent| row(&spent.what, spent.wall, spent.cpu));
    let mut rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        rows.push(row(
            "all",
            total(|spent| spent.wall),
            total(|spent| spent.cpu),
        ));
    }
    Section {
        title: "What this run took",
        text: Vec::new(),
        head: ["part", "s by the clock", "s on all cores"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
}
