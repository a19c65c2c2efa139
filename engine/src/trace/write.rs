//! Writing recordings, record by record.

use super::{EXIT, Extent, Header, INSTRUCTION, Kind, MAGIC, PAGES, Record, STEP, VERSION};
use rivet_interp::State;
use rivet_isa::{Exit, PageIndex, Payment};
use std::io::{self, Write};

/// Writes a recording. Nothing is held back but by the writer below.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    last: State,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        let mut buffer = MAGIC.to_vec();
        buffer.push(VERSION);
        buffer.push(match header.kind {
            Kind::Blocks => 0,
            Kind::Instructions => 1,
        });
        buffer.push(u8::from(header.extent == Extent::Whole));
        put(&mut buffer, header.code_len);
        buffer.extend(header.code_check.to_le_bytes());
        put(&mut buffer, header.start.pc.value());
        put(&mut buffer, header.start.gas.value());
        for slot in header.start.regs.slots() {
            put(&mut buffer, *slot);
        }
        out.write_all(&buffer)?;
        Ok(Self {
            out,
            last: header.start,
            buffer,
        })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        self.buffer.clear();
        match record {
            Record::Step(state, pages) => {
                self.buffer.push(STEP);
                self.state(state, pages);
            }
            Record::Instruction(state) => {
                self.buffer.push(INSTRUCTION);
                self.state(state, &[]);
            }
            Record::Exit(exit, state, pages) => {
                self.buffer.push(EXIT);
                self.exit(*exit);
                self.state(state, pages);
            }
            Record::Pages(pages) => {
                self.buffer.push(PAGES);
                put(&mut self.buffer, pages.len() as u64);
                for (page, digest) in pages {
                    put(&mut self.buffer, u64::from(page.index()));
                    self.buffer.extend(digest.to_le_bytes());
                }
            }
        }
        self.out.write_all(&self.buffer)
    }

    /// The writer below, flushed.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn exit(&mut self, exit: Exit) {
        let (payload, payment) = match exit {
            Exit::PageFault { page } => (u64::from(page.index()), Payment::Unpaid),
            Exit::HostCall { selector, payment } => (u64::from(selector), payment),
            Exit::Ecall { payment } => (0, payment),
            _ => (0, Payment::Unpaid),
        };
        self.buffer.push(exit.code() as u8);
        put(&mut self.buffer, payload);
        self.buffer.push(u8::from(payment == Payment::Paid));
    }

    fn state(&mut self, state: &State, pages: &[PageIndex]) {
        let last = std::mem::replace(&mut self.last, *state);
        put_signed(&mut self.buffer, last.pc.value(), state.pc.value());
        put_signed(&mut self.buffer, last.gas.value(), state.gas.value());
        let pairs = || last.regs.slots().iter().zip(state.regs.slots());
        let changed = pairs().enumerate();
        let changed = changed.fold(0u16, |mask, (i, (a, b))| mask | u16::from(a != b) << i);
        self.buffer.extend(changed.to_le_bytes());
        for (before, after) in pairs().filter(|(a, b)| a != b) {
            put(&mut self.buffer, before ^ after);
        }
        put(&mut self.buffer, pages.len() as u64);
        for page in pages {
            put(&mut self.buffer, u64::from(page.index()));
        }
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from) as i64;
    put(out, (difference << 1 ^ difference >> 63) as u64);
}
