//! The bodies of the fuzz targets: each takes any bytes and panics if a promise is broken.
//!
//! `tests/fuzz.rs` runs them on the corpora and on seeded mutations of those; `cargo +nightly fuzz
//! run NAME` runs them under coverage.
#![forbid(unsafe_code)]

use rivet::engine::snapshot::{Delta, Parcel, Snapshot};
use rivet::engine::trace::{Recording, Writer};
use rivet::engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, HostError, Machine, Quote, Raw,
    Start, View, native_available,
};
use rivet::image::{Image, NoImages, RegionKind};
use rivet::isa::gas::{FrameCosts, block_cost};
use rivet::isa::{
    BlockStarts, CODE_BASE, DATA_BASE, Gas, PAGE_SIZE, Pc, Slot, compress, decode as decode_at,
    decode_halfword, decode_word, encode,
};
use rivet::loader::LinkOptions;
use std::sync::OnceLock;

/// Most gas a fuzzed program gets at a time.
const BUDGET: u64 = 60_000;
/// Most bytes of code or of a file that are looked at.
const MOST: usize = 1 << 16;

/// Decoding is total, encodes back to the same instruction, and blocks cover the walk.
pub fn decode(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    let starts = BlockStarts::scan(data);
    let mut at = 0;
    while let Some(decoded) = decode_at(data, at) {
        let inst = decoded.inst;
        if let Ok(word) = encode(inst) {
            assert_eq!(decode_word(word), inst, "{inst} at {at}");
        }
        if let Some(half) = compress(inst) {
            assert_eq!(decode_halfword(half), inst, "{inst} at {at}");
        }
        assert!(!inst.to_string().is_empty());
        at += decoded.len.bytes() as usize;
    }
    assert_eq!(starts.end(), Pc::new(at as u64), "both walks stop together");
    let mut end = Pc::new(0);
    for block in starts.blocks() {
        assert_eq!(block.start, end, "blocks are neighbours");
        assert!(block.start < block.end, "no block is empty");
        let cost = block_cost(data, block, FrameCosts::new(25, 256));
        assert!(cost.gate() < 1 << 62, "numbers of a short block are small");
        end = block.end;
    }
    assert_eq!(end, starts.end(), "blocks cover the walk");
}

/// Linking refuses or gives an image that reads back the same and loads.
pub fn link(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    if let Ok(linked) = rivet::loader::link(data, &LinkOptions::default()) {
        reads_back(&linked.image);
        let _ = interpreter().load(&linked.image);
    }
}

/// Any bytes are an image or an error, and an image reads back the same.
pub fn image(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    if let Ok(image) = Image::decode(data, &NoImages) {
        reads_back(&image);
        let _ = interpreter().load(&image);
    }
}

fn reads_back(image: &Image) {
    let Ok(bytes) = image.encode() else {
        return;
    };
    let again = Image::decode(&bytes, &NoImages).expect("what was written can be read");
    assert_eq!(again.address(), image.address());
}

/// Any bytes are a snapshot, a delta or a parcel, or an error; each has one encoding.
pub fn snapshot(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    if let Ok(snapshot) = Snapshot::decode(data) {
        assert_eq!(snapshot.encode(), data, "an encoding is the only one");
    }
    if let Ok(delta) = Delta::decode(data) {
        assert_eq!(delta.encode(), data, "an encoding is the only one");
    }
    if let Ok(parcel) = Parcel::decode(data, &NoImages) {
        let bytes = parcel.encode().expect("what was read has a wire form");
        assert_eq!(Parcel::decode(&bytes, &NoImages), Ok(parcel));
    }
}

/// The difference between any two snapshots of a program, laid onto the first, gives the second.
///
/// ```text
///   0..2             2..2+n       2+n..
///   n, little-endian a snapshot   another
/// ```
pub fn delta(data: &[u8]) {
    let Some((front, rest)) = data.split_first_chunk() else {
        return;
    };
    let Some((old, new)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*front))) else {
        return;
    };
    let (Ok(old), Ok(new)) = (Snapshot::decode(old), Snapshot::decode(new)) else {
        return;
    };
    for (old, new) in [(&old, &new), (&new, &old)] {
        let Ok(delta) = new.since(old) else {
            return;
        };
        assert_eq!(delta.onto(old).as_ref(), Ok(new));
        assert_eq!(Delta::decode(&delta.encode()), Ok(delta));
    }
}

/// Any bytes are a recording, perhaps one that breaks off, or an error; it can be written again.
pub fn trace(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    let Ok(recording) = Recording::decode(data) else {
        return;
    };
    let mut writer = Writer::new(Vec::new(), &recording.header).expect("memory can be written");
    for record in &recording.records {
        writer.record(record).expect("memory can be written");
    }
    let bytes = writer.finish().expect("memory can be written");
    let again = Recording::decode(&bytes).expect("what was written can be read");
    let whole = Recording {
        broken: None,
        ..recording
    };
    assert_eq!(again, whole);
}

