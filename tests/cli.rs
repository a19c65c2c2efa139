//! The command as scripts and people meet it.

mod support;

use serde_json::json;
use std::fs;
use std::path::Path;
use support::{json as parse, path, rivet, stderr};

/// A file of assembled code in a folder of its own.
struct Code {
    folder: tempfile::TempDir,
}

impl Code {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("code.bin"),
            rivet::isa::asm::assemble(text).unwrap(),
        )
        .unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, serde_json::Value) {
        let file = self.path("code.bin");
        let mut all = vec!["run", "--json", "--raw"];
        all.extend_from_slice(args);
        all.push(&file);
        let output = rivet(&all);
        (output.status.code(), parse(&output))
    }
}

#[test]
fn json_has_exactly_the_documented_fields() {
    let (status, report) = Code::new("trap").run(&["--gas", "5"]);
    assert_eq!(status, Some(1));
    let mut names: Vec<&str> = report
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    let mut expected = vec![
        "exit",
        "exit_code",
        "pc",
        "regs",
        "value",
        "gas_used",
        "gas_left",
        "private_pages",
        "memory_hash",
        "compile_ns",
        "run_ns",
        "translated_bytes",
        "native_bytes",
        "engine",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(report["exit"], "trap");
    assert_eq!(report["exit_code"], 7);
    assert_eq!(report["regs"], json!(vec!["0x0"; 15]));
    // BLAKE2b-256 of nothing.
    assert_eq!(
        report["memory_hash"],
        "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
    );
}

#[test]
fn each_exit_has_its_name_code_and_payload() {
    let cases = [
        ("ecalli 0", "halt", 0, 4, 0),
        (".half 0", "panic", 1, 0, 1),
        ("fallthrough", "panic", 1, 4, 1),
        ("lui a0, 0\n ld a1, 0(a0)", "page-fault", 3, 4, 23),
        ("ecalli 5", "host-call", 4, 4, 0),
        ("ecall.jar", "ecall", 6, 4, 0),
        ("trap", "trap", 7, 0, 1),
    ];
    for (text, exit, code, pc, used) in cases {
        let (status, report) = Code::new(text).run(&["--gas", "1000"]);
        assert_eq!(report["exit"], exit, "{text}");
        assert_eq!(report["exit_code"], code, "{text}");
        assert_eq!(report["pc"], pc, "{text}");
        assert_eq!(status, Some(i32::from(exit != "halt")), "{text}");
        let used = if exit == "halt" { 100 } else { used };
        assert_eq!(report["gas_used"], used, "{text}");
        assert_eq!(
            report["page"].as_u64(),
            (exit == "page-fault").then_some(0),
            "{text}"
        );
        assert_eq!(
            report["selector"].as_u64(),
            (exit == "host-call").then_some(5),
            "{text}"
        );
    }
    let (_, report) = Code::new("ecalli -2").run(&["--gas", "99"]);
    assert_eq!(
        (&report["exit"], &report["pc"]),
        (&json!("out-of-gas"), &json!(0))
    );
    assert_eq!(report["gas_left"], 99);
}

#[test]
fn raw_runs_take_entry_registers_maps_and_dumps() {
    let code = Code::new("trap\n ld a1, 0(a0)\n sd a1, 8(a0)\n ecalli 0");
    fs::write(code.path("in"), 0x1122_3344_5566_7788u64.to_le_bytes()).unwrap();
    let map = format!("0x10000000:0x1000={}", code.path("in"));
    let dump = format!("0x0fffffff:20={}", code.path("out"));
    let args = [
        "--entry",
        "4",
        "--reg",
        "7=1",
        "--reg",
        "7=0x10000000",
        "--map",
        &map,
    ];
    let args = [&args[..], &["--dump", &dump]].concat();
    let (status, report) = code.run(&args);
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(report["regs"][8], "0x1122334455667788");
    assert_eq!(report["private_pages"], 1);
    let mut expected = vec![0];
    expected.extend_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
    expected.extend_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
    expected.extend_from_slice(&[0; 3]);
    assert_eq!(fs::read(code.path("out")).unwrap(), expected);

    let map = format!("0x10000000:0x1000:ro={}", code.path("in"));
    let (_, report) = code.run(&["--entry", "4", "--reg", "7=0x10000000", "--map", &map]);
    assert_eq!(
        (&report["exit"], &report["page"]),
        (&json!("page-fault"), &json!(0x1000_0000))
    );
    assert_eq!(report["pc"], 8);

    let (_, report) = code.run(&["--entry", "0xffffffffffffffff"]);
    assert_eq!(report["exit"], "panic");
    assert_eq!(report["pc"].as_u64(), Some(u64::MAX));
}

#[test]
fn guest_output_and_report_never_share_a_stream() {
    let elf = path("guests/prebuilt/hello.elf");
    let elf = elf.to_str().unwrap();
    let plain = rivet(&["run", "--arg", "1", elf]);
    assert_eq!(
        String::from_utf8_lossy(&plain.stdout),
        "hello from a PVM2 guest, line 1\n"
    );
    let summary = stderr(&plain);
    for part in ["halt: value", "gas:", "pages:"] {
        assert!(summary.contains(part), "{summary}");
    }
    let machine = rivet(&["run", "--arg", "1", "--json", elf]);
    assert_eq!(stderr(&machine), "hello from a PVM2 guest, line 1\n");
    assert_eq!(parse(&machine)["exit"], "halt");
}

/// The command refuses these arguments in one line that says so.
#[track_caller]
fn refused(args: &[&str], expected: &str) {
    let output = rivet(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert!(text.contains(expected), "{args:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

#[test]
fn unusable_files_are_one_line_on_standard_error_and_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let empty = at(&folder.path().join("empty"));
    fs::write(&empty, b"").unwrap();
    refused(
        &["run", &at(&folder.path().join("missing"))],
        "No such file",
    );
    refused(&["run", &at(folder.path())], "is a directory");
    refused(&["run", &empty], "is empty");
    refused(&["run", "/dev/null"], "pipe or device");
    let code = Code::new("trap");
    let outside = format!("0:1={}", code.path("nowhere/out"));
    refused(
        &["run", "--raw", "--dump", &outside, &code.path("code.bin")],
        "cannot write",
    );
}

#[test]
fn unusable_arguments_are_one_line_on_standard_error_and_status_2() {
    let folder = Code::new("trap");
    let code = folder.path("code.bin");
    let raw = |args: &[&str], expected: &str| {
        let args = [&["run", "--raw"], args, &[code.as_str()]].concat();
        refused(&args, expected);
    };
    raw(&["--gas", "lots"], "expected an unsigned 64-bit number");
    raw(&["--gas", "0x8000000000000000"], "below 2^63");
    raw(&["--gas", "-1"], "-1");
    raw(&["--gas", "+1"], "expected an unsigned");
    raw(&["--reg", "15=0"], "slots are 0..=14");
    raw(&["--reg", "1"], "expected SLOT=VALUE");
    raw(&["--arg", "1"], "--arg");
    raw(&["--entry", "start"], "--entry `start`");
    raw(&["--map", "0x10000000:100"], "4 KiB pages");
    raw(&["--map", "0x1000:0x1000"], "4 KiB pages");
    raw(&["--map", "0x10000000:0"], "4 KiB pages");
    raw(&["--map", "0xfffff000:0x2000"], "4 KiB pages");
    raw(&["--map", "0x10000000:0x1000:rw"], "`rw` is not `ro`");
    raw(
        &["--map", "0x10000000:0x2000", "--map", "0x10001000:0x1000"],
        "overlap",
    );
    raw(&["--engine", "warp"], "`warp` is not a backend");
    refused(&["link", &code], "--output");
    refused(&["frobnicate"], "frobnicate");
}

#[test]
fn a_map_file_longer_than_its_region_is_refused_and_a_shorter_one_padded() {
    let code = Code::new("trap");
    fs::write(code.path("long"), vec![1; 4097]).unwrap();
    let file = code.path("code.bin");
    let map = format!("0x10000000:0x1000={}", code.path("long"));
    let output = rivet(&["run", "--raw", "--map", &map, &file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("enlarge"), "{}", stderr(&output));
}

#[test]
fn every_command_explains_itself_with_examples() {
    for command in ["run", "snap", "link", "cc", "dis", "gas", "doctor"] {
        let output = rivet(&[command, "--help"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("Examples:"),
            "{command}: {text}"
        );
    }
}

#[test]
fn the_blocks_that_gas_lists_have_the_golden_costs() {
    // Block G20 of gas §17, a copy loop body, and the program's end.
    let code = Code::new(
        "ld a3, 0(a1)\n sd a3, 0(a0)\n addi a1, a1, 8\n addi a0, a0, 8\n bltu a0, a2, -16\n ecalli 0",
    );
    let output = rivet(&["gas", "--raw", "--json", &code.path("code.bin")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["cost"], &lines[0]["reserve"]),
        (&json!(47), &json!(512))
    );
    assert_eq!(lines[0]["instructions"], 5);
    assert_eq!(
        (&lines[1]["pc"], &lines[1]["cost"]),
        (&json!(20), &json!(0))
    );
    assert_eq!(lines[2]["total_cost"], 47);
}

#[test]
fn dis_shows_starts_targets_reserved_words_and_the_partial_tail() {
    let code = Code::new("c.li a0, 5\n beqz a0, -2\n .word 0x2b\n .byte 0x13");
    let output = rivet(&["dis", "--raw", &code.path("code.bin")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text,
        "*       0:  1545      addi a0, zero, 5\n\
         \u{20}       2:  e30f05fe  beq a0, zero, -2  # 0x0\n\
         *       6:  2b000000  reserved\n\
         \u{20}       a:  partial tail of 1 bytes\n"
    );
}

/// Runs the command with no room for a window.
#[cfg(target_os = "linux")]
fn cramped(args: &[&str]) -> std::process::Output {
    let command = "ulimit -v 3000000; exec \"$0\" \"$@\"";
    std::process::Command::new("sh")
        .args(["-c", command, env!("CARGO_BIN_EXE_rivet")])
        .args(args)
        .output()
        .unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn without_room_for_a_window_the_interpreter_runs_and_everything_says_so() {
    let code = Code::new("li a0, 5\n fallthrough\n ecalli 0");
    let file = code.path("code.bin");
    let found = parse(&cramped(&["doctor", "--json"]));
    assert_eq!(found["recompiler"]["ok"], json!(false));
    let tracking = found["first writes"]["finding"].as_str().unwrap();
    assert!(tracking.starts_with("in software"), "{tracking}");
    let output = cramped(&["run", "--raw", "--json", &file]);
    let report = parse(&output);
    assert_eq!(
        (&report["engine"], &report["value"]),
        (&json!("interp"), &json!("0x5"))
    );
    assert!(report["fallback"].is_string(), "{report}");
    let output = cramped(&["run", "--raw", "--stats", &file]);
    assert!(
        stderr(&output).contains("no recompiler: "),
        "{}",
        stderr(&output)
    );
    for engine in ["jit", "checked"] {
        let output = cramped(&["run", "--raw", "--engine", engine, &file]);
        assert_eq!(output.status.code(), Some(2), "{engine}");
        assert!(
            stderr(&output).contains("cannot run here"),
            "{}",
            stderr(&output)
        );
    }
}
