//! Long listings on standard output.

use crate::failure::Failure;
use std::io::{self, BufWriter, Write};

/// Writes a listing through one buffer; a reader that goes away ends it quietly.
pub(crate) fn write(listing: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    listing(&mut out)
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}
