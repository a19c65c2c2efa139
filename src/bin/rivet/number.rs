//! Numbers and pairs on the command line: unsigned, 64 bits, decimal or `0x`.

use rivet::isa::{Gas, SLOTS, Slot};
use std::path::PathBuf;

/// An unsigned 64-bit number.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    let plain = digits.chars().all(|c| c.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| "expected an unsigned 64-bit number, decimal or 0x…".to_owned())
}

/// An amount of gas.
pub(crate) fn gas(text: &str) -> Result<Gas, String> {
    Gas::new(number(text)?).ok_or_else(|| "gas must be below 2^63".to_owned())
}

/// `SLOT=VALUE`.
pub(crate) fn slot_value(text: &str) -> Result<(Slot, u64), String> {
    let (slot, value) = text.split_once('=').ok_or("expected SLOT=VALUE")?;
    let slot = u8::try_from(number(slot)?).ok().and_then(Slot::new);
    Ok((
        slot.ok_or_else(|| format!("slots are 0..={}", SLOTS - 1))?,
        number(value)?,
    ))
}

/// A region for `--raw`: `START:SIZE[:ro][=FILE]`.
#[derive(Clone, Debug)]
pub(crate) struct MapArg {
    pub(crate) start: u64,
    pub(crate) size: u64,
    pub(crate) read_only: bool,
    pub(crate) file: Option<PathBuf>,
}

/// Parses a region; the file name begins after the first `=`.
pub(crate) fn map(text: &str) -> Result<MapArg, String> {
    let (place, file) = match text.split_once('=') {
        Some((place, file)) => (place, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let mut parts = place.split(':');
    let mut next = || parts.next().ok_or("expected START:SIZE[:ro][=FILE]");
    let (start, size) = (number(next()?)?, number(next()?)?);
    let read_only = match parts.next() {
        None => false,
        Some("ro") => true,
        Some(other) => return Err(format!("`{other}` is not `ro`")),
    };
    if parts.next().is_some() {
        return Err("expected START:SIZE[:ro][=FILE]".to_owned());
    }
    Ok(MapArg {
        start,
        size,
        read_only,
        file,
    })
}

/// A memory dump: `START:LEN=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct DumpArg {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) file: PathBuf,
}

/// Parses a dump request.
pub(crate) fn dump(text: &str) -> Result<DumpArg, String> {
    let parts = || {
        let (place, file) = text.split_once('=')?;
        let (start, len) = place.split_once(':')?;
        Some((start, len, file))
    };
    let (start, len, file) = parts().ok_or("expected START:LEN=FILE")?;
    let (start, len) = (number(start)?, number(len)?);
    if len > 1 << 32 {
        return Err("a dump has at most 2^32 bytes".to_owned());
    }
    Ok(DumpArg {
        start,
        len,
        file: file.into(),
    })
}
