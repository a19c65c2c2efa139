//! Two engines on one journey: not only what a guest does is the same, but what an embedder does
//! with machines in between.
//!
//! ```text
//!   seed ─▶ moves: begin again · new machine · run a routine · other gas · fork · swap
//!                  · snapshot of the other side · place content
//!   after each move: exit, registers, pc, gas, private pages, content of the pages touched
//! ```
//!
//! Random programs start on fresh memory and run to their end, so they cannot see what a machine
//! keeps that it should have forgotten: pages left open, charges still owed, content placed
//! before. What differs is made smaller by leaving out moves, and printed move by move.

mod guest;
mod moves;

pub use moves::{Act, Move, Routine};

use super::script::Script;
use crate::config::{Backend, Config, Limits};
use crate::engine::Engine;
use crate::error::{EngineError, HostError, LoadError};
use crate::machine::Machine;
use crate::program::{Program, Start};
use crate::snapshot::Snapshot;
use guest::Guest;
use rivet_interp::State;
use rivet_isa::gas::{CostModel, Multiplier};
use rivet_isa::{Exit, Gas, GuestAddr, PAGE_SIZE, PageIndex, Pc, Regs};
use std::collections::BTreeSet;
use std::fmt;

/// Blocks that [`Move::Walk`] runs one at a time.
const WALKED: usize = 12;

/// Most private pages of a machine: hardly more than its mappings have writable pages, so that only
/// a machine that forgets to give pages back can reach it.
const MACHINE_PAGES: u64 = 2_600;

/// Touched pages whose content is compared after a move; all of them are at the end.
const LOOKED_AT: usize = 12;

/// Tries to make a finding smaller.
const TRIES: usize = 400;

/// Two engines and the guest of all journeys.
pub struct Journeys {
    guest: Guest,
    /// One pair for each set of page prices.
    programs: [[Program; 2]; 2],
}

/// A journey on which the sides differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detour {
    /// The moves, the last of which shows it.
    pub moves: Vec<Move>,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (number, one) in self.moves.iter().enumerate() {
            writeln!(f, "  {}. {one}", number + 1)?;
        }
        Ok(())
    }
}

/// Why journeys cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
    /// A backend cannot run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The host cannot hold the guest.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Journeys {
    /// Journeys of two backends.
    ///
    /// # Errors
    /// [`JourneyError`]: the host cannot run one of them.
    pub fn new(backends: [Backend; 2]) -> Result<Self, JourneyError> {
        let guest = Guest::new();
        let deep: [u32; 21] = std::array::from_fn(|depth| 1 + depth as u32 / 2);
        let rising = Multiplier::new(deep).unwrap_or(Multiplier::FLAT);
        let load = |backend, multiplier| -> Result<Program, JourneyError> {
            let engine = Engine::new(Config {
                backend,
                cost_model: CostModel::with_multiplier(multiplier),
                limits: Limits {
                    machine_pages: MACHINE_PAGES,
                    engine_pages: 4 * MACHINE_PAGES,
                    idle_windows: 2,
                    ..Limits::default()
                },
                ..Config::default()
            })?;
            Ok(engine.load_raw(guest.raw())?)
        };
        let [a, b] = backends;
        let pair = |multiplier| Ok::<_, JourneyError>([load(a, multiplier)?, load(b, multiplier)?]);
        let programs = [pair(Multiplier::FLAT)?, pair(rising)?];
        Ok(Self { guest, programs })
    }

    /// The journey of a seed: nothing, or what differs, made smaller.
    pub fn compare(&self, seed: u64) -> Option<Detour> {
        let programs = &self.programs[(seed % 2) as usize];
        let found = self.travel(programs, &moves::moves(seed))?;
        Some(self.shrink(programs, found))
    }

    fn travel(&self, programs: &[Program; 2], moves: &[Move]) -> Option<Detour> {
        let mut journey = Journey::new(&self.guest, programs);
        for (number, one) in moves.iter().enumerate() {
            let last = number + 1 == moves.len();
            if let Err(what) = journey.go(one, last) {
                let moves = moves[..=number].to_vec();
                return Some(Detour { moves, what });
            }
        }
        None
    }

    /// Leaves out moves and rounds of loops as long as something differs.
    fn shrink(&self, programs: &[Program; 2], found: Detour) -> Detour {
        let mut best = found;
        let mut tries = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..best.moves.len()).rev() {
                for smaller in simpler(&best.moves, at) {
                    tries += 1;
                    if tries > TRIES {
                        return best;
                    }
                    if let Some(found) = self.travel(programs, &smaller) {
                        best = found;
                        changed = true;
                        break;
                    }
                }
                if changed {
                    break;
                }
            }
        }
        best
    }
}

