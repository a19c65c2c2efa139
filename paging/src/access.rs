//! The access rule of ISA §10.3 and gas §10, in one place, and what is built on it.
//!
//! Everything that reads or writes guest memory for the guest comes through here: generated code by
//! way of the fault handler, the interpreter, host calls. The rule: pages in access order, the first
//! inaccessible one faults with nothing changed; a write makes its pages private in that order and
//! costs the sum of the prices of those that were not.

use rivet_mutants::mutant;
use std::sync::Arc;

use crate::error::{Denied, HostError, PageFault};
use crate::frame::{FrameTable, PageBytes};
use crate::layout::{Access, Layout};
use crate::page::{GuestAddr, PAGE_SIZE, PAGES, PageIndex, PageRange};
use crate::space::{AddressSpace, Store, pieces};

/// How many bytes an instruction loads or stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessLen {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Half,
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Double,
}

impl AccessLen {
    /// The length of `bytes` bytes, if an instruction has it.
    pub const fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }
}

/// An access the rule allows, and what it changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the charge has to be deducted"]
pub struct Granted {
    /// Gas of every page that became private by this call.
    pub charge: u64,
    /// Whether anything changed that can make a repeated access succeed.
    pub change: Change,
}

/// Whether an access changed the state of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Pages became private.
    Pages,
    /// Nothing: every page was ready. If the hardware faulted on such an access, retrying it would
    /// fault for ever; report [`HostError::Unexplained`].
    Nothing,
}

impl AddressSpace {
    /// Applies the access rule to an access of the guest; a granted write leaves its pages private
    /// and, in a window, host-writable. Async-signal-safe while a window is attached: no
    /// allocation, no lock, only system calls.
    ///
    /// # Errors
    /// [`Denied::Fault`] with nothing changed, or [`Denied::Host`] when the host could not make the
    /// pages writable; none of them is private then.
    pub fn access(
        &mut self,
        addr: GuestAddr,
        len: AccessLen,
        access: Access,
    ) -> Result<Granted, Denied> {
        self.apply(addr, len, access, None)
    }

    fn apply(
        &mut self,
        addr: GuestAddr,
        len: AccessLen,
        access: Access,
        gas: Option<u64>,
    ) -> Result<Granted, Denied> {
        let first = addr.page();
        let last = addr.advance(len.bytes() - 1).page();
        self.layout.permit(first, access)?;
        if last != first {
            if mutant!(StraddleChargedFirst, false, access == Access::Write) {
                let early = PageRange::between(first.value(), first.value() + 1);
                self.make_private(early, gas)?;
            }
            let permitted = self.layout.permit(last, access);
            let blamed = mutant!(StraddleFaultPage, last, first);
            permitted.map_err(|_| PageFault { page: blamed })?;
        }
        if access == Access::Read {
            return Ok(Granted {
                charge: 0,
                change: Change::Nothing,
            });
        }
        // A pair that wraps has faulted: no layout maps page 0.
        let range = PageRange::between(first.value(), last.value() + 1);
        let (charge, pages) = self.make_private(range, gas)?;
        let change = if pages == 0 {
            Change::Nothing
        } else {
            Change::Pages
        };
        Ok(Granted { charge, change })
    }

    /// As [`access`](Self::access), and lets [`Tracker::Windows`](crate::Tracker::Windows) open
    /// neighbours and settle. `gas` is what is left when every page charged so far is paid and no
    /// open page is: the true gas plus the price of open pages already written. The charge
    /// returned is to be deducted from it; [`open_charge`](Self::open_charge) is to be read again.
    ///
    /// # Errors
    /// As [`access`](Self::access), and those of [`settle`](Self::settle).
    pub fn access_opening(
        &mut self,
        addr: GuestAddr,
        len: AccessLen,
        access: Access,
        gas: u64,
    ) -> Result<Granted, Denied> {
        self.apply(addr, len, access, Some(gas))
    }

    /// Makes writable pages private; says at what charge, and how many were not yet. With gas given
    /// neighbours may be opened.
    fn make_private(
        &mut self,
        range: PageRange,
        gas: Option<u64>,
    ) -> Result<(u64, u32), HostError> {
        let Self {
            layout,
            store,
            held,
            base,
            ..
        } = self;
        match store {
            Store::Window { window, .. } => {
                let (ledger, mut host) = window.states();
                let done = match gas {
                    Some(gas) => ledger.trap(layout, range, gas, &mut host, held)?,
                    None => ledger.charge(layout, range, &mut host, held)?,
                };
                Ok((done.charge, done.pages))
            }
            Store::Software(frames) => {
                let (charge, pages) = quote(layout, frames, range);
                held.take(u64::from(pages))?;
                for page in range.iter() {
                    if frames.get(page).is_some() {
                        continue;
                    }
                    let frame = match base.get(&page) {
                        Some(frame) => Arc::clone(frame),
                        None => Arc::new(source_of(layout, page)),
                    };
                    frames.insert(page, frame);
                }
                Ok((charge, pages))
            }
        }
    }

