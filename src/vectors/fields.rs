//! One function per field of a vector file: its words to a value.

use super::error::Problem;
use super::model::{Again, Answer, BlockLine, Bytes, Expect, Map, PageRun, RegSet, Vector};
use super::{MAX_EXPANDED, token};
use rivet_engine::{Call, Exit, Flow};
use rivet_image::RegionKind;
use rivet_isa::gas::{MAX_DEPTH, Multiplier};
use rivet_isa::{ADDRESS_SPACE, DATA_BASE, Gas, PAGE_SIZE, Payment, Pc};
use std::str::SplitWhitespace;

/// What a mapping must be (ISA §4).
const MAPPING: &str = "a mapping is whole pages, one at least, in 0x10000000..0x100000000";

/// The rest of a line.
pub(super) struct Words<'a>(pub(super) SplitWhitespace<'a>);

impl<'a> Words<'a> {
    pub(super) fn next(&mut self, what: &'static str) -> Result<&'a str, Problem> {
        self.0.next().ok_or(Problem::Missing(what))
    }

    pub(super) fn end(mut self) -> Result<(), Problem> {
        match self.0.next() {
            Some(word) => Err(Problem::Surplus(word.to_owned())),
            None => Ok(()),
        }
    }
}

/// `key=value`.
fn pair(word: &str) -> Result<(&str, &str), Problem> {
    word.split_once('=')
        .ok_or_else(|| Problem::Surplus(word.to_owned()))
}

/// Everything after the first word.
pub(super) fn rest<'a>(line: &'a str, field: &str) -> Result<&'a str, Problem> {
    let rest = line.trim().strip_prefix(field).unwrap_or_default().trim();
    if rest.is_empty() {
        return Err(Problem::Missing("text"));
    }
    Ok(rest)
}

pub(super) fn regs(words: Words<'_>) -> Result<RegSet, Problem> {
    let mut set = Vec::new();
    for word in words.0 {
        let (name, value) = pair(word)?;
        let reg = token::reg(name).ok_or_else(|| Problem::Word {
            word: name.to_owned(),
            known: "x1 … x15",
        })?;
        set.push((reg, token::number(value)?));
    }
    Ok(RegSet(set))
}

pub(super) fn code(
    words: Words<'_>,
    code: &mut Vec<u8>,
    listed: &mut usize,
) -> Result<(), Problem> {
    for word in words.0 {
        let before = code.len();
        token::hex(word, code)?;
        count(listed, code.len() - before)?;
    }
    Ok(())
}

pub(super) fn bytes(mut words: Words<'_>, listed: &mut usize) -> Result<Bytes, Problem> {
    let at = words.next("the address")?;
    let bytes = token::bytes(at, words.0)?;
    count(listed, bytes.bytes.len())?;
    Ok(bytes)
}

/// Counts bytes towards the limit of the file.
fn count(listed: &mut usize, more: usize) -> Result<(), Problem> {
    *listed += more;
    if *listed > MAX_EXPANDED {
        return Err(Problem::TooLong);
    }
    Ok(())
}

pub(super) fn map(mut words: Words<'_>, maps: &mut Vec<Map>) -> Result<(), Problem> {
    let start = token::number(words.next("the first address")?)?;
    let size = token::number(words.next("the size")?)?;
    let kind = match words.next("ro, cow or ephemeral")? {
        "ro" => RegionKind::Pinned,
        "cow" => RegionKind::CopyOnWrite,
        "ephemeral" => RegionKind::Ephemeral,
        word => {
            let (word, known) = (word.to_owned(), "ro, cow, ephemeral");
            return Err(Problem::Word { word, known });
        }
    };
    words.end()?;
    let pages = start.is_multiple_of(PAGE_SIZE) && size.is_multiple_of(PAGE_SIZE) && size > 0;
    let end = start.checked_add(size).filter(|end| *end <= ADDRESS_SPACE);
    if !pages || start < DATA_BASE || end.is_none() {
        let words = format!("{start:#x} {size:#x}");
        return Err(token::range(&words, MAPPING));
    }
    let map = Map { start, size, kind };
    apart(maps, &map)?;
    maps.push(map);
    Ok(())
}

