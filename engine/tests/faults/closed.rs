//! Runs code once for each of its accesses, with memory closed at that access, and compares the
//! state that the recompiler reports there with the interpreter's.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rivet_interp::{AccessError, Memory, State, Tracer, View, Width, run_traced};
use rivet_isa::gas::FrameCosts;
use rivet_isa::{
    BlockStarts, CODE_BASE, Exit, Gas, GuestAddr, Inst, PageIndex, Pc, Regs, Selector, decode,
    encode,
};
use rivet_jit::{Call, CodeCache, Cpu, Flow, Left, NoHost, Program, RunError};
use rivet_paging::{
    AddressSpace, HostError, Layout, MemoryLimits, PageRange, PageSource, Region, Tracker,
    WindowPool,
};

use crate::maps;
use crate::signals::{Closed, Part};

/// First address of the writable memory.
pub(crate) const DATA_START: u64 = 0x1000_0000;
/// Its length.
pub(crate) const DATA_LEN: u64 = 8 * 4096;
/// Gas of a run: enough for straight code, little enough for loops to end.
const GAS: u64 = 20_000;
/// Accesses of one program that are compared.
const MOST: usize = 150;
/// Price of a page, which is never paid because all pages are private before the run.
const COW: u64 = 256;

static POOL: LazyLock<WindowPool> = LazyLock::new(|| WindowPool::new(2, 60_000));
static CACHE: LazyLock<Arc<CodeCache>> = LazyLock::new(|| CodeCache::new(Default::default()));
/// Signal handlers belong to the process.
static ALONE: Mutex<()> = Mutex::new(());

/// What memory holds at the start.
fn content() -> Vec<u8> {
    let byte = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
    (0..DATA_LEN).map(byte).collect()
}

/// Memory of the interpreter: two plain ranges.
struct Flat<'a> {
    code: &'a [u8],
    data: Vec<u8>,
}

impl Flat<'_> {
    fn byte(&mut self, address: u32) -> Option<u8> {
        let from = |start: u64| u64::from(address).checked_sub(start).map(|at| at as usize);
        let code_len = self.code.len().next_multiple_of(4096);
        match (from(CODE_BASE), from(DATA_START)) {
            (_, Some(at)) => self.data.get(at).copied(),
            (Some(at), _) if at < code_len => Some(self.code.get(at).copied().unwrap_or(0)),
            _ => None,
        }
    }
}

fn fault(address: u32) -> AccessError<Infallible> {
    AccessError::Fault(PageIndex::new(address >> 12).unwrap())
}

impl Memory for Flat<'_> {
    type Error = Infallible;

    fn load(&mut self, addr: GuestAddr, width: Width) -> Result<u64, AccessError<Infallible>> {
        let mut value = 0;
        for i in 0..width.bytes() {
            let address = addr.value().wrapping_add(i);
            let byte = self.byte(address).ok_or_else(|| fault(address))?;
            value |= u64::from(byte) << (8 * i);
        }
        Ok(value)
    }

    fn store(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, AccessError<Infallible>> {
        let places = (0..width.bytes()).map(|i| {
            let address = addr.value().wrapping_add(i);
            let at = u64::from(address).checked_sub(DATA_START);
            at.filter(|at| *at < DATA_LEN).ok_or_else(|| fault(address))
        });
        let places: Vec<u64> = places.collect::<Result<_, _>>()?;
        for (i, at) in places.into_iter().enumerate() {
            self.data[at as usize] = (value >> (8 * i)) as u8;
        }
        Ok(0)
    }
}

/// The state in front of one access, or at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    pc: Pc,
    regs: Regs,
    gas: u64,
}

#[derive(Default)]
struct Accesses(Vec<Seen>);

impl Tracer for Accesses {
    fn instruction(&mut self, pc: Pc, inst: Inst, view: View<'_>) {
        if (inst.op().is_load() || inst.op().is_store()) && self.0.len() < MOST {
            let (regs, gas) = (view.regs(), view.gas());
            self.0.push(Seen { pc, regs, gas });
        }
    }
}

/// The accesses the interpreter makes, and how it ends.
fn expected(code: &[u8], regs: Regs) -> (Vec<Seen>, Exit, Seen) {
    let program = rivet_interp::Program::new(code.into(), FrameCosts::new(25, COW));
    let (pc, gas) = (Pc::new(4), Gas::new(GAS).unwrap());
    let mut state = State { regs, pc, gas };
    let data = content();
    let mut accesses = Accesses::default();
    let mut memory = Flat { code, data };
    let Ok(exit) = run_traced(&program, &mut state, &mut memory, &mut accesses) else {
        panic!("nothing can fail")
    };
    let (regs, pc, gas) = (state.regs, state.pc, state.gas.value());
    (accesses.0, exit, Seen { pc, regs, gas })
}

