//! Why a command could not do its work, as a person reads it: what, where, how to fix it.

use rivet::engine::{EngineError, HostError, LoadError, StartError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A usage or load error; always exit status 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file could not be read or written.
    File {
        doing: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// The reader of our output went away; not worth a word.
    OutputClosed,
    /// Anything else: a headline, further lines, a remedy.
    Message {
        what: String,
        notes: Vec<String>,
        help: Option<String>,
    },
    /// A diagnostic that is rendered already.
    Rendered(String),
}

impl Failure {
    pub(crate) fn message(what: impl Into<String>) -> Self {
        Self::Message {
            what: what.into(),
            notes: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Message { what, notes, .. } => Self::Message {
                what,
                notes,
                help: Some(text.into()),
            },
            other => other,
        }
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        if let Self::Message { notes, .. } = &mut self {
            notes.push(text.into());
        }
        self
    }

    pub(crate) fn file(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::File {
            doing,
            path: path.to_owned(),
            error,
        }
    }

    /// A failure to write to standard output or error.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::message(format!("cannot write output: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { doing, path, error } => {
                write!(f, "error: cannot {doing} `{}`: {error}", path.display())
            }
            Self::OutputClosed => f.write_str("error: output was closed"),
            Self::Message { what, notes, help } => {
                write!(f, "error: {what}")?;
                for note in notes {
                    write!(f, "\n  {note}")?;
                }
                match help {
                    Some(help) => write!(f, "\n  = help: {help}"),
                    None => Ok(()),
                }
            }
            Self::Rendered(text) => f.write_str(text.trim_end()),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::message(error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::message(format!("cannot load the program: {error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::message(format!("cannot start the program: {error}"))
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::message(format!("the host failed: {error}"))
    }
}
