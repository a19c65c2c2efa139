//! What an embedder chooses once per engine.

use rivet_isa::gas::CostModel;
use std::fmt;
use std::str::FromStr;

/// Which engine executes guest code. All give the same results bit for bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Backend {
    /// The fastest that this machine can host.
    #[default]
    Auto,
    /// The reference interpreter.
    Interp,
}

impl Backend {
    /// Name as scripts write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Interp => "interp",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A backend name that is not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not a backend: use auto or interp")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        [Self::Auto, Self::Interp]
            .into_iter()
            .find(|backend| backend.name() == text)
            .ok_or_else(|| UnknownBackend(text.to_owned()))
    }
}

/// Configuration of an engine.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Which engine executes guest code.
    pub backend: Backend,
    /// Cost parameters of the protocol. They are part of a program's identity.
    pub cost_model: CostModel,
}
