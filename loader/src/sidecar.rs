//! What is kept beside an image so that tools can speak of its source, as bytes.
//!
//! ```text
//! "RVSIDE" │ version u16 │ image address 32 bytes │ runs │ symbols │ debug sections
//! ```
//!
//! After the header all numbers are unsigned LEB128, all lists begin with their length, and texts
//! and byte strings with theirs. A run is the gap to the old address behind the run before it, its
//! old length and its new length; symbols give the distance to the offset of the symbol before.
//! Decoding is total: it takes time and memory proportional to the input and refuses everything
//! that encoding does not make.

use rivet_image::Digest;
use rivet_isa::Pc;

use crate::describe::CodeSymbol;
use crate::map::{AddressMap, Run};

const MAGIC: &[u8; 6] = b"RVSIDE";
/// Version of the form that [`Sidecar::encode`] writes.
pub const SIDECAR_VERSION: u16 = 1;

/// A section of debug information, unmodified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugSection {
    /// Its name, such as `.debug_line`.
    pub name: String,
    /// Whether the bytes are compressed as ELF's `SHF_COMPRESSED` says.
    pub compressed: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Address map, symbols and debug information of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// Address of the image this belongs to.
    pub image: Digest,
    /// From addresses of the executable to code offsets, and back.
    pub map: AddressMap,
    /// Functions and other named places in code, by offset.
    pub symbols: Vec<CodeSymbol>,
    /// Debug information in terms of the executable's addresses.
    pub debug: Vec<DebugSection>,
}

/// Why bytes are not a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// Another kind of file.
    #[error("this is not a sidecar of an image: it does not begin with RVSIDE")]
    Magic,
    /// A form this version does not read.
    #[error("the sidecar has version {found}, this program reads {SIDECAR_VERSION}: link again")]
    Version {
        /// The version found.
        found: u16,
    },
    /// The bytes end too early.
    #[error("the sidecar ends within its {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes that encoding does not make.
    #[error("the sidecar is damaged in its {what}")]
    Damaged {
        /// What was being read.
        what: &'static str,
    },
}

impl Sidecar {
    /// The symbol whose code holds an offset, with the distance from its beginning.
    #[must_use]
    pub fn symbol_at(&self, pc: Pc) -> Option<(&CodeSymbol, u64)> {
        symbol_at(&self.symbols, pc)
    }

    /// The bytes of this sidecar.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&SIDECAR_VERSION.to_le_bytes());
        out.extend_from_slice(self.image.as_bytes());
        let runs = self.map.as_runs();
        number(&mut out, runs.len() as u64);
        let mut old = 0;
        for run in runs {
            number(&mut out, run.old - old);
            number(&mut out, run.old_len.into());
            number(&mut out, run.new_len.into());
            old = run.old + u64::from(run.old_len);
        }
        number(&mut out, self.symbols.len() as u64);
        let mut pc = 0;
        for symbol in &self.symbols {
            number(&mut out, symbol.pc.value() - pc);
            number(&mut out, symbol.size);
            string(&mut out, symbol.name.as_bytes());
            pc = symbol.pc.value();
        }
        number(&mut out, self.debug.len() as u64);
        for section in &self.debug {
            string(&mut out, section.name.as_bytes());
            out.push(section.compressed.into());
            string(&mut out, &section.bytes);
        }
        out
    }

    /// Reads the bytes of a sidecar.
    ///
    /// # Errors
    /// [`SidecarError`] for everything that [`Sidecar::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, SidecarError> {
        let mut input = Input {
            rest: bytes,
            what: "header",
        };
        if input
            .take(MAGIC.len() as u64)
            .map_err(|_| SidecarError::Magic)?
            != MAGIC
        {
            return Err(SidecarError::Magic);
        }
        let version = input.array()?;
        let found = u16::from_le_bytes(version);
        if found != SIDECAR_VERSION {
            return Err(SidecarError::Version { found });
        }
        let image = Digest::new(input.array::<32>()?);
        let map = input.map()?;
        let symbols = input.symbols()?;
        let debug = input.debug()?;
        match input.rest {
            [] => Ok(Self {
                image,
                map,
                symbols,
                debug,
            }),
            _ => Err(SidecarError::Damaged {
                what: "end: bytes follow it",
            }),
        }
    }
}

