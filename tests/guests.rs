//! Every guest gives what the same C gives natively.

mod support;

use std::collections::BTreeSet;
use support::{executables, json, native_values, path, rivet, stderr};

/// Runs every executable of every guest on a backend.
#[track_caller]
fn every_guest_gives_its_native_value(engine: &str) {
    let mut failures = Vec::new();
    for native in native_values() {
        let files = executables(&native.guest);
        assert!(!files.is_empty(), "{} has no executable", native.guest);
        for file in files {
            let file = file.to_str().expect("paths are UTF-8");
            let output = rivet(&[
                "run",
                "--engine",
                engine,
                "--json",
                "--arg",
                &native.arg,
                file,
            ]);
            let report = json(&output);
            let page = native.page.map(|page| page << 12);
            let fine = report["exit"] == native.exit.as_str()
                && native
                    .value
                    .as_ref()
                    .is_none_or(|value| report["value"] == value.as_str())
                && page.is_none_or(|page| report["page"] == page)
                && stderr(&output) == native.stdout
                && output.status.code() == Some(i32::from(native.exit != "halt"));
            if !fine {
                let text = stderr(&output);
                failures.push(format!("{file}: {report} {text:?}, expected {native:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn interpreted_guests_and_variants_give_their_native_values_and_output() {
    every_guest_gives_its_native_value("interp");
}

#[test]
fn recompiled_guests_and_variants_give_their_native_values_and_output() {
    every_guest_gives_its_native_value("jit");
}

#[test]
fn both_engines_side_by_side_agree_on_every_guest_and_variant() {
    every_guest_gives_its_native_value("checked");
}

#[test]
fn every_prebuilt_executable_is_checked_against_a_native_value() {
    let known: BTreeSet<String> = native_values().into_iter().map(|n| n.guest).collect();
    for entry in std::fs::read_dir(path("guests/prebuilt")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|e| e == "elf") {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let guest = name.split('-').next().unwrap();
            assert!(known.contains(guest), "{name}.elf has no native value");
        }
    }
    assert!(known.len() >= 24, "{} guests", known.len());
}

#[test]
fn a_linked_image_runs_like_its_executable() {
    let folder = tempfile::tempdir().unwrap();
    for guest in ["fib", "linkage", "vcall"] {
        let elf = path(&format!("guests/prebuilt/{guest}.elf"));
        let pvm = folder.path().join(format!("{guest}.pvm"));
        let (elf, pvm) = (elf.to_str().unwrap(), pvm.to_str().unwrap());
        let linked = rivet(&["link", elf, "-o", pvm]);
        assert!(linked.status.success(), "{}", stderr(&linked));
        let mut reports =
            [elf, pvm].map(|file| json(&rivet(&["run", "--json", "--arg", "9", file])));
        for report in &mut reports {
            for timing in ["compile_ns", "run_ns"] {
                assert!(report[timing].is_u64());
                report[timing] = 0.into();
            }
        }
        assert_eq!(reports[0], reports[1], "{guest}");
    }
}
