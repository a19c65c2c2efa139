//! `rivet bench` as scripts see it: results read back, machines kept apart, the line protocol.

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn rivet(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rivet"));
    command.arg("bench").args(args).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn cell(lane: &str, workload: &str, argument: u64, warm: u64) -> Value {
    json!({
        "lane": lane, "workload": workload, "argument": argument, "value": "0x1",
        "native_bytes": 0, "compile": [1000], "start": [1000], "cold": [warm + 2000],
        "warm": [warm, warm * 2, warm * 3],
    })
}

/// Results in which one peer is ahead on `sort` and behind on `fib`.
fn results() -> Value {
    json!({
        "schema": 1, "version": "0.1.0", "date": "2026-11-21", "command": "rivet bench --peers",
        "machine": {
            "architecture": "x86_64", "processor": "one of a kind", "cores": 2,
            "memory_gib": 4, "kernel": "Linux 1", "virtualisation": "bare",
        },
        "compiler": "clang", "rounds": 3, "load": [0.0, 0.0], "big_instructions": 1000,
        "versions": [{"package": "wasmtime", "version": "48.0.8"}],
        "cells": [
            cell("native -O2", "sort", 100_000, 10_000_000),
            cell("rivet", "sort", 100_000, 15_000_000),
            cell("cranelift", "sort", 100_000, 12_000_000),
            cell("native -O2", "fib", 35, 10_000_000),
            cell("rivet", "fib", 35, 11_000_000),
            cell("cranelift", "fib", 35, 12_000_000),
        ],
        "missing": [{"lane": "winch", "workload": "fib", "reason": "checksum <differs>"}],
    })
}

/// Writes results to a file of its own.
fn file(folder: &Path, name: &str, results: &Value) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, results.to_string()).expect("writable");
    path
}

#[test]
fn a_report_names_the_peers_that_are_ahead_before_anything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.json", &results());
    let html = folder.path().join("report.html");
    let output = rivet(&[
        "--from",
        path.to_str().expect("UTF-8"),
        "--markdown",
        "--html",
        html.to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let first = printed.find("###").expect("sections");
    assert!(
        printed[first..].starts_with("### Where a peer is ahead"),
        "{printed}"
    );
    // 15 against 12 times 10 milliseconds of native code; on fib rivet is ahead.
    assert!(
        printed.contains("| run sort | rivet | 1.50 | cranelift 1.20 | - | 1.25 |"),
        "{printed}"
    );
    assert!(!printed.contains("| run fib |"), "{printed}");
    // The geometric mean of 1.5 and 1.1.
    assert!(
        printed.contains("| rivet | pipeline | 1.28 | 1.50 sort |"),
        "{printed}"
    );
    let page = std::fs::read_to_string(html).expect("written");
    let order = [
        "Where a peer is ahead",
        "<svg",
        "Compilers</h2>",
        "checksum &lt;differs&gt;",
    ];
    let places = order.map(|what| page.find(what).unwrap_or_else(|| panic!("no {what}")));
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        !page.contains("http"),
        "the page needs nothing from elsewhere"
    );
}

#[test]
fn runs_of_different_machines_are_not_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let mine = file(folder.path(), "a.json", &results());
    let mut other = results();
    other["machine"]["processor"] = "another".into();
    let other = file(folder.path(), "b.json", &other);
    let (mine, other) = (
        mine.to_str().expect("UTF-8"),
        other.to_str().expect("UTF-8"),
    );
    let output = rivet(&["--from", mine, "--compare", other]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("different machines"), "{message}");
    assert!(
        message.contains("processor: one of a kind now, another then"),
        "{message}"
    );
    let output = rivet(&["--from", mine, "--compare", mine]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("geomean 1.000"));
    // Nor is time spent on a run that could not be compared.
    let output = rivet(&["--compare", other]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("different machines"));
}

#[test]
fn what_cannot_be_measured_is_said_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let no_results = file(folder.path(), "a.json", &json!({"schema": 1}));
    let place = folder.path().to_str().expect("UTF-8");
    for (args, part) in [
        (vec!["fibb"], "no workload `fibb`"),
        (vec!["--source", place, "fib"], "is not a checkout of rivet"),
        (
            vec!["--from", no_results.to_str().expect("UTF-8")],
            "holds no results of rivet bench",
        ),
        (vec!["--rounds", "0"], "0"),
    ] {
        let output = rivet(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let message = text(&output.stderr);
        assert!(message.contains(part), "{args:?}: {message}");
    }
}

#[test]
fn the_line_protocol_gives_native_values_and_survives_errors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("guests/native-values.tsv")).expect("readable");
    let row = table
        .lines()
        .find(|line| line.starts_with("keccak\t"))
        .expect("a row");
    let columns: Vec<&str> = row.split('\t').collect();
    let (argument, value) = (columns[1], columns[3]);
    for backend in ["interp", "auto"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rivet"))
            .args(["bench", "--serve", backend, "--cpu", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let guest = root.join("guests/prebuilt/keccak.elf");
        let lines = format!(
            "run 1\nload nowhere\nload {}\nrun {argument}\nrun {argument}\nnonsense\n",
            guest.display()
        );
        let mut input = child.stdin.take().expect("piped");
        input.write_all(lines.as_bytes()).expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let printed = text(&output.stdout);
        let starts = ["ready", "error", "error", "ok", value, value, "error"];
        let answers: Vec<&str> = printed.lines().collect();
        assert_eq!(answers.len(), starts.len(), "{printed}");
        for (answer, start) in answers.iter().zip(starts) {
            let answer = answer
                .strip_prefix("ok ")
                .filter(|_| start == value)
                .unwrap_or(answer);
            assert!(answer.starts_with(start), "{start}: {printed}");
        }
    }
}
