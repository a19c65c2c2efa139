//! Two tables made when the package is built: the files of the guest runtime, which
//! `guests/rt/MANIFEST` lists, for `rivet cc`, and one test per backend for each file of
//! `conformance-vectors/`.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let (root, out) = (Path::new(&root), Path::new(&out));
    let put = |name: &str, text: String| {
        fs::write(out.join(name), text).expect("OUT_DIR can be written");
    };
    put("runtime.rs", runtime(root));
    put("vectors.rs", vectors(root));
}

/// The guest runtime as a slice of names and contents.
fn runtime(root: &Path) -> String {
    println!("cargo::rerun-if-changed=guests/rt");
    let runtime = root.join("guests/rt");
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
    table
}

/// Test functions, a module for each backend: `jit::gas` runs `conformance-vectors/gas.vec`.
fn vectors(root: &Path) -> String {
    println!("cargo::rerun-if-changed=conformance-vectors");
    let mut files = Vec::new();
    find(&root.join("conformance-vectors"), &mut files);
    files.sort();
    let mut tests = String::new();
    for (module, backend) in [("jit", "Jit"), ("interp", "Interp"), ("checked", "Checked")] {
        writeln!(tests, "mod {module} {{").expect("strings can be written");
        for file in &files {
            let name = test_name(root, file);
            writeln!(
                tests,
                "    #[test]\n    fn {name}() {{\n        \
                 super::holds({file:?}, rivet::engine::Backend::{backend});\n    }}"
            )
            .expect("strings can be written");
        }
        tests.push_str("}\n");
    }
    tests
}

/// Vector files below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    // A tree without the vectors has no tests for them.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, files);
        } else if name.ends_with(".vec") || name.ends_with(".vec.gz") {
            files.push(path);
        }
    }
}

/// A file's path below `conformance-vectors/` as the name of a function.
fn test_name(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root.join("conformance-vectors"));
    let text = below.unwrap_or(file).to_string_lossy();
    let stem = text.trim_end_matches(".gz").trim_end_matches(".vec");
    let mut name = String::from("vectors_of_");
    for c in stem.chars() {
        name.push(if c.is_ascii_alphanumeric() { c } else { '_' });
    }
    name
}
