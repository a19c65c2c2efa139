//! What a program is, as paused state names it: the address of its image and its cost parameters.

use crate::hash::blake2b_256;
use rivet_image::{
    Data, Image, ImageBuilder, ImageError, Key, Mapping, Region, RegionKind, Source,
};
use rivet_isa::PAGE_SIZE;
use rivet_isa::gas::CostModel;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Identity of a set of cost parameters: BLAKE2b-256 of [`CostModel::to_bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CostModelId([u8; 32]);

impl CostModelId {
    /// The identity of these parameters.
    pub fn of(model: &CostModel) -> Self {
        Self(blake2b_256(&[&model.to_bytes()]))
    }

    /// An identity that was written down.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CostModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CostModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identity of a loaded program. The image of bare code is made when somebody first asks.
pub(crate) struct Identity {
    pub(crate) cost_model: CostModelId,
    image: OnceLock<Result<Image, ImageError>>,
}

impl Identity {
    pub(crate) fn new(model: &CostModel, image: Option<&Image>) -> Self {
        Self {
            cost_model: CostModelId::of(model),
            image: image.map_or_else(OnceLock::new, |image| Ok(image.clone()).into()),
        }
    }

    pub(crate) fn image(&self, code: &Arc<[u8]>, regions: &[Region]) -> Result<&Image, ImageError> {
        let image = self.image.get_or_init(|| image_of(code, regions));
        image.as_ref().map_err(Clone::clone)
    }
}

/// The image of bare code: no endpoints, one mapping per region, content in the slot that has the
/// mapping's number.
fn image_of(code: &Arc<[u8]>, regions: &[Region]) -> Result<Image, ImageError> {
    let mut builder = ImageBuilder::new(Arc::clone(code));
    for (index, region) in regions.iter().enumerate() {
        // Key [00] is the scratchpad. More regions than numbers are refused as too many mappings.
        let key = Key::endpoint(u16::try_from(index + 1).unwrap_or(u16::MAX));
        let content = trimmed(&region.source);
        let source = match region.kind {
            RegionKind::Ephemeral => Source::Ephemeral,
            RegionKind::Pinned => {
                builder = builder.pinned(key.clone(), content);
                Source::Persistent(key.into())
            }
            RegionKind::CopyOnWrite if content.size() == 0 => Source::Persistent(key.into()),
            RegionKind::CopyOnWrite => {
                builder = builder.initial(key.clone(), content);
                Source::Persistent(key.into())
            }
        };
        builder = builder.mapping(Mapping {
            start: u64::from(region.start().value()),
            size: region.size(),
            source,
        });
    }
    builder.build()
}

/// The same content without zero pages at the end.
fn trimmed(data: &Data) -> Data {
    let pages = data
        .pages()
        .last()
        .map_or(0, |page| u64::from(page.index) + 1);
    let named = data.pages().map(|page| (page.index, page.bytes));
    Data::from_pages(pages * PAGE_SIZE, named).expect("invariant: pages of data stay in order")
}
