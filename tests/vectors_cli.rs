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
    assert_eq!(text, "interp: 6 of 6 vectors hold\n");
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
         interp: 5 of 6 vectors hold\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let report = fs::read_to_string(&junit).expect("the report is there");
    assert!(report.contains("tests=\"6\" failures=\"1\""), "{report}");
    let message = "<failure message=\"exit 2: gas: expected 767, got 768\">";
    assert!(report.contains(message), "{report}");
    let output = rivet(&["vectors", "run", "--engine", "interp", "--json", &file]);
    let object = json(&output);
    assert_eq!(
        (object["run"].as_u64(), object["failed"].as_u64()),
        (Some(6), Some(1))
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

/// A vector that holds, with `from` replaced by `to`.
fn refusal(folder: &std::path::Path, from: &str, to: &str) -> String {
    let good = "pvm2-vectors 1\norigin independent by hand\nvector one\ncode 13051500\n\
                map 0x10000000 0x2000 cow\nstart pc=0 gas=100\nexit panic pc=4 gas=99\n\
                regs x10=1\nprivate none\n";
    assert!(good.contains(from), "{from}");
    let file = folder.join("one.vec").display().to_string();
    fs::write(&file, good.replace(from, to)).expect("written");
    let output = rivet(&["vectors", "run", "--engine", "interp", &file]);
    let expected = if from == to { 0 } else { 2 };
    assert_eq!(output.status.code(), Some(expected), "{to}: {output:?}");
    stderr(&output).replace(&file, "FILE")
}

#[test]
fn mappings_pages_and_starts_that_mean_nothing_are_refused_at_their_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |from, to| refusal(folder.path(), from, to);
    refused("vector one", "vector one");
    let map = "map 0x10000000 0x2000 cow";
    for bad in [
        "map 0x10000001 0x2000 cow",
        "map 0x10000000 0x2001 cow",
        "map 0x10000000 0 cow",
        "map 0xffff000 0x2000 cow",
        "map 0xfffff000 0x2000 cow",
        "map 0x10000000 0xfffffffffffff000 cow",
    ] {
        let error = refused(map, bad);
        assert!(
            error.starts_with("error: FILE:5: field `map`: `0x"),
            "{error}"
        );
        assert!(error.contains("whole pages"), "{error}");
    }
    let error = refused(map, "map 0x10000000 0x2000 cow\nmap 0x10001000 0x1000 ro");
    let overlap = "error: FILE:6: field `map`: the mapping overlaps the one at 0x10000000\n";
    assert_eq!(error, overlap);
    let error = refused("pc=0 gas=100", "pc=0 pc=2");
    assert!(
        error.starts_with("error: FILE:6: field `start`: "),
        "{error}"
    );
    for bad in [
        "private",
        "private none 0x10000000",
        "private 0x10000000 none",
    ] {
        let error = refused("private none", bad);
        assert!(
            error.starts_with("error: FILE:9: field `private`: "),
            "{error}"
        );
    }
    let error = refused("pvm2-vectors 1", "\u{1b}[2Jpvm2-vectors 1");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn a_name_that_would_be_a_comment_is_not_exported() {
    let guest = path("guests/prebuilt/fib.elf").display().to_string();
    let output = rivet(&["vectors", "export", &guest, "--name", "#one"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--name"), "{}", stderr(&output));
}
