//! Which blocks a page shows.

use crate::failure::Failure;
use crate::symbols::Symbols;
use rivet::engine::{BlockInfo, Program};
use rivet::isa::gas::block_cost;
use rivet::isa::{Block, decode};
use std::ops::Range;

/// What goes on the page, and how much does not.
pub(crate) struct Selection {
    pub(crate) blocks: Vec<BlockInfo>,
    /// Most instructions that are listed; the last block may be cut.
    pub(crate) limit: u64,
    /// Blocks of the program.
    pub(crate) total: u64,
    /// Blocks that were asked for.
    pub(crate) matching: u64,
}

/// The ranges of offsets that are asked for; everything if nothing is named.
pub(crate) fn wanted(
    symbols: &Symbols,
    names: &[String],
    ranges: &[Range<u64>],
) -> Result<Vec<Range<u64>>, Failure> {
    let mut wanted = ranges.to_vec();
    for name in names {
        let before = wanted.len();
        let named = symbols.all().iter().filter(|symbol| symbol.name == *name);
        wanted.extend(named.map(|symbol| {
            let size = symbol.size.max(1);
            symbol.pc..symbol.pc.saturating_add(size)
        }));
        if wanted.len() == before {
            let help = "`rivet gas FILE` lists the symbols of the code";
            let what = format!("--symbol `{name}`: the program has no such symbol");
            return Err(Failure::message(what).help(help));
        }
    }
    if wanted.is_empty() {
        wanted.push(0..u64::MAX);
    }
    Ok(wanted)
}

/// Instructions of a block, counted up to a limit.
fn instructions(code: &[u8], block: Block, limit: u64) -> u64 {
    let mut at = block.start.value();
    let mut count = 0;
    while at < block.end.value() && count < limit {
        let decoded = usize::try_from(at).ok().and_then(|at| decode(code, at));
        let Some(decoded) = decoded else { break };
        at += decoded.len.bytes();
        count += 1;
    }
    count
}

/// The blocks in these ranges, as many as the limit allows.
pub(crate) fn select(program: &Program, wanted: &[Range<u64>], limit: u64) -> Selection {
    let mut selection = Selection {
        blocks: Vec::new(),
        limit,
        total: 0,
        matching: 0,
    };
    let mut left = limit;
    for block in program.starts().blocks() {
        selection.total += 1;
        if !wanted
            .iter()
            .any(|range| range.contains(&block.start.value()))
        {
            continue;
        }
        selection.matching += 1;
        if left > 0 {
            left -= instructions(program.code(), block, left);
            let cost = block_cost(program.code(), block, program.costs());
            selection.blocks.push(BlockInfo { block, cost });
        }
    }
    selection
}
