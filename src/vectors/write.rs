//! The writer: vectors to text that reads back as the same vectors.

use super::model::{
    Again, Answer, Begin, Bytes, Expect, Origin, PageRun, RegSet, Vector, VectorFile,
};
use super::{MAGIC, VERSION};
use rivet_engine::{Call, Exit, Flow};
use rivet_image::RegionKind;
use rivet_isa::gas::{MAX_DEPTH, Multiplier};
use rivet_isa::{BlockStarts, Decoded, Payment, Pc, Reg, decode};
use std::fmt::{self, Write};

/// Bytes on one line of code or memory.
const PER_LINE: usize = 32;
/// From how many equal bytes on they are written as a count.
const RUN: usize = 16;
/// Most instructions that are listed as comments.
const LISTED: usize = 400;

/// A file as text, instructions beside the code as comments.
pub fn write(file: &VectorFile) -> String {
    let mut out = String::new();
    put(&mut out, |out| {
        writeln!(out, "{MAGIC} {VERSION}")?;
        match &file.origin {
            Origin::Independent(text) => writeln!(out, "origin independent {}", one_line(text)),
            Origin::Engine(text) => writeln!(out, "origin engine {}", one_line(text)),
        }?;
        file.vectors.iter().try_for_each(|v| vector(out, v))
    });
    out
}

fn put(out: &mut String, body: impl FnOnce(&mut String) -> fmt::Result) {
    body(out).expect("invariant: writing to a string does not fail");
}

/// Text without line ends, and never empty.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(" "),
    }
}

fn vector(out: &mut String, vector: &Vector) -> fmt::Result {
    let name: String = vector.name.split_whitespace().collect();
    writeln!(
        out,
        "\nvector {}",
        if name.is_empty() { "-" } else { &name }
    )?;
    if let Some(note) = &vector.note {
        writeln!(out, "note {}", one_line(note))?;
    }
    listing(out, &vector.code)?;
    for line in hex_lines(&vector.code) {
        writeln!(out, "code {line}")?;
    }
    for map in &vector.maps {
        let kind = match map.kind {
            RegionKind::Pinned => "ro",
            RegionKind::CopyOnWrite => "cow",
            RegionKind::Ephemeral => "ephemeral",
        };
        writeln!(out, "map {:#x} {:#x} {kind}", map.start, map.size)?;
    }
    bytes(out, &vector.bytes)?;
    if let Some(multiplier) = &vector.multiplier {
        writeln!(out, "multiplier{}", factors(multiplier))?;
    }
    let set = Reg::all().filter(|reg| vector.regs.get(*reg) != 0);
    regs(
        out,
        &RegSet(set.map(|reg| (reg, vector.regs.get(reg))).collect()),
    )?;
    writeln!(out, "start pc={} gas={}", vector.pc.value(), vector.gas)?;
    for given in &vector.answers {
        answer(out, given)?;
    }
    if let Some(statics) = &vector.statics {
        for b in &statics.blocks {
            let (start, end, cost, reserve) = (b.start, b.end, b.cost, b.reserve);
            writeln!(out, "block {start}..{end} cost={cost} reserve={reserve}")?;
        }
        writeln!(out, "end {}", statics.end.value())?;
    }
    for stage in &vector.stages {
        match &stage.begin {
            Begin::Start => {}
            Begin::Resume(None) => writeln!(out, "resume")?,
            Begin::Resume(Some(gas)) => writeln!(out, "resume gas={gas}")?,
            Begin::Again(changes) => again(out, changes)?,
        }
        expect(out, &stage.expect)?;
    }
    Ok(())
}

fn again(out: &mut String, again: &Again) -> fmt::Result {
    write!(out, "again")?;
    if let Some(pc) = again.pc {
        write!(out, " pc={}", pc.value())?;
    }
    if let Some(gas) = again.gas {
        write!(out, " gas={gas}")?;
    }
    for (reg, value) in &again.regs.0 {
        out.push_str(&assign(*reg, *value));
    }
    writeln!(out)
}

/// The instructions as comments, `>` at the start of a block.
fn listing(out: &mut String, code: &[u8]) -> fmt::Result {
    let starts = BlockStarts::scan(code);
    let mut at = 0;
    for _ in 0..LISTED {
        let Some(Decoded { inst, len }) = decode(code, at) else {
            return Ok(());
        };
        let start = starts.contains(Pc::new(at as u64));
        writeln!(out, "# {at:5x}{} {inst}", if start { '>' } else { ' ' })?;
        at += len.bytes() as usize;
    }
    writeln!(out, "# …")
}

