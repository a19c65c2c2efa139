//! The structural admission checks on the logical form (kernel ABI §3.4).
//!
//! The checks that concern the wire form alone (serialization, ranges of the
//! arena, page lists) are made where it is read; every other check is here, once,
//! for images that are read and images that are built. All are in time
//! O(n log n) of the metadata; no instruction byte is looked at.

use rivet_isa::{ADDRESS_SPACE, DATA_BASE, MAX_CODE_SIZE, PAGE_SIZE, Slot};

use crate::error::{At, Field, ImageError, Part, Place, Rule};
use crate::image::{EndpointDef, Mapping, Parts, Pinned};
use crate::limits::{
    MAX_ARG_REGISTERS, MAX_ENDPOINTS, MAX_GAS_SLOTS, MAX_INITIAL_SLOTS, MAX_MAPPINGS,
    MAX_PINNED_SLOTS, MAX_QUOTA_SLOTS,
};
use crate::{Digest, Key};

/// Says which images a pinned slot may refer to.
pub trait ImageResolver {
    /// Whether the image with this capability address can be resolved.
    fn resolves(&self, address: Digest) -> bool;
}

/// Knows no image: for programs that pin none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoImages;

impl ImageResolver for NoImages {
    fn resolves(&self, _: Digest) -> bool {
        false
    }
}

impl<F: Fn(Digest) -> bool> ImageResolver for F {
    fn resolves(&self, address: Digest) -> bool {
        self(address)
    }
}

/// Checks 1 to 7 as far as they concern the logical form.
pub(crate) fn check(parts: &Parts) -> Result<(), ImageError> {
    check_counts(parts)?;
    check_code_len(parts.code.len() as u64).at(Place::field(Field::Code))?;
    check_key_order(Field::Endpoints, &parts.endpoints)?;
    check_key_order(Field::PinnedSlots, &parts.pinned)?;
    check_key_order(Field::InitialSlots, &parts.initial)?;
    for (index, (_, endpoint)) in parts.endpoints.iter().enumerate() {
        let place = Place::item(Field::Endpoints, index);
        check_endpoint(place, endpoint, parts.code.len() as u64)?;
    }
    for (index, mapping) in parts.mappings.iter().enumerate() {
        check_range(Place::item(Field::MemoryMappings, index), mapping)?;
    }
    check_overlap(&parts.mappings)?;
    check_scratchpad(parts)?;
    check_pinned_and_initial(parts)
}

/// Check 8: pinned image references name an image that can be resolved.
pub(crate) fn check_references(
    parts: &Parts,
    images: &dyn ImageResolver,
) -> Result<(), ImageError> {
    for (index, (_, pinned)) in parts.pinned.iter().enumerate() {
        if let Pinned::Image(address) = *pinned
            && !images.resolves(address)
        {
            let place = Place::item(Field::PinnedSlots, index).part(Part::Value);
            return Err(Rule::UnknownImage { address }).at(place);
        }
    }
    Ok(())
}

/// The limit on the number of elements of a list field.
pub(crate) fn check_count(field: Field, count: usize) -> Result<(), ImageError> {
    let limit = match field {
        Field::Endpoints => MAX_ENDPOINTS,
        Field::MemoryMappings => MAX_MAPPINGS,
        Field::PinnedSlots => MAX_PINNED_SLOTS,
        Field::InitialSlots => MAX_INITIAL_SLOTS,
        Field::GasSlots => MAX_GAS_SLOTS,
        Field::QuotaSlots => MAX_QUOTA_SLOTS,
        Field::Image | Field::Code | Field::YieldReceiverSlot => return Ok(()),
    };
    if count > limit {
        return Err(Rule::TooMany { count, limit }).at(Place::field(field));
    }
    Ok(())
}

/// The limit on the length of the code.
pub(crate) fn check_code_len(len: u64) -> Result<(), Rule> {
    if len > MAX_CODE_SIZE {
        return Err(Rule::CodeTooLong { len });
    }
    Ok(())
}

fn check_counts(parts: &Parts) -> Result<(), ImageError> {
    check_count(Field::Endpoints, parts.endpoints.len())?;
    check_count(Field::MemoryMappings, parts.mappings.len())?;
    check_count(Field::PinnedSlots, parts.pinned.len())?;
    check_count(Field::InitialSlots, parts.initial.len())?;
    check_count(Field::GasSlots, parts.gas_slots.len())?;
    check_count(Field::QuotaSlots, parts.quota_slots.len())
}

