//! Reading recordings: any bytes give one, or an error with offset and field.

use super::{EXIT, Extent, Header, INSTRUCTION, Kind, MAGIC, PAGES, Record, STEP, VERSION};
use rivet_interp::State;
use rivet_isa::{Exit, Gas, PageIndex, Payment, Pc, Regs, SLOTS};

/// What is wrong with a recording.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("offset {offset}, {field}: {problem}")]
pub struct TraceError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// The field that begins there.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// It is cut off.
    #[error("the file ends here")]
    Ends,
    /// It is not a recording at all.
    #[error("this is no recording; make one with `rivet trace --binary FILE`")]
    Magic,
    /// It is of another version.
    #[error("version {0} is not known, this reads version {VERSION}")]
    Version(u8),
    /// A number has more than 64 bits.
    #[error("the number does not fit 64 bits")]
    TooLong,
    /// A number is outside of what the field can hold.
    #[error("{0} is out of range")]
    Range(u64),
}

/// A recording in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// What it is of.
    pub header: Header,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// Where and why it breaks off, if it does not end with a whole record.
    pub broken: Option<TraceError>,
}

impl Recording {
    /// Reads a recording. One that breaks off inside a record is good up to there and says so.
    ///
    /// # Errors
    /// [`TraceError`] for a bad header or a field that no recording has.
    pub fn decode(bytes: &[u8]) -> Result<Self, TraceError> {
        let mut reader = Reader { bytes, at: 0 };
        let header = reader.header()?;
        let mut last = header.start;
        let mut records = Vec::new();
        let mut broken = None;
        while reader.at < bytes.len() {
            match reader.record(&mut last) {
                Ok(record) => records.push(record),
                Err(error) if error.problem == Problem::Ends => {
                    broken = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            header,
            records,
            broken,
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fail<T>(
        &self,
        offset: usize,
        field: &'static str,
        problem: Problem,
    ) -> Result<T, TraceError> {
        Err(TraceError {
            offset,
            field,
            problem,
        })
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], TraceError> {
        let rest = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk());
        match rest {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.fail(self.at, field, Problem::Ends),
        }
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, TraceError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// A byte that is one of a few.
    fn choice<T: Copy>(&mut self, field: &'static str, of: &[T]) -> Result<T, TraceError> {
        let at = self.at;
        let byte = self.byte(field)?;
        match of.get(usize::from(byte)) {
            Some(choice) => Ok(*choice),
            None => self.fail(at, field, Problem::Range(u64::from(byte))),
        }
    }

    fn word(&mut self, field: &'static str) -> Result<u64, TraceError> {
        self.array(field).map(u64::from_le_bytes)
    }

    fn number(&mut self, field: &'static str) -> Result<u64, TraceError> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.byte(field)?;
            let bits = u64::from(byte & 0x7F);
            if shift >= 64 || bits << shift >> shift != bits {
                return self.fail(start, field, Problem::TooLong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    fn signed(&mut self, field: &'static str, from: u64) -> Result<u64, TraceError> {
        let value = self.number(field)?;
        let difference = (value >> 1) as i64 ^ -((value & 1) as i64);
        Ok(from.wrapping_add(difference as u64))
    }

    fn gas(&self, at: usize, value: u64) -> Result<Gas, TraceError> {
        match Gas::new(value) {
            Some(gas) => Ok(gas),
            None => self.fail(at, "gas", Problem::Range(value)),
        }
    }

    fn page(&mut self) -> Result<PageIndex, TraceError> {
        let at = self.at;
        let value = self.number("page")?;
        let page = u32::try_from(value).ok().and_then(PageIndex::new);
        match page {
            Some(page) => Ok(page),
            None => self.fail(at, "page", Problem::Range(value)),
        }
    }

    /// A count of things of at least `size` bytes each, which the rest of the file can hold.
    fn count(&mut self, field: &'static str, size: usize) -> Result<usize, TraceError> {
        let at = self.at;
        let count = self.number(field)?;
        let left = (self.bytes.len() - self.at) / size;
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok(count),
            _ if count <= u64::from(PageIndex::COUNT) => self.fail(at, field, Problem::Ends),
            _ => self.fail(at, field, Problem::Range(count)),
        }
    }

    fn header(&mut self) -> Result<Header, TraceError> {
        let magic: [u8; 8] = self.array("magic")?;
        if magic != MAGIC {
            return self.fail(0, "magic", Problem::Magic);
        }
        let version = self.byte("version")?;
        if version != VERSION {
            return self.fail(self.at - 1, "version", Problem::Version(version));
        }
        let kind = self.choice("kind", &[Kind::Blocks, Kind::Instructions])?;
        let extent = self.choice("whole", &[Extent::Filtered, Extent::Whole])?;
        let code_len = self.number("code length")?;
        let code_check = self.word("code check")?;
        let pc = Pc::new(self.number("start pc")?);
        let at = self.at;
        let gas = self.number("gas")?;
        let gas = self.gas(at, gas)?;
        let mut slots = [0; SLOTS];
        for slot in &mut slots {
            *slot = self.number("start slot")?;
        }
        let regs = Regs::new(slots);
        Ok(Header {
            kind,
            extent,
            code_len,
            code_check,
            start: State { regs, pc, gas },
        })
    }

    fn record(&mut self, last: &mut State) -> Result<Record, TraceError> {
        let at = self.at;
        match self.byte("tag")? {
            STEP => {
                let pages = self.state(last)?;
                Ok(Record::Step(*last, pages))
            }
            INSTRUCTION => {
                self.state(last)?;
                Ok(Record::Instruction(*last))
            }
            EXIT => {
                let exit = self.exit()?;
                let pages = self.state(last)?;
                Ok(Record::Exit(exit, *last, pages))
            }
            PAGES => {
                let count = self.count("pages", 9)?;
                let pages = (0..count).map(|_| Ok((self.page()?, self.word("digest")?)));
                Ok(Record::Pages(pages.collect::<Result<_, _>>()?))
            }
            other => self.fail(at, "tag", Problem::Range(u64::from(other))),
        }
    }

    fn exit(&mut self) -> Result<Exit, TraceError> {
        let at = self.at;
        let code = self.byte("exit code")?;
        let payload_at = self.at;
        let payload = self.number("payload")?;
        let payment = self.choice("paid", &[Payment::Unpaid, Payment::Paid])?;
        let small = u32::try_from(payload).ok();
        let exit = match code {
            0 => Exit::Halt,
            1 => Exit::Panic,
            2 => Exit::OutOfGas,
            3 => match small.and_then(PageIndex::new) {
                Some(page) => Exit::PageFault { page },
                None => return self.fail(payload_at, "payload", Problem::Range(payload)),
            },
            4 => match small {
                Some(selector) => Exit::HostCall { selector, payment },
                None => return self.fail(payload_at, "payload", Problem::Range(payload)),
            },
            6 => Exit::Ecall { payment },
            7 => Exit::Trap,
            _ => return self.fail(at, "exit code", Problem::Range(u64::from(code))),
        };
        Ok(exit)
    }

    /// The next state, and the pages that are private since then.
    fn state(&mut self, last: &mut State) -> Result<Vec<PageIndex>, TraceError> {
        let pc = Pc::new(self.signed("pc", last.pc.value())?);
        let at = self.at;
        let gas = self.signed("gas", last.gas.value())?;
        let gas = self.gas(at, gas)?;
        let at = self.at;
        let changed = u16::from_le_bytes(self.array("changed slots")?);
        if usize::from(changed) >> SLOTS != 0 {
            return self.fail(at, "changed slots", Problem::Range(u64::from(changed)));
        }
        let mut regs = last.regs;
        for (i, slot) in regs.slots_mut().iter_mut().enumerate() {
            if changed >> i & 1 == 1 {
                *slot ^= self.number("slot")?;
            }
        }
        let count = self.count("new pages", 1)?;
        let pages = (0..count).map(|_| self.page());
        let pages = pages.collect::<Result<_, _>>()?;
        *last = State { regs, pc, gas };
        Ok(pages)
    }
}
