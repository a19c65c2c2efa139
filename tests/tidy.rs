//! The order of the tree, as rules that fail with file and line.
//!
//! Each rule has two tests: that the tree keeps it, and that a violation planted in a small tree
//! is reported. `tidy/source.rs` reads text, `tidy/manifest.rs` holds the law of dependencies,
//! `tidy/rules.rs` the rules about files.

#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use source::{Finding, Function, Rust, Tree, functions};
use std::path::Path;

type Rule = fn(&Tree) -> Vec<Finding>;

/// Fails with one line per finding.
#[track_caller]
fn keeps(rule: Rule) {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.contains("Cargo.toml"), "this is not the root");
    let findings = rule(&tree);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}", lines.join("\n"));
}

/// Fails unless the rule reports exactly these places, `path:line`.
#[track_caller]
fn reports(rule: Rule, files: &[(&str, &str)], places: &[&str]) {
    let findings = rule(&Tree::of(files));
    let found: Vec<String> = findings
        .iter()
        .map(|f| format!("{}:{}", f.path, f.line))
        .collect();
    assert_eq!(found, places, "{findings:#?}");
}

/// A manifest of a crate with these lines after its name.
fn crate_of(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\n{rest}")
}

#[test]
fn crates_depend_on_each_other_only_as_the_law_allows() {
    keeps(manifest::dependency_law);
}

#[test]
fn a_planted_edge_outside_the_law_is_reported() {
    let edges = [
        ("rivet-jit", "rivet-interp", "dependencies"),
        ("rivet-jit", "rivet-interp", "dev-dependencies"),
        ("rivet-interp", "rivet-jit", "dev-dependencies"),
        ("rivet-paging", "rivet-isa", "dev-dependencies"),
        ("rivet-loader", "rivet-engine", "dev-dependencies"),
        ("rivet-engine", "rivet-loader", "dependencies"),
        ("rivet-isa", "rivet-interp", "dev-dependencies"),
        ("rivet-engine", "rivet", "dev-dependencies"),
        ("rivet-isa", "rivet-image", "build-dependencies"),
        (
            "rivet-isa",
            "rivet-image",
            "target.'cfg(unix)'.dependencies",
        ),
    ];
    for (from, to, section) in edges {
        let text = crate_of(from, &format!("[{section}]\n{to}.workspace = true\n"));
        reports(
            manifest::dependency_law,
            &[("x/Cargo.toml", &text)],
            &["x/Cargo.toml:4"],
        );
    }
    let renamed = "[dependencies]\nother = { package = \"rivet-jit\", path = \"../jit\" }\n";
    let renamed = crate_of("rivet-interp", renamed);
    reports(
        manifest::dependency_law,
        &[("x/Cargo.toml", &renamed)],
        &["x/Cargo.toml:4"],
    );
    let unknown = crate_of("rivet-new", "");
    reports(
        manifest::dependency_law,
        &[("x/Cargo.toml", &unknown)],
        &["x/Cargo.toml:2"],
    );
    let guest = crate_of("words", "[workspace]\n");
    reports(manifest::dependency_law, &[("x/Cargo.toml", &guest)], &[]);
    let good = "[dependencies]\nrivet-isa.workspace = true\nlibc = \"1\"\n";
    let good = crate_of("rivet-jit", good);
    reports(manifest::dependency_law, &[("x/Cargo.toml", &good)], &[]);
    let tests = crate_of(
        "rivet-engine",
        "[dev-dependencies]\nrivet-loader.workspace = true\n",
    );
    reports(manifest::dependency_law, &[("x/Cargo.toml", &tests)], &[]);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    keeps(manifest::lints);
}

#[test]
fn a_planted_crate_with_lints_of_its_own_is_reported() {
    let own = crate_of("rivet-isa", "[lints.rust]\nmissing_docs = \"allow\"\n");
    let good = crate_of("rivet-jit", "[lints]\nworkspace = true\n");
    let files = [("isa/Cargo.toml", own.as_str()), ("jit/Cargo.toml", &good)];
    reports(manifest::lints, &files, &["isa/Cargo.toml:0"]);
}

#[test]
fn the_lock_file_is_there_and_holds_no_banned_crate() {
    keeps(manifest::lock_file);
}

#[test]
fn a_planted_banned_crate_or_a_missing_lock_file_is_reported() {
    let deny = "[bans]\ndeny = [{ crate = \"im\", reason = \"why\" }]\n";
    let lock = "[[package]]\nname = \"image\"\n\n[[package]]\nname = \"im\"\n";
    let files = [("deny.toml", deny), ("Cargo.lock", lock)];
    reports(manifest::lock_file, &files, &["Cargo.lock:5"]);
    reports(manifest::lock_file, &files[..1], &["Cargo.lock:0"]);
    reports(manifest::lock_file, &files[1..], &["deny.toml:0"]);
}