/// The moves without one, or with fewer rounds of it.
fn simpler(moves: &[Move], at: usize) -> Vec<Vec<Move>> {
    let mut without = moves.to_vec();
    let one = without.remove(at);
    let mut out = vec![without];
    if let Move::Act(act) = one {
        for times in [1, act.times / 2, act.times - 1] {
            if (1..act.times).contains(&times) {
                let mut fewer = moves.to_vec();
                fewer[at] = Move::Act(Act { times, ..act });
                out.push(fewer);
            }
        }
    }
    out
}

/// A journey under way.
struct Journey<'a> {
    guest: &'a Guest,
    programs: &'a [Program; 2],
    here: Pair,
    waiting: Option<Pair>,
    touched: BTreeSet<PageIndex>,
}

/// A machine of each side.
struct Pair {
    sides: [Machine; 2],
    /// What was placed since they were new: addresses and bytes.
    placed: Vec<(GuestAddr, Vec<u8>)>,
}

fn start(gas: u64) -> State {
    State {
        regs: Regs::default(),
        pc: Pc::new(0),
        gas: Gas::new(gas).unwrap_or(Gas::MAX),
    }
}

impl Pair {
    fn new(programs: &[Program; 2], gas: u64) -> Self {
        let sides = programs.each_ref().map(|program| {
            let machine = program.machine(Start::at(0).with_gas(start(gas).gas));
            machine.expect("invariant: a start at a pc names no endpoint")
        });
        let placed = Vec::new();
        Self { sides, placed }
    }

    /// Begins again. What was placed is gone, so it is placed once more.
    fn rewind(&mut self, gas: u64) -> Result<(), String> {
        let done = self.sides.each_mut().map(|m| m.rewind(start(gas)));
        same("beginning again", done)?.map_err(failed)?;
        for (at, bytes) in &self.placed {
            let placed = self.sides.each_mut().map(|m| m.place(*at, bytes));
            let _ = same("placing again", placed)?;
        }
        Ok(())
    }

    fn place(&mut self, at: GuestAddr, bytes: Vec<u8>) -> Result<(), String> {
        let placed = self.sides.each_mut().map(|m| m.place(at, &bytes));
        if same("placing", placed)?.is_ok() {
            self.placed.push((at, bytes));
        }
        Ok(())
    }

    fn fork(&mut self) -> Result<Self, String> {
        let [a, b] = &mut self.sides;
        let sides = [a.fork().map_err(failed)?, b.fork().map_err(failed)?];
        let placed = self.placed.clone();
        Ok(Self { sides, placed })
    }
}

/// Both results if they are the same, else what differs.
fn same<T: PartialEq + fmt::Debug>(what: &str, [a, b]: [T; 2]) -> Result<T, String> {
    if a == b {
        Ok(a)
    } else {
        Err(format!("{what} differs: {a:?} and {b:?}"))
    }
}

impl<'a> Journey<'a> {
    fn new(guest: &'a Guest, programs: &'a [Program; 2]) -> Self {
        Self {
            guest,
            programs,
            here: Pair::new(programs, 0),
            waiting: None,
            touched: BTreeSet::new(),
        }
    }

