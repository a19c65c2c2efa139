//! The interpreter's own memory.

use super::{GuestMemory, PageBytes};
use crate::call::AccessError;
use crate::config::Config;
use crate::error::HostError;
use rivet_image::{Region, RegionKind};
use rivet_interp::SparseMemory;
use rivet_interp::sparse::{Access, MapError, Source};
use rivet_isa::gas::depth;
use rivet_isa::{GuestAddr, PAGE_SIZE, PageIndex};
use std::sync::Arc;

impl GuestMemory for SparseMemory {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        Self::read(self, addr, out).map_err(inaccessible)
    }

    fn is_mapped(&self, page: PageIndex) -> bool {
        self.state(page).is_some()
    }

    fn write_price(&self, page: PageIndex) -> Option<u64> {
        self.quote(page.base(), 1).ok()
    }

    fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        Self::write(self, addr, bytes)
            .map(drop)
            .map_err(inaccessible)
    }

    fn own(&mut self, page: PageIndex) -> Result<(), HostError> {
        let mut byte = [0];
        GuestMemory::read(self, page.base(), &mut byte).map_err(|_| HostError::Memory)?;
        GuestMemory::write(self, page.base(), &byte).map_err(|_| HostError::Memory)
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        Self::private_pages(self).collect()
    }

    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes)) {
        for (page, _, content) in self.contents() {
            see(page, content);
        }
    }
}

/// Puts initial contents in place: not charged, not private.
pub(crate) fn place(
    memory: &mut SparseMemory,
    addr: GuestAddr,
    bytes: &[u8],
) -> Result<(), AccessError> {
    memory.place_bytes(addr, bytes).map_err(inaccessible)
}

fn inaccessible<E>(error: rivet_interp::AccessError<E>) -> AccessError {
    match error {
        rivet_interp::AccessError::Fault(page) => AccessError::Inaccessible { page },
        // The limit of a software memory is the whole address space, so it cannot be reached.
        rivet_interp::AccessError::Host(_) => AccessError::Exhausted,
    }
}

/// Untouched memory of a program, for machines to start from.
pub(crate) fn template(
    config: &Config,
    code: &Arc<[u8]>,
    regions: &[Region],
) -> Result<SparseMemory, MapError> {
    let mut memory = SparseMemory::new(PageIndex::COUNT);
    memory.map_code(Arc::clone(code))?;
    for region in regions {
        let cow_cost = config.cost_model.cow_cost(depth(u64::from(region.pages)));
        memory.map(mapped(region, cow_cost))?;
    }
    Ok(memory)
}

fn mapped(region: &Region, cow_cost: u64) -> rivet_interp::sparse::Region {
    let page = |bytes: &[u8]| {
        let mut page = [0; PAGE_SIZE as usize];
        page[..bytes.len()].copy_from_slice(bytes);
        page
    };
    let access = match region.kind {
        RegionKind::Pinned => Access::ReadOnly,
        RegionKind::CopyOnWrite | RegionKind::Ephemeral => Access::CopyOnWrite { cow_cost },
    };
    rivet_interp::sparse::Region {
        start: region.first,
        pages: region.pages,
        access,
        source: Source::pages(region.source.pages().map(|p| (p.index, page(p.bytes)))),
    }
}
