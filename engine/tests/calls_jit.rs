//! The suite of calls on the jit backend.

#[path = "../../jit/tests/common/maps.rs"]
mod maps;

use rivet_engine::{Backend, Config, Engine};

#[path = "suite/calls.rs"]
mod calls;

fn engine() -> Engine {
    maps::watch();
    let config = Config {
        backend: Backend::Jit,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
