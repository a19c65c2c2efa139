//! Cargo manifests and the law of dependencies between the workspace's crates.

use crate::source::{Finding, Tree, is_guest};
use toml::{Table, Value};

/// A crate and what it may depend on. What is not here is refused.
const LAW: &[(&str, &[&str])] = &[
    ("rivet-mutants", &[]),
    ("rivet-isa", &["rivet-mutants"]),
    ("rivet-paging", &["rivet-mutants"]),
    ("rivet-interp", &["rivet-isa", "rivet-mutants"]),
    ("rivet-image", &["rivet-isa"]),
    ("rivet-jit", &["rivet-isa", "rivet-paging", "rivet-mutants"]),
    ("rivet-loader", &["rivet-isa", "rivet-image"]),
    (
        "rivet-engine",
        &[
            "rivet-isa",
            "rivet-interp",
            "rivet-paging",
            "rivet-jit",
            "rivet-image",
            "rivet-mutants",
        ],
    ),
    (
        "rivet",
        &[
            "rivet-isa",
            "rivet-interp",
            "rivet-paging",
            "rivet-jit",
            "rivet-image",
            "rivet-loader",
            "rivet-engine",
        ],
    ),
    (
        "rivet-benches",
        &[
            "rivet-isa",
            "rivet-interp",
            "rivet-paging",
            "rivet-jit",
            "rivet-image",
            "rivet-loader",
            "rivet-engine",
            "rivet",
        ],
    ),
];

/// Edges refused even between tests: an engine tested against itself proves nothing, and the
/// page manager and the linker serve others than the engine.
const NEVER: &[(&str, &str)] = &[
    ("rivet-jit", "rivet-interp"),
    ("rivet-interp", "rivet-jit"),
    ("rivet-paging", "rivet-isa"),
    ("rivet-image", "rivet-loader"),
    ("rivet-loader", "rivet-engine"),
];

/// Whether an edge is part of the crate or only of its tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Build,
    Tests,
}

struct Manifest<'a> {
    path: &'a str,
    text: &'a str,
    table: Table,
}

/// The manifests of the workspace. A manifest below the root with a workspace of its own belongs
/// to another target: guests, fuzzing.
fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    let files = tree.files().filter(|(path, _)| !is_guest(path));
    let files = files.filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"));
    let parsed = files.map(|(path, text)| Manifest {
        path,
        text,
        table: text.parse().unwrap_or_else(|e| panic!("{path}: {e}")),
    });
    parsed
        .filter(|manifest| {
            manifest.path == "Cargo.toml" || !manifest.table.contains_key("workspace")
        })
        .collect()
}

impl Manifest<'_> {
    /// The package's name; `None` for a workspace without a root package.
    fn name(&self) -> Option<&str> {
        self.table.get("package")?.get("name")?.as_str()
    }

    /// The line that declares the dependency `name`, or the package itself.
    fn line(&self, name: &str) -> usize {
        let declares = |line: &str| {
            let rest = line.strip_prefix(name).map(str::trim_start);
            let key = rest.is_some_and(|rest| rest.starts_with(['.', '=']));
            key || line.contains(&format!("package = \"{name}\""))
        };
        let lines = || self.text.lines();
        let names = |line: &str| line == format!("name = \"{name}\"");
        let found = lines().position(declares);
        found
            .or_else(|| lines().position(names))
            .map_or(0, |line| line + 1)
    }

    fn edges(&self) -> Vec<(String, Use)> {
        let mut edges = Vec::new();
        let targets = self.table.get("target").and_then(Value::as_table);
        let nested = targets.into_iter().flat_map(Table::values);
        let tables = nested.filter_map(Value::as_table).chain([&self.table]);
        for table in tables {
            for (section, kind) in [
                ("dependencies", Use::Build),
                ("build-dependencies", Use::Build),
                ("dev-dependencies", Use::Tests),
            ] {
                let Some(section) = table.get(section).and_then(Value::as_table) else {
                    continue;
                };
                for (key, value) in section {
                    let renamed = value.get("package").and_then(Value::as_str);
                    edges.push((renamed.unwrap_or(key).to_owned(), kind));
                }
            }
        }
        edges
    }
}

fn law(name: &str) -> Option<&'static [&'static str]> {
    let row = LAW.iter().find(|(row, _)| *row == name);
    row.map(|(_, allowed)| *allowed)
}

/// Whether `from` may depend on `to`; both are crates of the workspace.
fn allowed(from: &str, to: &str, kind: Use) -> bool {
    if NEVER.contains(&(from, to)) || (to == "rivet" && from != "rivet-benches") {
        return false;
    }
    let named = law(from).is_some_and(|row| row.contains(&to));
    // Tests may use more, but not a crate that stands on the one they test.
    let above = law(to).is_some_and(|row| row.contains(&from));
    named || (kind == Use::Tests && !above)
}

/// Edges between crates of the workspace that the law does not know.
pub(crate) fn dependency_law(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        let Some(name) = manifest.name() else {
            continue;
        };
        if law(name).is_none() {
            let what = format!("crate `{name}` has no row in the law of dependencies");
            findings.push(Finding::new(manifest.path, manifest.line(name), what));
            continue;
        }
        for (to, kind) in manifest.edges() {
            let ours = to == "rivet" || to.starts_with("rivet-");
            if ours && !allowed(name, &to, kind) {
                let what = format!("`{name}` must not depend on `{to}`");
                findings.push(Finding::new(manifest.path, manifest.line(&to), what));
            }
        }
    }
    findings
}

/// Crates that do not take the workspace's lints.
pub(crate) fn lints(tree: &Tree) -> Vec<Finding> {
    let inherits = |manifest: &Manifest<'_>| {
        let lints = manifest.table.get("lints");
        lints.and_then(|lints| lints.get("workspace")) == Some(&Value::Boolean(true))
    };
    let manifests = manifests(tree).into_iter();
    let bare = manifests.filter(|manifest| manifest.name().is_some() && !inherits(manifest));
    bare.map(|manifest| Finding::new(manifest.path, 0, "add `[lints] workspace = true`"))
        .collect()
}

/// No lock file, or a banned crate in it. The bans are those of `deny.toml`.
pub(crate) fn lock_file(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.get("Cargo.lock") else {
        return vec![Finding::new("Cargo.lock", 0, "the lock file is missing")];
    };
    let deny: Table = tree
        .get("deny.toml")
        .unwrap_or_default()
        .parse()
        .unwrap_or_else(|e| panic!("deny.toml: {e}"));
    let bans = deny.get("bans").and_then(|bans| bans.get("deny"));
    let bans = bans.and_then(Value::as_array).into_iter().flatten();
    let banned: Vec<&str> = bans
        .filter_map(|ban| ban.get("crate").and_then(Value::as_str))
        .collect();
    if banned.is_empty() {
        return vec![Finding::new("deny.toml", 0, "no banned crates are listed")];
    }
    let mut findings = Vec::new();
    for (index, line) in lock.lines().enumerate() {
        let name = line.strip_prefix("name = \"");
        let name = name.and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| banned.contains(name)) {
            let what = format!("`{name}` is banned in deny.toml");
            findings.push(Finding::new("Cargo.lock", index + 1, what));
        }
    }
    findings
}

/// The folders of all packages, each ending in `/` except the root, which is empty.
pub(crate) fn package_folders(tree: &Tree) -> Vec<String> {
    let packages = manifests(tree).into_iter();
    let packages = packages.filter(|manifest| manifest.name().is_some());
    packages
        .map(|manifest| manifest.path.trim_end_matches("Cargo.toml").to_owned())
        .collect()
}
