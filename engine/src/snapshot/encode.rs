//! Value to bytes.

use super::bits;
use super::pages::PageList;
use super::value::{Head, Snapshot};
use super::wire::{FORMAT_VERSION, HEAD_LEN, ISA_VERSION, Kind, LINK_LEN, MAGIC, pending_code};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use rivet_image::Digest;
use rivet_isa::PAGE_SIZE;
use std::ops::Range;

/// Everything that is written, borrowed.
pub(super) struct Parts<'a> {
    pub(super) head: &'a Head,
    pub(super) base: &'a PageList,
    pub(super) private: &'a PageList,
    /// Of a delta.
    pub(super) link: Option<Link<'a>>,
}

/// What a delta has more.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) base: Digest,
    pub(super) result: Digest,
    pub(super) dropped: &'a [Range<u32>],
}

impl Parts<'_> {
    fn head(&self) -> Vec<u8> {
        let table = self.table();
        let Head {
            image,
            cost_model,
            state,
            pending,
        } = self.head;
        let kind = if self.link.is_some() {
            Kind::Delta
        } else {
            Kind::Snapshot
        };
        let (code, selector) = pending_code(*pending);
        let mut out = Vec::with_capacity(HEAD_LEN + LINK_LEN + table.len());
        out.extend(MAGIC);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend(ISA_VERSION.to_le_bytes());
        out.extend([kind.code(), code, 0, 0]);
        out.extend(image.as_bytes());
        out.extend(cost_model.as_bytes());
        out.extend(state.pc.value().to_le_bytes());
        out.extend(state.gas.value().to_le_bytes());
        out.extend(
            state
                .regs
                .slots()
                .iter()
                .flat_map(|slot| slot.to_le_bytes()),
        );
        out.extend(selector.to_le_bytes());
        out.extend((table.len() as u32).to_le_bytes());
        debug_assert_eq!(out.len(), HEAD_LEN);
        if let Some(link) = self.link {
            out.extend(link.base.as_bytes());
            out.extend(link.result.as_bytes());
        }
        out.extend(table);
        out
    }

    fn table(&self) -> Vec<u8> {
        let mut bits = bits::Writer::default();
        if let Some(link) = self.link {
            bits.set(link.dropped);
        }
        bits.set(&self.base.runs());
        bits.set(&self.private.runs());
        bits.finish()
    }

    fn pages(&self) -> impl Iterator<Item = &[u8]> {
        let pages = self.base.iter().chain(self.private.iter());
        pages.map(|(_, content)| content.as_slice())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.head();
        out.reserve_exact((self.base.len() + self.private.len()) * PAGE_SIZE as usize);
        self.pages().for_each(|page| out.extend_from_slice(page));
        out
    }

    /// The hash of what [`encode`](Self::encode) gives.
    pub(super) fn address(&self) -> Digest {
        let mut hasher = Blake2b::<U32>::new();
        hasher.update(self.head());
        self.pages().for_each(|page| hasher.update(page));
        Digest::new(hasher.finalize().into())
    }
}

impl Snapshot {
    fn parts(&self) -> Parts<'_> {
        Parts {
            head: &self.head,
            base: &self.base,
            private: &self.private,
            link: None,
        }
    }

    /// The canonical bytes: equal snapshots have equal bytes. 4096 for each page, and less than
    /// 4 KiB besides unless hundreds of pages lie far from each other. Nothing is hashed.
    pub fn encode(&self) -> Vec<u8> {
        self.parts().encode()
    }

    /// The content address: BLAKE2b-256 of the canonical bytes. Takes time for every page.
    pub fn address(&self) -> Digest {
        self.parts().address()
    }
}
