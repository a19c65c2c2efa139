//! The suite of calls on the jit backend.

use rivet_engine::{Backend, Config, Engine};

#[path = "suite/calls.rs"]
mod calls;

fn engine() -> Engine {
    let config = Config {
        backend: Backend::Jit,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
