//! The plots of a report as SVG, in the colours of the page.

use super::html::escape;
use super::lanes::{BASE, JIT, Kind, Lane, Metering};
use super::results::{Phase, Results};
use super::tables::{AXES, Axis, number, of_kind};
use std::fmt::Write;

/// Width of the plots and of the names at their left, in units of the drawing.
const WIDTH: f64 = 1100.0;
const NAMES: f64 = 150.0;
/// Height of a row.
const ROW: f64 = 20.0;
/// Lanes in a line of the legend, and the height of a line.
const LEGEND: (usize, f64) = (5, 22.0);

/// Where the scale of ratios may have a mark.
const TICKS: [f64; 16] = [
    0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0,
];

/// A logarithmic scale from left to right.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        NAMES + (value.ln() - self.low) / (self.high - self.low) * (WIDTH - NAMES - 60.0)
    }

    fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value.ln())
    }
}

/// All plots.
pub(crate) fn plots(results: &Results, out: &mut String) {
    for (kind, phase, title) in [
        (Kind::Compiled, Phase::Warm, "Compilers: time of a run"),
        (
            Kind::Compiled,
            Phase::Cold,
            "Compilers: from bytes to the value of the first run",
        ),
        (
            Kind::Interpreted,
            Phase::Warm,
            "Interpreters: time of a run",
        ),
    ] {
        dots(results, kind, phase, title, out);
    }
    for axis in &AXES {
        bars(results, axis, out);
    }
}

/// Colour and shape of a lane: metered lanes are filled, others hollow.
fn mark(lane: &Lane, x: f64, y: f64) -> String {
    let family = lane.name.split(' ').next().unwrap_or_default();
    let colour = match family {
        "rivet" => "--rivet",
        "native" => "--grey",
        "cranelift" | "wasmi" => "--blue",
        "winch" => "--teal",
        "polkavm" if lane.name.contains("linux") => "--green",
        "polkavm" => "--violet",
        "sbpf" => "--brown",
        _ => "--amber",
    };
    let radius = if family == "rivet" { 6.0 } else { 4.5 };
    let fill = match lane.metering {
        Metering::None => "none".to_owned(),
        Metering::Flat | Metering::Pipeline => format!("var({colour})"),
    };
    format!(
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" style=\"fill:{fill};\
         stroke:var({colour})\" fill-opacity=\"0.75\" stroke-width=\"1.5\">"
    )
}

fn begin(title: &str, caption: &str, height: f64, out: &mut String) {
    let (title, caption) = (escape(title), escape(caption));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "<h2>{title}</h2>\n<figure><figcaption>{caption}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" role=\"img\" aria-label=\"{title}\">"
    );
}

fn end(out: &mut String) {
    out.push_str("</svg></figure>\n");
}

/// A line across the plot with its value below.
fn tick(at: f64, (top, bottom): (f64, f64), class: &str, label: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
         <text class=\"soft\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
        bottom + 16.0
    );
}

/// What the scale below a plot shows.
fn axis_name(name: &str, bottom: f64, out: &mut String) {
    let (x, y) = ((NAMES + WIDTH - 60.0) / 2.0, bottom + 34.0);
    let _ = writeln!(
        out,
        "<text class=\"soft\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
        escape(name)
    );
}

fn legend(lanes: &[&Lane], out: &mut String) {
    for (index, lane) in lanes.iter().enumerate() {
        let (line, place) = (index / LEGEND.0, index % LEGEND.0);
        let (x, y) = (NAMES + place as f64 * 185.0, 12.0 + line as f64 * LEGEND.1);
        let (circle, name) = (mark(lane, x, y), escape(lane.name));
        let (x, y) = (x + 10.0, y + 4.0);
        let _ = writeln!(
            out,
            "{circle}</circle><text x=\"{x}\" y=\"{y}\">{name}</text>"
        );
    }
}

