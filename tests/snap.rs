//! Paused runs on the command line: saved, moved, compared, resumed.

mod support;

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{json, path, rivet, stderr};

/// A folder for the files of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn guest(name: &str) -> String {
    path(&format!("guests/prebuilt/{name}.elf"))
        .to_str()
        .unwrap()
        .to_owned()
}

/// `rivet` with these bytes on standard input.
fn fed(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rivet"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses early does not read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn done(output: &Output) -> &Output {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    output
}

/// What must not depend on pauses and engines.
fn result(report: &Value) -> Vec<Value> {
    let names = [
        "exit",
        "pc",
        "regs",
        "gas_left",
        "private_pages",
        "memory_hash",
    ];
    names.into_iter().map(|name| report[name].clone()).collect()
}

/// Pauses `hello` after this much gas and keeps it in `name`.
fn paused(folder: &Folder, gas: u64, name: &str) -> String {
    let (state, when) = (folder.file(name), format!("gas={gas}"));
    done(&rivet(&[
        "run",
        "--until",
        &when,
        "--save",
        &state,
        &guest("hello"),
    ]));
    state
}

#[test]
fn a_run_saved_on_one_engine_ends_on_another_as_if_it_had_not_stopped() {
    let folder = Folder::new();
    let state = folder.file("state.snap");
    for (name, arg) in [("hello", None), ("fib", Some("15")), ("alloc", None)] {
        let mut args = vec!["run", "--json"];
        args.extend(arg.map(|arg| ["--arg", arg]).into_iter().flatten());
        let program = guest(name);
        args.push(&program);
        let whole = json(&rivet(&args));
        let used = whole["gas_used"].as_u64().unwrap();
        let engines = [("interp", "auto"), ("auto", "interp"), ("auto", "auto")];
        for (part, (first, second)) in (1..4).zip(engines) {
            let when = format!("gas={}", used * part / 4);
            let mut args = args.clone();
            args.extend(["--engine", first, "--until", &when, "--save", &state]);
            let output = rivet(&args);
            let report = json(done(&output));
            assert_eq!(
                (&report["exit"], &report["paused"]),
                (&"paused".into(), &"gas".into())
            );
            assert_eq!(report["saved"], state);
            assert_eq!(report.get("exit_code"), None);
            let resumed = rivet(&["snap", "resume", "--engine", second, "--json", &state]);
            let resumed_report = json(&resumed);
            assert_eq!(result(&resumed_report), result(&whole), "{name} at {when}");
            let sum =
                report["gas_used"].as_u64().unwrap() + resumed_report["gas_used"].as_u64().unwrap();
            assert_eq!(sum, used);
            // What the guest wrote before and after is what it writes in one run.
            assert_eq!(
                stderr(&output) + &stderr(&resumed),
                stderr(&rivet(&args[..args.len() - 6]))
            );
        }
    }
}

#[test]
fn runs_pause_at_blocks_by_name_at_calls_and_before_they_begin() {
    let folder = Folder::new();
    let (state, next) = (folder.file("a.snap"), folder.file("b.snap"));
    let hello = guest("hello");
    done(&rivet(&[
        "run",
        "--until",
        "block=main",
        "--save",
        &state,
        &hello,
    ]));
    let at_main = json(&rivet(&["snap", "info", "--json", &state]));
    assert_eq!(at_main["pending"], Value::Null);
    done(&rivet(&[
        "snap", "resume", "--until", "call", "--save", &next, &state,
    ]));
    let at_call = json(&rivet(&["snap", "info", "--json", &next]));
    assert_eq!(at_call["pending"], "host-call 0xffffffff, unpaid");
    assert_eq!(at_call["image"], at_main["image"]);
    let whole = json(&rivet(&["run", "--json", &hello]));
    for state in [&state, &next] {
        assert_eq!(
            result(&json(&rivet(&["snap", "resume", "--json", state]))),
            result(&whole)
        );
    }
    done(&rivet(&[
        "snap",
        "save",
        &state,
        "--arg",
        "10",
        &guest("fib"),
    ]));
    let report = json(&rivet(&["snap", "resume", "--json", &state]));
    assert_eq!(
        report["value"],
        json(&rivet(&["run", "--json", "--arg", "10", &guest("fib")]))["value"]
    );
}

