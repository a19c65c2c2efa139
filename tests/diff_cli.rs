//! `rivet diff` as a command: what it prints, what it leaves behind, how it exits.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "support/mod.rs"]
mod support;

use support::{json, rivet, stderr};

#[test]
fn random_programs_are_counted_and_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let findings = folder.path().join("findings");
    let findings_arg = findings.to_str().expect("UTF-8");
    for more in [
        &[][..],
        &["--every-block"],
        &["--hostile"],
        &["--neighbours"],
    ] {
        let mut args = vec![
            "diff",
            "--random",
            "600",
            "--json",
            "--findings",
            findings_arg,
        ];
        args.extend(more);
        let output = rivet(&args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let object = json(&output);
        assert_eq!(object["differences"], 0);
        // Whole bundles of 256, or whole damaged programs with their runs.
        let runs = object["runs"].as_u64().expect("a number");
        match more.contains(&"--hostile") {
            true => assert!(runs >= 600),
            false => assert_eq!(runs, 768),
        }
        let compared = object["blocks"].as_u64().expect("a number") > 0;
        assert_eq!(compared, more.contains(&"--every-block"));
    }
    assert!(!findings.exists(), "nothing was found, nothing is written");
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let guest = support::path("guests/prebuilt/fib.elf");
    let guest = guest.to_str().expect("UTF-8");
    let cases: [&[&str]; 12] = [
        &["--random", "3", "--a", "jit", "--b", "jit"],
        &["--random", "3", "--a", "interp"],
        &[guest, "--a", "auto", "--b", "jit"],
        &["--random", "0"],
        &["--random", "3", "--seed", "18446744073709551615"],
        &["--random", "3", "--bundle", "0"],
        &["--random", "3", "--bundle", "4097"],
        &[guest, "--seed", "2"],
        &[guest, "--hostile"],
        &[guest, "--every-block"],
        &[guest, "--trace", "f.trace", "--arg", "6"],
        &[guest, "--trace", "f.trace", "--gas", "6"],
    ];
    for case in cases {
        let output = rivet(&[&["diff"], case].concat());
        assert_eq!(output.status.code(), Some(2), "{case:?}");
        let named = case.iter().any(|word| stderr(&output).contains(word));
        assert!(named, "{case:?}: {}", stderr(&output));
    }
}
