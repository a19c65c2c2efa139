//! Where a peer is ahead: what a report says before anything else.

use super::lanes::{Kind, Lane, Metering};
use super::results::{Phase, Results};
use super::tables::{AXES, Section, number, ours};

/// Times closer than this count as equal: runs of one program differ by as much.
const TIE: f64 = 1.03;

/// What is compared: a kind of engine and a figure of each workload.
const COMPARED: [(&str, &str, Kind, Phase); 4] = [
    ("run", "compilers, run", Kind::Compiled, Phase::Warm),
    (
        "cold",
        "compilers, from bytes to value",
        Kind::Compiled,
        Phase::Cold,
    ),
    ("run", "interpreters, run", Kind::Interpreted, Phase::Warm),
    (
        "cold",
        "interpreters, from bytes to value",
        Kind::Interpreted,
        Phase::Cold,
    ),
];

/// A comparison that a peer won.
struct Win {
    behind: f64,
    row: Vec<String>,
}

/// The section of the peers' wins, the widest of each kind first.
pub(crate) fn wins(results: &Results) -> Section {
    let mut counts = Vec::new();
    let mut rows = Vec::new();
    let mut add = |name: &str, (mut wins, of): (Vec<Win>, usize)| {
        if of > 0 {
            counts.push(format!("{name}: {} of {of}", wins.len()));
        }
        wins.sort_by(|a, b| b.behind.total_cmp(&a.behind));
        rows.extend(wins.into_iter().map(|win| win.row));
    };
    for kind in [Kind::Compiled, Kind::Interpreted] {
        for (what, name, _, phase) in COMPARED.into_iter().filter(|case| case.2 == kind) {
            add(name, workload_wins(results, what, kind, phase));
        }
        let name = match kind {
            Kind::Interpreted => "interpreters, axes",
            Kind::Native | Kind::Compiled => "compilers, axes",
        };
        add(name, axis_wins(results, kind));
    }
    let text = if rows.is_empty() {
        vec!["No peer is ahead anywhere, beyond 3 %.".to_owned()]
    } else {
        vec![
            format!(
                "The fastest peer is ahead of rivet by more than 3 % in these shares of what was \
                 compared: {}.",
                counts.join("; ")
            ),
            "Below, each of them, the widest first in each group: times over native code, axes in \
             their units. Few peers charge for what a guest does, and those that do charge mostly \
             a flat price; rivet always charges by its pipeline model."
                .to_owned(),
        ]
    };
    let head = [
        "what",
        "ours",
        "time",
        "fastest peer",
        "fastest metered peer",
        "behind by",
    ];
    Section {
        title: "Where a peer is ahead",
        text,
        head: head.map(str::to_owned).to_vec(),
        rows,
    }
}

/// Workloads on which a peer is ahead, and how many there are.
fn workload_wins(results: &Results, what: &str, kind: Kind, phase: Phase) -> (Vec<Win>, usize) {
    let (mut wins, mut compared) = (Vec::new(), 0);
    for workload in results.counted() {
        let mine = results.ratio(ours(kind), workload.name, phase);
        let best = results.best_peer(kind, workload.name, phase, |_| true);
        let Some((mine, best)) = mine.zip(best) else {
            continue;
        };
        compared += 1;
        let metered = |lane: &Lane| lane.metering != Metering::None;
        let like = results.best_peer(kind, workload.name, phase, metered);
        let name = format!("{what} {}", workload.name);
        wins.extend(win(name, kind, mine, best, like, |r| format!("{r:.2}")));
    }
    (wins, compared)
}

fn axis_wins(results: &Results, kind: Kind) -> (Vec<Win>, usize) {
    let (mut wins, mut compared) = (Vec::new(), 0);
    for axis in &AXES {
        let fastest = |counts: fn(&Lane) -> bool| {
            let lanes = results
                .lanes()
                .filter(|lane| lane.is_peer() && lane.kind == kind && counts(lane));
            let figures = lanes.filter_map(|lane| Some((lane, axis.figure(results, lane.name)?)));
            figures.min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let mine = axis.figure(results, ours(kind));
        let Some((mine, best)) = mine.zip(fastest(|_| true)) else {
            continue;
        };
        compared += 1;
        let like = fastest(|lane| lane.metering != Metering::None);
        let name = format!("{}, {}", axis.name, axis.unit);
        wins.extend(win(name, kind, mine, best, like, number));
    }
    (wins, compared)
}

/// The row of a comparison, if a peer is ahead in it.
fn win(
    name: String,
    kind: Kind,
    mine: f64,
    best: (&Lane, f64),
    like: Option<(&Lane, f64)>,
    shown: fn(f64) -> String,
) -> Option<Win> {
    let ahead = |figure: f64| figure * TIE < mine;
    let peer = |(lane, figure): (&Lane, f64)| format!("{} {}", lane.name, shown(figure));
    ahead(best.1).then(|| Win {
        behind: mine / best.1,
        row: vec![
            name,
            ours(kind).to_owned(),
            shown(mine),
            peer(best),
            like.filter(|like| ahead(like.1))
                .map_or("-".to_owned(), peer),
            format!("{:.2}", mine / best.1),
        ],
    })
}
