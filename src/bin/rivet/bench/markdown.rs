//! The sections of a report as text: aligned for a terminal, or Markdown to paste.

use super::results::Results;
use super::tables::{Section, sections};

/// How text is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Text,
    Markdown,
}

/// The whole report.
pub(crate) fn report(results: &Results, style: Style) -> String {
    let head = format!(
        "rivet {} on {}, {}, `{}`\n",
        results.version,
        results.machine.summary(),
        results.date,
        results.command
    );
    head + &tables(&sections(results), style)
}

/// Sections alone.
pub(crate) fn tables(sections: &[Section], style: Style) -> String {
    sections
        .iter()
        .map(|section| render(section, style))
        .collect()
}

fn render(section: &Section, style: Style) -> String {
    let mut out = match style {
        Style::Text => format!("\n{}\n\n", section.title),
        Style::Markdown => format!("\n### {}\n\n", section.title),
    };
    for text in &section.text {
        out.push_str(text);
        out.push_str("\n\n");
    }
    if section.rows.is_empty() {
        return out;
    }
    let rows = || std::iter::once(&section.head).chain(&section.rows);
    match style {
        Style::Text => {
            let width = |column: usize| {
                let cells = rows().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..section.head.len()).map(width).collect();
            for row in rows() {
                let cells = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, width)| format!("{cell:<width$}"));
                out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
                out.push('\n');
            }
        }
        Style::Markdown => {
            for (index, row) in rows().enumerate() {
                let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
                out.push_str(&format!("| {} |\n", cells.join(" | ")));
                if index == 0 {
                    out.push_str(&format!("|{}\n", "---|".repeat(row.len())));
                }
            }
        }
    }
    out
}
