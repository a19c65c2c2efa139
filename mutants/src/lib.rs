//! Historical bugs of engines like this one, planted one at a time.
//!
//! ```text
//!   mutant!(GateStrict, gas < gate, gas <= gate)
//!
//!   ordinary build          gas < gate
//!   feature `switch`        RIVET_MUTANT=GateStrict ? gas <= gate : gas < gate
//! ```
//!
//! A test suite is worth what it reports. Each [`Mutant`] is a mistake that an engine of this kind
//! has really had, or its nearest relative here; `just mutants` plants each, runs the tests until one
//! fails, and writes `CAUGHT.md`. A mutant that nothing reports is a gap in the tests.
//!
//! Without the feature [`active`] is constantly false, so the compiler drops every wrong side. With
//! it one build serves all mutants: the environment chooses.
#![cfg_attr(not(feature = "switch"), no_std)]
#![forbid(unsafe_code)]

mod list;
pub use list::Mutant;

/// The first expression, or the second if the mutant is the one that was chosen.
///
/// Cannot stand in a `const fn`.
#[macro_export]
macro_rules! mutant {
    ($name:ident, $right:expr, $wrong:expr) => {
        if $crate::active($crate::Mutant::$name) {
            $wrong
        } else {
            $right
        }
    };
}

/// The environment variable that chooses a mutant by its name.
pub const VARIABLE: &str = "RIVET_MUTANT";

/// Whether this mutant is the chosen one.
#[cfg(not(feature = "switch"))]
#[inline(always)]
pub const fn active(_: Mutant) -> bool {
    false
}

/// Whether this mutant is the chosen one.
///
/// # Panics
/// If the environment names a mutant that does not exist.
#[cfg(feature = "switch")]
#[inline]
pub fn active(mutant: Mutant) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Mutant>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var(VARIABLE).ok()?;
        let found = Mutant::ALL.iter().find(|m| m.name() == name);
        Some(*found.unwrap_or_else(|| panic!("{VARIABLE}={name} names no mutant")))
    });
    *chosen == Some(mutant)
}
