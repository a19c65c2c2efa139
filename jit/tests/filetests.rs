//! What is emitted for what: each file under `tests/filetests` has guest assembly above a line of
//! dashes and the native code of it below, addresses relative to the chunk.
//!
//! `RIVET_BLESS=1 cargo test -p rivet-jit --test filetests` rewrites the lower parts.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::program;
use iced_x86::{
    Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, SymbolResolver, SymbolResult,
};
use rivet_isa::Pc;
use rivet_jit::NativeChunk;

const RULE: &str = "----\n";

/// Names what depends on where things lie.
struct Names {
    table: u64,
    table_len: u64,
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        _: &Instruction,
        _: u32,
        _: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let offset = address.checked_sub(self.table)?;
        (offset < self.table_len)
            .then(|| SymbolResult::with_string(address, format!("table+{offset:#x}")))
    }
}

fn listing(chunk: &NativeChunk, code_len: u64) -> String {
    let names = Names {
        table: chunk.table,
        table_len: 2 * code_len + 4,
    };
    let mut formatter = IntelFormatter::with_options(Some(Box::new(names)), None);
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut decoder = Decoder::with_ip(64, &chunk.code, 0, DecoderOptions::NONE);
    let mut out = String::new();
    let mut text = String::new();
    while decoder.can_decode() {
        let inst = decoder.decode();
        let at = inst.ip() as u32;
        if let Some((pc, _)) = chunk.blocks.iter().find(|(_, offset)| *offset == at) {
            writeln!(out, "block {}:", pc.value()).unwrap();
        } else if at == chunk.cold {
            out.push_str("cold:\n");
        }
        text.clear();
        formatter.format(&inst, &mut text);
        writeln!(out, "{at:6x}  {text}").unwrap();
    }
    out
}

fn actual(source: &str) -> String {
    let code = rivet_isa::asm::assemble(source).unwrap();
    let program = program(&code);
    assert!(program.prepare(Pc::new(0)), "translated");
    program
        .native()
        .map(|chunk| listing(&chunk, code.len() as u64))
        .collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn native_code_is_as_the_filetests_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let bless = std::env::var_os("RIVET_BLESS").is_some();
    let files = files(&root);
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let (source, expected) = text.split_once(RULE).unwrap_or((&text, ""));
        let actual = actual(source);
        if bless {
            std::fs::write(&path, format!("{source}{RULE}{actual}")).unwrap();
        } else if expected != actual {
            wrong.push(format!(
                "{}\nexpected:\n{expected}\nactual:\n{actual}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