#[test]
fn unsafe_stands_only_in_the_doors() {
    keeps(rules::doors);
}

#[test]
fn a_planted_unsafe_and_a_door_without_any_are_reported() {
    let text = "// unsafe\nconst S: &str = \"unsafe\";\nfn f() {\n    unsafe { g() }\n}\n";
    reports(rules::doors, &[("isa/src/x.rs", text)], &["isa/src/x.rs:4"]);
    reports(rules::doors, &[("jit/src/run.rs", text)], &[]);
    let clean = "#![forbid(unsafe_code)]\n";
    reports(
        rules::doors,
        &[("jit/src/run.rs", clean)],
        &["jit/src/run.rs:0"],
    );
    reports(rules::doors, &[("isa/src/x.rs", clean)], &[]);
}

#[test]
fn crate_roots_forbid_unsafe_or_deny_it_where_there_are_doors() {
    keeps(rules::unsafe_attributes);
}

#[test]
fn a_planted_crate_root_that_does_not_forbid_unsafe_is_reported() {
    let [isa, jit, root] = ["rivet-isa", "rivet-jit", "rivet"].map(|name| crate_of(name, ""));
    let files = [
        ("Cargo.toml", root.as_str()),
        ("src/lib.rs", "#![forbid(unsafe_code)]\n"),
        ("src/bin/rivet/main.rs", "fn main() {}\n"),
        ("src/bin/rivet/other.rs", ""),
        ("isa/Cargo.toml", &isa),
        ("isa/src/lib.rs", "// #![forbid(unsafe_code)]\n"),
        ("isa/src/reg.rs", ""),
        ("jit/Cargo.toml", &jit),
        ("jit/src/lib.rs", "#![deny(unsafe_code)]\n"),
    ];
    let mut reported = rules::unsafe_attributes(&Tree::of(&files));
    reported.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = reported
        .iter()
        .map(|finding| finding.path.as_str())
        .collect();
    assert_eq!(paths, ["isa/src/lib.rs", "src/bin/rivet/main.rs"]);
}

#[test]
fn no_file_is_longer_than_the_ceiling() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    for note in rules::long_files(&tree) {
        println!(
            "note: {note}, at or over the alarm of {}",
            rules::LONG_FILE_LINES
        );
    }
    keeps(rules::file_length);
}

#[test]
fn a_planted_long_file_is_reported_by_its_code_lines() {
    let line = "fn f() {} // why\n\n// comment\n/* more\n   of it */\n";
    let most = line.repeat(rules::MAX_FILE_LINES);
    reports(rules::file_length, &[("isa/src/x.rs", &most)], &[]);
    reports(
        rules::long_files,
        &[("isa/src/x.rs", &most)],
        &["isa/src/x.rs:0"],
    );
    let more = line.repeat(rules::MAX_FILE_LINES + 1);
    reports(
        rules::file_length,
        &[("isa/src/x.rs", &more)],
        &["isa/src/x.rs:0"],
    );
}

#[test]
fn no_function_is_longer_than_the_ceiling() {
    keeps(rules::function_length);
}

#[test]
fn a_planted_long_function_is_reported_where_it_begins() {
    let body = |lines: usize| {
        format!(
            "\n/// fn\npub fn f(\n) {{\n{}}}\n",
            "    g();\n".repeat(lines)
        )
    };
    reports(rules::function_length, &[("isa/src/x.rs", &body(67))], &[]);
    reports(
        rules::function_length,
        &[("isa/src/x.rs", &body(68))],
        &["isa/src/x.rs:3"],
    );
}

#[test]
fn every_file_of_a_crate_begins_with_what_it_is_for() {
    keeps(rules::module_docs);
}

#[test]
fn a_planted_file_without_module_docs_is_reported() {
    let manifest = crate_of("rivet-isa", "");
    let files = [
        ("isa/Cargo.toml", manifest.as_str()),
        ("isa/src/a.rs", "//! Why.\n"),
        ("isa/src/b.rs", "// Why.\n"),
        ("isa/src/c/d.rs", ""),
        ("isa/tests/e.rs", ""),
    ];
    reports(
        rules::module_docs,
        &files,
        &["isa/src/b.rs:1", "isa/src/c/d.rs:1"],
    );
}

#[test]
fn no_code_is_left_unfinished_and_no_test_is_ignored() {
    keeps(rules::leftovers);
}

#[test]
fn a_planted_leftover_is_reported() {
    let leftovers = [
        "fn f() {\n    todo!()\n}\n",
        "fn f() {\n    dbg!(1);\n}\n",
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n",
        "#[test]\n#[cfg_attr(miri, ignore)]\nfn f() {}\n",
    ];
    for text in leftovers {
        reports(
            rules::leftovers,
            &[("isa/src/x.rs", text)],
            &["isa/src/x.rs:2"],
        );
    }
    let clean = "// todo!()\nlet todo = \"dbg!\";\nf(todo, ignore);\n";
    reports(rules::leftovers, &[("isa/src/x.rs", clean)], &[]);
}

