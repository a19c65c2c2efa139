//! The address space of an image as an engine lays it out
//! (kernel ABI §3.4, ISA §4).

use rivet_isa::{GuestAddr, PAGE_SIZE, PageIndex};

use crate::image::{Image, Mapping, Pinned};
use crate::{Data, Key};

/// What a guest may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; a write is a fault.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// Where the content of a region comes from and where writes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Constant content of the image.
    Pinned,
    /// Content of a slot; a written page becomes a private copy.
    CopyOnWrite,
    /// Zeros; a written page becomes private.
    Ephemeral,
}

impl RegionKind {
    /// What a guest may do with a region of this kind.
    #[must_use]
    pub const fn access(self) -> Access {
        match self {
            Self::Pinned => Access::ReadOnly,
            Self::CopyOnWrite | Self::Ephemeral => Access::ReadWrite,
        }
    }
}

/// A mapped range of data pages and what it shows before the first write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First page, at `DATA_BASE` or above.
    pub first: PageIndex,
    /// Number of pages, at least one; the last page is below 2^32.
    pub pages: u32,
    /// Where the content comes from.
    pub kind: RegionKind,
    /// Content from the start of the region on, never longer than the region;
    /// beyond it and in pages it does not hold the region is zero.
    pub source: Data,
}

impl Region {
    /// What a guest may do with the region.
    #[must_use]
    pub fn access(&self) -> Access {
        self.kind.access()
    }

    /// First guest address.
    #[must_use]
    pub fn start(&self) -> GuestAddr {
        self.first.base()
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.pages) * PAGE_SIZE
    }

    /// First address past the region, at most 2^32.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::from(self.start().value()) + self.size()
    }
}

/// Why the mappings of an image cannot be laid out; a call of it is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The source is longer than the mapping.
    #[error(
        "memory_mappings[{index}] of {size:#x} bytes is shorter than its source, \
         slot {key} of {source_size:#x} bytes: enlarge the mapping"
    )]
    SourceTooLong {
        /// Index of the mapping.
        index: usize,
        /// Bytes of the mapping.
        size: u64,
        /// Slot of the source.
        key: Key,
        /// Bytes of the source.
        source_size: u64,
    },
    /// The source is an image.
    #[error("memory_mappings[{index}] maps slot {key}, which pins an image: map a data slot")]
    NotData {
        /// Index of the mapping.
        index: usize,
        /// Slot of the source.
        key: Key,
    },
}

impl Image {
    /// The data regions by ascending address, as a freshly constructed instance
    /// shows them: pinned and initial slots are filled, every other slot is
    /// empty and reads as zeros.
    ///
    /// # Errors
    /// [`LayoutError`] if a source is not a Data or longer than its mapping: the
    /// conditions under which a call is refused before the run begins.
    pub fn layout(&self) -> Result<Vec<Region>, LayoutError> {
        let mut regions = Vec::with_capacity(self.mappings().len());
        for (index, mapping) in self.mappings().iter().enumerate() {
            regions.push(self.region(index, mapping)?);
        }
        regions.sort_by_key(|region| region.first);
        Ok(regions)
    }

    fn region(&self, index: usize, mapping: &Mapping) -> Result<Region, LayoutError> {
        let kind = match (mapping.path(), self.is_pinned(mapping)) {
            (None, _) => RegionKind::Ephemeral,
            (Some(_), true) => RegionKind::Pinned,
            (Some(_), false) => RegionKind::CopyOnWrite,
        };
        let source = self.source(index, mapping)?;
        Ok(Region {
            first: GuestAddr::wrapping(mapping.start).page(),
            // Admission keeps every mapping within 2^20 pages.
            pages: (mapping.size / PAGE_SIZE) as u32,
            kind,
            source: source.unwrap_or_default(),
        })
    }

    /// The content a mapping starts with; none if its slot is empty. A path of
    /// several steps leads through a cnode, which no fresh slot holds.
    fn source(&self, index: usize, mapping: &Mapping) -> Result<Option<Data>, LayoutError> {
        let Some(key) = mapping.path().and_then(|path| path.as_root_slot()) else {
            return Ok(None);
        };
        let data = match self.pinned(key) {
            Some(Pinned::Data(data)) => data,
            Some(Pinned::Image(_)) => {
                let key = key.clone();
                return Err(LayoutError::NotData { index, key });
            }
            None => match self.initial(key) {
                Some(data) => data,
                None => return Ok(None),
            },
        };
        if data.size() > mapping.size {
            return Err(LayoutError::SourceTooLong {
                index,
                size: mapping.size,
                key: key.clone(),
                source_size: data.size(),
            });
        }
        Ok(Some(data.clone()))
    }
}
