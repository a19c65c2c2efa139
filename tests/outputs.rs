//! Where commands write: files whole or not at all, devices and pipes as what they are.
#![cfg(unix)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use support::{path, rivet, stderr};

fn hello() -> String {
    path("guests/prebuilt/hello.elf").display().to_string()
}

fn save_to<'a>(file: &'a str, guest: &'a str) -> Vec<&'a str> {
    vec!["run", "--until", "gas=800", "--save", file, guest]
}

/// What arrives in a named pipe to which a command writes.
fn through_a_pipe(pipe: &Path, args: &[&str]) -> Vec<u8> {
    let made = Command::new("mkfifo").arg(pipe).status().expect("mkfifo");
    assert!(made.success());
    let name = pipe.to_owned();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut end = fs::File::open(name).expect("the pipe opens");
        end.read_to_end(&mut bytes).expect("the pipe is read");
        bytes
    });
    let output = rivet(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let kind = fs::metadata(pipe).expect("the pipe is there").file_type();
    assert!(kind.is_fifo(), "{args:?} put a file in the place of a pipe");
    reader.join().expect("the reader ends")
}

#[test]
fn a_pipe_is_written_to_and_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (guest, saved, linked) = (hello(), file("a.snap"), file("a.pvm"));
    assert!(rivet(&save_to(&saved, &guest)).status.success());
    let pipe = file("save");
    let arrived = through_a_pipe(Path::new(&pipe), &save_to(&pipe, &guest));
    assert_eq!(arrived, fs::read(&saved).expect("saved"));
    assert!(rivet(&["link", &guest, "-o", &linked]).status.success());
    let pipe = file("link");
    let arrived = through_a_pipe(Path::new(&pipe), &["link", &guest, "-o", &pipe]);
    assert_eq!(arrived, fs::read(&linked).expect("linked"));
}

#[test]
fn a_symbolic_link_stays_and_the_file_behind_it_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (behind, link) = (folder.path().join("behind"), folder.path().join("link"));
    fs::write(&behind, "before").expect("written");
    symlink("behind", &link).expect("linked");
    let name = link.display().to_string();
    let output = rivet(&save_to(&name, &hello()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(link.is_symlink());
    assert!(
        fs::read(&behind)
            .expect("there")
            .starts_with(b"\x89RVPARC\n")
    );
    let names = fs::read_dir(folder.path()).expect("listed").count();
    assert_eq!(names, 2, "nothing else is left");
}

#[test]
fn a_state_that_cannot_be_kept_is_refused_before_the_run() {
    for (file, why) in [
        ("/nonexistent/x", "entity not found"),
        ("/", "is a directory"),
    ] {
        let output = rivet(&save_to(file, &hello()));
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty(), "the guest did not run");
        let error = stderr(&output);
        let expected = format!("error: cannot write `{file}`: ");
        assert!(
            error.starts_with(&expected) && error.contains(why),
            "{error}"
        );
        assert!(!error.contains(".part"), "{error}");
    }
}
