//! The symbol table, by index and by address.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::sym::{self, Symtab};

use super::object::{SymbolTable, cut, range};
use crate::error::{LinkError, Part};

/// Longer names are cut; no toolchain makes them, and bounded names keep time bounded.
const MAX_NAME: usize = 4096;

/// The zero-terminated name at an offset of a string table; empty if there is none. Names end up
/// on terminals, so one with control characters is not shown.
pub(super) fn name_at(strings: &[u8], offset: usize) -> &str {
    let Some(rest) = strings.get(offset..) else {
        return "";
    };
    let rest = &rest[..rest.len().min(MAX_NAME)];
    let end = rest
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(rest.len());
    match std::str::from_utf8(&rest[..end]) {
        Ok(name) if !name.chars().any(char::is_control) => name,
        _ => "<unprintable name>",
    }
}

/// Where a symbol lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Nowhere; zero if the symbol is weak.
    Undefined,
    /// A plain number.
    Absolute,
    /// A section.
    Section(u32),
    /// A common block or another reserved index.
    Other(u32),
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymbolKind {
    Function,
    Object,
    Section,
    File,
    Tls,
    Ifunc,
    Other,
}

/// One symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) home: Home,
    pub(crate) kind: SymbolKind,
    pub(crate) weak: bool,
    pub(crate) local: bool,
    name: u32,
}

/// The symbol table.
pub(crate) struct Symbols<'a> {
    all: Vec<Symbol>,
    strings: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// Reads the one symbol table there may be; none is an empty table.
    pub(super) fn read(table: Option<&SymbolTable>, bytes: &'a [u8]) -> Result<Self, LinkError> {
        let Some(table) = table else {
            return Ok(Self {
                all: Vec::new(),
                strings: &[],
            });
        };
        if table.entry != 24 || table.size % 24 != 0 {
            let found = table.entry;
            return Err(LinkError::EntrySize {
                part: Part::Symbols,
                found,
                expected: 24,
            });
        }
        range(bytes, Part::Symbols, table.offset, table.size)?;
        let strings = range(bytes, Part::Section, table.strings.0, table.strings.1)?;
        let count = (table.size / 24) as usize;
        let ctx = Ctx {
            container: Container::Big,
            le: Endian::Little,
        };
        let raw = Symtab::parse(bytes, table.offset as usize, count, ctx)
            .map_err(|_| cut(Part::Symbols, table.offset, table.size, bytes))?;
        let all = raw.iter().map(|raw| symbol(&raw)).collect();
        Ok(Self { all, strings })
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Symbol> {
        self.all.get(index as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Symbol> {
        self.all.iter()
    }

    pub(crate) fn name(&self, symbol: &Symbol) -> &'a str {
        name_at(self.strings, symbol.name as usize)
    }

    /// The beginning of the name, for tests on it that must not cost its length.
    pub(crate) fn name_start(&self, symbol: &Symbol) -> &'a [u8] {
        let rest = self.strings.get(symbol.name as usize..).unwrap_or(&[]);
        &rest[..rest.len().min(3)]
    }

    /// The defined symbol of this name; global ones win over local ones.
    pub(crate) fn find(&self, name: &str) -> Option<&Symbol> {
        let named = |symbol: &&Symbol| {
            matches!(symbol.home, Home::Section(_) | Home::Absolute)
                && !matches!(symbol.kind, SymbolKind::File | SymbolKind::Section)
                && self
                    .strings
                    .get(symbol.name as usize..)
                    .is_some_and(|rest| {
                        rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0)
                    })
        };
        let mut found = self.all.iter().filter(named);
        let first = found.next()?;
        if first.local {
            found.find(|symbol| !symbol.local).or(Some(first))
        } else {
            Some(first)
        }
    }
}

fn symbol(raw: &sym::Sym) -> Symbol {
    let home = match raw.st_shndx {
        0 => Home::Undefined,
        0xFFF1 => Home::Absolute,
        index if index < 0xFF00 => Home::Section(index as u32),
        index => Home::Other(index as u32),
    };
    let kind = match raw.st_type() {
        sym::STT_FUNC => SymbolKind::Function,
        sym::STT_OBJECT => SymbolKind::Object,
        sym::STT_SECTION => SymbolKind::Section,
        sym::STT_FILE => SymbolKind::File,
        sym::STT_TLS => SymbolKind::Tls,
        sym::STT_GNU_IFUNC => SymbolKind::Ifunc,
        _ => SymbolKind::Other,
    };
    Symbol {
        value: raw.st_value,
        size: raw.st_size,
        home,
        kind,
        weak: raw.st_bind() == sym::STB_WEAK,
        local: raw.st_bind() == sym::STB_LOCAL,
        name: raw.st_name as u32,
    }
}
