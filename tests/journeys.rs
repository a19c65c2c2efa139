//! What an embedder does between two runs leaves both engines in the same state, and a machine
//! that keeps what it should forget is found.
//!
//! `RIVET_AGREE_SCALE` multiplies the number of journeys and `RIVET_AGREE_SEED` moves to others.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use rivet::engine::Backend;
use rivet::engine::diff::Journeys;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

fn agree(backends: [Backend; 2], count: u64) {
    let journeys = Journeys::new(backends).expect("both can run here");
    let first = setting("RIVET_AGREE_SEED", 1) << 32;
    for seed in first..first + count * setting("RIVET_AGREE_SCALE", 1) {
        if let Some(detour) = journeys.compare(seed) {
            panic!("journey {seed}: {detour}");
        }
    }
}

#[test]
fn recompiler_and_interpreter_agree_on_every_journey() {
    agree([Backend::Jit, Backend::Interp], 2000);
}

#[test]
fn the_checked_backend_goes_on_journeys_too() {
    agree([Backend::Checked, Backend::Interp], 200);
}
