//! Sets of pages as bits.
//!
//! ```text
//!  set   gamma(runs + 1)  then for each run  gamma(gap)  gamma(length)
//!  gap   pages since the end of the run before; for the first run, its start plus one
//!  gamma a number v ≥ 1 of n + 1 binary digits: n zeros, then the digits, first bit highest
//! ```
//! Runs are maximal, so a set has one form. A page alone costs at most 42 bits, a page beside
//! another none, so that the table of some 800 pages anywhere is less than a page.

use super::error::DecodeError;
use rivet_isa::PageIndex;
use std::ops::Range;

/// Digits of the largest number: a page count plus one.
const MAX_ZEROS: u32 = 20;

/// Appends bits, highest first.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    used: u32,
}

impl Writer {
    fn bit(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used % 8);
        }
        self.used += 1;
    }

    fn gamma(&mut self, value: u32) {
        let zeros = value.ilog2();
        (0..zeros).for_each(|_| self.bit(false));
        (0..=zeros)
            .rev()
            .for_each(|at| self.bit(value >> at & 1 == 1));
    }

    /// Appends a set.
    pub(super) fn set(&mut self, runs: &[Range<u32>]) {
        self.gamma(runs.len() as u32 + 1);
        let mut end = 0;
        for (index, run) in runs.iter().enumerate() {
            let first = u32::from(index == 0);
            self.gamma(run.start - end + first);
            self.gamma(run.end - run.start);
            end = run.end;
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes bits out again.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Result<bool, DecodeError> {
        let byte = self.bytes.get(self.at / 8).ok_or(DecodeError::PageTable)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Ok(bit)
    }

    fn gamma(&mut self) -> Result<u32, DecodeError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > MAX_ZEROS {
                return Err(DecodeError::PageTable);
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// The next set. What it takes is bounded by the bits there are: two at least for a run.
    pub(super) fn set(&mut self) -> Result<Vec<Range<u32>>, DecodeError> {
        let count = self.gamma()? - 1;
        let mut runs = Vec::new();
        let mut end = 0;
        for index in 0..count {
            let first = u32::from(index == 0);
            let start = end + self.gamma()? - first;
            end = start + self.gamma()?;
            if end > PageIndex::COUNT {
                return Err(DecodeError::PageTable);
            }
            runs.push(start..end);
        }
        Ok(runs)
    }

    /// Checks that nothing but the padding of the last byte is left, and that it is zero.
    pub(super) fn finish(mut self) -> Result<(), DecodeError> {
        if self.bytes.len() != self.at.div_ceil(8) {
            return Err(DecodeError::PageTable);
        }
        while self.at < 8 * self.bytes.len() {
            if self.bit()? {
                return Err(DecodeError::PageTable);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(runs: &[Range<u32>]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.set(runs);
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Range<u32>>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let set = reader.set()?;
        reader.finish().map(|()| set)
    }

    #[test]
    fn the_bits_of_a_set_are_those_worked_out_by_hand() {
        // No runs: gamma(1) = 1.
        assert_eq!(written(&[]), [0b1000_0000]);
        // One run, 2..5: gamma(2) = 010, gamma(3) = 011, gamma(3) = 011.
        assert_eq!(
            written(std::slice::from_ref(&(2..5))),
            [0b0100_1101, 0b1000_0000]
        );
        // 0..1 and 3..4: gamma(3) = 011, gaps 1 and 2: 1, 010, lengths 1 and 1.
        assert_eq!(written(&[0..1, 3..4]), [0b0111_1010, 0b1000_0000]);
    }

    #[test]
    fn sets_come_back_as_they_were_up_to_the_last_page() {
        let all = 0..PageIndex::COUNT;
        let last = PageIndex::COUNT - 1..PageIndex::COUNT;
        let many: Vec<Range<u32>> = (0..5000).map(|i| 3 * i..3 * i + 1 + i % 2).collect();
        for set in [vec![], vec![all], vec![0..1, last], many] {
            assert_eq!(read(&written(&set)), Ok(set));
        }
    }

    #[test]
    fn bytes_that_no_set_gives_are_refused() {
        // Padding that is not zero, a byte too many, a run past the end, a number that goes on.
        for bytes in [&[0b1000_0001][..], &[0b1000_0000, 0], &[0; 9], &[]] {
            assert_eq!(read(bytes), Err(DecodeError::PageTable));
        }
        let mut past = written(std::slice::from_ref(&(1..PageIndex::COUNT)));
        // The first gap, gamma(2) behind gamma(2), becomes 3.
        past[0] |= 0b0000_0100;
        assert_eq!(read(&past), Err(DecodeError::PageTable));
    }

    #[test]
    fn the_table_of_eight_hundred_scattered_pages_is_less_than_a_page() {
        let runs: Vec<Range<u32>> = (0..800).map(|i| 1310 * i..1310 * i + 1).collect();
        assert!(written(&runs).len() < 4096);
    }
}
