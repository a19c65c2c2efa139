//! This engine behind the line protocol, as a child of `rivet bench`.

use crate::Outcome;
use crate::failure::Failure;
use crate::input::{self, Source};
use rivet::engine::{Backend, Bare, Config, Engine, Exit, Program, Start};
use rivet::image::{Image, Key, NoImages};
use rivet::isa::{Gas, Reg};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// Serves standard input until it ends. The mode is the name of a backend.
pub(crate) fn serve(mode: &str, cpu: Option<usize>) -> Result<Outcome, Failure> {
    settle_down(cpu);
    let backend: Backend = mode
        .parse()
        .map_err(|_| Failure::message(format!("`{mode}` is not a backend")))?;
    let engine = Engine::new(Config {
        backend,
        ..Config::default()
    })?;
    reply("ready")?;
    let mut loaded = None;
    for command in io::stdin().lock().lines().map_while(Result::ok) {
        match answer(&engine, &command, &mut loaded) {
            Ok(text) => reply(&text)?,
            Err(failure) => {
                let text = failure.to_string();
                let words: Vec<&str> = text.split_whitespace().collect();
                reply(&format!("error {}", words.join(" ")))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn reply(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

fn answer(engine: &Engine, command: &str, loaded: &mut Option<Program>) -> Result<String, Failure> {
    match command.split_once(' ') {
        Some(("load", path)) => {
            *loaded = None;
            let Source::Image { image, .. } = input::read(Path::new(path), None)? else {
                return Err(Failure::message("bare code is no workload"));
            };
            let bytes = image
                .encode()
                .map_err(|error| Failure::message(error.to_string()))?;
            let clock = Instant::now();
            let image = Image::decode(&bytes, &NoImages)
                .map_err(|error| Failure::message(error.to_string()))?;
            *loaded = Some(engine.load(&image)?);
            Ok(format!("ok {} 0", clock.elapsed().as_nanos()))
        }
        Some(("run", argument)) => {
            let argument = argument.parse();
            let (Some(program), Ok(argument)) = (loaded.as_ref(), argument) else {
                return Err(Failure::message(
                    "nothing is loaded, or no number was given",
                ));
            };
            run(program, argument)
        }
        _ => Err(Failure::message("neither load nor run")),
    }
}

fn run(program: &Program, argument: u64) -> Result<String, Failure> {
    let a0 = Reg::A0.slot().expect("a0 has a slot");
    let mut host = Bare::new(io::sink());
    let clock = Instant::now();
    let start = Start::endpoint(Key::endpoint(0))
        .with_gas(Gas::MAX)
        .with_slot(a0, argument);
    let mut machine = program.machine(start)?;
    let start = clock.elapsed();
    let clock = Instant::now();
    let exit = machine.run(&mut host)?;
    let run = clock.elapsed();
    if exit != Exit::Halt {
        return Err(Failure::message(format!(
            "the guest ended with {}",
            exit.name()
        )));
    }
    let (value, native) = (
        machine.regs().get(Reg::A0),
        program.translation().native_bytes,
    );
    let (start, run) = (start.as_nanos(), run.as_nanos());
    Ok(format!("ok {value:#x} {start} {run} {native}"))
}

/// Stays on one core, ahead of other work, where both are allowed.
#[cfg(target_os = "linux")]
pub(crate) fn settle_down(cpu: Option<usize>) {
    use rustix::process::{getpid, setpriority_process};
    use rustix::thread::{CpuSet, sched_setaffinity};
    // Neither is needed for right results, so neither may fail the run.
    let _ = setpriority_process(Some(getpid()), -10);
    if let Some(cpu) = cpu.filter(|cpu| *cpu < CpuSet::MAX_CPU) {
        let mut set = CpuSet::new();
        set.set(cpu);
        let _ = sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn settle_down(_cpu: Option<usize>) {}
