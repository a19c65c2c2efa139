//! Compressed instructions decoded before.
//!
//! A program uses few different halfwords again and again, and expanding one costs many times
//! what finding it here does. Direct-mapped; a miss replaces.

use rivet_isa::{Inst, decode_halfword};

const ENTRIES: usize = 1 << 12;

/// What the last halfword of each index expands to.
#[derive(Debug)]
pub(crate) struct DecodeCache {
    entries: Box<[(u16, Inst)]>,
}

impl Default for DecodeCache {
    fn default() -> Self {
        // Halfword 0 is the reserved instruction (ISA §7.1).
        Self {
            entries: vec![(0, Inst::RESERVED); ENTRIES].into(),
        }
    }
}

impl DecodeCache {
    /// The instruction of a halfword whose low two bits are not `11`.
    #[inline(always)]
    pub(crate) fn expand(&mut self, half: u16) -> Inst {
        let index = usize::from(half ^ (half >> 11)) % ENTRIES;
        let entry = &mut self.entries[index];
        if entry.0 != half {
            *entry = (half, decode_halfword(half));
        }
        entry.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_halfword_expands_as_without_the_cache_in_any_order() {
        let mut cache = DecodeCache::default();
        for stride in [1u16, 0x0FFF, 0x5555] {
            let mut half = 0u16;
            for _ in 0..=u16::MAX {
                if half & 3 != 3 {
                    assert_eq!(cache.expand(half), decode_halfword(half), "{half:#06x}");
                    assert_eq!(cache.expand(half), decode_halfword(half), "{half:#06x}");
                }
                half = half.wrapping_add(stride);
            }
        }
    }
}
