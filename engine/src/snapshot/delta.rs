//! Snapshots against a base: only what changed.
//!
//! ```text
//!  base ──Delta──▶ a ──Delta──▶ b        flatten: base + both deltas = b, whole
//! ```
//! A delta names its base and its result by address, so that neither a wrong base nor an altered
//! delta gives a state.

use super::decode::{Read, read};
use super::encode::{Link, Parts};
use super::error::{DecodeError, DeltaError};
use super::pages::{PageList, pages_of, runs};
use super::value::{Head, Snapshot};
use super::wire::Kind;
use rivet_image::Digest;
use rivet_isa::{Gas, PageIndex, Pc};
use std::ops::Range;

/// The difference between two snapshots of one program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    head: Head,
    from: Digest,
    to: Digest,
    /// Pages of the base that are unchanged again.
    dropped: Vec<Range<u32>>,
    base: PageList,
    private: PageList,
}

impl Snapshot {
    /// What has changed since `base`. Pages that both share are not compared.
    ///
    /// # Errors
    /// [`DeltaError::OtherProgram`].
    pub fn since(&self, base: &Self) -> Result<Delta, DeltaError> {
        if (self.image(), self.cost_model()) != (base.image(), base.cost_model()) {
            return Err(DeltaError::OtherProgram);
        }
        let gone =
            |page: &PageIndex| self.base.get(*page).is_none() && self.private.get(*page).is_none();
        let mut dropped: Vec<PageIndex> = [&base.base, &base.private]
            .into_iter()
            .flat_map(|list| list.iter().map(|(page, _)| page))
            .filter(gone)
            .collect();
        dropped.sort_unstable();
        Ok(Delta {
            head: self.head,
            from: base.address(),
            to: self.address(),
            dropped: runs(dropped.into_iter()),
            base: changed(&self.base, &base.base),
            private: changed(&self.private, &base.private),
        })
    }

    /// The last state of a chain of deltas that begins at this snapshot.
    ///
    /// # Errors
    /// As [`Delta::onto`], for the first delta that does not fit.
    pub fn flatten<'a>(
        &self,
        chain: impl IntoIterator<Item = &'a Delta>,
    ) -> Result<Self, DeltaError> {
        let mut chain = chain.into_iter();
        chain.try_fold(self.clone(), |base, delta| delta.onto(&base))
    }
}

/// The pages of `new` that `old` has not or has otherwise.
fn changed(new: &PageList, old: &PageList) -> PageList {
    let mut out = PageList::default();
    for (page, content) in new.iter() {
        if old.get(page) != Some(content) {
            out.push(page, content.clone());
        }
    }
    out
}

impl Delta {
    /// Address of the snapshot it is against.
    pub const fn base(&self) -> Digest {
        self.from
    }

    /// Address of the snapshot it gives.
    pub const fn result(&self) -> Digest {
        self.to
    }

    /// Address of the program's image.
    pub const fn image(&self) -> Digest {
        self.head.image
    }

    /// The pc of the result.
    pub const fn pc(&self) -> Pc {
        self.head.state.pc
    }

    /// The gas of the result.
    pub const fn gas(&self) -> Gas {
        self.head.state.gas
    }

    /// Base and private pages whose content or class differs.
    pub const fn pages(&self) -> [&PageList; 2] {
        [&self.base, &self.private]
    }

    /// The snapshot it describes, given its base.
    ///
    /// # Errors
    /// [`DeltaError`] if the base is another one or the delta was altered.
    pub fn onto(&self, base: &Snapshot) -> Result<Snapshot, DeltaError> {
        let found = base.address();
        if found != self.from {
            let expected = self.from;
            return Err(DeltaError::WrongBase { expected, found });
        }
        if (base.image(), base.cost_model()) != (self.head.image, self.head.cost_model) {
            return Err(DeltaError::OtherProgram);
        }
        for page in pages_of(&self.dropped) {
            if base.base.get(page).is_none() && base.private.get(page).is_none() {
                return Err(DeltaError::Redundant { page });
            }
        }
        for (new, old) in [(&self.base, &base.base), (&self.private, &base.private)] {
            let idle = |(page, content)| (old.get(page) == Some(content)).then_some(page);
            if let Some(page) = new.iter().find_map(idle) {
                return Err(DeltaError::Redundant { page });
            }
        }
        let result = Snapshot {
            head: self.head,
            base: self.merged(&base.base, &self.base, &self.private),
            private: self.merged(&base.private, &self.private, &self.base),
        };
        let (expected, found) = (self.to, result.address());
        if found != expected {
            return Err(DeltaError::Result { expected, found });
        }
        Ok(result)
    }

    /// One class of pages: the old ones that did not change, and the new ones.
    fn merged(&self, old: &PageList, new: &PageList, moved: &PageList) -> PageList {
        let mut dropped = self.dropped.iter().peekable();
        let kept = old.iter().filter(|(page, _)| {
            while dropped.next_if(|run| run.end <= page.index()).is_some() {}
            let gone = dropped
                .peek()
                .is_some_and(|run| run.contains(&page.index()));
            !gone && new.get(*page).is_none() && moved.get(*page).is_none()
        });
        let mut pages: Vec<_> = kept.chain(new.iter()).collect();
        pages.sort_unstable_by_key(|(page, _)| *page);
        let mut out = PageList::with_capacity(pages.len());
        for (page, content) in pages {
            out.push(page, content.clone());
        }
        out
    }

    fn parts(&self) -> Parts<'_> {
        let link = Link {
            base: self.from,
            result: self.to,
            dropped: &self.dropped,
        };
        Parts {
            head: &self.head,
            base: &self.base,
            private: &self.private,
            link: Some(link),
        }
    }

    /// The canonical bytes, as of [`Snapshot::encode`].
    pub fn encode(&self) -> Vec<u8> {
        self.parts().encode()
    }

    /// Reads canonical bytes, as [`Snapshot::decode`] does.
    ///
    /// # Errors
    /// [`DecodeError`] names what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Read {
            head,
            base,
            private,
            link,
        } = read(bytes, Kind::Delta)?;
        let (from, to, dropped) = link.expect("invariant: a delta is read with its link");
        Ok(Self {
            head,
            from,
            to,
            dropped,
            base,
            private,
        })
    }
}
