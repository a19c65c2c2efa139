//! Which old address became which new pc, both ways.
//!
//! ```text
//!  old  0x400000 ──────────── 0x40000c      0x40000c ── 0x40000e      0x40000e ───
//!  run  │ same length: exact │ fallthrough │ c.beqz → beq            │ same length
//!  new  0 ───────────────── 0xc ───────── 0x10 ──────────────────── 0x14 ────────
//! ```
//!
//! A run of equal length maps byte by byte. An inserted `fallthrough` belongs to the instruction
//! behind it, and every byte of a re-encoded instruction to the instruction it came from, so that
//! a trap, a trace or a profile can speak of the source through unmodified debug information.

use rivet_isa::Pc;

/// A stretch of code that moved as one piece, or changed its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) old: u64,
    pub(crate) new: u32,
    pub(crate) old_len: u32,
    pub(crate) new_len: u32,
}

/// The map between addresses in the executable and offsets in the image's code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressMap {
    /// Ascending in `old` and in `new`.
    runs: Vec<Run>,
}

impl AddressMap {
    /// Where the instruction at an address of the executable is now; `None` if there is no code.
    #[must_use]
    pub fn to_new(&self, address: u64) -> Option<Pc> {
        let after = self.runs.partition_point(|run| run.old <= address);
        let run = self.runs[..after].last()?;
        let offset = address - run.old;
        if offset >= run.old_len.into() {
            return None;
        }
        let offset = if run.old_len == run.new_len {
            offset
        } else {
            0
        };
        Some(Pc::new(u64::from(run.new) + offset))
    }

    /// The address in the executable that a code offset came from; `None` past the code.
    #[must_use]
    pub fn to_old(&self, pc: Pc) -> Option<u64> {
        let after = self
            .runs
            .partition_point(|run| u64::from(run.new) <= pc.value());
        let run = self.runs[..after].last()?;
        let offset = pc.value() - u64::from(run.new);
        if offset >= run.new_len.into() {
            return None;
        }
        let offset = if run.old_len == run.new_len {
            offset
        } else {
            0
        };
        Some(run.old + offset)
    }

    /// Number of stretches, a measure of the map's size.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    pub(crate) fn as_runs(&self) -> &[Run] {
        &self.runs
    }

    /// A map of runs that must ascend on both sides; `None` if they do not.
    pub(crate) fn from_runs(runs: Vec<Run>) -> Option<Self> {
        let ascends = runs.windows(2).all(|pair| {
            let old = pair[0].old.checked_add(pair[0].old_len.into());
            let new = pair[0].new.checked_add(pair[0].new_len);
            old.is_some_and(|old| old <= pair[1].old) && new.is_some_and(|new| new <= pair[1].new)
        });
        let last = runs.last().is_none_or(|run| {
            run.old.checked_add(run.old_len.into()).is_some()
                && run.new.checked_add(run.new_len).is_some()
        });
        (ascends && last).then_some(Self { runs })
    }
}

/// Collects a map instruction by instruction, in new order.
#[derive(Default)]
pub(crate) struct MapBuilder {
    runs: Vec<Run>,
    new: u32,
}

impl MapBuilder {
    /// The next `new_len` bytes of new code came from `old_len` bytes at `old`.
    pub(crate) fn push(&mut self, old: u64, old_len: u32, new_len: u32) {
        let new = self.new;
        self.new += new_len;
        if let Some(last) = self.runs.last_mut()
            && old_len == new_len
            && last.old_len == last.new_len
            && last.old + u64::from(last.old_len) == old
        {
            last.old_len += old_len;
            last.new_len += new_len;
            return;
        }
        self.runs.push(Run {
            old,
            new,
            old_len,
            new_len,
        });
    }

    pub(crate) fn finish(self) -> AddressMap {
        AddressMap { runs: self.runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve bytes, a `fallthrough`, a branch of 2 bytes that became 4, six bytes.
    fn sample() -> AddressMap {
        let mut map = MapBuilder::default();
        map.push(0x40_0000, 4, 4);
        map.push(0x40_0004, 8, 8);
        map.push(0x40_000C, 0, 4);
        map.push(0x40_000C, 2, 4);
        map.push(0x40_000E, 6, 6);
        map.finish()
    }

    #[test]
    fn addresses_map_to_the_instruction_and_not_to_the_fallthrough_before_it() {
        let map = sample();
        assert_eq!(map.to_new(0x40_0000), Some(Pc::new(0)));
        assert_eq!(map.to_new(0x40_0008), Some(Pc::new(8)));
        assert_eq!(map.to_new(0x40_000C), Some(Pc::new(16)));
        assert_eq!(map.to_new(0x40_000E), Some(Pc::new(20)));
        assert_eq!(map.to_new(0x40_0013), Some(Pc::new(25)));
        assert_eq!(map.to_new(0x40_0014), None);
        assert_eq!(map.to_new(0x3F_FFFF), None);
    }

    #[test]
    fn every_new_byte_has_an_old_address() {
        let map = sample();
        let old = |pc| map.to_old(Pc::new(pc));
        assert_eq!(old(11), Some(0x40_000B));
        assert_eq!(old(12), Some(0x40_000C));
        assert_eq!(old(15), Some(0x40_000C));
        assert_eq!(old(16), Some(0x40_000C));
        assert_eq!(old(19), Some(0x40_000C));
        assert_eq!(old(20), Some(0x40_000E));
        assert_eq!(old(26), None);
        assert_eq!(old(u64::MAX), None);
    }

    #[test]
    fn runs_that_go_back_are_refused() {
        let run = |old, new| Run {
            old,
            new,
            old_len: 4,
            new_len: 4,
        };
        assert!(AddressMap::from_runs(vec![run(0, 0), run(4, 4)]).is_some());
        assert!(AddressMap::from_runs(vec![run(4, 0), run(0, 4)]).is_none());
        assert!(AddressMap::from_runs(vec![run(0, 0), run(4, 2)]).is_none());
        assert!(AddressMap::from_runs(vec![run(u64::MAX, 0)]).is_none());
    }
}
