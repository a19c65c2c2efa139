//! Why a vector file cannot be used.

use std::io;
use std::path::PathBuf;

/// A malformed vector file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: field `{}`: {problem}", field.escape_debug())]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The field, which is the first word of the line.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes are no text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// The file does not begin as a vector file.
    #[error("a vector file begins with the line `pvm2-vectors 1`")]
    Magic,
    /// The file is of another version of the format.
    #[error("version {0} of the format is unknown; this engine reads version 1")]
    Version(u64),
    /// The file has no origin before its first vector.
    #[error("`origin independent TEXT` or `origin engine TEXT` must come before the first vector")]
    Origin,
    /// No field has this name.
    #[error("there is no such field; see the README of conformance-vectors")]
    UnknownField,
    /// The field belongs to a vector and there is none yet.
    #[error("the field belongs to a vector, and no `vector NAME` line precedes it")]
    NoVector,
    /// The field cannot stand at this place.
    #[error("the field must stand {0}")]
    Place(&'static str),
    /// The field was given before.
    #[error("the field may be given once only")]
    Twice,
    /// A word is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A word that has no meaning here.
    #[error("`{0}` has no meaning here")]
    Surplus(String),
    /// A word that is no number.
    #[error("`{0}` is not an unsigned 64-bit number, decimal or with 0x")]
    Number(String),
    /// A number outside its range.
    #[error("`{word}` is out of range: {range}")]
    Range {
        /// The number as written.
        word: String,
        /// What it must be.
        range: &'static str,
    },
    /// A word that is no bytes.
    #[error("`{0}` is not an even number of hexadecimal digits, optionally followed by *COUNT")]
    Hex(String),
    /// A word that is none of a list.
    #[error("`{word}` is none of {known}")]
    Word {
        /// The word.
        word: String,
        /// The words that are allowed.
        known: &'static str,
    },
    /// More bytes than a file may have.
    #[error("the file lists more than 64 MiB of code and memory")]
    TooLong,
    /// Two mappings of a vector have pages in common.
    #[error("the mapping overlaps the one at {start:#x}")]
    Overlap {
        /// First address of the earlier one.
        start: u64,
    },
    /// Two vectors with one name.
    #[error("a vector of the name `{0}` precedes in this file")]
    SameName(String),
    /// A vector that states nothing.
    #[error("the vector `{0}` states nothing: it needs `exit` or `end`")]
    StatesNothing(String),
}

/// Why a set of vector files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`: {error}", path = path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A folder without vector files.
    #[error("`{path}` holds no vector files (*.vec or *.vec.gz)", path = path.display())]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// A file that is larger than any sensible set of vectors.
    #[error("`{path}` is larger than {limit} bytes", path = path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
    /// A file that is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
}
