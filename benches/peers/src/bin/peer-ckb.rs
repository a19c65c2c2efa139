//! CKB-VM's assembler interpreter: `asm`. Cycles are always counted.
#![forbid(unsafe_code)]

use ckb_vm::cost_model::estimate_cycles;
use ckb_vm::machine::VERSION2;
use ckb_vm::machine::asm::{AsmCoreMachine, AsmMachine};
use ckb_vm::registers::{A0, A7};
use ckb_vm::{
    Bytes, DefaultMachineBuilder, DefaultMachineRunner, Error, ISA_B, ISA_IMC, ISA_MOP, Register,
    SupportMachine, Syscalls,
};
use peers::{Failure, Peer, Run, serve, timed};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers of the calls of `rt/ckb.c`.
const ARGUMENT: u64 = 9001;
const VALUE: u64 = 9002;
const NOTHING: u64 = 9003;

/// Hands the argument to the guest and takes its value.
struct Calls {
    argument: u64,
    value: Arc<AtomicU64>,
}

impl<M: SupportMachine> Syscalls<M> for Calls {
    fn initialize(&mut self, _: &mut M) -> Result<(), Error> {
        Ok(())
    }

    fn ecall(&mut self, machine: &mut M) -> Result<bool, Error> {
        match machine.registers()[A7].to_u64() {
            ARGUMENT => machine.set_register(A0, M::REG::from_u64(self.argument)),
            VALUE => self.value.store(machine.registers()[A0].to_u64(), Relaxed),
            NOTHING => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct Ckb;

impl Peer for Ckb {
    type Program = Bytes;

    fn open(mode: &str) -> Result<Self, Failure> {
        match mode {
            "asm" => Ok(Self),
            _ => Err(format!("no mode `{mode}`").into()),
        }
    }

    /// Nothing is compiled ahead: loading and decoding are part of each start and run.
    fn compile(&self, program: &[u8]) -> Result<(Bytes, usize), Failure> {
        Ok((Bytes::copy_from_slice(program), 0))
    }

    fn run(&self, program: &Bytes, argument: u64) -> Result<Run, Failure> {
        let value = Arc::new(AtomicU64::new(0));
        let (mut machine, start) = timed(|| {
            let isa = ISA_IMC | ISA_B | ISA_MOP;
            let core = <Box<AsmCoreMachine> as SupportMachine>::new(isa, VERSION2, u64::MAX);
            let calls = Calls {
                argument,
                value: Arc::clone(&value),
            };
            let core = DefaultMachineBuilder::new(core)
                .instruction_cycle_func(Box::new(estimate_cycles))
                .syscall(Box::new(calls))
                .build();
            let mut machine = AsmMachine::new(core);
            machine.load_program(program, std::iter::empty())?;
            Ok(machine)
        })?;
        let ((), run) = timed(|| match machine.run()? {
            0 => Ok(()),
            code => Err(format!("exit code {code}").into()),
        })?;
        Ok(Run {
            value: value.load(Relaxed),
            start,
            run,
        })
    }
}

fn main() -> ExitCode {
    serve::<Ckb>()
}
