//! Wire form to image.

use std::sync::Arc;

use rivet_isa::{PAGE_SIZE, Pc, SLOTS, Slot};

use super::zeros::LastNonZero;
use crate::admission::{self, ImageResolver};
use crate::data::{Window, check_page};
use crate::error::{At, Field, ImageError, Part, Place, Rule};
use crate::image::{EndpointDef, Image, InitialReg, Mapping, Parts, Pinned, Source};
use crate::limits::MAX_PATH_STEPS;
use crate::ssz::Bytes;
use crate::ssz::Width::{Fixed, Variable};
use crate::{Data, DataError, Digest, Key, PathLength, SlotPath};

impl Image {
    /// Reads an image from its wire form and admits it.
    ///
    /// # Errors
    /// [`ImageError`] names the place, the offending value and the rule of
    /// kernel ABI §3.4 that it breaks.
    pub fn decode(wire: &[u8], images: &dyn ImageResolver) -> Result<Self, ImageError> {
        let [
            code,
            endpoints,
            mappings,
            pinned,
            initial,
            receiver,
            gas,
            quota,
            arena,
        ] = Bytes::input(wire)
            .fields([
                Fixed(8),
                Variable,
                Variable,
                Variable,
                Variable,
                Variable,
                Variable,
                Variable,
                Variable,
            ])
            .at(Place::field(Field::Image))?;
        let arena = Arena::new(arena.as_slice());
        let parts = Parts {
            code: arena.code(code).at(Place::field(Field::Code))?,
            endpoints: map(Field::Endpoints, endpoints, endpoint)?,
            mappings: list(Field::MemoryMappings, mappings, mapping)?,
            pinned: map(Field::PinnedSlots, pinned, |place, bytes| {
                arena.pinned(place, bytes)
            })?,
            initial: map(Field::InitialSlots, initial, |place, bytes| {
                arena.data(place, bytes)
            })?,
            yield_receiver_slot: optional_key(receiver)
                .at(Place::field(Field::YieldReceiverSlot))?,
            gas_slots: list(Field::GasSlots, gas, |place, bytes| key(bytes).at(place))?,
            quota_slots: list(Field::QuotaSlots, quota, |place, bytes| {
                key(bytes).at(place)
            })?,
        };
        admission::check(&parts)?;
        admission::check_references(&parts, images)?;
        Ok(Self::admitted(parts))
    }
}

/// The arena and what is read from it.
struct Arena<'a> {
    bytes: &'a [u8],
    shared: Arc<[u8]>,
    last_non_zero: LastNonZero,
}

impl<'a> Arena<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            shared: bytes.into(),
            last_non_zero: LastNonZero::new(bytes),
        }
    }

    /// The range `offset + len`, if it lies inside.
    fn range(&self, offset: u32, len: u32) -> Result<&'a [u8], Rule> {
        let start = offset as usize;
        start
            .checked_add(len as usize)
            .and_then(|end| self.bytes.get(start..end))
            .ok_or(Rule::OutsideArena {
                offset,
                len,
                arena: self.bytes.len(),
            })
    }

    fn code(&self, window: Bytes<'_>) -> Result<Arc<[u8]>, Rule> {
        let [offset, len] = window.fields([Fixed(4), Fixed(4)])?.map(u32_of);
        admission::check_code_len(len.into())?;
        Ok(self.range(offset, len)?.into())
    }

    fn pinned(&self, place: Place, bytes: Bytes<'_>) -> Result<Pinned, ImageError> {
        let (selector, value) = bytes.union(2).at(place)?;
        if selector == 0 {
            return self.data(place, value).map(Pinned::Data);
        }
        value.exactly(32).at(place)?;
        let mut address = [0; 32];
        address.copy_from_slice(value.as_slice());
        Ok(Pinned::Image(Digest::new(address)))
    }

    fn data(&self, place: Place, bytes: Bytes<'_>) -> Result<Data, ImageError> {
        let [size, pages] = bytes.fields([Fixed(8), Variable]).at(place)?;
        let size = size.number();
        if !size.is_multiple_of(PAGE_SIZE) {
            return Err(DataError::Unaligned { size }).at(place);
        }
        let pages = pages.fixed_elements(12).at(place.part(Part::Pages))?;
        let mut windows = Vec::with_capacity(pages.len());
        let mut previous = None;
        for (index, page) in pages.enumerate() {
            let window = self
                .window(size, previous, page)
                .at(place.part(Part::Page(index)))?;
            previous = Some(window.page);
            if window.len > 0 {
                windows.push(window);
            }
        }
        Ok(Data::from_windows(size, Arc::clone(&self.shared), windows))
    }

    /// One page, cut behind its last non-zero byte; empty for a page of zeros.
    fn window(&self, size: u64, previous: Option<u32>, page: Bytes<'_>) -> Result<Window, Rule> {
        let [page, start, len] = page.fields([Fixed(4), Fixed(4), Fixed(4)])?.map(u32_of);
        if len == 0 || u64::from(len) > PAGE_SIZE {
            return Err(Rule::PageLength { len });
        }
        check_page(size, previous, page, len as usize)?;
        self.range(start, len)?;
        let end = self
            .last_non_zero
            .end_of(self.bytes, start as usize, len as usize);
        Ok(Window {
            page,
            start,
            len: (end - start as usize) as u16,
        })
    }
}

