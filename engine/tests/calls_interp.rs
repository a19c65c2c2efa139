//! The suite of calls on the interp backend.

use rivet_engine::{Backend, Config, Engine};

#[path = "suite/calls.rs"]
mod calls;

fn engine() -> Engine {
    let config = Config {
        backend: Backend::Interp,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
