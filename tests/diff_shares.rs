//! `rivet diff --random` in several processes: the same programs as in one, and what becomes of the
//! work when a process dies.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "support/mod.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{json, rivet, stderr};

#[test]
fn several_processes_compare_what_one_does() {
    let compared = |jobs| {
        let output = rivet(&[
            "diff",
            "--random",
            "1000",
            "--bundle",
            "64",
            "--every-block",
            "--json",
            "--jobs",
            jobs,
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let object = json(&output);
        [&object["runs"], &object["blocks"]].map(|count| count.as_u64().expect("a number"))
    };
    let one = compared("1");
    assert_eq!(one[0], 1024);
    assert_eq!(compared("3"), one);
}

/// Processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("processes");
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        fields.split(' ').nth(1) == Some(&parent.to_string())
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

/// Waits until a condition holds.
fn await_that(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(pid: u32) {
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -9 {pid}")])
        .status();
    assert!(killed.expect("a shell").success());
}

/// Two processes with more to do than the test has time for.
fn long() -> std::process::Child {
    let child = Command::new(env!("CARGO_BIN_EXE_rivet"))
        .args(["diff", "--neighbours", "--random", "1000000000"])
        .args(["--jobs", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("the command starts");
    await_that("two processes start", || children(child.id()).len() == 2);
    child
}

#[test]
fn a_process_that_dies_is_reported_with_its_seeds_and_ends_the_others() {
    let child = long();
    let shares = children(child.id());
    kill(shares[0]);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for part in ["signal: 9", "from seed", "--random 500000"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    for share in shares {
        let gone = !std::path::Path::new(&format!("/proc/{share}")).exists();
        assert!(gone, "process {share} is left");
    }
}

#[test]
fn processes_end_when_the_one_that_started_them_is_killed() {
    let mut child = long();
    let shares = children(child.id());
    kill(child.id());
    child.wait().expect("it has ended");
    let running = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    await_that("no process is left", || !shares.iter().any(running));
}
