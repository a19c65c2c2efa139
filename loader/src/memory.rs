//! Page ranges and section content to the mappings and slots of an image.

use std::collections::BTreeMap;

use rivet_image::{Data, DataError, Image, ImageBuilder, Key, Mapping, Source};
use rivet_isa::PAGE_SIZE;

use crate::elf::object::Role;
use crate::emit::Moved;
use crate::error::LinkError;
use crate::layout::{Backing, PageRange, page_up};

/// Slot of read-only data; further pieces have keys of two or more bytes that begin with it.
pub(crate) const READ_ONLY_SLOT: u8 = 66;
/// Slot of writable data; further pieces likewise.
pub(crate) const WRITABLE_SLOT: u8 = 67;

/// Content of pages by page number; pages without content are absent.
pub(crate) struct Pages(BTreeMap<u64, Vec<u8>>);

impl Pages {
    /// The new content of data sections and embedded pieces.
    pub(crate) fn collect(
        moved: &Moved<'_, '_>,
        sections: &[Option<Vec<u8>>],
        embedded: &[Vec<u8>],
    ) -> Self {
        let mut pages = Self(BTreeMap::new());
        let object = &moved.program.object;
        for (section, content) in object.sections.iter().zip(sections) {
            if let (Role::Data, Some(content)) = (section.role, content) {
                pages.write(section.address + moved.layout.shift, content);
            }
        }
        for (&address, content) in moved.layout.embedded.iter().zip(embedded) {
            pages.write(address, content);
        }
        pages
    }

    fn write(&mut self, mut address: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = (address % PAGE_SIZE) as usize;
            let (now, rest) = bytes.split_at(bytes.len().min(PAGE_SIZE as usize - offset));
            let page = self.0.entry(address / PAGE_SIZE);
            let page = page.or_insert_with(|| vec![0; PAGE_SIZE as usize]);
            page[offset..offset + now.len()].copy_from_slice(now);
            address += now.len() as u64;
            bytes = rest;
        }
    }

    /// The content of a range: as long as its last page with content, and at least a page.
    fn data(&self, range: &PageRange) -> Result<Data, DataError> {
        let first = range.start / PAGE_SIZE;
        let pages = self.0.range(first..range.end / PAGE_SIZE);
        let size = match (range.backing, pages.clone().next_back()) {
            (Backing::Initial, Some((last, _))) => (last - first + 1) * PAGE_SIZE,
            (Backing::Initial, None) => PAGE_SIZE,
            _ => range.end - range.start,
        };
        // A range lies below 2^32, so page numbers fit.
        let pages = pages.map(|(page, bytes)| ((page - first) as u32, bytes.as_slice()));
        Data::from_pages(page_up(size), pages)
    }
}

/// Adds mappings and slots to an image.
pub(crate) fn add(
    mut image: ImageBuilder,
    ranges: &[PageRange],
    pages: &Pages,
) -> Result<Image, LinkError> {
    let mut counts = [0u16; 2];
    for range in ranges {
        let size = range.end - range.start;
        let (slot, count) = match range.backing {
            Backing::Ephemeral => {
                image = image.mapping(Mapping {
                    start: range.start,
                    size,
                    source: Source::Ephemeral,
                });
                continue;
            }
            Backing::Pinned => (READ_ONLY_SLOT, &mut counts[0]),
            Backing::Initial => (WRITABLE_SLOT, &mut counts[1]),
        };
        let key = numbered(slot, *count);
        *count = count.saturating_add(1);
        let data = pages.data(range)?;
        image = match range.backing {
            Backing::Pinned => image.pinned(key.clone(), data),
            _ => image.initial(key.clone(), data),
        };
        let source = Source::Persistent(key.into());
        image = image.mapping(Mapping {
            start: range.start,
            size,
            source,
        });
    }
    Ok(image.build()?)
}

/// `[slot]` for the first piece, `[slot, n]` for the others.
fn numbered(slot: u8, count: u16) -> Key {
    let [high, low] = count.to_be_bytes();
    let bytes = match (high, low) {
        (0, 0) => return Key::byte(slot),
        (0, low) => vec![slot, low],
        (high, low) => vec![slot, high, low],
    };
    Key::new(&bytes).expect("three bytes are within the limit of a key")
}
