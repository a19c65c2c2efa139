//! Lineage values and the labels of kernel images (kernel ABI §3.1 and §3.7).
//!
//! ```text
//! genesis          image_hash = image_id = hash(Image)
//! set_image(N)     image_hash' = BLAKE2b-256(image_hash ‖ hash(N))
//! derive_spawn(N)  child's image_hash = BLAKE2b-256(spawner's image_hash ‖ hash(N))
//! ```
//!
//! Addresses are SHA-256 and extensions BLAKE2b-256, so an extended lineage is
//! never the hash of an image.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};

use crate::Digest;

/// Lineage of an instance or child whose lineage was `parent` and that takes on
/// the image with the address `image`, by `set_image` or `derive_spawn`.
///
/// The lineage at genesis is the address of the image itself.
#[must_use]
pub fn extend(parent: Digest, image: Digest) -> Digest {
    blake2b_256(&[parent.as_bytes(), image.as_bytes()])
}

/// The kernel's own images, which carry no code and are known by a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLabel {
    /// Handle on a row of the gas meter table.
    Gas,
    /// Handle on a row of the storage quota table.
    Quota,
    /// Right to emit a yield key.
    YieldSender,
    /// Set of yield keys that are caught.
    YieldReceiver,
    /// The gas meter table.
    GasMeter,
    /// The storage quota table.
    StorageQuota,
    /// Ancestor of the attestation authority.
    Bridge,
}

impl KernelLabel {
    /// The ASCII label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gas => "kernel:gas",
            Self::Quota => "kernel:quota",
            Self::YieldSender => "kernel:yieldsender",
            Self::YieldReceiver => "kernel:yieldreceiver",
            Self::GasMeter => "kernel:gasmeter",
            Self::StorageQuota => "kernel:storagequota",
            Self::Bridge => "kernel:bridge",
        }
    }

    /// The `image_hash` the label stands for: BLAKE2b-256 of its ASCII bytes.
    #[must_use]
    pub fn image_hash(self) -> Digest {
        blake2b_256(&[self.name().as_bytes()])
    }
}

/// Unkeyed BLAKE2b with a 32-byte result over the concatenation of `parts`.
fn blake2b_256(parts: &[&[u8]]) -> Digest {
    let mut hasher = Blake2b::<U32>::new();
    for part in parts {
        hasher.update(part);
    }
    Digest::new(hasher.finalize().into())
}
