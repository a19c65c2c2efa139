//! The suite of calls on the checked backend.

#[path = "../../jit/tests/common/maps.rs"]
mod maps;

use rivet_engine::{Backend, Config, Engine};

#[path = "suite/calls.rs"]
mod calls;

fn engine() -> Engine {
    maps::watch();
    let config = Config {
        backend: Backend::Checked,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