/// Checks that a mapping has no page of earlier ones.
fn apart(maps: &[Map], map: &Map) -> Result<(), Problem> {
    let common =
        |other: &&Map| map.start < other.start + other.size && other.start < map.start + map.size;
    match maps.iter().find(common) {
        Some(Map { start, .. }) => Err(Problem::Overlap { start: *start }),
        None => Ok(()),
    }
}

/// The pages of a `private` line; `none` stands alone.
pub(super) fn private(mut words: Words<'_>, pages: &mut Vec<PageRun>) -> Result<(), Problem> {
    match words.next("a page, or `none`,")? {
        "none" => return words.end(),
        first => pages.push(token::page_run(first)?),
    }
    for word in words.0 {
        pages.push(token::page_run(word)?);
    }
    Ok(())
}

pub(super) fn multiplier(words: Words<'_>) -> Result<Multiplier, Problem> {
    let mut factors = [0; MAX_DEPTH + 1];
    let mut len = 0;
    for word in words.0 {
        let (factor, count) = word.split_once('*').unwrap_or((word, "1"));
        let factor = u32::try_from(token::number(factor)?).unwrap_or(u32::MAX);
        for _ in 0..token::number(count)? {
            let place = factors.get_mut(len);
            *place.ok_or_else(|| Problem::Surplus(word.to_owned()))? = factor;
            len += 1;
        }
    }
    if len != factors.len() {
        return Err(Problem::Missing("a factor for each depth, 21 in all,"));
    }
    Multiplier::new(factors)
        .map_err(|_| token::range("multiplier", "factors are 1..=0x100000 and do not decrease"))
}

pub(super) fn start(words: Words<'_>, vector: &mut Vector) -> Result<(), Problem> {
    let (mut pc, mut gas) = (None, None);
    for word in words.0 {
        let before = match pair(word)? {
            ("pc", value) => pc.replace(Pc::new(token::number(value)?)).is_some(),
            ("gas", value) => gas.replace(token::gas(value)?).is_some(),
            _ => return Err(Problem::Surplus(word.to_owned())),
        };
        if before {
            return Err(Problem::Twice);
        }
    }
    vector.pc = pc.unwrap_or(vector.pc);
    vector.gas = gas.unwrap_or(vector.gas);
    Ok(())
}

pub(super) fn block(mut words: Words<'_>) -> Result<BlockLine, Problem> {
    let range = words.next("START..END")?;
    let (start, end) = range
        .split_once("..")
        .ok_or(Problem::Missing("START..END"))?;
    let mut out = BlockLine {
        start: token::number(start)?,
        end: token::number(end)?,
        cost: 0,
        reserve: 0,
    };
    for word in words.0 {
        match pair(word)? {
            ("cost", value) => out.cost = token::number(value)?,
            ("reserve", value) => out.reserve = token::number(value)?,
            _ => return Err(Problem::Surplus(word.to_owned())),
        }
    }
    Ok(out)
}

pub(super) fn end(mut words: Words<'_>) -> Result<Pc, Problem> {
    let end = token::number(words.next("the offset")?)?;
    words.end()?;
    Ok(Pc::new(end))
}

pub(super) fn resume(words: Words<'_>) -> Result<Option<Gas>, Problem> {
    let mut gas = None;
    for word in words.0 {
        match pair(word)? {
            ("gas", value) => gas = Some(token::gas(value)?),
            _ => return Err(Problem::Surplus(word.to_owned())),
        }
    }
    Ok(gas)
}