#[test]
fn a_run_out_of_gas_is_kept_and_goes_on_with_more() {
    let folder = Folder::new();
    let state = folder.file("state.snap");
    let output = rivet(&["run", "--gas", "1000", "--save", &state, &guest("hello")]);
    assert_eq!(output.status.code(), Some(1), "it did not halt");
    let stuck = rivet(&["snap", "resume", "--json", &state]);
    assert_eq!(
        (stuck.status.code(), json(&stuck)["exit"].clone()),
        (Some(1), "out-of-gas".into())
    );
    let refilled = rivet(&["snap", "resume", "--json", "--gas", "100000", &state]);
    assert_eq!(json(done(&refilled))["exit"], "halt");
}

#[test]
fn a_run_that_is_over_leaves_no_file() {
    let folder = Folder::new();
    let output = rivet(&["run", "--save", &folder.file("state.snap"), &guest("hello")]);
    assert!(
        stderr(done(&output)).contains("not saved"),
        "{}",
        stderr(&output)
    );
    assert!(folder.names().is_empty());
}

#[test]
fn snapshots_go_through_pipes_and_arrive_whole_or_not_at_all() {
    let folder = Folder::new();
    let state = paused(&folder, 800, "here.snap");
    let there = folder.file("there.snap");
    let sent = rivet(&["snap", "send", &state]);
    let bytes = done(&sent).stdout.clone();
    assert_eq!(bytes, fs::read(&state).unwrap());
    for cut in [0, 8, 123, 124, 2000, bytes.len() - 1] {
        let output = fed(&["snap", "receive", &there], &bytes[..cut]);
        assert_eq!(output.status.code(), Some(2), "{cut} bytes");
        assert_eq!(folder.names(), ["here.snap"]);
    }
    let longer = [&bytes[..], b"!"].concat();
    assert!(stderr(&fed(&["snap", "receive", &there], &longer)).contains("extended"));
    for (at, what) in [
        (200, "image"),
        (bytes.len() - 1, "state"),
        (70, "header"),
        (8, "version"),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let output = fed(&["snap", "receive", &there], &damaged);
        assert!(
            stderr(&output).contains(what),
            "byte {at}: {}",
            stderr(&output)
        );
        assert_eq!((output.status.code(), folder.names().len()), (Some(2), 1));
    }
    done(&fed(&["snap", "receive", &there], &bytes));
    assert_eq!(fs::read(&there).unwrap(), bytes);
    // What was there stays if the next one does not arrive.
    fed(&["snap", "receive", &there], &bytes[..3000]);
    assert_eq!(fs::read(&there).unwrap(), bytes);
    assert_eq!(folder.names(), ["here.snap", "there.snap"]);
    let resumed = fed(&["snap", "resume", "--json", "-"], &bytes);
    assert_eq!(json(done(&resumed))["exit"], "halt");
}

