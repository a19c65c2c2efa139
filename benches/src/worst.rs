//! Programs that are the worst for translation, each in a process of its own, whose peak of memory
//! is measured too.

use crate::figure::{Figure, spent};
use rivet_engine::{Backend, Config, Engine, NoHost, Raw, Start};
use rivet_isa::{Gas, MAX_CODE_SIZE, Pc, asm};
use std::process::Command;

/// Native code that a program may have at most: the bound of the recompiler.
const NATIVE_CEILING: u64 = 256 << 20;

/// Nanoseconds for an instruction that the worst program may take: four times those of an ordinary
/// one.
const WORST_TRANSLATION: f64 = 60.0;

/// A program that is the worst in one way.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is.
    pub name: &'static str,
    /// What is repeated.
    instruction: &'static str,
    /// Times that it is; nothing for as often as the largest program has room.
    times: Option<u64>,
}

const fn largest(name: &'static str, instruction: &'static str) -> Case {
    Case {
        name,
        instruction,
        times: None,
    }
}

/// All cases.
pub const CASES: [Case; 6] = [
    largest("252 MiB of two-byte branches", "c.beqz a0, 2"),
    largest("252 MiB of four-byte branches", "bltu a1, a2, 4"),
    largest("252 MiB of jalr", "c.jr ra"),
    largest("252 MiB of ecalli", "ecalli 1"),
    largest("252 MiB without an end of a block", "c.addi a1, 1"),
    Case {
        name: "one block of 2^16 instructions",
        instruction: "mul a1, a1, a2",
        times: Some(1 << 16),
    },
];

/// The case that a child is asked for.
pub fn named(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

impl Case {
    /// Loads it, translates all of it, runs it for a while, and prints what that took: nanoseconds
    /// to load and to translate, bytes of the guest, of an instruction, of native code, chunks
    /// that were refused, bytes of the peak.
    ///
    /// # Panics
    /// The recompiler does not run here.
    pub fn measure_here(&self) {
        let instruction = asm::assemble(self.instruction).expect("assembly");
        let most = MAX_CODE_SIZE / instruction.len() as u64;
        let times = self.times.map_or(most, |times| times.min(most));
        let mut code = instruction.repeat(times as usize);
        if self.times.is_some() {
            code.extend(asm::assemble("trap").expect("assembly"));
        }
        let bytes = code.len() as u64;
        let config = Config {
            backend: Backend::Jit,
            ..Config::default()
        };
        let engine = Engine::new(config).expect("the recompiler runs here");
        let mut program = None;
        let load = spent(|| program = engine.load_raw(Raw::new(code)).ok());
        let program = program.expect("it loads");
        let translate = spent(|| {
            for pc in (0..bytes).step_by(1 << 16) {
                program.translate(Pc::new(pc));
            }
        });
        let [load, translate] = [load, translate].map(|time| time.as_nanos());
        let gas = Gas::new(1 << 20).expect("in range");
        let mut machine = program
            .machine(Start::at(0).with_gas(gas))
            .expect("it starts");
        machine.run(&mut NoHost).expect("it runs");
        let made = program.translation();
        let len = instruction.len();
        let (native, refused) = (made.native_bytes, made.refused_chunks);
        println!(
            "{load} {translate} {bytes} {len} {native} {refused} {}",
            peak()
        );
    }

    /// Measures it in a child: this executable, started with `--worst NAME`.
    ///
    /// # Errors
    /// What the child said instead of figures.
    pub fn figures(&self) -> Result<Vec<Figure>, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(this).args(["--worst", self.name]).output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [load, translate, bytes, len, native, refused, peak] = numbers[..] else {
            let error = String::from_utf8_lossy(&output.stderr);
            let line = error.lines().last().unwrap_or("no figures").to_owned();
            return Err(format!("{}: {line}", self.name));
        };
        let name = self.name;
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let (per_instruction, chunks) = (len / bytes, (bytes / 65536.0).ceil());
        // Twice the code, four bytes of table for each of its bytes, native code at its ceiling
        // and as much again for what is beside it; a small process to begin with.
        let bound = 6.0 * bytes + 2.0 * NATIVE_CEILING as f64 + f64::from(32 << 20);
        Ok(vec![
            Figure::new(
                format!("{name}: loading and translation"),
                "ns per instruction",
                (load + translate) * per_instruction,
                WORST_TRANSLATION,
            ),
            Figure::known(
                format!("{name}: of it, loading"),
                "ns per instruction",
                load * per_instruction,
            ),
            Figure::known(format!("{name}: all of it"), "s", (load + translate) / 1e9),
            Figure::known(
                format!("{name}: left to the interpreter"),
                "% of it",
                100.0 * refused / chunks,
            ),
            Figure::new(
                format!("{name}: native code"),
                "MiB",
                mib(native),
                mib(NATIVE_CEILING as f64),
            ),
            Figure::new(
                format!("{name}: memory at its peak"),
                "MiB",
                mib(peak),
                mib(bound).round(),
            ),
        ])
    }
}

/// Largest resident size of this process so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}
