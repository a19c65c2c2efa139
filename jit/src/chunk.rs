//! What a translated chunk leaves behind besides its code.
//!
//! ```text
//!   native code of a chunk
//!   ├ blocks      gate, instructions; in guest order
//!   ├ far jumps   conditional jumps to other chunks land here and go through the table
//!   ├ thunk       notes the chunk's number and jumps to the service stub
//!   ├ returns     jumps to the stub for returns that came to the wrong place
//!   └ cold sites  one `push rsp` each, and after sixteen of them, or the last, `call thunk`
//! ```
//!
//! A jump to a cold site runs on through the rest of its group. The return address says which
//! group it was, and the number of pushed values, each the address above it, how far from the
//! group's end it began. So a site takes little more than a byte.

use crate::memory::Code;

/// Cold sites that share a call.
pub(crate) const COLD_GROUP: u32 = 16;
/// Bytes of the call behind a group.
pub(crate) const COLD_CALL: u32 = 5;

/// What a cold site is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SiteKind {
    /// The quick gate failed after it deducted the cost.
    QuickGate,
    /// The gate that compares before it deducts failed.
    LargeGate,
    /// End with Panic at `pc`.
    Panic,
    /// End with Trap at `pc`.
    Trap,
    /// The `jalr` at `pc` found no entry for its target.
    Indirect,
    /// A direct transfer to `pc` found no entry.
    Resolve,
    /// The return stack is full; the call goes on at `body` with an empty one.
    Overflow,
    /// The block at `pc` is not translated: somebody else has to run it.
    Interpret,
}

/// A cold site: why, and for which code offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Site {
    pub(crate) kind: SiteKind,
    pub(crate) pc: u32,
    /// For gates and calls: offset in the native code of the first instruction behind the check.
    pub(crate) body: u32,
    /// For gates: what the block costs.
    pub(crate) cost: u32,
    /// For gates: what the block reserves.
    pub(crate) reserve: u64,
}

impl Site {
    /// A site that needs nothing but its offset.
    pub(crate) fn plain(kind: SiteKind, pc: u32) -> Self {
        Self {
            kind,
            pc,
            body: 0,
            cost: 0,
            reserve: 0,
        }
    }
}

/// A host instruction that touches guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trap {
    /// Its offset in the native code.
    pub(crate) native: u32,
    /// Offset of its guest instruction.
    pub(crate) pc: u32,
    /// Offset of the first guest instruction that the host instruction stands for: if it is not
    /// `pc`, the address computation there is still to be done when the access faults.
    pub(crate) first: u32,
}

/// The side tables of a chunk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SideTables {
    /// Offset of the first cold site.
    pub(crate) cold: u32,
    /// One per cold site, in order.
    pub(crate) sites: Box<[Site]>,
    /// Ascending by native offset.
    pub(crate) traps: Box<[Trap]>,
    /// Guest bytes translated.
    pub(crate) guest_bytes: u32,
    /// Guest instructions translated.
    pub(crate) instructions: u32,
}

impl SideTables {
    /// Memory they take.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(&*self.sites) + size_of_val(&*self.traps)) as u64
    }
}

/// A chunk whose code is published. Dropping it gives the code memory back.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) code: Code,
    pub(crate) tables: SideTables,
}

impl Chunk {
    /// The site that came to the call which returns to native address `address` after `pushes`.
    pub(crate) fn site(&self, address: u64, pushes: u64) -> Option<Site> {
        const GROUP_BYTES: u32 = COLD_GROUP + COLD_CALL;
        let offset = u32::try_from(address.checked_sub(u64::from(self.code.address()))?).ok()?;
        let last = offset.checked_sub(self.tables.cold)?.checked_sub(1)?;
        let size = (last % GROUP_BYTES + 1).checked_sub(COLD_CALL)?;
        let within = size.checked_sub(u32::try_from(pushes).ok()?)?;
        let index = last / GROUP_BYTES * COLD_GROUP + within;
        self.tables.sites.get(index as usize).copied()
    }

    /// The guest access at native address `address`.
    pub(crate) fn trap(&self, address: u64) -> Option<Trap> {
        let offset = u32::try_from(address.checked_sub(u64::from(self.code.address()))?).ok()?;
        let traps = &self.tables.traps;
        let found = traps
            .binary_search_by_key(&offset, |trap| trap.native)
            .ok()?;
        Some(traps[found])
    }

    /// Native address of the code at `offset` of this chunk.
    pub(crate) fn address_of(&self, offset: u32) -> u64 {
        u64::from(self.code.address()) + u64::from(offset)
    }
}
