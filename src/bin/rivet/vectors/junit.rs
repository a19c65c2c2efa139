//! The report as JUnit XML, which continuous integration services read.

use super::run::Case;
use std::fmt::{self, Write};

/// A suite for each backend and file.
pub(super) fn report(cases: &[Case]) -> String {
    let mut out = String::new();
    suites(&mut out, cases).expect("invariant: writing to a string does not fail");
    out
}

fn suites(out: &mut String, cases: &[Case]) -> fmt::Result {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites>")?;
    let same = |a: &Case, b: &Case| (a.backend, &a.file) == (b.backend, &b.file);
    for suite in cases.chunk_by(same) {
        let failures = suite.iter().filter(|c| !c.differences.is_empty()).count();
        let (name, tests) = (&suite[0].file, suite.len());
        let backend = suite[0].backend;
        write!(out, "  <testsuite name=\"{}: {backend}\"", Xml(name))?;
        writeln!(out, " tests=\"{tests}\" failures=\"{failures}\">")?;
        suite.iter().try_for_each(|c| case(out, c))?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(out: &mut String, case: &Case) -> fmt::Result {
    let class = case.file.trim_end_matches(".gz").trim_end_matches(".vec");
    let (name, micros) = (Xml(&case.name), case.time.as_micros());
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    write!(
        out,
        "    <testcase classname=\"{}.{}\"",
        Xml(class),
        case.backend
    )?;
    write!(out, " name=\"{name}\" time=\"{seconds}.{rest:06}\"")?;
    if case.differences.is_empty() {
        return writeln!(out, "/>");
    }
    let (first, all) = (&case.differences[0], case.differences.join("\n"));
    writeln!(out, ">")?;
    write!(
        out,
        "      <failure message=\"{}\">{}:",
        Xml(first),
        Xml(&case.file)
    )?;
    writeln!(out, "{}\n{}</failure>", case.line, Xml(&all))?;
    writeln!(out, "    </testcase>")
}

/// Text as XML: markup escaped, characters that XML 1.0 has no place for replaced.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                    f.write_char('\u{FFFD}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_escaped_and_control_characters_are_replaced() {
        assert_eq!(
            Xml("a<b>&\"\u{1}").to_string(),
            "a&lt;b&gt;&amp;&quot;\u{FFFD}"
        );
    }
}
