//! Words of a vector file: numbers, registers, bytes.

use super::MAX_EXPANDED;
use super::error::Problem;
use super::model::{Bytes, PageRun};
use rivet_isa::{ADDRESS_SPACE, Gas, GuestAddr, PAGE_SIZE, PageIndex, Reg};

/// An unsigned 64-bit number, decimal or with `0x`.
pub(super) fn number(word: &str) -> Result<u64, Problem> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (word, 10),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| Problem::Number(word.to_owned()))
}

/// An amount of gas.
pub(super) fn gas(word: &str) -> Result<Gas, Problem> {
    Gas::new(number(word)?).ok_or_else(|| range(word, "gas is below 2^63"))
}

/// An address below 2^32.
pub(super) fn addr(word: &str) -> Result<GuestAddr, Problem> {
    let value = u32::try_from(number(word)?);
    value
        .map(GuestAddr::new)
        .map_err(|_| range(word, "addresses are below 2^32"))
}

/// The base of a page.
pub(super) fn page(word: &str) -> Result<PageIndex, Problem> {
    let addr = addr(word)?;
    if addr.page().base() == addr {
        return Ok(addr.page());
    }
    Err(range(
        word,
        "a page is named by the address of its first byte",
    ))
}

/// `BASE` or `START..END`.
pub(super) fn page_run(word: &str) -> Result<PageRun, Problem> {
    let Some((start, end)) = word.split_once("..") else {
        let first = page(word)?;
        return Ok(PageRun { first, count: 1 });
    };
    let first = page(start)?;
    let start = u64::from(first.base().value());
    let end = number(end)?;
    if end <= start || end > ADDRESS_SPACE || !end.is_multiple_of(PAGE_SIZE) {
        return Err(range(
            word,
            "a range of pages ends at a page base above its start",
        ));
    }
    let count = (end - start) / PAGE_SIZE;
    Ok(PageRun {
        first,
        count: count as u32,
    })
}

/// `x1` to `x15`.
pub(super) fn reg(word: &str) -> Option<Reg> {
    let number: u8 = word.strip_prefix('x')?.parse().ok()?;
    let canonical = word.len() == if number < 10 { 2 } else { 3 };
    Reg::new(number).filter(|reg| !reg.is_zero() && canonical)
}

/// Appends the bytes of a word `HEX` or `HEX*COUNT`.
pub(super) fn hex(word: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    let bad = || Problem::Hex(word.to_owned());
    let (digits, count) = match word.split_once('*') {
        Some((digits, count)) => (digits, number(count).map_err(|_| bad())?),
        None => (word, 1),
    };
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let nibble = |b: u8| char::from(b).to_digit(16).ok_or_else(bad);
    let mut unit = Vec::with_capacity(digits.len() / 2);
    for pair in digits.as_bytes().chunks_exact(2) {
        unit.push((nibble(pair[0])? * 16 + nibble(pair[1])?) as u8);
    }
    let count = usize::try_from(count).map_err(|_| Problem::TooLong)?;
    let total = unit.len().checked_mul(count).ok_or(Problem::TooLong)?;
    if total.saturating_add(out.len()) > MAX_EXPANDED {
        return Err(Problem::TooLong);
    }
    for _ in 0..count {
        out.extend_from_slice(&unit);
    }
    Ok(())
}

/// An address and the words of its bytes, which must not pass 2^32.
pub(super) fn bytes<'a>(at: &str, words: impl Iterator<Item = &'a str>) -> Result<Bytes, Problem> {
    let addr = addr(at)?;
    let mut bytes = Vec::new();
    for word in words {
        hex(word, &mut bytes)?;
    }
    if bytes.is_empty() {
        return Err(Problem::Missing("a word of hexadecimal bytes"));
    }
    if u64::from(addr.value()) + bytes.len() as u64 > ADDRESS_SPACE {
        return Err(range(at, "the bytes must end at 2^32 or before"));
    }
    Ok(Bytes { addr, bytes })
}

pub(super) fn range(word: &str, range: &'static str) -> Problem {
    Problem::Range {
        word: word.to_owned(),
        range,
    }
}
