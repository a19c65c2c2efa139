//! Bytes to value: total, and without a byte of memory that the input does not pay for.

use super::bits;
use super::error::DecodeError;
use super::pages::{PageList, pages_of};
use super::value::{Head, Snapshot};
use super::wire::{FORMAT_VERSION, HEAD_LEN, ISA_VERSION, Kind, LINK_LEN, MAGIC, pending_of};
use crate::identity::CostModelId;
use crate::memory::PageBytes;
use rivet_image::Digest;
use rivet_interp::State;
use rivet_isa::{DATA_BASE, Gas, GuestAddr, MAX_CODE_SIZE, PAGE_SIZE, PageIndex, Pc, Regs};
use std::ops::Range;
use std::sync::Arc;

/// Everything that was read.
pub(super) struct Read {
    pub(super) head: Head,
    pub(super) base: PageList,
    pub(super) private: PageList,
    /// Of a delta: base, result, and the pages that are unchanged again.
    pub(super) link: Option<(Digest, Digest, Vec<Range<u32>>)>,
}

/// The bytes from the front on; every length has been checked before it is taken.
struct Front<'a> {
    rest: &'a [u8],
    whole: u64,
}

impl<'a> Front<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Length {
            expected: self.whole - self.rest.len() as u64 + len as u64,
            found: self.whole,
        })?;
        self.rest = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }
}

pub(super) fn read(bytes: &[u8], kind: Kind) -> Result<Read, DecodeError> {
    let mut front = Front {
        rest: bytes,
        whole: bytes.len() as u64,
    };
    let code = preamble(&mut front, kind)?;
    let image = Digest::new(front.array()?);
    let cost_model = CostModelId::new(front.array()?);
    let state = state(&mut front)?;
    let selector = u32::from_le_bytes(front.array()?);
    let pending = pending_of(code, selector).ok_or(DecodeError::Pending { code, selector })?;
    let table_len = u32::from_le_bytes(front.array()?);
    let link = match kind {
        Kind::Snapshot => None,
        Kind::Delta => Some((Digest::new(front.array()?), Digest::new(front.array()?))),
    };
    let mut table = bits::Reader::new(front.take(table_len as usize)?);
    let dropped = link.map(|_| table.set()).transpose()?.unwrap_or_default();
    let (base, private) = (table.set()?, table.set()?);
    table.finish()?;
    let head = Head {
        image,
        cost_model,
        state,
        pending,
    };
    check_pages(&dropped, &base, &private)?;
    let (base, private) = contents(&front, &base, &private)?;
    let link = link.map(|(from, to)| (from, to, dropped));
    Ok(Read {
        head,
        base,
        private,
        link,
    })
}

/// Magic, versions, kind; the code of the pending call.
fn preamble(front: &mut Front<'_>, kind: Kind) -> Result<u8, DecodeError> {
    let len = front.rest.len().min(MAGIC.len());
    if front.rest[..len] != MAGIC[..len] || len == 0 {
        return Err(DecodeError::Magic);
    }
    front.take(MAGIC.len())?;
    let found = u16::from_le_bytes(front.array()?);
    if found != FORMAT_VERSION {
        return Err(DecodeError::FormatVersion { found });
    }
    let found = u16::from_le_bytes(front.array()?);
    if found != ISA_VERSION {
        return Err(DecodeError::IsaVersion { found });
    }
    let [found, pending, a, b] = front.array()?;
    let expected = kind.code();
    if found != expected {
        return Err(DecodeError::Kind { found, expected });
    }
    match (a, b) {
        (0, 0) => Ok(pending),
        (0, _) => Err(DecodeError::Reserved { at: 15 }),
        _ => Err(DecodeError::Reserved { at: 14 }),
    }
}

fn state(front: &mut Front<'_>) -> Result<State, DecodeError> {
    let pc = front.number()?;
    if pc > MAX_CODE_SIZE {
        return Err(DecodeError::Pc { pc });
    }
    let gas = front.number()?;
    let gas = Gas::new(gas).ok_or(DecodeError::Gas { gas })?;
    let mut regs = Regs::default();
    for slot in regs.slots_mut() {
        *slot = front.number()?;
    }
    let pc = Pc::new(pc);
    Ok(State { regs, pc, gas })
}

/// All pages are data pages, and none has two classes.
fn check_pages(
    dropped: &[Range<u32>],
    base: &[Range<u32>],
    private: &[Range<u32>],
) -> Result<(), DecodeError> {
    let least = GuestAddr::wrapping(DATA_BASE).page();
    let sets = [dropped, base, private];
    for run in sets.into_iter().filter_map(<[_]>::first) {
        if let Some(page) = PageIndex::new(run.start).filter(|page| *page < least) {
            return Err(DecodeError::NotData { page });
        }
    }
    for (a, b) in [(dropped, base), (dropped, private), (base, private)] {
        if let Some(page) = common(a, b) {
            return Err(DecodeError::TwoClasses { page });
        }
    }
    Ok(())
}

/// The first page of two ascending lists of runs that is in both.
fn common(mut a: &[Range<u32>], mut b: &[Range<u32>]) -> Option<PageIndex> {
    while let ([first, a_rest @ ..], [second, b_rest @ ..]) = (a, b) {
        if first.end <= second.start {
            a = a_rest;
        } else if second.end <= first.start {
            b = b_rest;
        } else {
            return PageIndex::new(first.start.max(second.start));
        }
    }
    None
}

/// The contents, which are all that is left.
fn contents(
    front: &Front<'_>,
    base: &[Range<u32>],
    private: &[Range<u32>],
) -> Result<(PageList, PageList), DecodeError> {
    let count = |runs: &[Range<u32>]| -> u64 { runs.iter().map(|r| r.len() as u64).sum() };
    let before = front.whole - front.rest.len() as u64;
    let expected = before + (count(base) + count(private)) * PAGE_SIZE;
    if expected != front.whole {
        let found = front.whole;
        return Err(DecodeError::Length { expected, found });
    }
    let (pages, _) = front.rest.as_chunks::<{ PAGE_SIZE as usize }>();
    let (first, second) = pages.split_at(count(base) as usize);
    Ok((list(base, first), list(private, second)))
}

fn list(runs: &[Range<u32>], contents: &[PageBytes]) -> PageList {
    let mut out = PageList::with_capacity(contents.len());
    for (page, content) in pages_of(runs).zip(contents) {
        out.push(page, Arc::new(*content));
    }
    out
}

impl Snapshot {
    /// Reads canonical bytes. Any input gives a snapshot or an error, in time and memory in
    /// proportion to it; whether the state fits a program is found when it is
    /// [resumed](crate::Program::resume).
    ///
    /// # Errors
    /// [`DecodeError`] names what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Read {
            head,
            base,
            private,
            ..
        } = read(bytes, Kind::Snapshot)?;
        Ok(Self {
            head,
            base,
            private,
        })
    }
}

const _: () = assert!(HEAD_LEN == 8 + 8 + 64 + 16 + 15 * 8 + 8 && LINK_LEN == 64);