    /// Loads `len` bytes, little-endian and zero-extended.
    ///
    /// # Errors
    /// The fault of the access rule.
    pub fn load(&self, addr: GuestAddr, len: AccessLen) -> Result<u64, PageFault> {
        let mut bytes = [0; 8];
        let into = &mut bytes[..len.bytes() as usize];
        match &self.store {
            Store::Software(frames) if addr.offset() + into.len() <= PAGE_SIZE => {
                // A private page needs no permission; most loads of most programs find one.
                let page = match frames.get(addr.page()) {
                    Some(frame) => Some(&**frame),
                    None => self.permitted_content(addr.page())?,
                };
                if let Some(page) = page {
                    into.copy_from_slice(&page[addr.offset()..addr.offset() + into.len()]);
                }
            }
            _ => self.read(addr, into)?,
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// The content of a page that is not private, if it may be read; `None` for zeros.
    fn permitted_content(&self, page: PageIndex) -> Result<Option<&PageBytes>, PageFault> {
        let region = self.layout.permit(page, Access::Read)?;
        if !self.base.is_empty()
            && let Some(frame) = self.base.get(&page)
        {
            return Ok(Some(frame));
        }
        let index = page.value() - region.range().start();
        Ok(region.source().page(index))
    }

    /// Stores the low `len` bytes of `value`, little-endian, and returns the charge.
    ///
    /// # Errors
    /// As [`access`](Self::access); nothing is written then.
    pub fn store(&mut self, addr: GuestAddr, len: AccessLen, value: u64) -> Result<u64, Denied> {
        let (bytes, count) = (value.to_le_bytes(), len.bytes() as usize);
        if addr.offset() + count <= PAGE_SIZE
            && let Store::Software(frames) = &mut self.store
            && let Some(page) = frames.get_mut(addr.page())
        {
            page[addr.offset()..addr.offset() + count].copy_from_slice(&bytes[..count]);
            return Ok(0);
        }
        let granted = self.access(addr, len, Access::Write)?;
        self.copy_in(addr, &bytes[..count]);
        Ok(granted.charge)
    }

    /// Copies guest memory out. Free of charge.
    ///
    /// # Errors
    /// The first page that cannot be read; `into` is untouched then.
    pub fn read(&self, addr: GuestAddr, into: &mut [u8]) -> Result<(), PageFault> {
        self.permit_all(addr, into.len(), Access::Read)?;
        for (page, offset, part) in pieces(addr, into.len()) {
            let into = &mut into[part];
            match &self.store {
                // Open pages may hold content that nobody has charged for yet.
                Store::Window { window, .. } => {
                    window.read_at(page.base().value() as usize + offset, into);
                }
                Store::Software(frames) => {
                    let private = frames.get(page).map(|frame| &**frame);
                    match private.or_else(|| self.clean_content(page)) {
                        Some(bytes) => into.copy_from_slice(&bytes[offset..offset + into.len()]),
                        None => into.fill(0),
                    }
                }
            }
        }
        Ok(())
    }

    /// What a [`write`](Self::write) of `len` bytes would be charged (gas §12).
    ///
    /// # Errors
    /// The first page that cannot be written.
    pub fn quote_write(&self, addr: GuestAddr, len: usize) -> Result<u64, PageFault> {
        self.permit_all(addr, len, Access::Write)?;
        Ok(spans(addr, len).map(|range| self.quote_range(range)).sum())
    }

    fn quote_range(&self, range: PageRange) -> u64 {
        match &self.store {
            Store::Window { window, .. } => window.ledger.quote(&self.layout, range).charge,
            Store::Software(frames) => quote(&self.layout, frames, range).0,
        }
    }

    /// Writes for the host by the kernel-write rule of gas §12 and returns the charge, which is
    /// what [`quote_write`](Self::quote_write) said.
    ///
    /// # Errors
    /// The first page that cannot be written, with nothing written; or a host error, after which
    /// pages may be private with their content unchanged.
    pub fn write(&mut self, addr: GuestAddr, from: &[u8]) -> Result<u64, Denied> {
        self.permit_all(addr, from.len(), Access::Write)?;
        let mut charge = 0;
        for range in spans(addr, from.len()) {
            charge += self.make_private(range, None)?.0;
        }
        self.copy_in(addr, from);
        Ok(charge)
    }

    /// Copies into private pages.
    fn copy_in(&mut self, addr: GuestAddr, from: &[u8]) {
        for (page, offset, part) in pieces(addr, from.len()) {
            self.write_private(page, offset, &from[part]);
        }
    }
}

/// The pages of `len` bytes from `addr` on as at most two ranges; all pages if it wraps around.
fn spans(addr: GuestAddr, len: usize) -> impl Iterator<Item = PageRange> {
    let start = addr.page().value();
    let pages = (addr.offset() + len).div_ceil(PAGE_SIZE);
    let pages = if len == 0 {
        0
    } else {
        pages.min(PAGES as usize) as u32
    };
    let low_end = (start + pages).min(PAGES);
    let wrapped = PageRange::between(0, start + pages - low_end);
    let ranges = [PageRange::between(start, low_end), wrapped];
    ranges.into_iter().filter(|range| !range.is_empty())
}

fn quote(layout: &Layout, frames: &FrameTable, range: PageRange) -> (u64, u32) {
    let mut sum = (0, 0);
    for page in range.iter().filter(|&p| frames.get(p).is_none()) {
        sum.0 += layout.find(page).map_or(0, crate::layout::Region::cow_cost);
        sum.1 += 1;
    }
    sum
}

fn source_of(layout: &Layout, page: PageIndex) -> [u8; PAGE_SIZE] {
    let content = layout.find(page).and_then(|region| {
        let index = page.value() - region.range().start();
        region.source().page(index)
    });
    content.copied().unwrap_or([0; PAGE_SIZE])
}
