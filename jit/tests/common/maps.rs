//! Reads the process map while tests run: no page is writable and executable at once, and nothing
//! that is executable can be written through another mapping (INV-5).

use std::collections::BTreeSet;
use std::sync::Once;
use std::time::Duration;

/// Between two looks at the map; long against the time that one takes.
const PAUSE: Duration = Duration::from_millis(10);

/// One line of `/proc/self/maps` that matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mapping<'a> {
    writable: bool,
    executable: bool,
    /// A mapping that is not shared holds copies of its file's pages once it is written.
    shared: bool,
    /// Device and inode of its file; `None` for anonymous memory.
    file: Option<(&'a str, &'a str)>,
    line: &'a str,
}

fn parse(line: &str) -> Mapping<'_> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, access, _, device, inode, ..] = columns[..] else {
        panic!("not a line of a process map: {line}")
    };
    Mapping {
        writable: access.contains('w'),
        executable: access.contains('x'),
        shared: access.ends_with('s'),
        file: (inode != "0").then_some((device, inode)),
        line,
    }
}

/// The first line that breaks the rule, if there is one.
pub(crate) fn violation(maps: &str) -> Option<String> {
    let all: Vec<Mapping<'_>> = maps.lines().map(parse).collect();
    let executable: BTreeSet<_> = all
        .iter()
        .filter(|mapping| mapping.executable)
        .filter_map(|mapping| mapping.file)
        .collect();
    let broken = all.iter().find(|mapping| {
        let alias = mapping.file.is_some_and(|file| executable.contains(&file));
        mapping.writable && (mapping.executable || alias && mapping.shared)
    });
    broken.map(|mapping| mapping.line.to_owned())
}

/// Fails if the process breaks the rule now.
pub(crate) fn check() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    if let Some(line) = violation(&maps) {
        // A test may expect panics; this is none of those.
        eprintln!("writable and executable, directly or through an alias: {line}");
        std::process::abort();
    }
}

/// From now on looks at the map again and again for as long as the process lives, on systems that
/// show it.
pub(crate) fn watch() {
    static STARTED: Once = Once::new();
    if !cfg!(target_os = "linux") {
        return;
    }
    STARTED.call_once(|| {
        let look = || {
            loop {
                check();
                std::thread::sleep(PAUSE);
            }
        };
        std::thread::Builder::new().spawn(look).unwrap();
    });
}
