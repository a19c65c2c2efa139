//! The page itself.

use super::lines::Lines;
use super::native::Native;
use super::select::Selection;
use crate::input::Loaded;
use rivet::engine::BlockInfo;
use rivet::isa::{Flow, Pc, decode};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Most symbols in the list.
const MAX_SYMBOLS: usize = 20_000;
/// Native instructions shown for each guest instruction of a block, at most.
const NATIVE_PER_GUEST: usize = 64;

/// Everything a page shows.
pub(crate) struct Page<'a> {
    pub(crate) title: String,
    pub(crate) loaded: &'a Loaded,
    pub(crate) selection: Selection,
    pub(crate) native: Native,
    pub(crate) lines: Option<Lines<'a>>,
    /// Why there is no native code.
    pub(crate) no_native: Option<String>,
}

/// Text that is not markup, in element content and in quoted attributes.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

impl Page<'_> {
    /// Writes it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let title = escape(&self.title);
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style></head><body>"
        )?;
        let shown: BTreeSet<u64> = self
            .selection
            .blocks
            .iter()
            .map(|info| info.block.start.value())
            .collect();
        self.write_symbols(&shown, out)?;
        writeln!(out, "<main><h1>{title}</h1>")?;
        self.write_summary(out)?;
        let mut left = self.selection.limit;
        for info in &self.selection.blocks {
            self.write_block(info, &shown, &mut left, out)?;
        }
        writeln!(out, "</main><script>\n{SCRIPT}</script></body></html>")
    }

    fn write_symbols(&self, shown: &BTreeSet<u64>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "<nav><input id=\"filter\" type=\"search\" placeholder=\"filter symbols\" \
             aria-label=\"filter symbols\" autofocus><ul id=\"symbols\">"
        )?;
        let all = self.loaded.symbols.all();
        for symbol in all.iter().take(MAX_SYMBOLS) {
            let name = escape(&symbol.name);
            let pc = symbol.pc;
            // The block at the symbol, or the one that it is in the middle of.
            match shown.range(..=pc).next_back() {
                Some(block) if *block == pc || shown.contains(&self.block_of(pc)) => {
                    writeln!(out, "<li><a href=\"#b{block}\">{name}</a></li>")?;
                }
                _ => writeln!(out, "<li class=\"absent\">{name}</li>")?,
            }
        }
        if all.len() > MAX_SYMBOLS {
            let more = all.len() - MAX_SYMBOLS;
            writeln!(out, "<li class=\"absent\">and {more} more</li>")?;
        }
        writeln!(out, "</ul></nav>")
    }

    /// Start of the block that holds an offset.
    fn block_of(&self, pc: u64) -> u64 {
        let blocks = &self.selection.blocks;
        let after = blocks.partition_point(|info| info.block.start.value() <= pc);
        let block = blocks[..after].last().map(|info| info.block);
        let holds = block.filter(|block| pc < block.end.value());
        holds.map_or(u64::MAX, |block| block.start.value())
    }

    fn write_summary(&self, out: &mut dyn Write) -> io::Result<()> {
        let program = &self.loaded.program;
        let Selection {
            blocks,
            total,
            matching,
            limit,
        } = &self.selection;
        let costs = program.costs();
        writeln!(
            out,
            "<p>{} bytes of code, {total} blocks; {} cycles per memory access, {} gas for the \
             dearest page. A block&#39;s gate wants cost + reserve and deducts cost. Native offsets \
             count from the beginning of each translated chunk.</p>",
            program.code().len(),
            costs.mem_cycles(),
            costs.cow_max()
        )?;
        if blocks.len() as u64 != *total {
            let shown = blocks.len();
            writeln!(
                out,
                "<p class=\"note\">{shown} of {total} blocks are on this page ({matching} were asked \
                 for, at most {limit} instructions are shown). Choose others with --symbol or \
                 --range, or raise --limit.</p>"
            )?;
        }
        if self.native.is_empty() {
            let reason = self.no_native.as_deref();
            let reason = reason.unwrap_or("no block of it could be translated");
            let reason = escape(reason);
            writeln!(out, "<p class=\"note\">No native code: {reason}.</p>")?;
        }
        if self.lines.is_none() {
            writeln!(
                out,
                "<p class=\"note\">No source lines: the program has no debug information \
                 (compile with -g; an image needs its .map file beside it).</p>"
            )?;
        }
        Ok(())
    }

    fn write_block(
        &self,
        info: &BlockInfo,
        shown: &BTreeSet<u64>,
        left: &mut u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (start, end) = (info.block.start, info.block.end);
        for name in self.loaded.symbols.at(start) {
            writeln!(out, "<h2>{}</h2>", escape(name))?;
        }
        let name = self.loaded.symbols.describe(start).unwrap_or_default();
        let native = self.native.len(start.value());
        let native = native.map_or("not translated".to_owned(), |len| format!("{len} native"));
        writeln!(
            out,
            "<section id=\"b{}\"><header><b>{start}</b> {} <span>cost {} · reserve {} · {} bytes \
             · {native}</span></header><div class=\"sides\"><pre>",
            start.value(),
            escape(&name),
            info.cost.cost,
            info.cost.reserve,
            end.value() - start.value(),
        )?;
        let listed = self.write_guest(info, shown, left, out)?;
        writeln!(out, "</pre><pre class=\"native\">")?;
        let most = listed
            .saturating_mul(NATIVE_PER_GUEST)
            .max(NATIVE_PER_GUEST);
        for line in self.native.lines(start.value(), most) {
            let text = escape(&line.text);
            write!(out, "<i>{:6x}</i>  {text}", line.at)?;
            write_target(line.target, shown, out)?;
        }
        writeln!(out, "</pre></div></section>")
    }

    /// The guest's instructions; answers how many.
    fn write_guest(
        &self,
        info: &BlockInfo,
        shown: &BTreeSet<u64>,
        left: &mut u64,
        out: &mut dyn Write,
    ) -> io::Result<usize> {
        let mut at = info.block.start.value();
        let mut listed = 0;
        let mut last = None;
        while at < info.block.end.value() {
            if *left == 0 {
                writeln!(
                    out,
                    "<em>the rest of this block is left out: see --limit</em>"
                )?;
                break;
            }
            let offset = usize::try_from(at).ok();
            let code = self.loaded.program.code();
            let Some(decoded) = offset.and_then(|at| decode(code, at)) else {
                break;
            };
            let line = self.lines.as_ref().and_then(|lines| lines.at(at));
            if line.is_some() && line != last {
                let text = line.as_deref().unwrap_or_default();
                writeln!(out, "<em>{}</em>", escape(text))?;
                last = line;
            }
            write!(out, "<i>{at:6x}</i>  {}", escape(&decoded.inst.to_string()))?;
            let direct = matches!(decoded.inst.flow(), Flow::Branch | Flow::Jump);
            let to = Pc::new(at).plus(i64::from(decoded.inst.imm()) as u64);
            write_target(direct.then_some(to.value()), shown, out)?;
            *left -= 1;
            listed += 1;
            at += decoded.len.bytes();
        }
        Ok(listed)
    }
}

/// The end of a line, with a link to where its instruction goes.
fn write_target(to: Option<u64>, shown: &BTreeSet<u64>, out: &mut dyn Write) -> io::Result<()> {
    match to {
        Some(to) if shown.contains(&to) => {
            writeln!(out, "  <a href=\"#b{to}\">→ {}</a>", Pc::new(to))
        }
        Some(to) => writeln!(out, "  → {}", Pc::new(to)),
        None => writeln!(out),
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_in_names_stays_text() {
        let name = "<script>alert('a' & \"b\")</script>";
        let expected = "&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;";
        assert_eq!(escape(name), expected);
        assert_eq!(escape("main"), "main");
    }
}
