//! What is stored and sent: a state with hashes that name what was damaged on the way, and the image
//! if the other side may lack it.
//!
//! ```text
//!   0   8  magic            28  32  hash of the image's bytes
//!   8   2  version          60  32  hash of the state's bytes
//!  10   2  zero             92  32  hash of the 92 bytes before
//!  12   8  bytes of image  124   …  image in wire form, none if its length is 0
//!  20   8  bytes of state    …   …  snapshot or delta
//! ```
//! Hashes are BLAKE2b-256, numbers little-endian. The hash of the state's bytes is the address of
//! the snapshot.

use super::delta::Delta;
use super::error::{DecodeError, ParcelError};
use super::value::Snapshot;
use crate::hash::blake2b_256;
use rivet_image::{Digest, Image, ImageResolver};

const MAGIC: [u8; 8] = *b"\x89RVPARC\n";
const VERSION: u16 = 1;
const HASHED: usize = 92;

/// What a parcel carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Everything.
    Snapshot(Snapshot),
    /// The difference to a base.
    Delta(Delta),
}

impl State {
    /// Address of the program's image.
    pub const fn image(&self) -> Digest {
        match self {
            Self::Snapshot(snapshot) => snapshot.image(),
            Self::Delta(delta) => delta.image(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Snapshot(snapshot) => snapshot.encode(),
            Self::Delta(delta) => delta.encode(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match Snapshot::decode(bytes) {
            Err(DecodeError::Kind { found: 1, .. }) => Delta::decode(bytes).map(Self::Delta),
            other => other.map(Self::Snapshot),
        }
    }
}

/// A state and perhaps its image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// The state.
    pub state: State,
    /// The image the state is of.
    pub image: Option<Image>,
}

/// The front of a parcel: how long it is, before the rest has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParcelHeader {
    image_len: u64,
    state_len: u64,
    image_hash: Digest,
    state_hash: Digest,
}

impl ParcelHeader {
    /// Bytes of a header.
    pub const LEN: usize = HASHED + 32;

    /// Reads a header; it is right in itself, because it ends with its own hash.
    ///
    /// # Errors
    /// [`ParcelError::Magic`], [`ParcelError::Version`] or [`ParcelError::Header`].
    pub fn read(bytes: &[u8; Self::LEN]) -> Result<Self, ParcelError> {
        let number = |at: usize| {
            let mut out = [0; 8];
            out.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(out)
        };
        let digest = |at: usize| {
            let mut out = [0; 32];
            out.copy_from_slice(&bytes[at..at + 32]);
            Digest::new(out)
        };
        if bytes[..8] != MAGIC {
            return Err(ParcelError::Magic);
        }
        let found = u16::from_le_bytes([bytes[8], bytes[9]]);
        if found != VERSION {
            return Err(ParcelError::Version { found });
        }
        let header = Self {
            image_len: number(12),
            state_len: number(20),
            image_hash: digest(28),
            state_hash: digest(60),
        };
        let hash = Digest::new(blake2b_256(&[&bytes[..HASHED]]));
        let sum = header.image_len.checked_add(header.state_len);
        if hash != digest(HASHED) || bytes[10..12] != [0; 2] || sum.is_none() {
            return Err(ParcelError::Header);
        }
        Ok(header)
    }

    /// Bytes that follow the header.
    pub const fn body_len(&self) -> u64 {
        self.image_len + self.state_len
    }

    /// Whether the image is in the parcel.
    pub const fn has_image(&self) -> bool {
        self.image_len > 0
    }

    /// Address of the snapshot, if it is a snapshot that is in the parcel.
    pub const fn state_hash(&self) -> Digest {
        self.state_hash
    }

    /// Reads what follows the header.
    ///
    /// # Errors
    /// [`ParcelError`] names the part that is damaged and how.
    pub fn open(&self, body: &[u8], images: &dyn ImageResolver) -> Result<Parcel, ParcelError> {
        if body.len() as u64 != self.body_len() {
            return Err(ParcelError::Length {
                expected: self.body_len(),
                found: body.len() as u64,
            });
        }
        let (image, state) = body.split_at(self.image_len as usize);
        intact("image", image, self.image_hash)?;
        intact("state", state, self.state_hash)?;
        let state = State::decode(state)?;
        let image = if self.has_image() {
            Some(Image::decode(image, images)?)
        } else {
            None
        };
        if let Some(image) = &image
            && image.address() != state.image()
        {
            return Err(ParcelError::OtherImage {
                expected: state.image(),
                found: image.address(),
            });
        }
        Ok(Parcel { state, image })
    }
}

fn intact(part: &'static str, bytes: &[u8], expected: Digest) -> Result<(), ParcelError> {
    let found = Digest::new(blake2b_256(&[bytes]));
    if found == expected {
        return Ok(());
    }
    Err(ParcelError::Damaged {
        part,
        expected,
        found,
    })
}

impl Parcel {
    /// The bytes.
    ///
    /// # Errors
    /// [`rivet_image::EncodeError`] if the image has no wire form.
    pub fn encode(&self) -> Result<Vec<u8>, rivet_image::EncodeError> {
        let image = self.image.as_ref().map(Image::encode).transpose()?;
        let (image, state) = (image.unwrap_or_default(), self.state.encode());
        let mut out = Vec::with_capacity(ParcelHeader::LEN + image.len() + state.len());
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend([0; 2]);
        out.extend((image.len() as u64).to_le_bytes());
        out.extend((state.len() as u64).to_le_bytes());
        out.extend(blake2b_256(&[&image]));
        out.extend(blake2b_256(&[&state]));
        let hash = blake2b_256(&[&out]);
        out.extend(hash);
        out.extend(image);
        out.extend(state);
        Ok(out)
    }

    /// Reads bytes. Any input gives a parcel or an error.
    ///
    /// # Errors
    /// [`ParcelError`] names the part that is damaged and how.
    pub fn decode(bytes: &[u8], images: &dyn ImageResolver) -> Result<Self, ParcelError> {
        let length = ParcelError::Length {
            expected: ParcelHeader::LEN as u64,
            found: bytes.len() as u64,
        };
        let (head, body) = bytes.split_first_chunk().ok_or(length)?;
        ParcelHeader::read(head)?.open(body, images)
    }
}