/// Any bytes are a vector file or an error, and vectors read back the same.
pub fn vectors(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    let Ok(mut file) = rivet::vectors::parse("fuzz", data) else {
        return;
    };
    let text = rivet::vectors::write(&file);
    let mut again = rivet::vectors::parse("again", text.as_bytes()).expect("it can be read");
    for vector in file.vectors.iter_mut().chain(&mut again.vectors) {
        vector.line = 0;
    }
    assert_eq!(again.vectors.len(), file.vectors.len());
}

/// Both engines run any code with any maps, registers, budgets and answers alike.
///
/// ```text
///   0  1       2..6          7..21             22..
///   gas budget  four maps     a seed per slot   code
/// ```
pub fn raw(data: &[u8]) {
    let Some((head, code)) = data.split_first_chunk::<22>() else {
        return;
    };
    let code = &code[..code.len().min(MOST)];
    let mut program = Raw::new(code.to_vec());
    let mut next = DATA_BASE;
    for byte in &head[2..6] {
        next += u64::from(byte >> 6) * PAGE_SIZE;
        let pages = u64::from(byte >> 2 & 3);
        let kind = [
            RegionKind::Pinned,
            RegionKind::CopyOnWrite,
            RegionKind::Ephemeral,
        ][usize::from(byte & 3) % 3];
        if pages > 0 {
            let content = if kind == RegionKind::Ephemeral {
                Vec::new()
            } else {
                vec![*byte; 100]
            };
            program = program.region(next, pages * PAGE_SIZE, kind, content);
            next += pages * PAGE_SIZE;
        }
    }
    let program = checked().load_raw(program).expect("regions do not overlap");
    let budget = u64::from(u16::from_le_bytes([head[0], head[1]])) % BUDGET;
    let gas = Gas::new(budget).unwrap_or_default();
    let start = Slot::all().fold(Start::at(0).with_gas(gas), |start, slot| {
        start.with_slot(slot, value(head[7 + slot.index()], code.len() as u64))
    });
    let mut machine = program.machine(start).expect("a pc needs no endpoint");
    drive(&mut machine, &mut Answers { seed: head[6] });
}

/// A register value that is worth having, chosen by a byte.
fn value(byte: u8, code: u64) -> u64 {
    let offset = u64::from(byte & 31);
    match byte >> 5 {
        0 => offset,
        1 => DATA_BASE + PAGE_SIZE * (offset / 4) + PAGE_SIZE - 8 + offset % 16,
        2 => CODE_BASE + offset * 2 % (code + 4),
        3 => u64::MAX - offset,
        4 => 1 << (offset + 31),
        5 => (1 << 32) + DATA_BASE + offset * 64,
        6 => (1 << 31) - 16 + offset,
        _ => 0x0123_4567_89AB_CDEF << offset,
    }
}

/// Runs to a final exit or through a few pauses. A difference between the engines is an error of
/// the host, which nothing here can cause otherwise.
fn drive(machine: &mut Machine, host: &mut Answers) {
    for pause in 0..8 {
        match machine.run(host) {
            Ok(exit) if exit.is_final() => return,
            Ok(Exit::OutOfGas) => {
                let more = machine.gas().value() + BUDGET / 8 * pause;
                machine.set_gas(Gas::new(more).unwrap_or_default());
            }
            Ok(_) => {}
            Err(HostError::Diverged(difference)) => panic!("{difference}"),
            Err(error) => panic!("the host failed: {error}"),
        }
    }
}

/// A host whose answers depend on a seed and the call.
struct Answers {
    seed: u8,
}

impl Answers {
    fn mix(&self, call: Call) -> u8 {
        let number = match call {
            Call::Host { selector } => selector as u8,
            Call::Kernel => 0x5A,
        };
        self.seed.wrapping_mul(31) ^ number.wrapping_mul(17)
    }
}

impl Host for Answers {
    fn quote(&self, call: Call, _: &View<'_>) -> Quote {
        match self.mix(call) % 5 {
            0 => Quote::unanswered(),
            n => Quote::extra(u64::from(n) * 10),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        let mix = self.mix(call);
        self.seed = self.seed.wrapping_add(1);
        let slot = Slot::new(mix % 15).expect("there are fifteen slots");
        context.set_reg(slot.reg(), value(mix, 64));
        match mix % 7 {
            0 => Flow::Halt,
            1 | 2 => Flow::Suspend,
            _ => Flow::Continue,
        }
    }
}

fn interpreter() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine(Backend::Interp))
}

fn checked() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| match native_available() {
        Ok(()) => engine(Backend::Checked),
        Err(_) => engine(Backend::Interp),
    })
}

fn engine(backend: Backend) -> Engine {
    let config = Config {
        backend,
        ..Config::default()
    };
    Engine::new(config).expect("the backend runs here")
}
