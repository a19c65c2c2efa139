//! Reading SSZ, with the byte offset of whatever is wrong (kernel ABI §3.4).
//!
//! ```text
//! container   │ fixed parts in order; 4-byte offset for each variable part │ parts… │
//! list        │ 4-byte offset for each element │ elements… │     (fixed elements: no offsets)
//! union       │ selector │ value │
//! ```
//!
//! The reader is strict, so every value has exactly one serialization: the first
//! offset points right behind the fixed parts, offsets never decrease, and a
//! value of fixed size fills its range. It borrows from the input and allocates
//! only what the count of a list asks for, after the caller has seen that count.
//!
//! Writing is left to the `libssz` crate. Its decoder, like that of
//! `ethereum_ssz`, reports neither the element nor the offset that is wrong and
//! copies every byte list, the arena included; both are needed here. The tests
//! hold this reader to accept exactly what that decoder accepts.

/// A range of serialized bytes that knows where it lies in the input.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    bytes: &'a [u8],
    start: usize,
}

/// How much room a part of a container takes in the fixed area.
#[derive(Clone, Copy)]
pub(crate) enum Width {
    /// The value itself, of this many bytes.
    Fixed(usize),
    /// A 4-byte offset to the value.
    Variable,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Variable => OFFSET,
        }
    }
}

const OFFSET: usize = 4;

/// Bytes that do not serialize a value; `byte` is the place in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// There are fewer bytes than the fixed parts take.
    #[error("{have} bytes at byte {byte:#x} where {need} are needed")]
    TooShort {
        /// Where the value starts.
        byte: usize,
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// There are bytes after the end of the value.
    #[error("{extra} bytes follow the value that ends at byte {byte:#x}")]
    Trailing {
        /// Where the value ends.
        byte: usize,
        /// Bytes after it.
        extra: usize,
    },
    /// The first offset does not point behind the fixed parts.
    #[error("the first offset at byte {byte:#x} is {offset:#x}, not {expected:#x}")]
    FirstOffset {
        /// Where the offset stands.
        byte: usize,
        /// The offset.
        offset: usize,
        /// The only value allowed.
        expected: usize,
    },
    /// The first offset of a list is zero or not a multiple of four.
    #[error("the first offset at byte {byte:#x} is {offset:#x}, not a positive multiple of 4")]
    ListOffset {
        /// Where the offset stands.
        byte: usize,
        /// The offset.
        offset: usize,
    },
    /// An offset is smaller than the one before it.
    #[error("the offset at byte {byte:#x} is {offset:#x}, less than the {previous:#x} before it")]
    OffsetOrder {
        /// Where the offset stands.
        byte: usize,
        /// The offset.
        offset: usize,
        /// The offset before it.
        previous: usize,
    },
    /// An offset points past the end of its value.
    #[error("the offset at byte {byte:#x} is {offset:#x}, past the end of {len:#x} bytes")]
    OffsetPastEnd {
        /// Where the offset stands.
        byte: usize,
        /// The offset.
        offset: usize,
        /// Length of the value.
        len: usize,
    },
    /// A list of fixed elements ends inside an element.
    #[error("{len} bytes at byte {byte:#x} are not a whole number of {item}-byte elements")]
    PartialElement {
        /// Where the list starts.
        byte: usize,
        /// Bytes in the list.
        len: usize,
        /// Bytes in an element.
        item: usize,
    },
    /// A union selector names no arm.
    #[error("the union selector at byte {byte:#x} is {selector}: there are {arms} arms")]
    Selector {
        /// Where the selector stands.
        byte: usize,
        /// The selector.
        selector: u8,
        /// Number of arms.
        arms: u8,
    },
}

impl<'a> Bytes<'a> {
    /// The whole input.
    pub(crate) fn input(bytes: &'a [u8]) -> Self {
        Self { bytes, start: 0 }
    }

