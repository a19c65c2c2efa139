//! Which lines of a trace are shown.

use super::Args;
use crate::failure::Failure;
use crate::number;
use crate::symbols::Symbols;
use rivet::isa::Pc;
use std::ops::{Range, RangeInclusive};

/// `FROM:TO`.
pub(super) fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once(':').ok_or("expected FROM:TO")?;
    let (from, to) = (number::number(from)?, number::number(to)?);
    if from > to {
        return Err(format!("{from:#x} is above {to:#x}"));
    }
    Ok((from, to))
}

/// Places and an amount of gas; what is not said lets everything through.
pub(super) struct Filter {
    pcs: Vec<Range<u64>>,
    gas: RangeInclusive<u64>,
    any: bool,
}

impl Filter {
    pub(super) fn new(args: &Args, symbols: &Symbols) -> Result<Self, Failure> {
        let mut pcs: Vec<_> = args.pcs.iter().map(|(from, to)| *from..*to).collect();
        for name in &args.symbols {
            let range = symbols.range(name).ok_or_else(|| {
                Failure::message(format!("--symbol `{name}` is no symbol of the code"))
                    .help("`rivet gas FILE` lists the symbols of the code")
            })?;
            pcs.push(range);
        }
        let gas = args.window.map_or(0..=u64::MAX, |(low, high)| low..=high);
        let any = !pcs.is_empty() || args.window.is_some();
        Ok(Self { pcs, gas, any })
    }

    /// Whether something may be left out.
    pub(super) fn is_set(&self) -> bool {
        self.any
    }

    /// Whether a line about this offset with this gas is shown.
    pub(super) fn passes(&self, pc: Pc, gas: u64) -> bool {
        let here = |range: &Range<u64>| range.contains(&pc.value());
        self.gas.contains(&gas) && (self.pcs.is_empty() || self.pcs.iter().any(here))
    }
}
