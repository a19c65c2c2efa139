//! The suite of calls on the checked backend.

use rivet_engine::{Backend, Config, Engine};

#[path = "suite/calls.rs"]
mod calls;

fn engine() -> Engine {
    let config = Config {
        backend: Backend::Checked,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
