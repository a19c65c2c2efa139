//! Rules about source files. Each looks at a whole tree and returns what breaks it.

use crate::manifest::package_folders;
use crate::source::{Finding, Rust, Tree, functions, line_of, words};

/// The only files of crates in which the keyword `unsafe` may stand.
const DOORS: &[&str] = &[
    // System calls that make and change mappings.
    "paging/src/sys/linux.rs",
    "paging/src/sys/page_tables.rs",
    // Signals.
    "paging/src/sys/signals/alt_stack.rs",
    "paging/src/sys/signals/chain.rs",
    "paging/src/sys/signals/frame.rs",
    "paging/src/sys/signals/mod.rs",
    "paging/src/sys/signals/scope.rs",
    // Code memory.
    "jit/src/memory/sys.rs",
    "jit/src/process.rs",
    // Entering generated code, and what it is entered with.
    "jit/src/context.rs",
    "jit/src/gs.rs",
    "jit/src/run.rs",
    "jit/src/stubs.rs",
    "jit/src/support.rs",
];

/// Tests and benchmarks that play the host of the crates with doors: they map memory, raise
/// signals and set segment bases of their own, or hand memory to an engine whose interface asks for
/// a promise.
const HOSTS: &[&str] = &[
    "paging/tests/",
    "jit/tests/",
    "engine/tests/",
    "benches/benches/",
    "benches/peers/src/bin/peer-sbpf/main.rs",
];

/// Folders of crates with doors; their roots deny `unsafe` and open it per module.
const CRATES_WITH_DOORS: &[&str] = &["paging/", "jit/"];

/// Guest programs: they run inside the machine, not in the host.
const GUESTS: &str = "guests/";

/// Ceiling and alarm for the code lines of a file.
pub(crate) const MAX_FILE_LINES: usize = 600;
pub(crate) const LONG_FILE_LINES: usize = 400;

/// Ceiling for the lines of a function, signature and closing brace included.
const MAX_FUNCTION_LINES: usize = 70;

/// Functions that are one flat list of cases or checks, a line or two each.
const LISTS: &[(&str, &str)] = &[
    ("benches/benches/paging.rs", "table"),
    ("interp/tests/common/semantics.rs", "value_x"),
    ("loader/tests/support/machine.rs", "run"),
    ("jit/tests/common/semantics.rs", "expected"),
];

/// Runs the tests that are too long for every change.
const LONG_TESTS: &str = "cargo test --release --workspace -- --ignored";

/// The instruction table, where the groups of instructions get their names.
const TABLE: &str = "isa/src/table.rs";

/// Folders with one file per extension.
const PER_EXTENSION: &[&str] = &["interp/src/exec/", "jit/src/lower/"];

fn at_word(path: &str, text: &str, word: &str, what: &str) -> Vec<Finding> {
    let lines = words(text, word).map(|at| line_of(text, at));
    let mut findings: Vec<_> = lines.map(|line| Finding::new(path, line, what)).collect();
    findings.dedup();
    findings
}

/// `unsafe` outside the doors, and doors that need it no longer.
pub(crate) fn doors(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let elsewhere = |path: &str| HOSTS.iter().chain([&GUESTS]).any(|f| path.starts_with(f));
    for (path, rust) in tree.rust().filter(|(path, _)| !elsewhere(path)) {
        let found = at_word(path, &rust.code, "unsafe", "`unsafe` outside the doors");
        match (DOORS.contains(&path), found.is_empty()) {
            (false, _) => findings.extend(found),
            (true, true) => {
                let what = "listed as a door but holds no `unsafe`: take it off the list";
                findings.push(Finding::new(path, 0, what));
            }
            (true, false) => {}
        }
    }
    findings
}

/// Whether `path`, relative to its package, is the root of a library, binary or build script.
fn is_crate_root(path: &str) -> bool {
    let in_bin = path.strip_prefix("src/bin/");
    let binary = in_bin.is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"));
    binary || matches!(path, "src/lib.rs" | "src/main.rs" | "build.rs")
}

