//! Free ranges of a segment: first fit, neighbours joined.

/// A half-open range of offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Ascending, disjoint, never touching.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    pub(super) fn all(len: u32) -> Self {
        Self(vec![Range { start: 0, end: len }])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `len` bytes from the lowest range that has them.
    pub(super) fn take(&mut self, len: u32) -> Option<u32> {
        let found = self
            .0
            .iter()
            .position(|range| range.end - range.start >= len)?;
        let range = &mut self.0[found];
        let start = range.start;
        range.start += len;
        if range.start == range.end {
            self.0.remove(found);
        }
        Some(start)
    }

    /// Gives a range back.
    pub(super) fn put(&mut self, range: Range) {
        if range.start == range.end {
            return;
        }
        let at = self.0.partition_point(|other| other.start < range.start);
        self.0.insert(at, range);
        if self
            .0
            .get(at + 1)
            .is_some_and(|next| next.start == range.end)
        {
            self.0[at].end = self.0[at + 1].end;
            self.0.remove(at + 1);
        }
        if at > 0 && self.0[at - 1].end == range.start {
            self.0[at - 1].end = self.0[at].end;
            self.0.remove(at);
        }
    }

    /// Moves everything into `other`.
    pub(super) fn drain_into(&mut self, other: &mut Self) {
        self.0.drain(..).for_each(|range| other.put(range));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_given_back_in_any_order_join_into_one() {
        let mut ranges = Ranges::all(96);
        let parts: Vec<u32> = (0..3).map(|_| ranges.take(32).unwrap()).collect();
        assert_eq!(
            (parts.as_slice(), ranges.is_empty()),
            (&[0, 32, 64][..], true)
        );
        for start in [0, 64, 32] {
            ranges.put(Range {
                start,
                end: start + 32,
            });
        }
        assert_eq!(ranges.0, [Range { start: 0, end: 96 }]);
    }

    #[test]
    fn a_request_larger_than_every_range_is_refused() {
        let mut ranges = Ranges::all(64);
        assert_eq!(ranges.take(65), None);
        assert_eq!(ranges.take(64), Some(0));
        assert_eq!(ranges.take(1), None);
    }
}
