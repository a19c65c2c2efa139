//! `rivet dis`: code as text, with block starts, symbols and targets.

use crate::Outcome;
use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::symbols::Symbols;
use rivet::engine::Program;
use rivet::isa::{Decoded, Flow, Pc, decode};
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rivet dis prog.elf
  rivet dis --raw code.bin
  rivet dis --json prog.pvm | head

Columns: offset, bytes, instruction; a compressed instruction shows as what it expands to. `*` marks
a block start. Reserved encodings are shown as such: they panic when executed.";

/// Disassemble a program
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    /// Take FILE as bare code bytes
    #[arg(long)]
    raw: bool,
    /// Print one JSON object per instruction
    #[arg(long)]
    json: bool,
}

pub(crate) fn dis(args: &Args) -> Result<Outcome, Failure> {
    let loaded = input::inspect(&args.file, args.raw)?;
    output::write(|out| print(&loaded.program, &loaded.symbols, args.json, out))?;
    Ok(Outcome::Done)
}

fn print(program: &Program, symbols: &Symbols, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let code = program.code();
    let mut at = 0;
    while let Some(decoded) = decode(code, at) {
        let pc = Pc::new(at as u64);
        let end = at + decoded.len.bytes() as usize;
        let bytes: String = code[at..end]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let start = program.starts().contains(pc);
        if json {
            let object = serde_json::json!({
                "pc": pc.value(),
                "bytes": bytes,
                "text": decoded.inst.to_string(),
                "block_start": start,
                "symbol": symbols.at(pc).next(),
            });
            writeln!(out, "{object}")?;
        } else {
            for name in symbols.at(pc) {
                writeln!(out, "{name}:")?;
            }
            let mark = if start { '*' } else { ' ' };
            let target = target(&decoded, pc, symbols);
            writeln!(out, "{mark}{at:8x}:  {bytes:<8}  {}{target}", decoded.inst)?;
        }
        at = end;
    }
    if !json && at < code.len() {
        writeln!(out, " {at:8x}:  partial tail of {} bytes", code.len() - at)?;
    }
    Ok(())
}

/// Where a direct branch or jump goes.
fn target(decoded: &Decoded, pc: Pc, symbols: &Symbols) -> String {
    if !matches!(decoded.inst.flow(), Flow::Branch | Flow::Jump) {
        return String::new();
    }
    let to = pc.plus(i64::from(decoded.inst.imm()) as u64);
    match symbols.describe(to) {
        Some(name) => format!("  # {to} <{name}>"),
        None => format!("  # {to}"),
    }
}
