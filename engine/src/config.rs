//! What an embedder chooses once per engine.

use rivet_isa::gas::CostModel;
use rivet_paging::SignalCheck;
use std::fmt;
use std::str::FromStr;

/// Which engine executes guest code. All give the same results bit for bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Backend {
    /// The recompiler where it can run, else the interpreter.
    #[default]
    Auto,
    /// The recompiler; an error where it cannot run.
    Jit,
    /// The reference interpreter.
    Interp,
    /// Recompiler and interpreter side by side, compared at every exit and call; the first
    /// difference is a [`HostError::Diverged`](crate::HostError::Diverged).
    Checked,
}

impl Backend {
    const ALL: [Self; 4] = [Self::Auto, Self::Jit, Self::Interp, Self::Checked];

    /// Name as scripts write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Jit => "jit",
            Self::Interp => "interp",
            Self::Checked => "checked",
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
#[error("`{0}` is not a backend: use auto, jit, interp or checked")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == text)
            .ok_or_else(|| UnknownBackend(text.to_owned()))
    }
}

/// Where [`Backend::Checked`] compares the engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum CheckEvery {
    /// At every exit and call: everything.
    #[default]
    Exit,
    /// After every block as well: exit, registers, pc, gas, the set of private pages, and the
    /// content of pages that the block stored to. Much slower.
    Block,
}

/// Limits on what the machines of one engine may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Private pages of one machine; all of the address space unless said.
    pub machine_pages: u64,
    /// Private pages of all machines; 2^22 (16 GiB) unless said.
    pub engine_pages: u64,
    /// Bytes of native code of all programs; 512 MiB unless said.
    pub native_code: u64,
    /// Idle 4 GiB windows kept for reuse.
    pub idle_windows: usize,
    /// Host mappings that all windows together may use.
    pub mappings: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            machine_pages: 1 << 20,
            engine_pages: 1 << 22,
            native_code: 512 << 20,
            idle_windows: 16,
            mappings: 60_000,
        }
    }
}

/// Configuration of an engine.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Which engine executes guest code.
    pub backend: Backend,
    /// Cost parameters of the protocol. They are part of a program's identity.
    pub cost_model: CostModel,
    /// Where the two engines of [`Backend::Checked`] are compared.
    pub check_every: CheckEvery,
    /// Limits of memory.
    pub limits: Limits,
    /// When runs look whether guest faults can arrive; for hosts that leave and enter often.
    pub signals: SignalCheck,
}
