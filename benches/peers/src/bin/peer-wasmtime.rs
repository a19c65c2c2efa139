//! wasmtime: `cranelift`, `cranelift-fuel`, `winch`, `winch-fuel`.
#![forbid(unsafe_code)]

use peers::{Failure, MAIN, PLENTY, Peer, Run, serve, timed};
use std::process::ExitCode;
use wasmtime::{Config, Engine, InstancePre, Linker, Module, Store, Strategy};

struct Wasmtime {
    engine: Engine,
    linker: Linker<()>,
    fuel: bool,
}

impl Peer for Wasmtime {
    type Program = InstancePre<()>;

    fn open(mode: &str) -> Result<Self, Failure> {
        let (strategy, fuel) = match mode {
            "cranelift" => (Strategy::Cranelift, false),
            "cranelift-fuel" => (Strategy::Cranelift, true),
            "winch" => (Strategy::Winch, false),
            "winch-fuel" => (Strategy::Winch, true),
            _ => return Err(format!("no mode `{mode}`").into()),
        };
        let mut config = Config::new();
        config.strategy(strategy).consume_fuel(fuel);
        let engine = Engine::new(&config)?;
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
        let module = Module::new(&self.engine, program)?;
        let range = module.image_range();
        let bytes = range.end as usize - range.start as usize;
        Ok((self.linker.instantiate_pre(&module)?, bytes))
    }

    fn run(&self, program: &Self::Program, argument: u64) -> Result<Run, Failure> {
        let ((mut store, main), start) = timed(|| {
            let mut store = Store::new(&self.engine, ());
            if self.fuel {
                store.set_fuel(PLENTY)?;
            }
            let instance = program.instantiate(&mut store)?;
            let main = instance.get_typed_func::<u64, u64>(&mut store, MAIN)?;
            Ok((store, main))
        })?;
        let (value, run) = timed(|| Ok(main.call(&mut store, argument)?))?;
        Ok(Run { value, start, run })
    }
}

fn main() -> ExitCode {
    serve::<Wasmtime>()
}
