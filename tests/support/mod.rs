//! What the integration tests share: the command, its JSON, the guests' recorded values.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The `rivet` command.
pub(crate) fn rivet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rivet"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the rivet command starts")
}

/// Standard output as one JSON object on one line.
pub(crate) fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).expect("JSON is UTF-8");
    assert_eq!(text.lines().count(), 1, "one line expected, got {text:?}");
    serde_json::from_str(&text).expect("standard output is JSON")
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path below the repository's root.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// One row of `guests/native-values.tsv`: what a guest's C gives when compiled natively.
#[derive(Clone, Debug)]
pub(crate) struct Native {
    pub(crate) guest: String,
    pub(crate) arg: String,
    pub(crate) exit: String,
    pub(crate) value: Option<String>,
    pub(crate) page: Option<u64>,
    pub(crate) stdout: String,
}

/// The recorded native values.
pub(crate) fn native_values() -> Vec<Native> {
    let text = std::fs::read_to_string(path("guests/native-values.tsv")).expect("file is there");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let [guest, arg, exit, value, page, stdout, ..] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("row with too few columns: {line}")
        };
        Native {
            guest: guest.to_owned(),
            arg: arg.to_owned(),
            exit: exit.to_owned(),
            value: (value != "-").then(|| value.to_owned()),
            page: page
                .strip_prefix("0x")
                .map(|hex| u64::from_str_radix(hex, 16).expect("hex")),
            stdout: stdout.replace("\\n", "\n"),
        }
    })
    .collect()
}

/// The executables of a guest: `NAME.elf` and its variants `NAME-*.elf`.
pub(crate) fn executables(guest: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path("guests/prebuilt")).expect("folder is there") {
        let file = entry.expect("entry is readable").path();
        let name = file
            .file_stem()
            .expect("file has a name")
            .to_string_lossy()
            .into_owned();
        if name.split('-').next() == Some(guest) && file.extension().is_some_and(|e| e == "elf") {
            found.push(file);
        }
    }
    found.sort();
    found
}
