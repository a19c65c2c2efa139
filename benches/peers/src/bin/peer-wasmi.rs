//! wasmi: `plain`, `fuel`.
#![forbid(unsafe_code)]

use peers::{Failure, MAIN, PLENTY, Peer, Run, serve, timed};
use std::process::ExitCode;
use wasmi::{Config, Engine, Linker, Module, Store};

struct Wasmi {
    engine: Engine,
    linker: Linker<()>,
    fuel: bool,
}

impl Peer for Wasmi {
    type Program = Module;

    fn open(mode: &str) -> Result<Self, Failure> {
        let fuel = match mode {
            "plain" => false,
            "fuel" => true,
            _ => return Err(format!("no mode `{mode}`").into()),
        };
        let mut config = Config::default();
        config.consume_fuel(fuel);
        let engine = Engine::new(&config);
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "guest_ping", || {})?;
        linker.func_wrap("env", "guest_write", |_: u32, _: u32| {})?;
        Ok(Self {
            engine,
            linker,
            fuel,
        })
    }

    fn compile(&self, program: &[u8]) -> Result<(Self::Program, usize), Failure> {
        Ok((Module::new(&self.engine, program)?, 0))
    }

    fn run(&self, program: &Self::Program, argument: u64) -> Result<Run, Failure> {
        let ((mut store, main), start) = timed(|| {
            let mut store = Store::new(&self.engine, ());
            if self.fuel {
                store.set_fuel(PLENTY)?;
            }
            let instance = self.linker.instantiate_and_start(&mut store, program)?;
            let main = instance.get_typed_func::<u64, u64>(&store, MAIN)?;
            Ok((store, main))
        })?;
        let (value, run) = timed(|| Ok(main.call(&mut store, argument)?))?;
        Ok(Run { value, start, run })
    }
}

fn main() -> ExitCode {
    serve::<Wasmi>()
}
