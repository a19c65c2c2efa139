//! Names for code offsets.

use crate::failure::Failure;
use crate::number;
use rivet::isa::Pc;

/// A named range of code.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) pc: u64,
    pub(crate) size: u64,
}

/// The code symbols of a program in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols(Vec<Symbol>);

impl Symbols {
    pub(crate) fn new(mut symbols: Vec<Symbol>) -> Self {
        symbols.sort_by(|a, b| (a.pc, &a.name).cmp(&(b.pc, &b.name)));
        Self(symbols)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Symbol] {
        &self.0
    }

    /// The symbols that begin exactly at `pc`.
    pub(crate) fn at(&self, pc: Pc) -> impl Iterator<Item = &str> {
        let first = self.0.partition_point(|symbol| symbol.pc < pc.value());
        let here = self.0[first..]
            .iter()
            .take_while(move |symbol| symbol.pc == pc.value());
        here.map(|symbol| symbol.name.as_str())
    }

    /// The code of a symbol; up to the next one if its size is not known.
    pub(crate) fn range(&self, name: &str) -> Option<std::ops::Range<u64>> {
        let symbol = self.0.iter().find(|symbol| symbol.name == name)?;
        let later = self.0.iter().find(|other| other.pc > symbol.pc);
        let end = match symbol.size {
            0 => later.map_or(u64::MAX, |other| other.pc),
            size => symbol.pc.saturating_add(size),
        };
        Some(symbol.pc..end)
    }

    /// `name+0x12` for an offset inside a symbol.
    pub(crate) fn describe(&self, pc: Pc) -> Option<String> {
        let past = self.0.partition_point(|symbol| symbol.pc <= pc.value());
        let symbol = self.0[..past].last()?;
        let inside = pc.value() - symbol.pc;
        if symbol.size != 0 && inside >= symbol.size {
            return None;
        }
        Some(if inside == 0 {
            symbol.name.clone()
        } else {
            format!("{}+{inside:#x}", symbol.name)
        })
    }
}

/// The pc that `--entry` names: a symbol or an offset.
pub(crate) fn resolve(symbols: &Symbols, entry: &str) -> Result<Pc, Failure> {
    place(symbols, "--entry", entry)
}

/// The pc that an option names: a symbol or an offset.
pub(crate) fn place(symbols: &Symbols, option: &str, entry: &str) -> Result<Pc, Failure> {
    if let Some(symbol) = symbols.0.iter().find(|symbol| symbol.name == entry) {
        return Ok(Pc::new(symbol.pc));
    }
    number::number(entry).map(Pc::new).map_err(|_| {
        Failure::message(format!(
            "{option} `{entry}` is neither a symbol nor a code offset"
        ))
        .help("`rivet gas FILE` lists the symbols of the code")
    })
}
