//! Initial contents of mappings.

use super::frame::{BoxedPage, Frame};
use rivet_isa::PAGE_SIZE;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bytes of one page.
pub type Page = [u8; PAGE_SIZE as usize];

/// Immutable initial contents, shared by everyone who maps them. What a source does not cover
/// reads as zeros.
#[derive(Clone, Debug)]
pub struct Source(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Zeros,
    Bytes {
        bytes: Arc<[u8]>,
        /// The last page, padded, if the length is not a multiple of a page.
        tail: Option<Arc<BoxedPage>>,
    },
    Pages(Arc<BTreeMap<u32, Arc<BoxedPage>>>),
}

impl Source {
    /// Zeros: an ephemeral mapping.
    pub fn zeros() -> Self {
        Self(Kind::Zeros)
    }

    /// These bytes, then zeros. Nothing but the last page is copied.
    pub fn bytes(bytes: Arc<[u8]>) -> Self {
        let (_, rest) = bytes.as_chunks::<{ PAGE_SIZE as usize }>();
        let tail = (!rest.is_empty()).then(|| {
            let mut page = Box::new([0; PAGE_SIZE as usize]);
            page[..rest.len()].copy_from_slice(rest);
            Arc::new(BoxedPage(page))
        });
        Self(Kind::Bytes { bytes, tail })
    }

    /// These pages, counted from the start of the mapping, and zeros between them.
    pub fn pages(pages: impl IntoIterator<Item = (u32, Page)>) -> Self {
        let pages = pages
            .into_iter()
            .map(|(index, page)| (index, Arc::new(BoxedPage(Box::new(page)))));
        Self(Kind::Pages(Arc::new(pages.collect())))
    }

    /// Number of pages up to the last one that is not zeros by construction.
    pub fn len_pages(&self) -> u64 {
        match &self.0 {
            Kind::Zeros => 0,
            Kind::Bytes { bytes, .. } => (bytes.len() as u64).div_ceil(PAGE_SIZE),
            Kind::Pages(pages) => pages
                .last_key_value()
                .map_or(0, |(last, _)| u64::from(*last) + 1),
        }
    }

    /// Page `index`, or `None` where the source is zeros by construction.
    pub(super) fn page(&self, index: u32) -> Option<&Page> {
        match &self.0 {
            Kind::Zeros => None,
            Kind::Bytes { bytes, tail } => {
                let (full, _) = bytes.as_chunks();
                match full.get(index as usize) {
                    None if index as usize == full.len() => tail.as_ref().map(|page| &*page.0),
                    page => page,
                }
            }
            Kind::Pages(pages) => pages.get(&index).map(|page| &*page.0),
        }
    }

    /// A frame that shares page `index`.
    pub(super) fn frame(&self, index: u32) -> Option<Frame> {
        match &self.0 {
            Kind::Zeros => None,
            Kind::Bytes { bytes, tail } => {
                let full = bytes.len() / PAGE_SIZE as usize;
                if (index as usize) < full {
                    Some(Frame::View {
                        bytes: Arc::clone(bytes),
                        index,
                    })
                } else if index as usize == full {
                    tail.clone().map(Frame::Shared)
                } else {
                    None
                }
            }
            Kind::Pages(pages) => pages.get(&index).cloned().map(Frame::Shared),
        }
    }

    /// The first page at or after `index` that [`Source::page`] has.
    pub(super) fn next_page(&self, index: u32) -> Option<u32> {
        match &self.0 {
            Kind::Pages(pages) => pages.range(index..).next().map(|(index, _)| *index),
            _ => (u64::from(index) < self.len_pages()).then_some(index),
        }
    }
}
