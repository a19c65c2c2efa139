//! Limits an image is admitted against (kernel ABI §1.7); those of the memory map
//! are in [`rivet_isa::addr`].
//!
//! They bound what is accepted, never what is hashed: every list is hashed
//! with the limit 2^32 whatever the limit here says.

/// Most bytes in a [`Key`](crate::Key).
pub const MAX_KEY_LEN: usize = 64;

/// Most steps in a [`SlotPath`](crate::SlotPath).
pub const MAX_PATH_STEPS: usize = 8;

/// Most arguments an endpoint may document.
pub const MAX_ARG_REGISTERS: u8 = 4;

/// Most endpoints in an image.
pub const MAX_ENDPOINTS: usize = 65_536;

/// Most pinned slots in an image.
pub const MAX_PINNED_SLOTS: usize = 65_536;

/// Most initial slots in an image.
pub const MAX_INITIAL_SLOTS: usize = 65_536;

/// Most memory mappings in an image.
pub const MAX_MAPPINGS: usize = 1024;

/// Most gas slots in an image.
pub const MAX_GAS_SLOTS: usize = 64;

/// Most quota slots in an image.
pub const MAX_QUOTA_SLOTS: usize = 64;