/// The code and its memory for the recompiler.
struct Subject {
    program: Program,
    memory: AddressSpace,
    code_pages: usize,
}

impl Subject {
    fn new(code: &[u8]) -> Self {
        let starts = Arc::new(BlockStarts::scan(code));
        let costs = FrameCosts::new(25, COW);
        let program = Program::new(code.into(), starts, costs, &CACHE).unwrap();
        let code_pages = code.len().next_multiple_of(4096);
        let range = |start, len| PageRange::from_bytes(start, len).unwrap();
        let source = PageSource::from_bytes(code).unwrap();
        let layout = Layout::new(vec![
            Region::read_only(range(CODE_BASE, code_pages as u64), source),
            Region::ephemeral(range(DATA_START, DATA_LEN), COW),
        ]);
        let layout = Arc::new(layout.unwrap());
        let mut memory = AddressSpace::new(layout, MemoryLimits::default());
        memory.attach(&POOL, Tracker::Trap).unwrap();
        Self {
            program,
            memory,
            code_pages,
        }
    }

    /// A run whose access number `skip` finds memory closed.
    fn run(&mut self, regs: Regs, skip: u32) -> (Result<Left, RunError>, Seen) {
        let start = rivet_paging::GuestAddr::wrapping(DATA_START);
        self.memory.write(start, &content()).unwrap();
        let base = self.memory.window().unwrap().base().addr();
        let part = |start: u64, len, writable| {
            let offset = start as usize;
            Part {
                offset,
                len,
                writable,
            }
        };
        let parts = [
            part(CODE_BASE, self.code_pages, false),
            part(DATA_START, DATA_LEN as usize, true),
        ];
        let mut closed = None;
        let mut host = |call: Call<'_>| {
            if closed.is_some() {
                return rivet_jit::Host::call(&mut NoHost, call);
            }
            closed = Some(Closed::begin(base, parts, skip));
            Flow::Continue
        };
        let (mut after, mut gas) = (regs, Gas::new(GAS).unwrap());
        let cpu = Cpu {
            regs: &mut after,
            gas: &mut gas,
        };
        let left = self
            .program
            .run(cpu, Pc::new(0), &mut self.memory, &mut host);
        drop(closed);
        let (regs, gas, pc) = (after, gas.value(), pc_of(&left));
        (left, Seen { pc, regs, gas })
    }
}

fn pc_of(left: &Result<Left, RunError>) -> Pc {
    match left {
        Ok(Left::Exit(_, pc) | Left::Stepped(pc) | Left::Untranslated(pc)) => *pc,
        Err(RunError::Access { pc, .. }) => *pc,
        Err(other) => panic!("{other}"),
    }
}

fn listing(code: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(decoded) = decode(code, at) {
        text += &format!("{at:6x}  {}\n", decoded.inst);
        at += decoded.len.bytes() as usize;
    }
    text
}

/// Compares the engines at every access that `code`, from its first instruction on, makes with
/// these registers, and at its end. Answers how many accesses there were.
///
/// # Panics
/// If they differ; `name` says where.
pub(crate) fn compare(code: &[u8], regs: Regs, name: &str) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    maps::watch();
    // A call in front, during which memory is closed.
    let first = Inst::ecalli(Selector { selector: 1 });
    let mut whole = encode(first).unwrap().to_le_bytes().to_vec();
    whole.extend(code);
    let (accesses, exit, end) = expected(&whole, regs);
    let mut subject = Subject::new(&whole);
    for (n, expected) in accesses.iter().enumerate() {
        let (left, seen) = subject.run(regs, n as u32);
        let reported = match left {
            Err(RunError::Access { error, .. }) => {
                matches!(error, HostError::Unexplained { .. })
            }
            Ok(Left::Exit(Exit::PageFault { .. }, _)) => true,
            _ => false,
        };
        assert!(
            reported && seen == *expected,
            "{name}: access {n} ended as {left:x?}\nrecompiler  {seen:x?}\ninterpreter {expected:x?}\n{}",
            listing(&whole)
        );
    }
    if accesses.len() < MOST {
        let (left, seen) = subject.run(regs, u32::MAX);
        assert_eq!(left, Ok(Left::Exit(exit, end.pc)), "{name}");
        assert_eq!(seen, end, "{name}\n{}", listing(&whole));
    }
    accesses.len()
}
