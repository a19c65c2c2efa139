//! What the README shows is what happens.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");

/// The first fenced block of the README after `text`, without its fences.
fn block_after(text: &str) -> &'static str {
    let at = README
        .find(text)
        .unwrap_or_else(|| panic!("the README lacks `{text}`"));
    let (_, rest) = README[at..].split_once("\n```").expect("a fence opens");
    let (_, rest) = rest.split_once('\n').expect("the fence has a line");
    rest.split_once("\n```").expect("the fence closes").0
}

fn rivet(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rivet"));
    command
        .args(args)
        .current_dir(folder)
        .output()
        .expect("it starts")
}

/// Standard output, then standard error.
fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn the_first_command_prints_what_the_readme_shows() {
    let command = block_after("Run a guest");
    let (_, args) = command.split_once(" -- ").expect("cargo run … -- …");
    let args: Vec<&str> = args.split(' ').collect();
    let output = rivet(&args, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert_eq!(
        shown(&output).trim_end(),
        block_after("prints what the guest wrote")
    );
    assert!(output.status.success());
}

#[test]
fn a_paused_run_moves_between_two_shells_as_the_readme_shows() {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let guests = folder.path().join("guests/prebuilt");
    fs::create_dir_all(&guests).expect("folders can be made");
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/prebuilt/hello.elf");
    fs::copy(hello, guests.join("hello.elf")).expect("it can be copied");
    let shell = |text| {
        let (_, args) = block_after(text)
            .split_once(" -- ")
            .expect("cargo run … -- …");
        let args: Vec<&str> = args.split(' ').collect();
        rivet(&args, folder.path())
    };
    let first = shell("In one shell:");
    assert!(first.status.success());
    let said = shown(&first);
    assert!(
        said.starts_with("hello from a PVM2 guest, line 1\npaused (gas)"),
        "{said}"
    );
    let second = shell("In another:");
    assert!(second.status.success());
    let rest = block_after("prints what is left of the run");
    assert_eq!(shown(&second).trim_end(), rest);
}

#[test]
fn the_embedding_example_is_the_one_that_the_documentation_tests() {
    let source = include_str!("../src/lib.rs");
    let docs = source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let example: Vec<&str> = docs
        .skip_while(|line| *line != "```")
        .skip(1)
        .take_while(|line| *line != "```")
        .filter(|line| !line.starts_with("# "))
        .collect();
    assert_eq!(block_after("## Embed it"), example.join("\n"));
}

#[test]
fn the_guest_of_the_readme_compiles_and_runs() {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let source = block_after("`hello.c`:");
    fs::write(folder.path().join("hello.c"), source).expect("it can be written");
    let compiled = rivet(&["cc", "hello.c", "-o", "hello.pvm"], folder.path());
    if !compiled.status.success() {
        let said = shown(&compiled);
        assert!(said.contains("apt-get install"), "{said}");
        println!("SKIPPED: {said}");
        return;
    }
    let ran = rivet(&["run", "hello.pvm"], folder.path());
    let said = shown(&ran);
    // 10 · 11 · 21 / 6 = 385 = 0x181
    let expected = "the squares of 1 to 10 add up to 385\nhalt: value 0x181 (385)\n";
    assert!(said.starts_with(expected), "{said}");
}