/// Crate roots that do not forbid `unsafe`, or at least deny it where the crate has doors.
pub(crate) fn unsafe_attributes(tree: &Tree) -> Vec<Finding> {
    let attributes = ["#![forbid(unsafe_code)]", "#![deny(unsafe_code)]"];
    let mut findings = Vec::new();
    for folder in package_folders(tree) {
        let doors = CRATES_WITH_DOORS.contains(&folder.as_str());
        let good = &attributes[..if doors { 2 } else { 1 }];
        for (path, rust) in tree.rust() {
            let root = path.strip_prefix(&folder).is_some_and(is_crate_root);
            if root && !rust.code.lines().any(|line| good.contains(&line.trim())) {
                findings.push(Finding::new(path, 1, format!("add `{}`", good[0])));
            }
        }
    }
    findings
}

/// The files with at least `least` code lines.
fn files_of(tree: &Tree, least: usize) -> Vec<Finding> {
    let counted = tree.rust().map(|(path, rust)| (path, rust.code_lines()));
    let long = counted.filter(|(_, lines)| *lines >= least);
    long.map(|(path, lines)| Finding::new(path, 0, format!("{lines} code lines")))
        .collect()
}

/// Files over the ceiling.
pub(crate) fn file_length(tree: &Tree) -> Vec<Finding> {
    files_of(tree, MAX_FILE_LINES + 1)
}

/// Files at the alarm or over it.
pub(crate) fn long_files(tree: &Tree) -> Vec<Finding> {
    files_of(tree, LONG_FILE_LINES)
}

/// Functions over the ceiling.
pub(crate) fn function_length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, rust) in tree.rust() {
        for function in functions(&rust.code) {
            let name = function.name.as_str();
            if function.lines > MAX_FUNCTION_LINES && !LISTS.contains(&(path, name)) {
                let what = format!("`{name}` has {} lines", function.lines);
                findings.push(Finding::new(path, function.line, what));
            }
        }
    }
    findings
}

/// Files of crates that do not begin with a module's documentation.
pub(crate) fn module_docs(tree: &Tree) -> Vec<Finding> {
    let folders: Vec<_> = package_folders(tree)
        .iter()
        .map(|folder| format!("{folder}src/"))
        .collect();
    let sources = tree.files().filter(|(path, _)| {
        path.ends_with(".rs")
            && folders
                .iter()
                .any(|folder| path.starts_with(folder.as_str()))
    });
    let bare = sources.filter(|(_, text)| !text.trim_start().starts_with("//! "));
    bare.map(|(path, _)| Finding::new(path, 1, "begin with `//!`: what the file is for"))
        .collect()
}

/// Unfinished or forgotten code, and tests that do not run: one may be ignored for its length
/// if it says so and the justfile runs it.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Finding> {
    let recipes = tree.get("justfile").unwrap_or_default();
    let long_tests_run = recipes.lines().any(|line| line.trim() == LONG_TESTS);
    let mut findings = Vec::new();
    for (path, Rust { code, .. }) in tree.rust() {
        for name in ["todo", "unimplemented", "dbg"] {
            for at in words(&code, name).filter(|at| code[at + name.len()..].starts_with('!')) {
                let what = format!("`{name}!` is left over");
                findings.push(Finding::new(path, line_of(&code, at), what));
            }
        }
        for at in words(&code, "ignore") {
            let before = code[..at].trim_end();
            let ignores = before.ends_with("#[") || before.ends_with(',') && in_attribute(before);
            let reason = code[at + "ignore".len()..].trim_start().starts_with('=');
            if ignores && !(reason && long_tests_run) {
                let what = "a test that never runs proves nothing: give the reason, and the \
                            justfile a recipe that runs it";
                findings.push(Finding::new(path, line_of(&code, at), what));
            }
        }
    }
    findings
}

/// Whether the last line of `before` is inside `#[cfg_attr(…`.
fn in_attribute(before: &str) -> bool {
    let line = before.lines().next_back().unwrap_or_default();
    line.trim_start().starts_with("#[cfg_attr")
}

/// Files that people write: all text but the lock files.
fn written(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files()
        .filter(|(path, _)| !path.ends_with("Cargo.lock"))
}

/// Paths that exist on one machine only, and hosts of package registries.
pub(crate) fn machine_names(tree: &Tree) -> Vec<Finding> {
    // Spelled in two halves: this file is part of the tree.
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "wt"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("npmjs", "."),
        concat!("debian", ".org"),
    ];
    let mut findings = Vec::new();
    for (path, text) in written(tree) {
        for needle in needles {
            for (at, _) in text.match_indices(needle) {
                let what = format!("`{needle}` belongs to a machine, not to the source");
                findings.push(Finding::new(path, line_of(text, at), what));
            }
        }
    }
    findings
}

