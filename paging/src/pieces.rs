//! What is mapped where in a window, and what has to change from one layout to the next.
//!
//! ```text
//!   now   │ code A │ none │ zeros │ none │ zeros │
//!   next  │ code B │ none │ data          │ zeros │
//!            map                 map        keep        a gap that holds nothing now: no call
//! ```

use std::ptr;

use crate::layout::{Layout, Region};
use crate::page::{PAGES, PageRange};
use crate::sys::SlabFile;

/// A range with one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) range: PageRange,
    /// File and first page in it; `None` for zeros.
    pub(crate) file: Option<(&'a SlabFile, u32)>,
}

impl Piece<'_> {
    fn same(&self, other: &Piece<'_>) -> bool {
        let same_file = match (self.file, other.file) {
            (None, None) => true,
            (Some((a, from)), Some((b, at))) => ptr::eq(a, b) && from == at,
            _ => false,
        };
        self.range == other.range && same_file
    }
}

/// The pieces of a layout, ascending.
pub(crate) fn pieces(layout: &Layout) -> impl Iterator<Item = Piece<'_>> {
    layout.regions().iter().flat_map(of_region)
}

fn of_region(region: &Region) -> impl Iterator<Item = Piece<'_>> {
    let range = region.range();
    let mut at = range.start();
    let filled = region.source().extents().iter().flat_map(move |extent| {
        let from = range.start() + extent.at;
        let zeros = PageRange::between(at, from);
        at = from + extent.count;
        let file = Piece {
            range: PageRange::between(from, at),
            file: Some((extent.slab.file(), extent.from)),
        };
        [Piece::zeros(zeros), Some(file)]
    });
    let extents = region.source().extents();
    let end = extents.last().map_or(0, |e| e.at + e.count);
    let tail = PageRange::between(range.start() + end, range.end());
    filled.chain([Piece::zeros(tail)]).flatten()
}

impl<'a> Piece<'a> {
    fn zeros(range: PageRange) -> Option<Self> {
        (!range.is_empty()).then_some(Self { range, file: None })
    }
}

/// How to get from one layout to another.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    /// Ranges that nothing is mapped in afterwards.
    pub(crate) unmap: Vec<PageRange>,
    /// What is to be mapped over whatever is there.
    pub(crate) map: Vec<Piece<'a>>,
}

impl<'a> Change<'a> {
    /// The shorter way from `now` to `next`: the differences, or everything anew.
    pub(crate) fn between(now: &Layout, next: &'a Layout) -> Self {
        let anew = Self {
            unmap: vec![PageRange::between(0, PAGES)],
            map: pieces(next).collect(),
        };
        let now: Vec<Piece<'_>> = pieces(now).collect();
        let kept = |piece: &Piece<'_>| {
            let at = now.binary_search_by_key(&piece.range.start(), |old| old.range.start());
            at.is_ok_and(|at| now[at].same(piece))
        };
        let mut change = Self {
            unmap: Vec::new(),
            map: pieces(next).filter(|piece| !kept(piece)).collect(),
        };
        let mut at = 0;
        let taken = pieces(next).map(|piece| (piece.range.start(), piece.range.end()));
        for (start, end) in taken.chain([(PAGES, PAGES)]) {
            let gap = PageRange::between(at, start);
            let first = now.partition_point(|old| old.range.end() <= gap.start());
            let old = now[first..].iter().map(|old| old.range.intersect(gap));
            let old = old.take_while(|part| !part.is_empty());
            let hull = old.reduce(|a, b| PageRange::between(a.start(), b.end()));
            change.unmap.extend(hull);
            at = end;
        }
        if change.calls() < anew.calls() {
            change
        } else {
            anew
        }
    }

    /// Upper bound of the mappings a window has more after it: each call can cut one in three.
    pub(crate) fn mappings(&self) -> u64 {
        2 * self.calls() as u64
    }

    fn calls(&self) -> usize {
        self.unmap.len() + self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PAGE_SIZE;
    use crate::slab::PageSource;
    use crate::testing::Random;

    /// What each page reads from: nothing, zeros, or a page of a file.
    type Image = Vec<Option<Option<(*const SlabFile, u32)>>>;

    const SPACE: u32 = 64;

    fn lay(image: &mut Image, piece: &Piece<'_>) {
        for (n, page) in piece.range.iter().enumerate() {
            let file = piece.file;
            let file = file.map(|(file, from)| (ptr::from_ref(file), from + n as u32));
            image[page.value() as usize] = Some(file);
        }
    }

    fn image(layout: &Layout) -> Image {
        let mut image = vec![None; SPACE as usize];
        pieces(layout).for_each(|piece| lay(&mut image, &piece));
        image
    }

    fn any_layout(random: &mut Random, sources: &[PageSource]) -> Layout {
        let mut regions = Vec::new();
        let mut at = 1 + random.below(6) as u32;
        while at + 8 < SPACE {
            let count = 4 + random.below(5) as u32;
            let source = sources[random.below(sources.len() as u64) as usize].clone();
            let range = PageRange::between(at, at + count);
            regions.push(Region::copy_on_write(range, source, 256));
            at += count + [0, 0, 1, 9][random.below(4) as usize];
        }
        Layout::new(regions).unwrap()
    }

    #[test]
    fn a_change_leads_from_any_layout_to_any_other() {
        let mut random = Random::new(7);
        let mut sources = vec![PageSource::empty()];
        for pages in 1..4 {
            sources.push(PageSource::from_bytes(&vec![1; pages * PAGE_SIZE]).unwrap());
        }
        let scattered = [(0, &[1u8; 9][..]), (2, &[2; PAGE_SIZE])];
        sources.push(PageSource::from_pages(&scattered).unwrap());
        let mut kept = 0;
        for _ in 0..3000 {
            let now = any_layout(&mut random, &sources);
            let next = match random.below(3) {
                0 => any_layout(&mut random, &sources),
                _ => {
                    // Mostly the same regions, one of them other.
                    let mut regions = now.regions().to_vec();
                    let n = random.below(regions.len() as u64) as usize;
                    let range = regions[n].range();
                    regions[n] = Region::ephemeral(range, 256);
                    regions.truncate(1 + random.below(9) as usize);
                    Layout::new(regions).unwrap()
                }
            };
            let change = Change::between(&now, &next);
            let mut found = image(&now);
            for range in &change.unmap {
                let end = range.end().min(SPACE);
                found[range.start().min(end) as usize..end as usize].fill(None);
            }
            change.map.iter().for_each(|piece| lay(&mut found, piece));
            assert_eq!(found, image(&next));
            let all = pieces(&next).count();
            assert!(change.calls() <= all + 1);
            kept += usize::from(change.map.len() < all);
        }
        assert!(kept > 500, "{kept}");
    }
}
