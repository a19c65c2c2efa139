//! Bugs that were found by looking for them: each stays fixed on every backend.

#[path = "../jit/tests/common/maps.rs"]
mod maps;

use rivet::engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, HostError, NoHost, Program,
    Quote, Raw, Start, View, native_available,
};
use rivet::isa::asm::assemble;
use rivet::isa::{Gas, Pc, Reg};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Every backend that can run here.
fn backends() -> Vec<Backend> {
    let all = [Backend::Interp, Backend::Jit, Backend::Checked];
    let native = native_available().is_ok();
    let runs_here = |backend: &Backend| native || *backend == Backend::Interp;
    all.into_iter().filter(runs_here).collect()
}

fn load(backend: Backend, raw: Raw) -> Program {
    maps::watch();
    let config = Config {
        backend,
        ..Config::default()
    };
    Engine::new(config).unwrap().load_raw(raw).unwrap()
}

fn start(pc: u64) -> Start {
    Start::at(pc).with_gas(Gas::new(1 << 40).unwrap())
}

/// Code that is translated in many pieces. Each piece begins with a load from the null guard.
fn pieces_that_fault(pieces: u64, bytes: u64) -> Vec<u8> {
    let load = assemble("ld a0, 0(zero)").unwrap();
    let filler = assemble("fallthrough").unwrap();
    let mut code = Vec::new();
    for _ in 0..pieces {
        code.extend_from_slice(&load);
        for _ in 1..bytes / 4 {
            code.extend_from_slice(&filler);
        }
    }
    code
}

#[test]
fn threads_that_enter_code_while_it_is_being_published_see_its_faults() {
    const PIECES: u64 = 64;
    const BYTES: u64 = 1 << 16;
    let code = pieces_that_fault(PIECES, BYTES);
    for backend in backends() {
        for round in 0..6 {
            let program = load(backend, Raw::new(code.clone()));
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let program = program.clone();
                    scope.spawn(move || {
                        let wait = std::time::Duration::from_micros(thread * 137 * round);
                        std::thread::sleep(wait);
                        for piece in 0..PIECES {
                            let pc = piece * BYTES;
                            let mut machine = program.machine(start(pc)).unwrap();
                            let exit = machine.run(&mut NoHost).unwrap();
                            assert_eq!(exit.name(), "page-fault", "{backend}");
                            assert_eq!(machine.pc(), Pc::new(pc), "{backend}");
                        }
                    });
                }
            });
        }
    }
}

/// Answers every call, and panics in the third.
struct Panicking {
    calls: u32,
}

impl Host for Panicking {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        self.calls += 1;
        assert!(self.calls != 3, "the host gives up");
        Flow::Continue
    }
}

#[test]
fn a_machine_whose_host_panicked_never_runs_again() {
    let code = assemble("loop: addi a0, a0, 1\n ecalli 5\n j loop").unwrap();
    for backend in backends() {
        let program = load(backend, Raw::new(code.clone()));
        let mut machine = program.machine(start(0)).unwrap();
        let mut host = Panicking { calls: 0 };
        let run = catch_unwind(AssertUnwindSafe(|| machine.run(&mut host)));
        assert!(run.is_err(), "{backend}: the panic reaches the caller");
        let again: Result<Exit, HostError> = machine.run(&mut NoHost);
        assert!(
            matches!(again, Err(HostError::Poisoned)),
            "{backend}: {again:?} with a0 = {}",
            machine.regs().get(Reg::A0)
        );
    }
}

#[test]
fn a_block_too_long_to_translate_runs_to_its_end() {
    let mut code = assemble("c.addi a0, 1").unwrap().repeat(600_000);
    code.extend(assemble("trap").unwrap());
    for backend in backends() {
        let program = load(backend, Raw::new(code.clone()));
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut machine = program.machine(start(0)).unwrap();
            let exit = machine.run(&mut NoHost).unwrap();
            let _ = sender.send((exit.name(), machine.regs().get(Reg::A0)));
        });
        let ended = receiver.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(ended, Ok(("trap", 600_000)), "{backend}");
    }
}