fn check_key_order<V>(field: Field, entries: &[(Key, V)]) -> Result<(), ImageError> {
    let keys = entries.iter().map(|(key, _)| key);
    for (index, (previous, key)) in keys.clone().zip(keys.skip(1)).enumerate() {
        if previous >= key {
            let place = Place::item(field, index + 1).part(Part::Key);
            let (key, previous) = (key.clone(), previous.clone());
            return Err(Rule::KeyOrder { key, previous }).at(place);
        }
    }
    Ok(())
}

fn check_endpoint(place: Place, def: &EndpointDef, code_len: u64) -> Result<(), ImageError> {
    let entry_pc = def.entry_pc;
    if entry_pc.value() >= code_len {
        return Err(Rule::EntryOutsideCode { entry_pc, code_len }).at(place.part(Part::EntryPc));
    }
    let arg_registers = def.arg_registers;
    if arg_registers > MAX_ARG_REGISTERS {
        return Err(Rule::TooManyArguments { arg_registers }).at(place.part(Part::ArgRegisters));
    }
    let mut previous = None;
    for (index, initial) in def.initial_regs.iter().enumerate() {
        check_register(previous, initial.reg).at(place.part(Part::InitialReg(index)))?;
        previous = Some(initial.reg);
    }
    Ok(())
}

/// Initial registers name distinct slots in ascending order.
fn check_register(previous: Option<Slot>, reg: Slot) -> Result<(), Rule> {
    match previous.filter(|&previous| previous >= reg) {
        Some(previous) => Err(Rule::RegisterOrder { reg, previous }),
        None => Ok(()),
    }
}

fn check_range(place: Place, mapping: &Mapping) -> Result<(), ImageError> {
    let &Mapping { start, size, .. } = mapping;
    for (part, value) in [(Part::Start, start), (Part::Size, size)] {
        if !value.is_multiple_of(PAGE_SIZE) {
            return Err(Rule::Unaligned { value }).at(place.part(part));
        }
    }
    if size == 0 {
        return Err(Rule::EmptyMapping).at(place.part(Part::Size));
    }
    match start.checked_add(size) {
        Some(end) if start >= DATA_BASE && end <= ADDRESS_SPACE => Ok(()),
        _ => Err(Rule::OutsideDataRange { start, size }).at(place),
    }
}

/// Mappings are pairwise disjoint; the one declared later is reported.
fn check_overlap(mappings: &[Mapping]) -> Result<(), ImageError> {
    let mut order: Vec<usize> = (0..mappings.len()).collect();
    order.sort_by_key(|&index| mappings[index].start);
    for pair in order.windows(2) {
        if mappings[pair[1]].start < mappings[pair[0]].end() {
            let (other, index) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let Mapping { start, size, .. } = mappings[index];
            let place = Place::item(Field::MemoryMappings, index);
            return Err(Rule::Overlap { start, size, other }).at(place);
        }
    }
    Ok(())
}

/// Key [00] is the scratchpad, empty in every idle instance.
fn check_scratchpad(parts: &Parts) -> Result<(), ImageError> {
    fn first<'a>(field: Field, mut keys: impl Iterator<Item = &'a Key>) -> Result<(), ImageError> {
        match keys.position(Key::is_scratchpad) {
            Some(index) => Err(Rule::Scratchpad).at(Place::item(field, index)),
            None => Ok(()),
        }
    }
    first(Field::PinnedSlots, parts.pinned.iter().map(|(key, _)| key))?;
    first(
        Field::InitialSlots,
        parts.initial.iter().map(|(key, _)| key),
    )?;
    if parts
        .yield_receiver_slot
        .as_ref()
        .is_some_and(Key::is_scratchpad)
    {
        return Err(Rule::Scratchpad).at(Place::field(Field::YieldReceiverSlot));
    }
    first(Field::GasSlots, parts.gas_slots.iter())?;
    first(Field::QuotaSlots, parts.quota_slots.iter())
}

/// A key is pinned or initial, not both; both lists are in ascending order.
fn check_pinned_and_initial(parts: &Parts) -> Result<(), ImageError> {
    for (index, (key, _)) in parts.initial.iter().enumerate() {
        let pinned = parts.pinned.binary_search_by(|(other, _)| other.cmp(key));
        if pinned.is_ok() {
            let place = Place::item(Field::InitialSlots, index).part(Part::Key);
            return Err(Rule::PinnedAndInitial { key: key.clone() }).at(place);
        }
    }
    Ok(())
}