/// A row of dots for each workload.
fn dots(results: &Results, kind: Kind, phase: Phase, title: &str, out: &mut String) {
    let lanes = of_kind(results, kind);
    let lanes: Vec<_> = lanes.into_iter().filter(|lane| lane.name != BASE).collect();
    let workloads = results.counted();
    let ratio = |lane: &Lane, workload: &str| results.ratio(lane.name, workload, phase);
    let all = workloads
        .iter()
        .flat_map(|workload| lanes.iter().filter_map(|lane| ratio(lane, workload.name)));
    let (low, high) = all.fold((1.0f64, 1.0f64), |(low, high), r| (low.min(r), high.max(r)));
    if high <= low {
        return;
    }
    let scale = Scale {
        low: low.ln() - 0.05,
        high: high.ln() + 0.05,
    };
    let top = LEGEND.1 * lanes.len().div_ceil(LEGEND.0) as f64;
    let bottom = top + ROW * workloads.len() as f64 + 10.0;
    let caption = "Further left is faster. Filled: charges for execution; hollow: does not. \
                   Pointing at a dot names it.";
    begin(title, caption, bottom + 42.0, out);
    legend(&lanes, out);
    for value in TICKS.into_iter().filter(|value| scale.holds(*value)) {
        let class = if value == 1.0 { "one" } else { "" };
        let label = format!("{value}");
        tick(scale.x(value), (top, bottom), class, &label, out);
    }
    axis_name("time over native clang -O2, logarithmic", bottom, out);
    for (index, workload) in workloads.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.8);
        let (name, right) = (escape(workload.name), WIDTH - 60.0);
        let _ = writeln!(
            out,
            "<line x1=\"{NAMES}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"4\" y=\"{:.1}\">{name}</text>",
            y + 4.0
        );
        // This engine is drawn last, on top.
        let ordered = lanes.iter().filter(|lane| !lane.name.starts_with(JIT));
        let ordered = ordered.chain(lanes.iter().filter(|lane| lane.name.starts_with(JIT)));
        for lane in ordered {
            if let Some(ratio) = ratio(lane, workload.name) {
                let circle = mark(lane, scale.x(ratio), y);
                let lane = escape(lane.name);
                let _ = writeln!(
                    out,
                    "{circle}<title>{lane}, {name}: {ratio:.2}</title></circle>"
                );
            }
        }
    }
    end(out);
}

/// A bar for each lane.
fn bars(results: &Results, axis: &Axis, out: &mut String) {
    let figures = results
        .lanes()
        .filter_map(|lane| Some((lane, axis.figure(results, lane.name)?)));
    let mut figures: Vec<(&Lane, f64)> = figures.collect();
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(first), Some(last)) = (figures.first(), figures.last()) else {
        return;
    };
    // Whole decades, so that the lengths of bars begin at a round value.
    let decades = first.1.log10().floor() as i32..=(last.1.log10().floor() as i32 + 1);
    let scale = Scale {
        low: 10f64.powi(*decades.start()).ln(),
        high: 10f64.powi(*decades.end()).ln(),
    };
    let bottom = ROW * figures.len() as f64 + 6.0;
    let title = format!("{}, {}", axis.name, axis.unit);
    begin(&title, "Shorter is faster.", bottom + 42.0, out);
    for decade in decades {
        let value = 10f64.powi(decade);
        tick(scale.x(value), (0.0, bottom), "", &format!("{value}"), out);
    }
    axis_name(&format!("{}, logarithmic", axis.unit), bottom, out);
    for (index, (lane, figure)) in figures.iter().enumerate() {
        let y = ROW * index as f64;
        let width = scale.x(*figure) - NAMES;
        let ours = lane.name.starts_with(JIT);
        let colour = if ours { "--rivet" } else { "--bar" };
        let _ = writeln!(
            out,
            "<text x=\"4\" y=\"{:.1}\">{}</text><rect x=\"{NAMES}\" y=\"{:.1}\" \
             width=\"{width:.1}\" height=\"{:.1}\" style=\"fill:var({colour})\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y + 15.0,
            escape(lane.name),
            y + 3.0,
            ROW - 5.0,
            NAMES + width + 6.0,
            y + 15.0,
            number(*figure)
        );
    }
    end(out);
}
