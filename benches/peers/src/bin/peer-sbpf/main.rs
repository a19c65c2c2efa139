//! Solana's virtual machine of BPF programs: `jit`, `jit-metered`, `interpreter-metered`.
//!
//! The objects are those of clang's own BPF target, version 2 of its instructions, which version 3
//! of the machine's runs as they are. Guests that need what the target lacks (calls of the C
//! library, products of 128 bits, computed jumps, aggregates as values) do not compile.

mod link;

use peers::{Failure, PLENTY, Peer, Run, serve, timed};
use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf::{HOST_ALIGN, MM_INPUT_START, MM_STACK_START};
use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{
    BuiltinFunctionDefinition, BuiltinProgram, FunctionRegistry, SBPFVersion,
};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};
use std::process::ExitCode;
use std::ptr::NonNull;
use std::sync::Arc;

/// What guests may call.
const HOST_FUNCTIONS: [&str; 2] = ["guest_ping", "guest_write"];

/// Version of the instructions.
const VERSION: SBPFVersion = SBPFVersion::V3;

/// Frames of the guest's stack, each of 4 KiB.
const FRAMES: usize = 1024;

/// What the machine asks about, and its memory.
struct Context {
    left: u64,
    mapping: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.left
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from_mut(&mut self.mapping)
    }
}

/// A function of the host that does nothing.
struct Nothing;

impl BuiltinFunctionDefinition<Context> for Nothing {
    type Error = std::fmt::Error;

    fn rust(_: &mut Context, _: u64, _: u64, _: u64, _: u64, _: u64) -> Result<u64, Self::Error> {
        Ok(0)
    }
}

/// Its errors are not for other threads; only their texts are used.
fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string().into()
}

/// How programs run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Jit,
    Interpreter,
}

struct Sbpf {
    mode: Mode,
    loader: Arc<BuiltinProgram<Context>>,
}

struct Program {
    executable: Executable<Context>,
    data: Vec<u8>,
}

impl Peer for Sbpf {
    type Program = Program;

    fn open(mode: &str) -> Result<Self, Failure> {
        let (mode, metered) = match mode {
            "jit" => (Mode::Jit, false),
            "jit-metered" => (Mode::Jit, true),
            "interpreter-metered" => (Mode::Interpreter, true),
            _ => return Err(format!("no mode `{mode}`").into()),
        };
        let config = Config {
            max_call_depth: FRAMES,
            enable_instruction_meter: metered,
            ..Config::default()
        };
        let mut loader = BuiltinProgram::new_loader(config);
        for name in HOST_FUNCTIONS {
            loader.register_definition::<Nothing>(name).map_err(text)?;
        }
        Ok(Self {
            mode,
            loader: Arc::new(loader),
        })
    }

    /// Code and data behind each other, their lengths and the entry before them.
    fn convert(&self, object: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let linked = link::link(&object)?;
        let head = [linked.main, linked.code.len()].map(|n| (n as u64).to_le_bytes());
        Ok([head.concat(), linked.code, linked.data].concat())
    }

    fn compile(&self, program: &[u8]) -> Result<(Program, usize), Failure> {
        let (head, rest) = program.split_at_checked(16).ok_or("no head")?;
        let (main, len) = head.split_at(8);
        let [main, len] = [main, len].map(|bytes| {
            let bytes = bytes.try_into().unwrap_or_default();
            u64::from_le_bytes(bytes) as usize
        });
        let (code, data) = rest.split_at_checked(len).ok_or("no code")?;
        let mut functions = FunctionRegistry::default();
        functions
            .register_function(main as u32, "entrypoint", main)
            .map_err(text)?;
        let loader = Arc::clone(&self.loader);
        let executable = Executable::from_text_bytes(code, loader, VERSION, functions);
        let executable = executable.map_err(text)?;
        executable.verify::<RequisiteVerifier>().map_err(text)?;
        if self.mode == Mode::Jit {
            executable.jit_compile().map_err(text)?;
        }
        let bytes = executable.get_compiled_program();
        let bytes = bytes.map_or(0, |program| program.machine_code_length());
        let data = data.to_vec();
        Ok((Program { executable, data }, bytes))
    }

    fn run(&self, program: &Program, argument: u64) -> Result<Run, Failure> {
        let executable = &program.executable;
        let config = executable.get_config();
        let (mut stack, mut data, mut context);
        let mut frames = Vec::new();
        let (mut vm, start) = {
            let clock = std::time::Instant::now();
            stack = AlignedMemory::<HOST_ALIGN>::zero_filled(config.stack_size());
            data = AlignedMemory::<HOST_ALIGN>::from_slice(&program.data);
            let regions = vec![
                executable.get_ro_region(),
                MemoryRegion::new(&mut stack, MM_STACK_START),
                MemoryRegion::new(&mut data, MM_INPUT_START),
            ];
            // SAFETY: the regions must live as long as the mapping and bear any bytes. Code, stack
            // and data are bytes, and live to the end of this function, as the mapping does.
            let mapping = unsafe { MemoryMapping::new(regions, config, VERSION) };
            context = Context {
                left: PLENTY,
                mapping: mapping.map_err(text)?,
            };
            if self.mode == Mode::Interpreter {
                frames.resize(config.max_call_depth, CallFrame::default());
            }
            let loader = Arc::clone(&self.loader);
            let vm = EbpfVm::new(loader, VERSION, &mut context, config.stack_size());
            (vm, clock.elapsed())
        };
        vm.registers[1] = argument;
        let mut mode = match self.mode {
            Mode::Jit => ExecutionMode::Jit,
            Mode::Interpreter => ExecutionMode::Interpreted,
        };
        let (value, run) = timed(|| {
            let (_, result) = vm.execute_program(executable, &mut mode, &mut frames);
            let result: Result<u64, _> = result.into();
            result.map_err(text)
        })?;
        Ok(Run { value, start, run })
    }
}

fn main() -> ExitCode {
    serve::<Sbpf>()
}
