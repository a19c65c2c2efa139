//! What happens at most once for a page, a call, a frame: the placeholders of gas §2.

use super::clock::Clock;
use super::probe::assembled;
use crate::failure::Failure;
use rivet::engine::{Bare, Config, Engine, Program, Raw, Start};
use rivet::image::RegionKind;
use rivet::isa::{DATA_BASE, Gas, PAGE_SIZE, Reg};
use std::io;
use std::time::Duration;

/// Pages of a read-only unit (gas §11).
const UNIT_PAGES: u64 = 512;
/// Pages whose first writes are timed.
const NEW_PAGES: u64 = 2048;

/// Reads or writes a word of each of a1 pages, a0 times over.
fn walk(access: &str) -> String {
    format!(
        "lui t0, 1\nfallthrough\n\
         lui s1, 0x10000\nmv a3, a1\nfallthrough\n\
         {access}\nadd s1, s1, t0\naddi a3, a3, -1\nbnez a3, -12\n\
         addi a0, a0, -1\nbnez a0, -32\necalli 0"
    )
}

fn program(source: &str, pages: u64, kind: RegionKind) -> Result<Program, Failure> {
    let content = match kind {
        RegionKind::Pinned => vec![1; (pages * PAGE_SIZE) as usize],
        RegionKind::CopyOnWrite | RegionKind::Ephemeral => Vec::new(),
    };
    let raw = Raw::new(assembled(source)?).region(DATA_BASE, pages * PAGE_SIZE, kind, content);
    Ok(Engine::new(Config::default())?.load_raw(raw)?)
}

/// Best time of a machine from its making to its end.
fn best(program: &Program, a0: u64, a1: u64, tries: usize) -> Result<Duration, Failure> {
    let [first, second] = [Reg::A0, Reg::A1].map(|reg| reg.slot().expect("both have slots"));
    let mut best = Duration::MAX;
    for _ in 0..tries {
        let clock = Clock::now();
        let start = Start::at(0)
            .with_gas(Gas::MAX)
            .with_slot(first, a0)
            .with_slot(second, a1);
        let mut machine = program.machine(start)?;
        machine.run(&mut Bare::new(io::sink()))?;
        best = best.min(clock.elapsed());
    }
    Ok(best)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// First write of a page.
pub(crate) fn new_page(tries: usize) -> Result<f64, Failure> {
    let program = program(&walk("sd a3, 0(s1)"), 2 * NEW_PAGES, RegionKind::Ephemeral)?;
    let (few, many) = (
        best(&program, 1, NEW_PAGES, tries)?,
        best(&program, 1, 2 * NEW_PAGES, tries)?,
    );
    Ok(nanoseconds(many.saturating_sub(few)) / NEW_PAGES as f64)
}

/// First reads of all pages of a read-only unit.
pub(crate) fn read_only_unit(tries: usize) -> Result<f64, Failure> {
    let program = program(&walk("ld a4, 0(s1)"), UNIT_PAGES, RegionKind::Pinned)?;
    let once = best(&program, 1, UNIT_PAGES, tries)?;
    let twice = best(&program, 2, UNIT_PAGES, tries)?;
    let idle = best(&program, 1, 1, tries)?;
    let again = twice.saturating_sub(once);
    Ok(nanoseconds(once.saturating_sub(again).saturating_sub(idle)))
}

/// A machine that is made, entered, left and dropped.
pub(crate) fn frame(tries: usize) -> Result<f64, Failure> {
    const MACHINES: u32 = 500;
    let program = program("ecalli 0", 1, RegionKind::Ephemeral)?;
    let mut least = Duration::MAX;
    for _ in 0..tries {
        let clock = Clock::now();
        for _ in 0..MACHINES {
            best(&program, 0, 0, 1)?;
        }
        least = least.min(clock.elapsed());
    }
    Ok(nanoseconds(least) / f64::from(MACHINES))
}

/// A call that the host answers at once.
pub(crate) fn host_call(tries: usize) -> Result<f64, Failure> {
    const CALLS: u64 = 100_000;
    let source = "ecalli -2\naddi a1, a1, -1\nbnez a1, -8\necalli 0";
    let program = program(source, 1, RegionKind::Ephemeral)?;
    let (few, many) = (
        best(&program, 0, CALLS, tries)?,
        best(&program, 0, 2 * CALLS, tries)?,
    );
    Ok(nanoseconds(many.saturating_sub(few)) / CALLS as f64)
}