pub(super) fn again(words: Words<'_>) -> Result<Again, Problem> {
    let mut out = Again::default();
    for word in words.0 {
        let before = match pair(word)? {
            ("pc", value) => out.pc.replace(Pc::new(token::number(value)?)).is_some(),
            ("gas", value) => out.gas.replace(token::gas(value)?).is_some(),
            (name, value) => match token::reg(name) {
                Some(reg) => {
                    out.regs.0.push((reg, token::number(value)?));
                    false
                }
                None => return Err(Problem::Surplus(word.to_owned())),
            },
        };
        if before {
            return Err(Problem::Twice);
        }
    }
    Ok(out)
}

pub(super) fn answer(mut words: Words<'_>, listed: &mut usize) -> Result<Answer, Problem> {
    let call = match words.next("a selector or `kernel`")? {
        "kernel" => Call::Kernel,
        word => Call::Host {
            selector: selector(word)?,
        },
    };
    let flow = match words.next("continue, suspend, halt or leave")? {
        "continue" => Flow::Continue,
        "suspend" => Flow::Suspend,
        "halt" => Flow::Halt,
        "leave" => {
            words.end()?;
            return Ok(Answer::none(call));
        }
        word => {
            let (word, known) = (word.to_owned(), "continue, suspend, halt, leave");
            return Err(Problem::Word { word, known });
        }
    };
    let mut out = Answer {
        flow: Some(flow),
        ..Answer::none(call)
    };
    for word in words.0 {
        match pair(word)? {
            ("extra", value) => out.extra = token::number(value)?,
            ("gas", value) => out.gas = Some(token::gas(value)?),
            ("write", value) => {
                let (at, hex) = value.split_once(':').ok_or(Problem::Missing("ADDR:HEX"))?;
                let bytes = token::bytes(at, std::iter::once(hex))?;
                count(listed, bytes.bytes.len())?;
                out.writes.push(bytes);
            }
            (name, value) => match token::reg(name) {
                Some(reg) => out.regs.0.push((reg, token::number(value)?)),
                None => return Err(Problem::Surplus(word.to_owned())),
            },
        }
    }
    Ok(out)
}

fn selector(word: &str) -> Result<u32, Problem> {
    let range = || token::range(word, "selectors are below 2^32");
    u32::try_from(token::number(word)?).map_err(|_| range())
}

pub(super) fn exit(mut words: Words<'_>) -> Result<Expect, Problem> {
    let kind = words.next("the kind of exit")?;
    let (mut pc, mut gas, mut page, mut number, mut payment) = (None, None, None, None, None);
    for word in words.0 {
        match word {
            "paid" => payment = Some(Payment::Paid),
            "unpaid" => payment = Some(Payment::Unpaid),
            _ => match pair(word)? {
                ("pc", value) => pc = Some(Pc::new(token::number(value)?)),
                ("gas", value) => gas = Some(token::gas(value)?),
                ("page", value) if kind == "page-fault" => page = Some(token::page(value)?),
                ("selector", value) if kind == "host-call" => number = Some(selector(value)?),
                _ => return Err(Problem::Surplus(word.to_owned())),
            },
        }
    }
    let paid = payment.ok_or(Problem::Missing("`paid` or `unpaid`"));
    let exit = match kind {
        "halt" => Exit::Halt,
        "panic" => Exit::Panic,
        "out-of-gas" => Exit::OutOfGas,
        "trap" => Exit::Trap,
        "page-fault" => Exit::PageFault {
            page: page.ok_or(Problem::Missing("`page=`"))?,
        },
        "host-call" => Exit::HostCall {
            selector: number.ok_or(Problem::Missing("`selector=`"))?,
            payment: paid?,
        },
        "ecall" => Exit::Ecall { payment: paid? },
        word => {
            return Err(Problem::Word {
                word: word.to_owned(),
                known: "halt, panic, out-of-gas, page-fault, host-call, ecall, trap",
            });
        }
    };
    Ok(Expect {
        exit,
        pc: pc.ok_or(Problem::Missing("`pc=`"))?,
        gas: gas.ok_or(Problem::Missing("`gas=`"))?,
        regs: RegSet::default(),
        bytes: Vec::new(),
        private: None,
    })
}