/// The elements of a list of variable-size elements, of no more than the limit.
fn list<T>(
    field: Field,
    bytes: Bytes<'_>,
    read: impl Fn(Place, Bytes<'_>) -> Result<T, ImageError>,
) -> Result<Vec<T>, ImageError> {
    let count = bytes.count().at(Place::field(field))?;
    admission::check_count(field, count)?;
    let mut list = Vec::with_capacity(count);
    for (index, element) in bytes.elements(count).enumerate() {
        let place = Place::item(field, index);
        list.push(read(place, element.at(place)?)?);
    }
    Ok(list)
}

/// The entries of a map; their order is checked at admission.
fn map<V>(
    field: Field,
    bytes: Bytes<'_>,
    read: impl Fn(Place, Bytes<'_>) -> Result<V, ImageError>,
) -> Result<Vec<(Key, V)>, ImageError> {
    list(field, bytes, |place, entry| {
        let [name, value] = entry.fields([Variable, Variable]).at(place)?;
        let name = key(name).at(place.part(Part::Key))?;
        Ok((name, read(place.part(Part::Value), value)?))
    })
}

fn endpoint(place: Place, bytes: Bytes<'_>) -> Result<EndpointDef, ImageError> {
    let [entry_pc, arg_registers, arg_cnode_size, regs] = bytes
        .fields([Fixed(8), Fixed(1), Fixed(1), Variable])
        .at(place)?;
    let at_regs = place.part(Part::InitialRegs);
    let regs = regs.fixed_elements(9).at(at_regs)?;
    // They name distinct slots, so more of them than slots is refused unread.
    let (count, limit) = (regs.len(), SLOTS);
    if count > limit {
        return Err(Rule::TooMany { count, limit }).at(at_regs);
    }
    let mut initial_regs = Vec::with_capacity(count);
    for (index, reg) in regs.enumerate() {
        initial_regs.push(initial_reg(reg).at(place.part(Part::InitialReg(index)))?);
    }
    Ok(EndpointDef {
        entry_pc: Pc::new(entry_pc.number()),
        arg_registers: u8_of(arg_registers),
        arg_cnode_size: u8_of(arg_cnode_size),
        initial_regs,
    })
}

fn initial_reg(bytes: Bytes<'_>) -> Result<InitialReg, Rule> {
    let [reg, value] = bytes.fields([Fixed(1), Fixed(8)])?;
    let reg = u8_of(reg);
    Ok(InitialReg {
        reg: Slot::new(reg).ok_or(Rule::NoSuchRegister { reg })?,
        value: value.number(),
    })
}

fn mapping(place: Place, bytes: Bytes<'_>) -> Result<Mapping, ImageError> {
    let [start, size, source] = bytes.fields([Fixed(8), Fixed(8), Variable]).at(place)?;
    let at_source = place.part(Part::Source);
    let (selector, value) = source.union(2).at(at_source)?;
    let source = if selector == 0 {
        Source::Persistent(path(place, value)?)
    } else {
        value.exactly(0).at(at_source)?;
        Source::Ephemeral
    };
    Ok(Mapping {
        start: start.number(),
        size: size.number(),
        source,
    })
}

fn path(place: Place, bytes: Bytes<'_>) -> Result<SlotPath, ImageError> {
    let at_path = place.part(Part::Source);
    let count = bytes.count().at(at_path)?;
    if count > MAX_PATH_STEPS {
        return Err(PathLength { steps: count }).at(at_path);
    }
    let mut steps = Vec::with_capacity(count);
    for (index, step) in bytes.elements(count).enumerate() {
        let at_step = place.part(Part::Step(index));
        steps.push(key(step.at(at_step)?).at(at_step)?);
    }
    SlotPath::new(steps).at(at_path)
}

fn optional_key(bytes: Bytes<'_>) -> Result<Option<Key>, Rule> {
    let (selector, value) = bytes.union(2)?;
    if selector == 0 {
        value.exactly(0)?;
        return Ok(None);
    }
    key(value).map(Some)
}

fn key(bytes: Bytes<'_>) -> Result<Key, Rule> {
    Ok(Key::new(bytes.as_slice())?)
}

/// The number in a part of four bytes.
fn u32_of(part: Bytes<'_>) -> u32 {
    part.number() as u32
}

/// The number in a part of one byte.
fn u8_of(part: Bytes<'_>) -> u8 {
    part.number() as u8
}