#[test]
fn no_path_of_a_machine_and_no_registry_host_is_written_down() {
    keeps(rules::machine_names);
}

#[test]
fn a_planted_machine_path_or_registry_host_is_reported() {
    for name in [
        concat!("/wo", "rk/x"),
        concat!("/ho", "me/me"),
        concat!("crates", ".io"),
    ] {
        let text = format!("first\n\"{name}\"\n");
        for path in ["README.md", ".ci/run", "isa/src/x.rs"] {
            reports(
                rules::machine_names,
                &[(path, &text)],
                &[&format!("{path}:2")],
            );
        }
        reports(rules::machine_names, &[("Cargo.lock", &text)], &[]);
    }
}

#[test]
fn nothing_is_put_off_in_a_comment() {
    keeps(rules::put_off);
}

#[test]
fn a_planted_word_for_work_put_off_is_reported() {
    let text = concat!("// one\n// TO", "DO: two\nTO", "DOS\n");
    reports(
        rules::put_off,
        &[("isa/src/x.rs", text)],
        &["isa/src/x.rs:2"],
    );
}

#[test]
fn each_extension_has_one_file_in_each_engine() {
    keeps(rules::one_file_per_extension);
}

#[test]
fn a_planted_extension_in_another_file_is_reported() {
    let table = (
        "isa/src/table.rs",
        "    M by VisitM {\n    }\n    Zba by VisitZba {\n",
    );
    let m = ("interp/src/exec/m.rs", "impl<T> VisitM for Exec<T> {}\n");
    let zba = ("interp/src/exec/zba.rs", "impl VisitZba for Exec {}\n");
    reports(rules::one_file_per_extension, &[table], &[]);
    reports(rules::one_file_per_extension, &[table, m, zba], &[]);
    reports(
        rules::one_file_per_extension,
        &[table, m],
        &["interp/src/exec/zba.rs:0"],
    );
    let other = ("interp/src/exec/mod.rs", "impl VisitZba for Exec {}\n");
    let places = ["interp/src/exec/zba.rs:0", "interp/src/exec/mod.rs:0"];
    reports(rules::one_file_per_extension, &[table, m, other], &places);
    reports(
        rules::one_file_per_extension,
        &[m, zba],
        &["isa/src/table.rs:0"],
    );
}

#[test]
fn every_prebuilt_guest_is_rebuilt_by_the_script() {
    keeps(rules::prebuilt_guests);
}

#[test]
fn a_planted_guest_of_unknown_origin_is_reported() {
    let files = [
        ("guests/build.sh", "guest fib-pic -fpic c/fib.c\n"),
        ("guests/c/fib.c", ""),
        ("guests/c/lost.c", ""),
        ("guests/c/native.c", ""),
        ("guests/prebuilt/fib.elf", ""),
        ("guests/prebuilt/fib-pic.elf", ""),
        ("guests/prebuilt/stray.elf", ""),
    ];
    let places = ["guests/c/lost.c:0", "guests/prebuilt/stray.elf:0"];
    reports(rules::prebuilt_guests, &files, &places);
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    keeps(rules::same_commands);
}

#[test]
fn a_planted_difference_between_readme_and_ci_is_reported() {
    let run = "cargo run --release --bin rivet -- run guests/prebuilt/hello.elf\n";
    let test = "cargo test --workspace\n";
    let (readme, ci) = (
        format!("{run}{test}"),
        format!("step {run}step cargo test\n"),
    );
    let files = [
        ("README.md", readme.as_str()),
        (".ci/run", &ci),
        ("justfile", test),
    ];
    reports(rules::same_commands, &files, &[".ci/run:0"]);
}

#[test]
fn splitting_keeps_code_apart_from_comments_and_literals() {
    let text = "a /* b /* c */ d */ 'x' \"e\\\"f\" r#\"g\"h\"# &'i j // k\nl br\"m\" '\\'' n\n";
    let split = Rust::split(text);
    assert_eq!(split.code.split_whitespace().collect::<String>(), "a&'ijln");
    assert_eq!(split.code.lines().count(), 2);
    assert!(!split.uncommented.contains('k') && split.uncommented.contains("g\"h"));
}

#[test]
fn functions_are_found_with_their_bodies() {
    let code = "type F = fn(u8) -> u8;\ntrait T { fn a(&self); }\nfn b<T: Fn([u8; 2])>(f: fn())\n\
                where\n{\n  {}\n}\nmacro_rules! m { ($n:ident) => { fn $n() {} } }\n";
    let function = |name: &str, line, lines| Function {
        name: name.to_owned(),
        line,
        lines,
    };
    assert_eq!(functions(code), [function("b", 3, 5), function("$n", 8, 1)]);
}
