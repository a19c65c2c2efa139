//! What a machine's memory holds beyond its layout, taken out and put back page by page: how paused
//! state leaves a machine and enters another one.
//!
//! ```text
//!   software: shared frames ──clone──▶ SharedPage ──clone──▶ shared frames of another space
//!   window:   bytes ─────────copy────▶     │
//! ```
//! A page that is shared is never written: whoever writes it copies it first, as after a fork.

use rivet_mutants::mutant;
use std::sync::Arc;

use crate::error::{Denied, HostError};
use crate::frame::Frame;
use crate::layout::Access;
use crate::page::{PAGE_SIZE, PageIndex};
use crate::space::{AddressSpace, PageClass, Store};

/// Content of a page, shared by everyone who holds it.
pub type SharedPage = Frame;

impl AddressSpace {
    /// Every base and private page with its content, base pages first, each class ascending. A
    /// page that is both counts as private.
    ///
    /// # Errors
    /// [`HostError::NotSettled`] during a run with open pages.
    pub fn changed(
        &self,
        mut see: impl FnMut(PageIndex, PageClass, SharedPage),
    ) -> Result<(), HostError> {
        self.settled()?;
        for (&page, frame) in &self.base {
            if mutant!(SnapshotTwice, !self.is_private(page), true) {
                see(page, PageClass::Base, Arc::clone(frame));
            }
        }
        match &self.store {
            Store::Software(frames) => {
                for (page, frame) in frames.iter() {
                    see(page, PageClass::Private, Arc::clone(frame));
                }
            }
            Store::Window { window, .. } => {
                for page in window.ledger.charged().iter() {
                    let mut frame = Arc::new([0; PAGE_SIZE]);
                    let bytes = Arc::get_mut(&mut frame).expect("invariant: nobody else has it");
                    window.read_at(page.base().value() as usize, bytes);
                    see(page, PageClass::Private, frame);
                }
            }
        }
        Ok(())
    }

    /// Makes room for `pages` private pages that [`restore`](Self::restore) will put in place.
    ///
    /// # Errors
    /// [`HostError::MachineMemory`] or [`HostError::EngineMemory`], with nothing taken.
    pub fn reserve_private(&mut self, pages: u64) -> Result<(), HostError> {
        self.held.take(pages)
    }

    /// Gives a page of a space in software the content and class it had elsewhere; nothing is
    /// charged. Room for private pages has been reserved.
    ///
    /// # Errors
    /// A fault if the page is not writable, which no changed page is; [`HostError::NotSettled`] if
    /// the space is in a window.
    pub fn restore(
        &mut self,
        page: PageIndex,
        class: PageClass,
        content: SharedPage,
    ) -> Result<(), Denied> {
        self.layout.permit(page, Access::Write)?;
        let Store::Software(frames) = &mut self.store else {
            return Err(HostError::NotSettled.into());
        };
        match class {
            PageClass::Unchanged => {}
            PageClass::Base => {
                self.base.insert(page, content);
            }
            PageClass::Private => frames.insert(page, content),
        }
        Ok(())
    }
}
