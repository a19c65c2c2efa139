//! Test bodies in a process of their own: this executable again, one test only.
#![allow(dead_code, reason = "each test file uses another part")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Runs `body` in a child; the caller judges how the child ended.
fn child(test: &str, body: impl FnOnce()) -> Option<ExitStatus> {
    if std::env::var("RIVET_PAGING_CHILD").is_ok_and(|name| name == test) {
        body();
        return None;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("RIVET_PAGING_CHILD", test)
        .spawn()
        .unwrap();
    for _ in 0..1200 {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("{test} hangs");
}

pub(crate) fn passes(test: &str, body: impl FnOnce()) {
    if let Some(status) = child(test, body) {
        assert!(status.success(), "{status}");
    }
}

pub(crate) fn ends(code: i32, test: &str, body: impl FnOnce()) {
    if let Some(status) = child(test, body) {
        assert_eq!(status.code(), Some(code), "{status}");
    }
}

pub(crate) fn dies_by(signal: i32, test: &str, body: impl FnOnce()) {
    if let Some(status) = child(test, body) {
        assert_eq!(status.signal(), Some(signal), "{status}");
    }
}