    pub(crate) fn as_slice(self) -> &'a [u8] {
        self.bytes
    }

    /// The little-endian number these at most eight bytes hold.
    pub(crate) fn number(self) -> u64 {
        let fold = |value, &byte: &u8| value << 8 | u64::from(byte);
        self.bytes.iter().rev().fold(0, fold)
    }

    /// The parts of a container.
    pub(crate) fn fields<const N: usize>(self, widths: [Width; N]) -> Result<[Self; N], Defect> {
        let fixed = widths.iter().map(|width| width.bytes()).sum();
        self.at_least(fixed)?;
        let mut fields = [self; N];
        let mut cursor = 0;
        // Index of the last variable part, whose end the next offset tells.
        let mut open = None;
        let mut previous = fixed;
        for (at, width) in widths.into_iter().enumerate() {
            let part = self.range(cursor, cursor + width.bytes());
            cursor += width.bytes();
            let Width::Variable = width else {
                fields[at] = part;
                continue;
            };
            let offset = part.number() as usize;
            if open.is_none() && offset != fixed {
                return Err(Defect::FirstOffset {
                    byte: part.start,
                    offset,
                    expected: fixed,
                });
            }
            self.check_offset(part.start, offset, previous)?;
            if let Some(open) = open {
                fields[open] = self.range(previous, offset);
            }
            (open, previous) = (Some(at), offset);
        }
        match open {
            Some(open) => fields[open] = self.range(previous, self.bytes.len()),
            None => self.exactly(fixed)?,
        }
        Ok(fields)
    }

    /// How many elements a list of variable-size elements says it has.
    pub(crate) fn count(self) -> Result<usize, Defect> {
        if self.bytes.is_empty() {
            return Ok(0);
        }
        self.at_least(OFFSET)?;
        let offset = self.range(0, OFFSET).number() as usize;
        if offset == 0 || !offset.is_multiple_of(OFFSET) {
            return Err(Defect::ListOffset {
                byte: self.start,
                offset,
            });
        }
        self.check_offset(self.start, offset, offset)?;
        Ok(offset / OFFSET)
    }

    /// The elements of a list that [`count`](Self::count) has counted.
    pub(crate) fn elements(
        self,
        count: usize,
    ) -> impl ExactSizeIterator<Item = Result<Self, Defect>> {
        let offset = move |index: usize| {
            let at = index * OFFSET;
            self.range(at, at + OFFSET).number() as usize
        };
        (0..count).map(move |index| {
            let (start, next) = (offset(index), index + 1);
            let (byte, end) = if next < count {
                (self.start + next * OFFSET, offset(next))
            } else {
                (self.start + index * OFFSET, self.bytes.len())
            };
            self.check_offset(byte, end, start)?;
            Ok(self.range(start, end))
        })
    }

    /// The elements of a list of `width`-byte elements.
    pub(crate) fn fixed_elements(
        self,
        width: usize,
    ) -> Result<impl ExactSizeIterator<Item = Self>, Defect> {
        if !self.bytes.len().is_multiple_of(width) {
            return Err(Defect::PartialElement {
                byte: self.start,
                len: self.bytes.len(),
                item: width,
            });
        }
        let count = self.bytes.len() / width;
        Ok((0..count).map(move |index| self.range(index * width, (index + 1) * width)))
    }

    /// The selector of a union of `arms` arms, and the value.
    pub(crate) fn union(self, arms: u8) -> Result<(u8, Self), Defect> {
        self.at_least(1)?;
        let selector = self.bytes[0];
        if selector >= arms {
            return Err(Defect::Selector {
                byte: self.start,
                selector,
                arms,
            });
        }
        Ok((selector, self.range(1, self.bytes.len())))
    }

    /// Checks that the value has exactly `len` bytes.
    pub(crate) fn exactly(self, len: usize) -> Result<(), Defect> {
        self.at_least(len)?;
        match self.bytes.len() - len {
            0 => Ok(()),
            extra => Err(Defect::Trailing {
                byte: self.start + len,
                extra,
            }),
        }
    }

    fn at_least(self, need: usize) -> Result<(), Defect> {
        if self.bytes.len() < need {
            return Err(Defect::TooShort {
                byte: self.start,
                have: self.bytes.len(),
                need,
            });
        }
        Ok(())
    }

    fn check_offset(self, byte: usize, offset: usize, previous: usize) -> Result<(), Defect> {
        if offset < previous {
            return Err(Defect::OffsetOrder {
                byte,
                offset,
                previous,
            });
        }
        let len = self.bytes.len();
        if offset > len {
            return Err(Defect::OffsetPastEnd { byte, offset, len });
        }
        Ok(())
    }

    /// A part of this range; the callers have checked that it lies inside.
    fn range(self, from: usize, to: usize) -> Self {
        Self {
            bytes: &self.bytes[from..to],
            start: self.start + from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Width::{Fixed, Variable};
    use super::*;

    #[test]
    fn a_container_of_fixed_parts_fills_its_range() {
        let parts = |bytes| Bytes::input(bytes).fields([Fixed(1), Fixed(2)]);
        let [a, b] = parts(&[1, 2, 3]).ok().unwrap();
        assert_eq!((a.number(), b.number()), (1, 0x0302));
        let trailing = Defect::Trailing { byte: 3, extra: 1 };
        assert_eq!(parts(&[1, 2, 3, 4]).err(), Some(trailing));
        let short = Defect::TooShort {
            byte: 0,
            have: 2,
            need: 3,
        };
        assert_eq!(parts(&[1, 2]).err(), Some(short));
    }

    #[test]
    fn defects_of_inner_values_name_the_byte_of_the_input() {
        let wire = [7, 5, 0, 0, 0, 2];
        let [_, union] = Bytes::input(&wire)
            .fields([Fixed(1), Variable])
            .ok()
            .unwrap();
        let defect = Defect::Selector {
            byte: 5,
            selector: 2,
            arms: 2,
        };
        assert_eq!(union.union(2).err(), Some(defect));
    }
}
