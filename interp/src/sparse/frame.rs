//! The places where page contents are.

use super::source::Page;
use rivet_isa::PAGE_SIZE;
use std::sync::Arc;

static ZEROS: Page = [0; PAGE_SIZE as usize];

/// Number of a frame in its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FrameId(u32);

impl FrameId {
    /// The frame that every untouched page of zeros shares.
    pub(super) const ZEROS: Self = Self(0);
}

/// A page in a box, so that sharing it and taking it back moves the box and not the bytes.
#[derive(Clone, Debug)]
pub(super) struct BoxedPage(pub(super) Box<Page>);

/// Contents of one page.
#[derive(Debug)]
pub(super) enum Frame {
    Zeros,
    /// Page `index` of bytes that hold it completely.
    View {
        bytes: Arc<[u8]>,
        index: u32,
    },
    /// Shared with a source or another memory.
    Shared(Arc<BoxedPage>),
    /// Nobody else's: the only kind that is written.
    Own(BoxedPage),
}

impl Frame {
    #[inline(always)]
    fn page(&self) -> &Page {
        match self {
            Self::Own(page) => &page.0,
            Self::Shared(page) => &page.0,
            Self::View { bytes, index } => {
                let (pages, _) = bytes.as_chunks();
                pages.get(*index as usize).unwrap_or(&ZEROS)
            }
            Self::Zeros => &ZEROS,
        }
    }

    fn share(&mut self) -> Self {
        if let Self::Own(_) = self
            && let Self::Own(page) = core::mem::replace(self, Self::Zeros)
        {
            *self = Self::Shared(Arc::new(page));
        }
        match self {
            Self::Shared(page) => Self::Shared(Arc::clone(page)),
            Self::View { bytes, index } => Self::View {
                bytes: Arc::clone(bytes),
                index: *index,
            },
            Self::Zeros | Self::Own(_) => Self::Zeros,
        }
    }
}

/// All frames of a memory. Frames are only added, so an id stays valid until a reset.
#[derive(Debug)]
pub(super) struct Frames(Vec<Frame>);

impl Default for Frames {
    fn default() -> Self {
        Self(vec![Frame::Zeros])
    }
}

impl Frames {
    pub(super) fn push(&mut self, frame: Frame) -> FrameId {
        let id = FrameId(self.0.len() as u32);
        self.0.push(frame);
        id
    }

    #[inline(always)]
    pub(super) fn get(&self, id: FrameId) -> Option<&Page> {
        self.0.get(id.0 as usize).map(Frame::page)
    }

    pub(super) fn page(&self, id: FrameId) -> &Page {
        self.0[id.0 as usize].page()
    }

    /// The page, if it may be written in place.
    #[inline(always)]
    pub(super) fn own_page(&mut self, id: FrameId) -> Option<&mut Page> {
        match self.0.get_mut(id.0 as usize) {
            Some(Frame::Own(page)) => Some(&mut page.0),
            _ => None,
        }
    }

    /// Makes the contents of `id` a frame of our own, in place unless they are the shared zeros, and
    /// says which it is.
    pub(super) fn own(&mut self, id: FrameId) -> FrameId {
        let frame = &mut self.0[id.0 as usize];
        let page = match core::mem::replace(frame, Frame::Zeros) {
            Frame::Own(page) => page,
            Frame::Shared(page) => {
                Arc::try_unwrap(page).unwrap_or_else(|page| BoxedPage::clone(&page))
            }
            view @ Frame::View { .. } => BoxedPage(Box::new(*view.page())),
            Frame::Zeros => return self.push(Frame::Own(BoxedPage(Box::new(ZEROS)))),
        };
        *frame = Frame::Own(page);
        id
    }

    /// Takes back the right to write a frame in place.
    pub(super) fn share(&mut self, id: FrameId) {
        self.0[id.0 as usize].share();
    }

    /// The same contents under the same ids, shared by both from now on.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.0.iter_mut().map(Frame::share).collect())
    }
}
