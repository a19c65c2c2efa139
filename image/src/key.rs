//! Keys and slot paths: how an image names slots (kernel ABI §1.1 and §1.2).

use std::fmt;

use crate::limits::{MAX_KEY_LEN, MAX_PATH_STEPS};

/// A byte string of at most 64 bytes that names a slot or an endpoint.
///
/// Keys are equal iff length and bytes are equal, so the empty key differs from
/// the key of one zero byte. The order is lexicographic by byte; a proper prefix
/// sorts before its extensions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<[u8]>);

/// Bytes that cannot be a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key of {len} bytes is too long: at most {MAX_KEY_LEN} bytes are allowed")]
pub struct KeyTooLong {
    /// Length of the refused bytes.
    pub len: usize,
}

impl Key {
    /// The key of `bytes`.
    ///
    /// # Errors
    /// [`KeyTooLong`] if there are more than 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyTooLong> {
        if bytes.len() > MAX_KEY_LEN {
            return Err(KeyTooLong { len: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }

    /// The one-byte key `[byte]`, which a guest names with the simplest path word.
    #[must_use]
    pub fn byte(byte: u8) -> Self {
        Self(Box::new([byte]))
    }

    /// The scratchpad slot `[00]`, which no image may pin, fill or declare.
    #[must_use]
    pub fn scratchpad() -> Self {
        Self::byte(0)
    }

    /// Whether this is the scratchpad slot `[00]`.
    #[must_use]
    pub fn is_scratchpad(&self) -> bool {
        *self.0 == [0]
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("]")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key{self}")
    }
}

/// One to eight keys that lead from a root cnode to a slot.
///
/// Two paths denote the same slot iff their key lists are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotPath(Box<[Key]>);

/// Keys that cannot be a [`SlotPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot path has {steps} steps: it needs 1 to {MAX_PATH_STEPS}")]
pub struct PathLength {
    /// Number of keys given.
    pub steps: usize,
}

impl SlotPath {
    /// The path that walks through `steps`.
    ///
    /// # Errors
    /// [`PathLength`] unless there are 1 to 8 steps.
    pub fn new(steps: Vec<Key>) -> Result<Self, PathLength> {
        if steps.is_empty() || steps.len() > MAX_PATH_STEPS {
            return Err(PathLength { steps: steps.len() });
        }
        Ok(Self(steps.into()))
    }

    /// All steps, at least one.
    #[must_use]
    pub fn steps(&self) -> &[Key] {
        &self.0
    }

    /// The key looked up in the root cnode.
    #[must_use]
    pub fn first(&self) -> &Key {
        &self.0[0]
    }

    /// The key of the slot itself if the path has no further step.
    #[must_use]
    pub fn as_root_slot(&self) -> Option<&Key> {
        match &*self.0 {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl From<Key> for SlotPath {
    fn from(key: Key) -> Self {
        Self(Box::new([key]))
    }
}

impl fmt::Display for SlotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|key| write!(f, "{key}"))
    }
}

impl fmt::Debug for SlotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotPath{self}")
    }
}