/// The last of the symbols, which go by offset, that begins at or before `pc` and, if it has a
/// size, holds it.
pub(crate) fn symbol_at(symbols: &[CodeSymbol], pc: Pc) -> Option<(&CodeSymbol, u64)> {
    let after = symbols.partition_point(|symbol| symbol.pc <= pc);
    let last = symbols[..after].last()?.pc;
    // Of several names of one place the first is the function.
    let first = symbols[..after].partition_point(|symbol| symbol.pc < last);
    let symbol = &symbols[first];
    let offset = pc.value() - symbol.pc.value();
    (symbol.size == 0 || offset < symbol.size).then_some((symbol, offset))
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

struct Input<'b> {
    rest: &'b [u8],
    what: &'static str,
}

impl<'b> Input<'b> {
    fn damaged<T>(&self) -> Result<T, SidecarError> {
        Err(SidecarError::Damaged { what: self.what })
    }

    fn take(&mut self, len: u64) -> Result<&'b [u8], SidecarError> {
        let cut = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let Some((taken, rest)) = cut else {
            return Err(SidecarError::Truncated { what: self.what });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SidecarError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn number(&mut self) -> Result<u64, SidecarError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return self.damaged();
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // The shortest form is the only one.
                return if byte == 0 && shift != 0 {
                    self.damaged()
                } else {
                    Ok(value)
                };
            }
        }
        self.damaged()
    }

    fn small(&mut self) -> Result<u32, SidecarError> {
        let value = self.number()?;
        u32::try_from(value).or_else(|_| self.damaged())
    }

    fn string(&mut self) -> Result<&'b [u8], SidecarError> {
        let len = self.number()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, SidecarError> {
        let bytes = self.string()?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .or_else(|_| self.damaged())
    }

    /// A list that begins with its length; each element takes at least a byte, so a length that
    /// lies about what follows costs nothing.
    fn list<T>(
        &mut self,
        what: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, SidecarError>,
    ) -> Result<Vec<T>, SidecarError> {
        self.what = what;
        let count = self.number()?;
        if count > self.rest.len() as u64 {
            return Err(SidecarError::Truncated { what });
        }
        (0..count).map(|_| element(self)).collect()
    }

    fn map(&mut self) -> Result<AddressMap, SidecarError> {
        let (mut old, mut new) = (0u64, 0u32);
        let runs = self.list("address map", |input| {
            let gap = input.number()?;
            let (old_len, new_len) = (input.small()?, input.small()?);
            let start = old.checked_add(gap);
            let end = start.and_then(|start| start.checked_add(old_len.into()));
            let (Some(start), Some(end)) = (start, end) else {
                return input.damaged();
            };
            let run = Run {
                old: start,
                new,
                old_len,
                new_len,
            };
            old = end;
            match new.checked_add(new_len) {
                Some(next) => new = next,
                None => return input.damaged(),
            }
            Ok(run)
        })?;
        AddressMap::from_runs(runs).ok_or(SidecarError::Damaged {
            what: "address map",
        })
    }

    fn symbols(&mut self) -> Result<Vec<CodeSymbol>, SidecarError> {
        let mut pc = 0u64;
        self.list("symbols", |input| {
            let gap = input.number()?;
            let size = input.number()?;
            let name = input.text()?;
            match pc.checked_add(gap) {
                Some(next) => pc = next,
                None => return input.damaged(),
            }
            Ok(CodeSymbol {
                name,
                pc: Pc::new(pc),
                size,
            })
        })
    }

    fn debug(&mut self) -> Result<Vec<DebugSection>, SidecarError> {
        self.list("debug sections", |input| {
            let name = input.text()?;
            let compressed = match input.array()? {
                [0] => false,
                [1] => true,
                _ => return input.damaged(),
            };
            let bytes = input.string()?.to_vec();
            Ok(DebugSection {
                name,
                compressed,
                bytes,
            })
        })
    }
}
