//! 4 KiB page manager: immutable slabs, copy-on-write overlays, 4 GiB windows, first-write tracking
#![forbid(unsafe_code)]