/// Words that stand for work that was put off.
pub(crate) fn put_off(tree: &Tree) -> Vec<Finding> {
    let needles = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("HA", "CK"),
        concat!("XX", "X"),
    ];
    let mut findings = Vec::new();
    for (path, text) in written(tree) {
        for needle in needles {
            let what = format!("`{needle}`: do it or leave it out");
            findings.extend(at_word(path, text, needle, &what));
        }
    }
    findings
}

/// Groups of the instruction table: file name and visitor trait, from the rows `Zba by VisitZba {`.
fn extensions(table: &str) -> Vec<(String, String)> {
    let rows = table.lines().filter_map(|line| {
        let (name, visitor) = line.trim().strip_suffix(" {")?.split_once(" by ")?;
        Some((name.to_lowercase(), visitor.to_owned()))
    });
    rows.collect()
}

/// Extensions whose visitor is not in the file of their name, and files of no extension.
pub(crate) fn one_file_per_extension(tree: &Tree) -> Vec<Finding> {
    let extensions = extensions(tree.get(TABLE).unwrap_or_default());
    if extensions.is_empty() {
        return vec![Finding::new(
            TABLE,
            0,
            "no row `Name by Visitor {` is there",
        )];
    }
    let mut findings = Vec::new();
    for folder in PER_EXTENSION {
        let files = || tree.rust().filter(|(path, _)| path.starts_with(folder));
        if files().next().is_none() {
            continue;
        }
        for (name, visitor) in &extensions {
            let own = format!("{folder}{name}.rs");
            let implements = |rust: &Rust| {
                words(&rust.code, &format!("{visitor} for"))
                    .next()
                    .is_some()
            };
            if !files().any(|(path, rust)| path == own && implements(&rust)) {
                let what = format!("`impl {visitor}` belongs here");
                findings.push(Finding::new(&own, 0, what));
            }
            let elsewhere = files().filter(|(path, rust)| *path != own && implements(rust));
            for (path, _) in elsewhere {
                let what = format!("`impl {visitor}` belongs in {own}");
                findings.push(Finding::new(path, 0, what));
            }
        }
    }
    findings
}

/// Prebuilt guests that no script rebuilds, and guests that were not built.
pub(crate) fn prebuilt_guests(tree: &Tree) -> Vec<Finding> {
    let script = tree.get("guests/build.sh").unwrap_or_default();
    let stem = |path: &str, folder: &str, suffix: &str| {
        let name = path.strip_prefix(folder)?.strip_suffix(suffix)?;
        Some(name.to_owned())
    };
    let mut findings = Vec::new();
    for (path, _) in tree.files() {
        if let Some(name) = stem(path, "guests/prebuilt/", ".elf") {
            let source = tree.contains(&format!("guests/c/{name}.c"));
            let named = script
                .lines()
                .any(|line| line.starts_with(&format!("guest {name} ")));
            let crate_of_its_own = tree.contains(&format!("guests/rust/{name}/Cargo.toml"));
            if !source && !named && !crate_of_its_own {
                findings.push(Finding::new(
                    path,
                    0,
                    "guests/build.sh does not make this file",
                ));
            }
        }
        if let Some(name) = stem(path, "guests/c/", ".c").filter(|name| name != "native")
            && !tree.contains(&format!("guests/prebuilt/{name}.elf"))
        {
            findings.push(Finding::new(path, 0, "has no file in guests/prebuilt"));
        }
    }
    findings
}

/// The two commands a newcomer is told, and the files that must hold them on a line.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "cargo run --release --bin rivet -- run guests/prebuilt/hello.elf",
        &["README.md", ".ci/run"],
    ),
    (
        "cargo test --workspace",
        &["README.md", ".ci/run", "justfile"],
    ),
];

/// Commands that are not the same everywhere.
pub(crate) fn same_commands(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (command, paths) in COMMANDS {
        for path in *paths {
            let mut lines = tree.get(path).unwrap_or_default().lines().map(str::trim);
            let there = |line: &str| line.strip_prefix("step ").unwrap_or(line) == *command;
            if !lines.any(there) {
                findings.push(Finding::new(path, 0, format!("no line is `{command}`")));
            }
        }
    }
    findings
}