#[test]
fn a_receiver_that_is_killed_leaves_nothing_behind() {
    let folder = Folder::new();
    let state = paused(&folder, 800, "here.snap");
    let bytes = fs::read(&state).unwrap();
    let mut receiver = Command::new(env!("CARGO_BIN_EXE_rivet"))
        .args(["snap", "receive", &folder.file("there.snap")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = receiver.stdin.take().unwrap();
    input.write_all(&bytes[..bytes.len() / 2]).unwrap();
    input.flush().unwrap();
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    assert_eq!(folder.names(), ["here.snap"]);
}

#[test]
fn a_state_without_its_image_needs_the_program_and_no_other() {
    let folder = Folder::new();
    let state = folder.file("state.snap");
    let hello = guest("hello");
    let save = [
        "run",
        "--until",
        "gas=800",
        "--without-image",
        "--save",
        &state,
        &hello,
    ];
    done(&rivet(&save));
    let alone = rivet(&["snap", "resume", &state]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(
        stderr(&alone).contains("name the program"),
        "{}",
        stderr(&alone)
    );
    let other = rivet(&["snap", "resume", &state, &guest("fib")]);
    assert_eq!(other.status.code(), Some(2));
    assert!(
        stderr(&other).contains("load that image"),
        "{}",
        stderr(&other)
    );
    done(&rivet(&["snap", "resume", &state, &hello]));
    let with = rivet(&["snap", "send", "--program", &hello, &state]);
    let sent = done(&with).stdout.clone();
    done(&fed(&["snap", "resume", "-"], &sent));
    let wrong = rivet(&["snap", "send", "--program", &guest("fib"), &state]);
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0));
    let without = rivet(&[
        "snap",
        "send",
        "--without-image",
        &folder.file("state.snap"),
    ]);
    assert_eq!(done(&without).stdout, fs::read(&state).unwrap());
}

#[test]
fn differences_are_shown_kept_and_put_together_again() {
    let folder = Folder::new();
    let states = [500, 800, 1200].map(|gas| paused(&folder, gas, &format!("{gas}.snap")));
    let [a, b, c] = states.each_ref().map(String::as_str);
    let same = rivet(&["snap", "diff", a, a]);
    assert_eq!(String::from_utf8_lossy(&done(&same).stdout), "equal\n");
    let diff = rivet(&["snap", "diff", "--json", a, b]);
    assert_eq!(diff.status.code(), Some(1));
    let report = json(&diff);
    assert_eq!(report["equal"], false);
    assert_eq!(report["gas"].as_array().unwrap().len(), 2);
    assert_eq!(report["pages"][0]["after"], "private");
    let (ab, bc) = (folder.file("ab.delta"), folder.file("bc.delta"));
    done(&rivet(&["snap", "diff", "--save", &ab, a, b]));
    done(&rivet(&["snap", "diff", "--save", &bc, b, c]));
    let info = json(&rivet(&["snap", "info", "--json", &ab]));
    assert_eq!(
        (&info["kind"], &info["has_image"]),
        (&"delta".into(), &false.into())
    );
    let flat = folder.file("flat.snap");
    done(&rivet(&[
        "snap", "flatten", "--base", a, "--base", &ab, &bc, "-o", &flat,
    ]));
    assert_eq!(fs::read(&flat).unwrap(), fs::read(c).unwrap());
    done(&rivet(&["snap", "resume", "--base", a, "--base", &ab, &bc]));
    let wrong = rivet(&["snap", "resume", "--base", c, &ab]);
    assert!(
        stderr(&wrong).contains("supply that base"),
        "{}",
        stderr(&wrong)
    );
    let none = rivet(&["snap", "resume", &ab]);
    assert!(stderr(&none).contains("--base"), "{}", stderr(&none));
}

#[test]
fn misuse_is_refused_with_the_remedy() {
    let folder = Folder::new();
    let hello = guest("hello");
    let cases: [(&[&str], &str); 8] = [
        (&["run", "--until", "gas", &hello], "gas=N, block=PC, call"),
        (
            &["run", "--until", "block=nowhere", &hello],
            "neither a symbol",
        ),
        (
            &["run", "--until", "block=1", &hello],
            "no block starts at 0x1",
        ),
        (
            &["run", "--save", "-", "--json", &hello],
            "leave out --json",
        ),
        (&["run", "--without-image", &hello], "--save"),
        (&["snap", "resume", &hello], "not a snapshot file"),
        (&["snap", "info", "/nonexistent"], "/nonexistent"),
        (
            &[
                "run",
                "--until",
                "gas=1",
                "--save",
                "/nonexistent/x",
                &hello,
            ],
            "/nonexistent/x",
        ),
    ];
    for (args, what) in cases {
        let output = rivet(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(what),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    let folder_path = folder.file("");
    let output = rivet(&["run", "--until", "gas=1", "--save", &folder_path, &hello]);
    assert_eq!(output.status.code(), Some(2));
    assert!(Path::new(&folder_path).is_dir());
}

#[test]
fn every_command_has_examples() {
    for command in [
        "save", "resume", "info", "diff", "flatten", "send", "receive",
    ] {
        let output = rivet(&["snap", command, "--help"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("Examples:"),
            "{command}: {text}"
        );
    }
}
