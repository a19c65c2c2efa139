//! `rivet explore` and `rivet run --perf-map`: what tools show of native code.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use rivet::isa::Pc;
use rivet::loader::{CodeSymbol, LinkOptions, link};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{path, rivet, stderr};

fn guest(name: &str) -> String {
    let file = path("guests/prebuilt").join(format!("{name}.elf"));
    file.to_str().unwrap().to_owned()
}

/// The page that `rivet explore` writes with these arguments.
fn page(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let output = rivet(&[&["explore", "-o", file.to_str().unwrap()], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    fs::read_to_string(file).unwrap()
}

#[test]
fn a_page_shows_symbols_and_blocks_in_both_codes_with_their_costs() {
    let page = page(&[&guest("sha256")]);
    assert!(
        page.contains("\">compress</a></li>"),
        "a symbol with a link"
    );
    assert!(page.contains("<h2>compress</h2>"), "and its block");
    // The first instructions of `_start` are given by the runtime's source.
    assert!(page.contains("auipc t0"), "guest code");
    assert!(page.contains("sub r15, "), "native code: a gate");
    // `_start`: two pairs of constants and a branch of 20 cycles after them, less 3.
    let first = page.split("<section").nth(1).unwrap();
    assert!(first.contains("cost 19 · reserve 0"), "{first}");
    assert_eq!(
        page.matches("<section").count(),
        page.matches("</section>").count()
    );
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = page(&[&guest("hello")]);
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(
        page.contains("default-src 'none'"),
        "and says so to the browser"
    );
}

#[test]
fn source_lines_are_shown_where_the_executable_has_them() {
    let with = page(&[&guest("vcall-debug")]);
    assert!(with.contains("vcall.c:"), "file and line");
    assert!(!with.contains("No source lines"));
    let without = page(&[&guest("vcall")]);
    assert!(without.contains("No source lines"));
    assert!(!without.contains("vcall.c:"));
}

#[test]
fn names_from_the_program_are_text_and_never_markup() {
    const NAME: &str = "<img src=x onerror=\"alert('1')\">&amp;";
    let folder = tempfile::tempdir().unwrap();
    let elf = fs::read(guest("hello")).unwrap();
    let linked = link(&elf, &LinkOptions::default()).unwrap();
    let mut sidecar = linked.sidecar();
    sidecar.symbols = vec![CodeSymbol {
        name: NAME.to_owned(),
        pc: Pc::new(0),
        size: 4,
    }];
    let file = folder.path().join("<b>&.pvm");
    let bytes = linked.image.encode().unwrap();
    fs::write(&file, bytes).unwrap();
    fs::write(folder.path().join("<b>&.pvm.map"), sidecar.encode()).unwrap();
    let page = page(&[file.to_str().unwrap()]);
    assert!(!page.contains("<img") && !page.contains("<b>&.pvm"));
    assert!(page.contains("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;"));
    assert!(page.contains("<h1>&lt;b&gt;&amp;.pvm</h1>"));
}

#[test]
fn a_page_is_bounded_and_says_what_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code.bin");
    // 4 MiB of two-byte returns, each a block; then one block of a million additions.
    for bytes in [[0x82, 0x80], [0x05, 0x05]] {
        fs::write(&file, bytes.repeat(2 << 20)).unwrap();
        let page = page(&["--raw", "--limit", "300", file.to_str().unwrap()]);
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
        let blocks = page.matches("<section").count();
        if bytes == [0x82, 0x80] {
            assert_eq!(blocks, 300);
            assert!(page.contains("300 of 2097152 blocks are on this page"));
        } else {
            assert_eq!(blocks, 1);
            assert!(page.contains("the rest of this block is left out"));
        }
    }
}

#[test]
fn parts_of_a_program_are_chosen_by_symbol_and_range() {
    let all = page(&[&guest("sha256")]).matches("<section").count();
    let one = page(&["--symbol", "compress", &guest("sha256")]);
    let count = one.matches("<section").count();
    assert!(0 < count && count < all, "{count} of {all}");
    assert!(one.contains("<h2>compress</h2>") && !one.contains("<h2>main</h2>"));
    assert!(one.contains(&format!("{count} of {all} blocks")));
    let first = page(&["--range", "0:1", &guest("sha256")]);
    assert_eq!(first.matches("<section").count(), 1);
    for (args, says) in [
        (["--symbol", "nowhere"], "no such symbol"),
        (["--range", "5:5"], "the range is empty"),
        (["--range", "5"], "START:END"),
    ] {
        let output = rivet(
            &[
                &["explore", "-o", "/dev/null"],
                &args[..],
                &[&guest("hello")],
            ]
            .concat(),
        );
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

#[test]
fn damaged_executables_are_refused_or_shown_and_never_end_the_tool_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let elf = fs::read(guest("vcall-debug")).unwrap();
    let file = folder.path().join("damaged.elf");
    let out = folder.path().join("page.html");
    for i in 0..60 {
        let mut damaged = elf.clone();
        // Spread over the file: headers, code and every debug section.
        for k in 0..8 {
            let at = (elf.len() * (8 * i + k) / 480 + 13 * i) % elf.len();
            damaged[at] = damaged[at].wrapping_mul(31).wrapping_add(97);
        }
        fs::write(&file, damaged).unwrap();
        let names = [&out, &file].map(|path: &std::path::PathBuf| path.to_str().unwrap());
        let output = rivet(&["explore", "-o", names[0], names[1]]);
        assert!(
            matches!(output.status.code(), Some(0 | 2)),
            "{i}: {:?} {}",
            output.status,
            stderr(&output)
        );
    }
}

#[test]
fn the_perf_map_names_native_code_by_guest_symbol() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rivet"))
        .args(["run", "--perf-map", "--engine", "jit", "--arg", "10"])
        .arg(guest("fib"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let map = format!("/tmp/perf-{}.map", child.id());
    assert!(child.wait().unwrap().success());
    let text = fs::read_to_string(Path::new(&map)).unwrap();
    fs::remove_file(&map).unwrap();
    let mut end = 0;
    let mut names = Vec::new();
    for line in text.lines() {
        let [start, size, name] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("not a line of a map: {line}")
        };
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        assert!(number(start) >= end, "ascending, without overlaps: {line}");
        end = number(start) + number(size);
        names.push(name);
    }
    assert!(names.contains(&"main"), "{names:?}");
    assert!(names.contains(&"rivet runtime calls"), "{names:?}");
}
