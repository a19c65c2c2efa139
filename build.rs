//! Embeds the guest runtime, whose files `guests/rt/MANIFEST` lists, for `rivet cc`.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=guests/rt");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let runtime = Path::new(&root).join("guests/rt");
    let manifest = fs::read_to_string(runtime.join("MANIFEST")).expect("guests/rt has a MANIFEST");
    let mut table = String::from("&[\n");
    for name in manifest
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let path = runtime.join(name);
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("strings can be written");
    }
    table.push(']');
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("runtime.rs"), table).expect("OUT_DIR can be written");
}
