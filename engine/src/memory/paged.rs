//! Memory of the page manager, for generated code and for the interpreter where that stands in.

use super::{GuestMemory, PageBytes};
use crate::call::AccessError;
use crate::config::Config;
use crate::error::{HostError, LoadError};
use rivet_image::{Region, RegionKind};
use rivet_interp::Width;
use rivet_isa::gas::depth;
use rivet_isa::{CODE_BASE, DATA_BASE, GuestAddr, PAGE_SIZE, PageIndex};
use rivet_paging::{AccessLen, AddressSpace, Denied, Layout, PageCount, PageRange, PageSource};
use std::sync::Arc;

const _: () = assert!(rivet_paging::PAGE_SIZE as u64 == PAGE_SIZE);

pub(crate) fn address(addr: GuestAddr) -> rivet_paging::GuestAddr {
    rivet_paging::GuestAddr::new(addr.value())
}

pub(crate) fn index(page: rivet_paging::PageIndex) -> PageIndex {
    GuestAddr::new(page.base().value()).page()
}

pub(crate) fn denied(error: Denied) -> AccessError {
    match error {
        Denied::Fault(fault) => AccessError::Inaccessible {
            page: index(fault.page),
        },
        _ => AccessError::Exhausted,
    }
}

/// The first byte of a page, to be written back unchanged.
pub(crate) fn first_byte(memory: &AddressSpace, page: PageIndex) -> Result<[u8; 1], HostError> {
    let mut byte = [0];
    let read = memory.read(address(page.base()), &mut byte);
    read.map(|()| byte).map_err(|_| HostError::Memory)
}

/// What became of a write whose pages are known to be writable.
pub(crate) fn owned(written: Result<u64, Denied>) -> Result<(), HostError> {
    match written {
        Ok(_) => Ok(()),
        Err(Denied::Host(error)) => Err(error.into()),
        Err(Denied::Fault(_)) => Err(HostError::Memory),
    }
}

impl GuestMemory for AddressSpace {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        Self::read(self, address(addr), out).map_err(|fault| AccessError::Inaccessible {
            page: index(fault.page),
        })
    }

    fn is_mapped(&self, page: PageIndex) -> bool {
        Self::read(self, address(page.base()), &mut [0]).is_ok()
    }

    fn write_price(&self, page: PageIndex) -> Option<u64> {
        self.quote_write(address(page.base()), 1).ok()
    }

    fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        Self::write(self, address(addr), bytes)
            .map(drop)
            .map_err(denied)
    }

    fn own(&mut self, page: PageIndex) -> Result<(), HostError> {
        let byte = first_byte(self, page)?;
        match Self::write(self, address(page.base()), &byte) {
            Ok(_) => Ok(()),
            // No guest runs in the window, so it can be left.
            Err(Denied::Host(error)) if error.is_shortage() => {
                self.leave_window(error)?;
                owned(Self::write(self, address(page.base()), &byte))
            }
            refused => owned(refused),
        }
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        Self::private_pages(self).map(index).collect()
    }

    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes)) {
        self.visit_stored(|page, _, content| {
            if u64::from(page.base().value()) >= DATA_BASE {
                see(index(page), content);
            }
        });
    }
}

/// Puts initial contents in place: not charged, not private.
pub(crate) fn place(
    memory: &mut AddressSpace,
    addr: GuestAddr,
    bytes: &[u8],
) -> Result<(), AccessError> {
    (memory as &dyn GuestMemory).check_write(addr, bytes.len() as u64)?;
    memory.place(address(addr), bytes).map_err(denied)
}

/// A program's memory as the page manager lays it out.
pub(crate) fn layout(
    config: &Config,
    code: &[u8],
    regions: &[Region],
) -> Result<Arc<Layout>, LoadError> {
    let mut out = Vec::with_capacity(regions.len() + 1);
    if !code.is_empty() {
        let range =
            PageRange::from_bytes(CODE_BASE, (code.len() as u64).next_multiple_of(PAGE_SIZE));
        let range = range.expect("code ends below DATA_BASE");
        let source = PageSource::from_bytes(code).map_err(HostError::from)?;
        out.push(rivet_paging::Region::read_only(range, source));
    }
    for region in regions {
        out.push(mapped(config, region)?);
    }
    Layout::new(out).map(Arc::new).map_err(LoadError::Paging)
}

fn mapped(config: &Config, region: &Region) -> Result<rivet_paging::Region, LoadError> {
    let start = rivet_paging::PageIndex::new(region.first.index());
    let range = start
        .zip(PageCount::new(region.pages))
        .and_then(|(s, n)| PageRange::new(s, n));
    let range = range.expect("regions lie inside the address space");
    let pages: Vec<_> = region
        .source
        .pages()
        .map(|page| (page.index, page.bytes))
        .collect();
    let source = PageSource::from_pages(&pages).map_err(HostError::from)?;
    let cow_cost = config.cost_model.cow_cost(depth(u64::from(region.pages)));
    Ok(match region.kind {
        RegionKind::Pinned => rivet_paging::Region::read_only(range, source),
        RegionKind::CopyOnWrite => rivet_paging::Region::copy_on_write(range, source, cow_cost),
        RegionKind::Ephemeral => rivet_paging::Region::ephemeral(range, cow_cost),
    })
}

/// The page manager's memory as the interpreter sees it.
pub(crate) struct Interpreted<'a>(pub(crate) &'a mut AddressSpace);

const fn len(width: Width) -> AccessLen {
    match width {
        Width::One => AccessLen::Byte,
        Width::Two => AccessLen::Half,
        Width::Four => AccessLen::Word,
        Width::Eight => AccessLen::Double,
    }
}

impl rivet_interp::Memory for Interpreted<'_> {
    type Error = rivet_paging::HostError;

    fn load(
        &mut self,
        addr: GuestAddr,
        width: Width,
    ) -> Result<u64, rivet_interp::AccessError<Self::Error>> {
        self.0
            .load(address(addr), len(width))
            .map_err(|fault| rivet_interp::AccessError::Fault(index(fault.page)))
    }

    fn store(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, rivet_interp::AccessError<Self::Error>> {
        let (addr, len) = (address(addr), len(width));
        let stored = match self.0.store(addr, len, value) {
            // The window has no more mappings; nothing else is running in it.
            Err(Denied::Host(error)) if error.is_shortage() => {
                let left = self.0.leave_window(error).map_err(Denied::Host);
                left.and_then(|()| self.0.store(addr, len, value))
            }
            stored => stored,
        };
        stored.map_err(|error| match error {
            Denied::Fault(fault) => rivet_interp::AccessError::Fault(index(fault.page)),
            Denied::Host(error) => rivet_interp::AccessError::Host(error),
        })
    }
}
