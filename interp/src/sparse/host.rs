//! Guest memory as the embedder uses it: checked reads and writes for host calls (gas §12), and
//! pages placed outside a run.

use super::source::Page;
use super::{LimitReached, SparseMemory, chunks, pages_of};
use crate::memory::AccessError;
use rivet_isa::{GuestAddr, PageIndex};
use rivet_mutants::mutant;

/// What a placed page counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Placement {
    /// Initial contents: not private, so the first write is charged (gas §12).
    Base,
    /// A page that was charged before, as when a snapshot is restored.
    Private,
}

impl SparseMemory {
    /// Reads guest bytes on behalf of a kernel, addresses modulo 2^32. Free, and touches no page
    /// state; if a page is not mapped nothing is read and the first such page is the error.
    pub fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError<LimitReached>> {
        for page in pages_of(addr, out.len() as u64) {
            if self.region(page).is_none() {
                return Err(AccessError::Fault(page));
            }
        }
        for (page, at, range) in chunks(addr, out.len()) {
            let size = range.len();
            match self.content(page) {
                Some(bytes) => out[range].copy_from_slice(&bytes[at..at + size]),
                None => out[range].fill(0),
            }
        }
        Ok(())
    }

    /// Price in gas of a kernel write of `len` bytes: what [`SparseMemory::write`] would return.
    /// If a page is not writable the first such page is the error.
    pub fn quote(&self, addr: GuestAddr, len: u64) -> Result<u64, AccessError<LimitReached>> {
        let mut charge = 0;
        for page in pages_of(addr, len) {
            let Some(price) = self.price(page) else {
                return Err(AccessError::Fault(page));
            };
            if !self.table.get(page).private {
                charge += price;
            }
        }
        Ok(charge)
    }

    /// Writes guest bytes on behalf of a kernel and returns the price of the pages that became
    /// private. If a page is not writable nothing is written and the first such page is the error.
    pub fn write(
        &mut self,
        addr: GuestAddr,
        bytes: &[u8],
    ) -> Result<u64, AccessError<LimitReached>> {
        self.write_private(addr, bytes)
    }

    /// Sets the contents of a mapped data page outside a run, without charge. A page that is
    /// private stays private.
    pub fn place(
        &mut self,
        page: PageIndex,
        contents: &Page,
        placement: Placement,
    ) -> Result<(), AccessError<LimitReached>> {
        if self.price(page).is_none() {
            return Err(AccessError::Fault(page));
        }
        let frame = self.own(page).map_err(AccessError::Host)?;
        if let Some(own) = self.frames.own_page(frame) {
            *own = *contents;
        }
        self.frames.share(frame);
        let mut record = self.table.get(page);
        record.private =
            mutant!(InterpPlacedClean, record.private, false) || placement == Placement::Private;
        record.placed = !record.private;
        self.table.set(page, record);
        Ok(())
    }

    /// Sets bytes of mapped data pages outside a run, without charge and without making a page
    /// private: arguments, a first stack.
    pub fn place_bytes(
        &mut self,
        addr: GuestAddr,
        bytes: &[u8],
    ) -> Result<(), AccessError<LimitReached>> {
        for page in pages_of(addr, bytes.len() as u64) {
            if self.price(page).is_none() {
                return Err(AccessError::Fault(page));
            }
        }
        for (page, at, range) in chunks(addr, bytes.len()) {
            let mut contents = self.content(page).copied().unwrap_or([0; _]);
            contents[at..at + range.len()].copy_from_slice(&bytes[range]);
            self.place(page, &contents, Placement::Base)?;
        }
        Ok(())
    }
}
