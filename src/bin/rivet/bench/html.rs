//! The report as one HTML file that needs nothing else: tables, and plots as SVG.

use super::lanes::{BASE, INTERP, JIT, Kind, Lane, Metering};
use super::results::{Phase, Results};
use super::tables::{AXES, Axis, Section, number, of_kind, sections};
use std::fmt::Write;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px}
td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}
td+td,th+th{font-variant-numeric:tabular-nums}
tr.ours{background:#eaf3ff;font-weight:600}
td:last-child{white-space:normal}
svg text{font:12px system-ui,sans-serif;fill:#333}";

/// Width of the plots and of the names at their left, in units of the drawing.
const WIDTH: f64 = 1100.0;
const NAMES: f64 = 150.0;
/// Height of a row.
const ROW: f64 = 20.0;

fn head(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    )
}

/// A page of tables alone.
pub(crate) fn tables(title: &str, sections: &[Section]) -> String {
    let tables: String = sections.iter().map(table).collect();
    format!("{}{tables}</body></html>\n", head(title))
}

/// The whole file.
pub(crate) fn page(results: &Results) -> String {
    let mut out = head(&format!("rivet {} against others", results.version));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "<p>{}. {}, <code>{}</code>.</p>",
        escape(&results.machine.summary()),
        escape(&results.date),
        escape(&results.command),
    );
    for (index, section) in sections(results).iter().enumerate() {
        out.push_str(&table(section));
        // The peers' wins come first, the plots right after them.
        if index == 0 {
            plots(results, &mut out);
        }
    }
    out.push_str("</body></html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn table(section: &Section) -> String {
    let mut out = format!("<h2>{}</h2>\n", escape(section.title));
    for text in &section.text {
        let _ = writeln!(out, "<p>{}</p>", escape(text));
    }
    if section.rows.is_empty() {
        return out;
    }
    out.push_str("<div class=\"wide\"><table>\n<tr>");
    for name in &section.head {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out.push_str("</tr>\n");
    for row in &section.rows {
        let first = row.first().map_or("", String::as_str);
        let ours = [JIT, INTERP].contains(&first);
        out.push_str(if ours { "<tr class=\"ours\">" } else { "<tr>" });
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
    out
}

fn plots(results: &Results, out: &mut String) {
    for (kind, phase, title) in [
        (
            Kind::Compiled,
            Phase::Warm,
            "Compilers: time of a run over native",
        ),
        (
            Kind::Compiled,
            Phase::Cold,
            "Compilers: bytes to value over native",
        ),
        (
            Kind::Interpreted,
            Phase::Warm,
            "Interpreters: time of a run over native",
        ),
    ] {
        dots(results, kind, phase, title, out);
    }
    for axis in &AXES {
        bars(results, axis, out);
    }
}

/// Colour and shape of a lane: this engine red, metered lanes filled, others hollow.
fn mark(lane: &Lane, x: f64, y: f64) -> String {
    let colours = [
        "#1f6fb4", "#2a9d4a", "#8a5bb5", "#c98a12", "#13a3a8", "#7a6a5a",
    ];
    let family = lane.name.split(' ').next().unwrap_or_default();
    let colour = match family {
        "rivet" => "#d4251c",
        "native" => "#888888",
        "cranelift" => colours[0],
        "winch" => colours[4],
        "polkavm" if lane.name.contains("linux") => colours[1],
        "polkavm" => colours[2],
        "wasmi" => colours[0],
        _ => colours[3],
    };
    let radius = if family == "rivet" { 6.0 } else { 4.5 };
    let fill = if lane.metering == Metering::None {
        "none"
    } else {
        colour
    };
    format!(
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" fill-opacity=\"0.75\" \
         stroke=\"{colour}\" stroke-width=\"1.5\">"
    )
}

/// A row of dots for each workload on a logarithmic scale.
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
    let (low, high) = (low.ln() - 0.05, high.ln() + 0.05);
    let x = |ratio: f64| NAMES + (ratio.ln() - low) / (high - low) * (WIDTH - NAMES - 20.0);
    let legend = 22.0 * lanes.len().div_ceil(5) as f64;
    let body = ROW * workloads.len() as f64;
    let height = legend + body + 34.0;
    let _ = writeln!(
        out,
        "<h2>{}</h2>\n<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" role=\"img\">",
        escape(title)
    );
    for (index, lane) in lanes.iter().enumerate() {
        let at = (
            NAMES + (index % 5) as f64 * 190.0,
            12.0 + (index / 5) as f64 * 22.0,
        );
        let circle = mark(lane, at.0, at.1);
        let name = escape(lane.name);
        let _ = writeln!(
            out,
            "{circle}</circle><text x=\"{}\" y=\"{}\">{name}</text>",
            at.0 + 10.0,
            at.1 + 4.0
        );
    }
    for tick in [
        0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0,
    ] {
        if f64::ln(tick) < low || f64::ln(tick) > high {
            continue;
        }
        let (at, bottom) = (x(tick), legend + body + 10.0);
        let colour = if tick == 1.0 { "#888" } else { "#ddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{legend}\" y2=\"{bottom}\" \
             stroke=\"{colour}\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 16.0
        );
    }
    for (index, workload) in workloads.iter().enumerate() {
        let y = legend + ROW * (index as f64 + 0.8);
        let name = escape(workload.name);
        let _ = writeln!(out, "<text x=\"4\" y=\"{:.1}\">{name}</text>", y + 4.0);
        // This engine is drawn last, on top.
        let ordered = lanes.iter().filter(|lane| !lane.name.starts_with(JIT));
        let ordered = ordered.chain(lanes.iter().filter(|lane| lane.name.starts_with(JIT)));
        for lane in ordered {
            if let Some(ratio) = ratio(lane, workload.name) {
                let circle = mark(lane, x(ratio), y);
                let name = escape(lane.name);
                let _ = writeln!(out, "{circle}<title>{name} {ratio:.2}</title></circle>");
            }
        }
    }
    out.push_str("</svg>\n");
}

/// A bar for each lane on a logarithmic scale.
fn bars(results: &Results, axis: &Axis, out: &mut String) {
    let figures = results.lanes().filter_map(|lane| {
        let figure = axis.figure(results, lane.name)?;
        (figure > 0.0).then_some((lane, figure))
    });
    let mut figures: Vec<(&Lane, f64)> = figures.collect();
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(first), Some(last)) = (figures.first(), figures.last()) else {
        return;
    };
    let (low, high) = (first.1.ln() - 0.5, last.1.ln().max(first.1.ln() + 0.1));
    let height = ROW * figures.len() as f64 + 6.0;
    let _ = writeln!(
        out,
        "<h2>{}, {} (logarithmic)</h2>\n<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" role=\"img\">",
        escape(axis.name),
        escape(axis.unit)
    );
    for (index, (lane, figure)) in figures.iter().enumerate() {
        let y = ROW * index as f64;
        let width = (figure.ln() - low) / (high - low) * (WIDTH - NAMES - 100.0);
        let colour = if lane.name.starts_with(JIT) {
            "#d4251c"
        } else {
            "#9db8d2"
        };
        let _ = writeln!(
            out,
            "<text x=\"4\" y=\"{:.1}\">{}</text><rect x=\"{NAMES}\" y=\"{:.1}\" \
             width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
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
    out.push_str("</svg>\n");
}