    fn go(&mut self, one: &Move, last: bool) -> Result<(), String> {
        match one {
            Move::Rewind(gas) => self.here.rewind(*gas)?,
            Move::New(gas) => self.here = Pair::new(self.programs, *gas),
            Move::Act(act) => self.act(act, 0)?,
            Move::Walk(act) => self.act(act, WALKED)?,
            Move::Refill(gas) => {
                for machine in &mut self.here.sides {
                    machine.set_gas(start(*gas).gas);
                }
                self.run(0)?;
            }
            Move::Fork => {
                let forks = self.here.fork()?;
                self.waiting = Some(std::mem::replace(&mut self.here, forks));
            }
            Move::Swap => {
                if let Some(waiting) = &mut self.waiting {
                    std::mem::swap(waiting, &mut self.here);
                }
            }
            Move::Cross => self.cross()?,
            Move::Place { at, len, byte } => {
                let at = GuestAddr::wrapping(*at);
                self.here.place(at, vec![*byte; *len as usize])?;
                self.touch(u64::from(at.value()), *len);
            }
        }
        self.look(last)
    }

    fn touch(&mut self, at: u64, len: u64) {
        for page in at / PAGE_SIZE..=(at + len.max(1) - 1) / PAGE_SIZE {
            self.touched
                .insert(GuestAddr::wrapping(page * PAGE_SIZE).page());
        }
    }

    /// Sets a routine up, unless a run is to go on in the middle of one, and runs.
    fn act(&mut self, act: &Act, blocks: usize) -> Result<(), String> {
        for machine in &mut self.here.sides {
            for (reg, value) in self.guest.registers(act) {
                machine.set_reg(reg, value);
            }
        }
        for round in 0..act.times {
            let by = act.stride.wrapping_mul(round);
            self.touch(act.at.wrapping_add(by) & 0xFFFF_FFFF, 8);
            self.touch(act.other.wrapping_add(by) & 0xFFFF_FFFF, 8);
        }
        self.run(blocks)
    }

    fn run(&mut self, blocks: usize) -> Result<(), String> {
        let run = |machine: &mut Machine| -> Result<Exit, HostError> {
            let mut host = Script {
                answers: machine.pending().is_some(),
            };
            for _ in 0..blocks {
                if let Some(exit) = machine.step(&mut host)? {
                    return Ok(exit);
                }
            }
            machine.run(&mut host)
        };
        let exits = self.here.sides.each_mut().map(run);
        same("exit", exits)?.map(drop).map_err(failed)
    }

    /// Both write what the other reads, byte for byte, if both can be saved.
    fn cross(&mut self) -> Result<(), String> {
        let [a, b] = self.here.sides.each_ref().map(Machine::snapshot);
        let saved = [a.is_ok(), b.is_ok()];
        let (Ok(a), Ok(b)) = (a, b) else {
            return same("whether it can be saved", saved).map(drop);
        };
        let bytes = [a.encode(), b.encode()];
        if bytes[0] != bytes[1] {
            let pages = [&a, &b].map(|s| (s.base_pages().len(), s.private_pages().len()));
            same("placed and private pages of the snapshot", pages)?;
            return Err("bytes of the snapshot differ".to_owned());
        }
        for (side, bytes) in bytes.iter().enumerate() {
            let snapshot = Snapshot::decode(bytes).map_err(|e| format!("snapshot: {e}"))?;
            let program = &self.programs[1 - side];
            let resumed = program.resume(&snapshot);
            self.here.sides[1 - side] = resumed.map_err(|e| format!("resuming: {e}"))?;
        }
        Ok(())
    }

    fn look(&self, all: bool) -> Result<(), String> {
        let [a, b] = &self.here.sides;
        same("pc", [a.pc(), b.pc()])?;
        same("gas", [a.gas(), b.gas()])?;
        same("registers", [*a.regs().slots(), *b.regs().slots()])?;
        let private = same("private pages", [a.private_pages(), b.private_pages()])?;
        let touched = self.touched.iter().filter(|page| !private.contains(page));
        let pages = private.iter().chain(touched);
        let most = if all { usize::MAX } else { LOOKED_AT };
        for page in pages.take(most) {
            let content = [a, b].map(|machine| {
                let mut bytes = [0u8; PAGE_SIZE as usize];
                machine.read(page.base(), &mut bytes).map(|()| bytes)
            });
            if content[0] != content[1] {
                return Err(format!("content of page {page} differs"));
            }
        }
        if all {
            same("hash of memory", [a.memory_hash(), b.memory_hash()])?;
        }
        Ok(())
    }
}

fn failed(error: HostError) -> String {
    format!("both sides fail: {error}")
}
