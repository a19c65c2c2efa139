//! Finding the last non-zero byte of many ranges of one arena.
//!
//! Page ranges may overlap, so looking at every byte of every range would cost
//! up to 341 times the input. An index over blocks keeps each question short.
//!
//! ```text
//! arena    │ block 0 │ block 1 │ block 2 │ block 3 │
//! content  │ ..x.... │ ....... │ ....... │ .y..... │
//! end      │    3      3         3         2 in 3   │  one past the last non-zero byte up to here
//! ```

/// Bytes a block covers.
const BLOCK: usize = 64;

/// For each block, one past the last non-zero byte of the arena up to its end.
pub(crate) struct LastNonZero(Vec<usize>);

impl LastNonZero {
    pub(crate) fn new(arena: &[u8]) -> Self {
        let mut last = 0;
        let blocks = arena.chunks(BLOCK).enumerate();
        let ends = blocks.map(|(index, block)| {
            if let Some(at) = block.iter().rposition(|&byte| byte != 0) {
                last = index * BLOCK + at + 1;
            }
            last
        });
        Self(ends.collect())
    }

    /// One past the last non-zero byte of `start + len`, or `start` if all are
    /// zero. The range lies inside the arena the index was made of.
    pub(crate) fn end_of(&self, arena: &[u8], start: usize, len: usize) -> usize {
        let end = start + len;
        let block = end / BLOCK;
        let tail = start.max(block * BLOCK);
        if let Some(at) = arena[tail..end].iter().rposition(|&byte| byte != 0) {
            return tail + at + 1;
        }
        let before = block.checked_sub(1).map_or(0, |block| self.0[block]);
        before.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_ends_where_a_plain_scan_ends() {
        let mut arena = vec![0; 5 * BLOCK + 7];
        for at in [0, 3, 63, 64, 130, 131, 5 * BLOCK] {
            arena[at] = 1;
        }
        let index = LastNonZero::new(&arena);
        for start in 0..=arena.len() {
            for end in start..=arena.len() {
                let scan = arena[start..end].iter().rposition(|&byte| byte != 0);
                let expected = scan.map_or(start, |at| start + at + 1);
                assert_eq!(index.end_of(&arena, start, end - start), expected);
            }
        }
    }
}
