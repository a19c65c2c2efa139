//! Which page of a program's address space is what: built once, checked once, shared by machines.
//!
//! Access classes are those of ISA §4: a page no region covers is `none`, a region is `ro` (code,
//! pinned) or `rw` (copy-on-write, ephemeral). The price of a first write comes with the region
//! (gas §10); what it follows from is not known here.

use crate::error::PageFault;
use crate::page::{PageIndex, PageRange};
use crate::slab::PageSource;

/// The greatest price of a page that keeps every sum over an address space below 2^63.
pub const MAX_COW_COST: u64 = 1 << 42;

/// What the guest may do with a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionClass {
    /// Load only: code and pinned mappings.
    ReadOnly,
    /// Load and store; the first store to a page makes it private.
    ReadWrite,
}

/// A contiguous mapping of the guest with one class, one source and one price.
#[derive(Clone, Debug)]
pub struct Region {
    range: PageRange,
    class: RegionClass,
    source: PageSource,
    cow_cost: u64,
}

impl Region {
    /// Code or a pinned mapping; pages beyond the source read as zeros.
    pub const fn read_only(range: PageRange, source: PageSource) -> Self {
        Self {
            range,
            class: RegionClass::ReadOnly,
            source,
            cow_cost: 0,
        }
    }

    /// A persistent mapping; pages beyond the source read as zeros. The first write of a page
    /// costs `cow_cost` gas.
    pub const fn copy_on_write(range: PageRange, source: PageSource, cow_cost: u64) -> Self {
        Self {
            range,
            class: RegionClass::ReadWrite,
            source,
            cow_cost,
        }
    }

    /// A mapping that starts as zeros. The first write of a page costs `cow_cost` gas.
    pub const fn ephemeral(range: PageRange, cow_cost: u64) -> Self {
        Self::copy_on_write(range, PageSource::empty(), cow_cost)
    }

    /// Where it lies.
    pub const fn range(&self) -> PageRange {
        self.range
    }

    /// What the guest may do with it.
    pub const fn class(&self) -> RegionClass {
        self.class
    }

    /// Gas of the first write to each of its pages.
    pub const fn cow_cost(&self) -> u64 {
        self.cow_cost
    }

    /// Where its content comes from.
    pub const fn source(&self) -> &PageSource {
        &self.source
    }
}

/// Why regions do not make an address space.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A region without pages.
    #[error("a region at {at:?} has no pages: leave it out")]
    Empty {
        /// Where.
        at: PageRange,
    },
    /// A region that covers address 0.
    #[error("region {at:?} covers the null guard: start it at page 1 or above")]
    NullGuard {
        /// Where.
        at: PageRange,
    },
    /// Two regions share pages.
    #[error("regions {first:?} and {second:?} overlap: move one of them")]
    Overlap {
        /// The lower one.
        first: PageRange,
        /// The upper one.
        second: PageRange,
    },
    /// A source that does not fit its region.
    #[error("region {region:?} has {source_pages} pages of content: make it at least that long")]
    SourceTooLong {
        /// The region.
        region: PageRange,
        /// Pages of its source.
        source_pages: u32,
    },
    /// A price that could overflow a sum.
    #[error("region {region:?} asks {cow_cost} gas for a page: at most {MAX_COW_COST} is allowed")]
    CowCost {
        /// The region.
        region: PageRange,
        /// Its price.
        cow_cost: u64,
    },
}

/// The regions of a program, ascending and disjoint.
#[derive(Debug)]
pub struct Layout {
    regions: Box<[Region]>,
    /// For each region, the contiguous run of writable pages it belongs to.
    writable: Box<[PageRange]>,
}

impl Layout {
    /// Sorts and checks `regions`.
    ///
    /// # Errors
    /// [`LayoutError`] names the first region that breaks a rule.
    pub fn new(mut regions: Vec<Region>) -> Result<Self, LayoutError> {
        regions.sort_by_key(|r| r.range.start());
        for region in &regions {
            Self::check(region)?;
        }
        for pair in regions.windows(2) {
            if pair[0].range.end() > pair[1].range.start() {
                return Err(LayoutError::Overlap {
                    first: pair[0].range,
                    second: pair[1].range,
                });
            }
        }
        let writable = Self::writable_runs(&regions);
        Ok(Self {
            regions: regions.into_boxed_slice(),
            writable,
        })
    }

    fn check(region: &Region) -> Result<(), LayoutError> {
        let source_pages = region.source.pages().value();
        if region.range.is_empty() {
            return Err(LayoutError::Empty { at: region.range });
        }
        if region.range.start() == 0 {
            return Err(LayoutError::NullGuard { at: region.range });
        }
        if source_pages > region.range.count().value() {
            return Err(LayoutError::SourceTooLong {
                region: region.range,
                source_pages,
            });
        }
        if region.cow_cost > MAX_COW_COST {
            return Err(LayoutError::CowCost {
                region: region.range,
                cow_cost: region.cow_cost,
            });
        }
        Ok(())
    }

