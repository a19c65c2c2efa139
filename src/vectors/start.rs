//! The state before: the program of a vector and a machine in it.

use super::check::Engines;
use super::model::{Bytes, Vector};
use rivet_engine::{
    AccessError, EngineError, HostError, LoadError, Machine, Program, Raw, Start, StartError, State,
};
use rivet_image::RegionKind;
use rivet_isa::gas::{CostModel, Multiplier};
use rivet_isa::{GuestAddr, Slot};

/// Why the program of a vector cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadFailure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Why a machine cannot be put into the state before.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFailure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("initial bytes lie outside the mappings: {0}")]
    Place(#[from] AccessError),
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Engines {
    /// Loads the program of a vector.
    pub(super) fn load(&self, vector: &Vector) -> Result<Program, LoadFailure> {
        let multiplier = vector.multiplier.unwrap_or(Multiplier::FLAT);
        let engine = self.of(CostModel::with_multiplier(multiplier))?;
        let mut raw = Raw::new(vector.code.clone());
        for map in &vector.maps {
            let mut content = Vec::new();
            if map.kind != RegionKind::Ephemeral {
                initial(map.start, map.size, &vector.bytes, &mut content);
            }
            raw = raw.region(map.start, map.size, map.kind, content);
        }
        Ok(engine.load_raw(raw)?)
    }
}

/// A machine in the state before.
pub(super) fn machine(program: &Program, vector: &Vector) -> Result<Machine, StartFailure> {
    let start = Start::at(vector.pc.value()).with_gas(vector.gas);
    let start = Slot::all().fold(start, |start, slot| {
        start.with_slot(slot, vector.regs.get(slot.reg()))
    });
    let mut machine = program.machine(start)?;
    place(&mut machine, vector)?;
    Ok(machine)
}

/// Puts the machine back into the state before, but for registers, pc and gas.
pub(super) fn again(
    machine: &mut Machine,
    vector: &Vector,
    state: State,
) -> Result<(), StartFailure> {
    machine.rewind(state)?;
    place(machine, vector)
}

/// Places the initial content of ephemeral mappings, which have no source that could hold it.
fn place(machine: &mut Machine, vector: &Vector) -> Result<(), StartFailure> {
    let maps = vector.maps.iter();
    for map in maps.filter(|map| map.kind == RegionKind::Ephemeral) {
        let mut content = Vec::new();
        initial(map.start, map.size, &vector.bytes, &mut content);
        if !content.is_empty() {
            machine.place(GuestAddr::wrapping(map.start), &content)?;
        }
    }
    Ok(())
}

/// The initial content of a region, as far as bytes are listed for it.
fn initial(start: u64, size: u64, all: &[Bytes], content: &mut Vec<u8>) {
    for Bytes { addr, bytes } in all {
        let at = u64::from(addr.value());
        let end = at + bytes.len() as u64;
        let (from, to) = (at.max(start), end.min(start.saturating_add(size)));
        if from >= to {
            continue;
        }
        let place = (from - start) as usize..(to - start) as usize;
        if content.len() < place.end {
            content.resize(place.end, 0);
        }
        content[place].copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
    }
}
