//! `rivet vectors` as scripts see it.

mod support;

use std::fs;
use support::{json, path, rivet, stderr};

fn example() -> String {
    path("conformance-vectors/example.vec")
        .display()
        .to_string()
}

#[test]
fn vectors_that_hold_end_with_status_0() {
    let output = rivet(&["vectors", "run", "--engine", "interp", &example()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "interp: 4 of 4 vectors hold\n");
}

#[test]
fn a_failing_vector_ends_with_status_1_and_names_file_line_and_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.vec");
    let text = fs::read_to_string(example()).expect("the example is there");
    fs::write(&file, text.replace("gas=768", "gas=767")).expect("written");
    let file = file.display().to_string();
    let junit = folder.path().join("report.xml").display().to_string();
    let run = [
        "vectors", "run", "--engine", "interp", &file, "--junit", &junit,
    ];
    let output = rivet(&run);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "{file}:25: out-of-gas-then-more fails on interp\n  exit 2: gas: expected 767, got 768\n\
         interp: 3 of 4 vectors hold\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let report = fs::read_to_string(&junit).expect("the report is there");
    assert!(report.contains("tests=\"4\" failures=\"1\""), "{report}");
    let message = "<failure message=\"exit 2: gas: expected 767, got 768\">";
    assert!(report.contains(message), "{report}");
    let output = rivet(&["vectors", "run", "--engine", "interp", "--json", &file]);
    let object = json(&output);
    assert_eq!(
        (object["run"].as_u64(), object["failed"].as_u64()),
        (Some(4), Some(1))
    );
    let failure = &object["failures"][0];
    assert_eq!(failure["vector"], "out-of-gas-then-more");
    assert_eq!(
        failure["differences"][0],
        "exit 2: gas: expected 767, got 768"
    );
}

#[test]
fn malformed_files_end_with_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.vec");
    let text = fs::read_to_string(example()).expect("the example is there");
    fs::write(&file, text.replace("gas=768", "gas=")).expect("written");
    let output = rivet(&["vectors", "run", &folder.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    let message = format!(
        "error: {}:34: field `exit`: `` is not an unsigned 64-bit number, decimal or with 0x\n",
        file.display()
    );
    assert_eq!(stderr(&output), message);
}

#[test]
fn an_exported_run_holds_on_every_backend_and_says_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fib.vec").display().to_string();
    let guest = path("guests/prebuilt/fib.elf").display().to_string();
    let output = rivet(&["vectors", "export", &guest, "--arg", "10", "-o", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = fs::read_to_string(&file).expect("the vector is there");
    assert!(
        text.starts_with("pvm2-vectors 1\norigin engine rivet "),
        "{text}"
    );
    let output = rivet(&["vectors", "run", &file]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("recorded by an engine"), "{shown}");
}
