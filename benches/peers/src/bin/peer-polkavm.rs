//! PolkaVM: `linux`, `generic` and `interpreter`, each followed by `-none`, `-sync` or `-async`
//! gas with one unit per instruction, or by `-full`: synchronous gas with the pipeline cost model.
#![forbid(unsafe_code)]

use peers::{Failure, MAIN, Peer, Run, serve, timed};
use polkavm::{
    ArcBytes, BackendKind, CacheModel, Config, CostModelKind, Engine, GasMeteringKind, InstancePre,
    Linker, Module, ModuleConfig, SandboxKind,
};
use polkavm_linker::TargetInstructionSet;
use std::process::ExitCode;

/// Gas is signed here.
const PLENTY: i64 = 1 << 60;

struct PolkaVm {
    engine: Engine,
    module: ModuleConfig,
    linker: Linker,
}

impl Peer for PolkaVm {
    type Program = InstancePre;

    fn open(mode: &str) -> Result<Self, Failure> {
        let unknown = || format!("no mode `{mode}`");
        let (place, gas) = mode.split_once('-').ok_or_else(unknown)?;
        let mut config = Config::new();
        let (backend, sandbox) = match place {
            "linux" => (BackendKind::Compiler, Some(SandboxKind::Linux)),
            "generic" => (BackendKind::Compiler, Some(SandboxKind::Generic)),
            "interpreter" => (BackendKind::Interpreter, None),
            _ => return Err(unknown().into()),
        };
        config.set_backend(Some(backend)).set_sandbox(sandbox);
        // The generic sandbox counts as an experiment of its authors.
        config.set_allow_experimental(sandbox == Some(SandboxKind::Generic));
        let mut module = ModuleConfig::new();
        let (metering, model) = match gas {
            "none" => (None, None),
            "sync" => (Some(GasMeteringKind::Sync), None),
            "async" => (Some(GasMeteringKind::Async), None),
            "full" => (
                Some(GasMeteringKind::Sync),
                Some(CostModelKind::Full(CacheModel::L1Hit)),
            ),
            _ => return Err(unknown().into()),
        };
        module.set_gas_metering(metering).set_cost_model(model);
        let mut linker = Linker::new();
        linker.define_typed("guest_ping", || {})?;
        linker.define_typed("guest_write", |_: u64, _: u64| {})?;
        Ok(Self {
            engine: Engine::new(&config)?,
            module,
            linker,
        })
    }

    fn convert(&self, elf: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut config = polkavm_linker::Config::default();
        config.set_strip(true).set_min_stack_size(1 << 20);
        let blob = polkavm_linker::program_from_elf(config, TargetInstructionSet::Latest, &elf);
        blob.map_err(|error| error.to_string().into())
    }

    fn compile(&self, program: &[u8]) -> Result<(Self::Program, usize), Failure> {
        let module = Module::new(&self.engine, &self.module, ArcBytes::from(program))
            .map_err(|error| error.to_string())?;
        let bytes = module.machine_code().map_or(0, <[u8]>::len);
        let program = self.linker.instantiate_pre(&module);
        Ok((program.map_err(|error| error.to_string())?, bytes))
    }

    fn run(&self, program: &Self::Program, argument: u64) -> Result<Run, Failure> {
        let (mut instance, start) = timed(|| {
            let mut instance = program.instantiate().map_err(|error| error.to_string())?;
            instance.set_gas(PLENTY);
            Ok(instance)
        })?;
        let (value, run) = timed(|| {
            let value = instance.call_typed_and_get_result::<u64, _>(&mut (), MAIN, (argument,));
            value.map_err(|error| format!("{error:?}").into())
        })?;
        Ok(Run { value, start, run })
    }
}

fn main() -> ExitCode {
    serve::<PolkaVm>()
}
