//! Time and gas of small programs: loops whose fixed parts cancel out.

use super::clock::Clock;
use crate::failure::Failure;
use rivet::engine::{Bare, Config, Engine, Exit, Raw, Start};
use rivet::image::RegionKind;
use rivet::isa::{DATA_BASE, Gas, Inst, Op, PAGE_SIZE, Reg, Slot, asm, encode};
use std::io;
use std::time::Duration;

/// Least time that a difference is taken over.
const LEAST: Duration = Duration::from_micros(400);
/// Passes never exceed this.
const MOST_PASSES: u64 = 1 << 24;

/// What one pass of a loop takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Nanoseconds.
    pub(crate) time: f64,
    /// Gas.
    pub(crate) gas: f64,
}

impl Rate {
    /// Nanoseconds for a unit of gas.
    pub(crate) fn per_gas(self) -> f64 {
        self.time / self.gas
    }
}

/// A loop: what comes before it, and its body. The counter is a0; s0 points into the middle of the
/// first page of the data, s1 at its start.
pub(crate) struct Loop<'a> {
    pub(crate) before: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Bytes of data.
    pub(crate) data: u64,
}

/// Bytes of assembly that the command itself wrote.
pub(crate) fn assembled(source: &str) -> Result<Vec<u8>, Failure> {
    asm::assemble(source).map_err(|error| Failure::message(format!("`{source}`: {error}")))
}

/// An engine in which probes run.
pub(crate) struct Probe {
    engine: Engine,
}

impl Probe {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self {
            engine: Engine::new(Config::default())?,
        })
    }

    /// Time and gas of a pass, from runs of n and 2n passes, each the best of `tries`; what is
    /// done once cancels out. Nothing if the program does not come to its end.
    pub(crate) fn rate(&self, code: &Loop<'_>, tries: usize) -> Result<Option<Rate>, Failure> {
        let mut bytes = assembled("li s0, 0x10000800\nlui s1, 0x10000\n")?;
        bytes.extend_from_slice(code.before);
        bytes.extend(assembled("fallthrough")?);
        bytes.extend_from_slice(code.body);
        let back = -(i32::try_from(code.body.len()).unwrap_or(i32::MAX) + 4);
        let count = Inst::from_parts(Op::Addi, Reg::A0, Reg::A0, Reg::ZERO, -1);
        let branch = Inst::from_parts(Op::Bne, Reg::ZERO, Reg::A0, Reg::ZERO, back);
        for inst in [count, branch] {
            let Ok(word) = encode(inst) else {
                return Ok(None);
            };
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(assembled("ecalli 0")?);
        let size = code.data.next_multiple_of(PAGE_SIZE).max(2 * PAGE_SIZE);
        let raw = Raw::new(bytes).region(DATA_BASE, size, RegionKind::Ephemeral, Vec::new());
        let program = self.engine.load_raw(raw)?;
        let run = |passes: u64| -> Result<Option<(Duration, u64)>, Failure> {
            let mut start = Start::at(0).with_gas(Gas::MAX);
            // Values with all their bits in use, none of them zero.
            for slot in Slot::all() {
                let value = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(slot.index() as u64 + 1);
                start = start.with_slot(slot, value);
            }
            let a0 = Reg::A0.slot().expect("a0 has a slot");
            let mut machine = program.machine(start.with_slot(a0, passes))?;
            let clock = Clock::now();
            let exit = machine.run(&mut Bare::new(io::sink()))?;
            let time = clock.elapsed();
            let gas = Gas::MAX.value() - machine.gas().value();
            Ok((exit == Exit::Halt).then_some((time, gas)))
        };
        let best = |passes: u64| -> Result<Option<(Duration, u64)>, Failure> {
            let mut best: Option<(Duration, u64)> = None;
            for _ in 0..tries {
                let Some((time, gas)) = run(passes)? else {
                    return Ok(None);
                };
                best = Some((best.map_or(time, |(least, _)| least.min(time)), gas));
            }
            Ok(best)
        };
        let mut passes = 256;
        loop {
            let (Some(once), Some(twice)) = (best(passes)?, best(2 * passes)?) else {
                return Ok(None);
            };
            let time = twice.0.saturating_sub(once.0);
            if time >= LEAST || passes >= MOST_PASSES {
                let gas = (twice.1 - once.1) as f64 / passes as f64;
                let time = time.as_secs_f64() * 1e9 / passes as f64;
                return Ok(Some(Rate { time, gas }));
            }
            // Towards twice the least time, in steps that a wrong guess survives.
            let factor = LEAST.as_secs_f64() * 2.0 / time.as_secs_f64().max(1e-7);
            passes = (passes as f64 * factor.clamp(2.0, 64.0)) as u64;
            passes = passes.min(MOST_PASSES);
        }
    }
}
