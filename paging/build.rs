//! Decides whether this build has windows and real faults: `cfg(has_windows)`.

#![forbid(unsafe_code)]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(has_windows)");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let target = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    let without = ["CARGO_CFG_MIRI", "CARGO_FEATURE_SOFTWARE"];
    if target && without.iter().all(|name| env::var_os(name).is_none()) {
        println!("cargo::rustc-cfg=has_windows");
    }
}
