//! The report as one HTML file that needs nothing else: tables, and the plots.

use super::lanes::{INTERP, JIT};
use super::plots;
use super::results::Results;
use super::tables::{Section, sections};
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2630;--soft:#5a6472;--line:#dde1e7;--paper:#fff;\
--ours:#e6f0ff;--bar:#9db8d2;--rivet:#d4251c;--grey:#808892;--blue:#1f6fb4;--teal:#129aa0;\
--green:#2a9d4a;--violet:#8a5bb5;--amber:#c98a12;--brown:#8a5a3c}
@media(prefers-color-scheme:dark){:root{--ink:#e2e6ec;--soft:#9aa4b1;--line:#323a45;\
--paper:#14181d;--ours:#1c2d47;--bar:#4a6785;--rivet:#ff5f55;--grey:#8d96a2;--blue:#5aa7ec;\
--teal:#3cc4ca;--green:#4fc774;--violet:#b68be0;--amber:#e2ab3f;--brown:#c08a66}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;\
color:var(--ink);background:var(--paper)}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2.2em}p{max-width:60em}
p.note,figcaption{color:var(--soft);font-size:13px}figure{margin:0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px}
td,th{padding:.2em .7em;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}
th{vertical-align:bottom;color:var(--soft);font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums}
tr.ours{background:var(--ours);font-weight:600}tr.sum td{font-weight:600}
td:last-child:not(.n),td.text{white-space:normal}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}
svg line{stroke:var(--line)}svg line.one{stroke:var(--grey);stroke-width:1.5}";

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
            plots::plots(results, &mut out);
        }
    }
    out.push_str("</body></html>\n");
    out
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Whether a cell is a figure, to stand at the right of its column.
fn is_figure(cell: &str) -> bool {
    cell == "-" || cell.parse::<f64>().is_ok()
}

fn table(section: &Section) -> String {
    let mut out = format!("<h2>{}</h2>\n", escape(section.title));
    for text in &section.text {
        let _ = writeln!(out, "<p>{}</p>", escape(text));
    }
    if section.rows.is_empty() {
        return out;
    }
    let figures: Vec<bool> = (0..section.head.len())
        .map(|column| {
            let mut cells = section.rows.iter().filter_map(|row| row.get(column));
            column > 0 && cells.all(|cell| cell.is_empty() || is_figure(cell))
        })
        .collect();
    let class = |column: usize| {
        let figure = figures.get(column).is_some_and(|figure| *figure);
        if figure { " class=\"n\"" } else { "" }
    };
    out.push_str("<div class=\"wide\"><table>\n<tr>");
    for (column, name) in section.head.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(column), escape(name));
    }
    out.push_str("</tr>\n");
    for row in &section.rows {
        out.push_str(match row.first().map_or("", String::as_str) {
            JIT | INTERP => "<tr class=\"ours\">",
            "geometric mean" | "worst" | "all" => "<tr class=\"sum\">",
            _ => "<tr>",
        });
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(column), escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
    out
}