/// Lines of hexadecimal words, long runs of one byte as `HEX*COUNT`.
fn hex_lines(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut plain = Vec::new();
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let same = bytes[at..].iter().take_while(|b| *b == first).count();
        if same >= RUN {
            flush(&mut plain, &mut lines);
            lines.push(format!("{first:02x}*{same}"));
            at += same;
        } else {
            plain.push(*first);
            at += 1;
        }
    }
    flush(&mut plain, &mut lines);
    lines
}

fn flush(plain: &mut Vec<u8>, lines: &mut Vec<String>) {
    for chunk in plain.chunks(PER_LINE) {
        let words = chunk.chunks(4).map(|word| {
            let digits = word.iter().map(|b| format!("{b:02x}"));
            digits.collect::<String>()
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    plain.clear();
}

fn bytes(out: &mut String, all: &[Bytes]) -> fmt::Result {
    for Bytes { addr, bytes } in all {
        let mut at = addr.value();
        for line in hex_lines(bytes) {
            writeln!(out, "bytes {at:#x} {line}")?;
            at = at.wrapping_add(expanded(&line));
        }
    }
    Ok(())
}

/// Bytes that a line of [`hex_lines`] stands for.
fn expanded(line: &str) -> u32 {
    match line.split_once('*') {
        Some((_, count)) => count.parse().unwrap_or(0),
        None => line.bytes().filter(|b| *b != b' ').count() as u32 / 2,
    }
}

fn factors(multiplier: &Multiplier) -> String {
    let factors = (0..=MAX_DEPTH as u32).map(|depth| multiplier.at(depth));
    factors.map(|factor| format!(" {factor}")).collect()
}

fn regs(out: &mut String, set: &RegSet) -> fmt::Result {
    for line in set.0.chunks(5) {
        let words = line.iter().map(|(reg, value)| assign(*reg, *value));
        writeln!(out, "regs{}", words.collect::<String>())?;
    }
    Ok(())
}

fn assign(reg: Reg, value: u64) -> String {
    format!(" x{}={value:#x}", reg.number())
}

fn answer(out: &mut String, answer: &Answer) -> fmt::Result {
    match answer.call {
        Call::Kernel => write!(out, "call kernel")?,
        Call::Host { selector } => write!(out, "call {selector}")?,
    }
    write!(
        out,
        " {}",
        match answer.flow {
            Some(Flow::Continue) => "continue",
            Some(Flow::Suspend) => "suspend",
            Some(Flow::Halt) => "halt",
            None => "leave",
        }
    )?;
    if answer.extra != 0 {
        write!(out, " extra={}", answer.extra)?;
    }
    if let Some(gas) = answer.gas {
        write!(out, " gas={gas}")?;
    }
    for (reg, value) in &answer.regs.0 {
        out.push_str(&assign(*reg, *value));
    }
    for Bytes { addr, bytes } in &answer.writes {
        let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        write!(out, " write={:#x}:{digits}", addr.value())?;
    }
    writeln!(out)
}

fn expect(out: &mut String, expect: &Expect) -> fmt::Result {
    let (name, pc, gas) = (expect.exit.name(), expect.pc.value(), expect.gas);
    write!(out, "exit {name} pc={pc} gas={gas}")?;
    match expect.exit {
        Exit::PageFault { page } => write!(out, " page={page}")?,
        Exit::HostCall { selector, payment } => {
            write!(out, " selector={selector} {}", paid(payment))?;
        }
        Exit::Ecall { payment } => write!(out, " {}", paid(payment))?,
        _ => {}
    }
    writeln!(out)?;
    regs(out, &expect.regs)?;
    bytes(out, &expect.bytes)?;
    match &expect.private {
        None => Ok(()),
        Some(runs) if runs.is_empty() => writeln!(out, "private none"),
        Some(runs) => writeln!(
            out,
            "private{}",
            runs.iter().map(page_run).collect::<String>()
        ),
    }
}

fn page_run(run: &PageRun) -> String {
    match (run.count, run.range()) {
        (1, (start, _)) => format!(" {start:#x}"),
        (_, (start, end)) => format!(" {start:#x}..{end:#x}"),
    }
}

const fn paid(payment: Payment) -> &'static str {
    match payment {
        Payment::Paid => "paid",
        Payment::Unpaid => "unpaid",
    }
}
