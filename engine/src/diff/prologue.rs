//! Code in front of a restarted case that pays for pages, so that they are private when it begins.
//!
//! ```text
//!  code of the case │ trap │ (lui t0, page; sb same byte)*  t0 as it was  jal entry
//!                          ▲ the run begins here
//! ```

use rivet_isa::generate::Case;
use rivet_isa::{Inst, Op, PAGE_SIZE, PageIndex, Reg, encode};

/// Most pages that are made private so.
const MOST_PAGES: usize = 4096;
/// Gas that each page and the rest take, more than enough.
const GAS_PER_PAGE: u64 = 1 << 12;

/// The register that holds addresses on the way.
const TEMPORARY: Reg = Reg::T0;

/// The case with such code behind its own; `None` if the entry is out of reach, or a page has no
/// byte that a register could put there again.
pub(super) fn with_private(case: &Case, pages: &[PageIndex]) -> Option<Case> {
    if pages.len() > MOST_PAGES {
        return None;
    }
    let mut case = case.clone();
    let run = case.runs.first()?.clone();
    let mut code = std::mem::take(&mut case.code);
    let entry = put(&mut code, [inst(Op::Trap, [Reg::ZERO; 3], 0)?]);
    for page in pages {
        let (offset, source) = same_byte(&case, *page, &run.slots)?;
        let address = i64::from(page.base().value()) + i64::from(offset);
        // The upper part is sign-extended; addresses count modulo 2^32.
        let high = ((address + 0x800) & !0xFFF) as i32;
        let low = (address as i32).wrapping_sub(high);
        put(
            &mut code,
            [
                inst(Op::Lui, [TEMPORARY, Reg::ZERO, Reg::ZERO], high)?,
                inst(Op::Sb, [Reg::ZERO, TEMPORARY, source], low)?,
            ],
        );
    }
    let value = TEMPORARY.slot().map(|slot| run.slots[slot.index()])?;
    put(&mut code, constant(value)?);
    let distance = i64::try_from(run.entry).ok()? - i64::try_from(code.len()).ok()?;
    let jump = inst(Op::Jal, [Reg::ZERO; 3], i32::try_from(distance).ok()?)?;
    put(&mut code, [jump]);
    let first = case.runs.first_mut()?;
    first.entry = entry as u64;
    let more = GAS_PER_PAGE * (1 + pages.len() as u64);
    first.gas = first.gas.saturating_add(more).min(i64::MAX as u64);
    case.code = code;
    Some(case)
}

/// A place in a page and a register whose lowest byte is there already.
fn same_byte(case: &Case, page: PageIndex, slots: &[u64]) -> Option<(u32, Reg)> {
    let at = u64::from(page.base().value());
    let mut maps = case.map.iter();
    let mapping = maps.find(|map| map.start <= at && at - map.start < map.size)?;
    let sources = || {
        let others = Reg::all().filter(|reg| *reg != TEMPORARY);
        others.map(|reg| (reg, reg.slot().map_or(0, |slot| slots[slot.index()] as u8)))
    };
    (0..PAGE_SIZE as u32).find_map(|offset| {
        let place = usize::try_from(at - mapping.start + u64::from(offset)).ok()?;
        let byte = mapping.content.get(place).copied().unwrap_or(0);
        let (source, _) = sources().find(|(_, low)| *low == byte)?;
        Some((offset, source))
    })
}

/// A constant in the temporary: nine bits, then eleven five times.
fn constant(value: u64) -> Option<Vec<u32>> {
    let (temporary, zero) = (TEMPORARY, Reg::ZERO);
    let top = (value >> 55) as i32;
    let mut words = vec![inst(Op::Addi, [temporary, zero, zero], top)?];
    for shift in [44, 33, 22, 11, 0] {
        let bits = (value >> shift & 0x7FF) as i32;
        words.push(inst(Op::Slli, [temporary, temporary, zero], 11)?);
        words.push(inst(Op::Ori, [temporary, temporary, zero], bits)?);
    }
    Some(words)
}

fn inst(op: Op, [rd, rs1, rs2]: [Reg; 3], imm: i32) -> Option<u32> {
    encode(Inst::from_parts(op, rd, rs1, rs2, imm)).ok()
}

/// Appends words; the length behind them.
fn put(code: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) -> usize {
    code.extend(words.into_iter().flat_map(u32::to_le_bytes));
    code.len()
}