    fn writable_runs(regions: &[Region]) -> Box<[PageRange]> {
        let joined = |low: &Region, high: &Region| {
            low.class == RegionClass::ReadWrite
                && high.class == RegionClass::ReadWrite
                && low.range.end() == high.range.start()
        };
        let mut runs: Vec<PageRange> = regions.iter().map(Region::range).collect();
        for i in 1..regions.len() {
            if joined(&regions[i - 1], &regions[i]) {
                runs[i] = PageRange::between(runs[i - 1].start(), runs[i].end());
            }
        }
        for i in (1..regions.len()).rev() {
            if joined(&regions[i - 1], &regions[i]) {
                runs[i - 1] = PageRange::between(runs[i - 1].start(), runs[i].end());
            }
        }
        runs.into_boxed_slice()
    }

    /// The regions, ascending.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The region that covers `page`.
    pub fn find(&self, page: PageIndex) -> Option<&Region> {
        self.position(page).map(|i| &self.regions[i])
    }

    /// The longest run of writable pages around the writable page `page`, whatever regions it
    /// consists of.
    pub(crate) fn writable_run(&self, page: PageIndex) -> Option<PageRange> {
        let i = self.position(page)?;
        (self.regions[i].class == RegionClass::ReadWrite).then(|| self.writable[i])
    }

    fn position(&self, page: PageIndex) -> Option<usize> {
        let after = self
            .regions
            .partition_point(|r| r.range.start() <= page.value());
        let i = after.checked_sub(1)?;
        self.regions[i].range.contains(page).then_some(i)
    }

    /// The region that supplies `page` for an access of kind `access`, or the fault of ISA §10.
    pub(crate) fn permit(&self, page: PageIndex, access: Access) -> Result<&Region, PageFault> {
        let region = self.find(page).ok_or(PageFault { page })?;
        match (access, region.class) {
            (Access::Write, RegionClass::ReadOnly) => Err(PageFault { page }),
            _ => Ok(region),
        }
    }
}

/// The kind of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PAGE_SIZE;

    fn pages(start: u32, count: u32) -> PageRange {
        PageRange::between(start, start + count)
    }

    fn run_at(layout: &Layout, page: u32) -> Option<PageRange> {
        layout.writable_run(PageIndex::masked(page))
    }

    #[test]
    fn adjacent_writable_regions_are_one_run_and_read_only_ones_cut_it() {
        let layout = Layout::new(vec![
            Region::ephemeral(pages(10, 2), 1),
            Region::ephemeral(pages(12, 3), 2),
            Region::ephemeral(pages(15, 1), 3),
            Region::read_only(pages(16, 1), PageSource::empty()),
            Region::ephemeral(pages(17, 2), 1),
            Region::ephemeral(pages(20, 2), 1),
        ])
        .unwrap();
        for page in 10..16 {
            assert_eq!(run_at(&layout, page), Some(pages(10, 6)));
        }
        assert_eq!(run_at(&layout, 16), None);
        assert_eq!(run_at(&layout, 18), Some(pages(17, 2)));
        assert_eq!(run_at(&layout, 19), None);
        assert_eq!(run_at(&layout, 20), Some(pages(20, 2)));
    }

    #[test]
    fn regions_that_break_a_rule_are_refused_by_name() {
        let long = PageSource::from_bytes(&[1; PAGE_SIZE + 1]).unwrap();
        let refused = |regions| Layout::new(regions).err();
        let range = pages(5, 1);
        let at = pages(0, 1);
        assert_eq!(
            refused(vec![Region::read_only(at, PageSource::empty())]),
            Some(LayoutError::NullGuard { at })
        );
        assert_eq!(
            refused(vec![Region::copy_on_write(range, long, 1)]),
            Some(LayoutError::SourceTooLong {
                region: range,
                source_pages: 2
            })
        );
        let second = pages(5, 2);
        assert_eq!(
            refused(vec![
                Region::ephemeral(second, 1),
                Region::ephemeral(pages(4, 2), 1)
            ]),
            Some(LayoutError::Overlap {
                first: pages(4, 2),
                second
            })
        );
        let empty = pages(7, 0);
        assert_eq!(
            refused(vec![Region::ephemeral(empty, 1)]),
            Some(LayoutError::Empty { at: empty })
        );
        let cow_cost = MAX_COW_COST + 1;
        assert_eq!(
            refused(vec![Region::ephemeral(range, cow_cost)]),
            Some(LayoutError::CowCost {
                region: range,
                cow_cost
            })
        );
    }
}
