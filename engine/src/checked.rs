//! Both engines side by side: the recompiler leads, the interpreter follows, and every exit and
//! call compares them, on request every block. A host is called once, on the leader; its answer (registers, gas, writes) is
//! replayed to the follower.

use crate::call::{AccessError, Host, NoHost};
use crate::error::HostError;
use crate::interpreted::answered;
use crate::machine::Reach;
use crate::memory::{GuestMemory, PageBytes, paged};
use crate::native::{self, NativeProgram};
use rivet_interp::{SparseMemory, State, Tracer, Width};
use rivet_isa::{Exit, GuestAddr, PageIndex, Pc};
use rivet_paging::AddressSpace;
use std::fmt;

/// The first difference between the engines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Where the stretch that ended in it began: a block's start with
    /// [`CheckEvery::Block`](crate::CheckEvery::Block).
    pub from: Pc,
    /// How far the recompiler came, and its state.
    pub native: (Option<Exit>, State),
    /// How far the interpreter came, and its state.
    pub interpreted: (Option<Exit>, State),
    /// The first page whose content or privacy differs, if the states agree.
    pub page: Option<PageIndex>,
}

impl Divergence {
    /// The first field that differs: exit, pc, gas, a slot, or memory.
    pub fn field(&self) -> String {
        let ((left, a), (right, b)) = (&self.native, &self.interpreted);
        if left != right {
            return "exit".to_owned();
        }
        if a.pc != b.pc {
            return "pc".to_owned();
        }
        if a.gas != b.gas {
            return "gas".to_owned();
        }
        let mut slots = a.regs.slots().iter().zip(b.regs.slots());
        match (slots.position(|(x, y)| x != y), self.page) {
            (Some(slot), _) => format!("slot {slot}"),
            (None, Some(page)) => format!("page {page}"),
            (None, None) => "nothing".to_owned(),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((left, a), (right, b)) = (&self.native, &self.interpreted);
        let name = |exit: &Option<Exit>| exit.map_or("next block".to_owned(), |e| e.to_string());
        write!(f, "from pc {}, {} differs: ", self.from, self.field())?;
        write!(f, "jit {} at pc {} gas {}, ", name(left), a.pc, a.gas)?;
        write!(f, "interp {} at pc {} gas {}", name(right), b.pc, b.gas)?;
        for (slot, (x, y)) in a.regs.slots().iter().zip(b.regs.slots()).enumerate() {
            if x != y {
                write!(f, "; slot {slot} is {x:#x} and {y:#x}")?;
            }
        }
        match self.page {
            Some(page) => write!(f, "; page {page} differs"),
            None => Ok(()),
        }
    }
}

/// The two memories of a checked machine.
pub(crate) struct Pair {
    pub(crate) leader: AddressSpace,
    pub(crate) follower: SparseMemory,
}

impl Pair {
    /// The first page that differs in content or privacy.
    fn differing_page(&self) -> Option<PageIndex> {
        let (left, right) = (snapshot(&self.leader), snapshot(&self.follower));
        let mut pages: Vec<PageIndex> = left.iter().chain(&right).map(|(page, ..)| *page).collect();
        pages.sort_unstable();
        pages.dedup();
        let find = |side: &[(PageIndex, bool, Box<PageBytes>)], page| {
            side.iter()
                .find(|(p, ..)| *p == page)
                .map(|(_, private, bytes)| (*private, **bytes))
        };
        pages.into_iter().find(|page| {
            let zero = (false, [0; _]);
            find(&left, *page).unwrap_or(zero) != find(&right, *page).unwrap_or(zero)
        })
    }

    /// The first page that is private on one side only, or differs and is one of these.
    fn differing_among(&self, pages: &[PageIndex]) -> Option<PageIndex> {
        let left = GuestMemory::private_pages(&self.leader);
        let right = GuestMemory::private_pages(&self.follower);
        let one_sided = left.iter().chain(&right);
        let one_sided = one_sided
            .filter(|page| left.binary_search(page).is_ok() != right.binary_search(page).is_ok());
        if left != right {
            return one_sided.min().copied();
        }
        let content = |memory: &dyn GuestMemory, page: PageIndex| {
            let mut bytes: PageBytes = [0; _];
            memory.read(page.base(), &mut bytes).ok().map(|()| bytes)
        };
        let differs =
            |page: &&PageIndex| content(&self.leader, **page) != content(&self.follower, **page);
        pages.iter().filter(differs).min().copied()
    }
}

/// Every page that is private or not zero, with whether it is private.
fn snapshot(memory: &dyn GuestMemory) -> Vec<(PageIndex, bool, Box<PageBytes>)> {
    let private = memory.private_pages();
    let mut out = Vec::new();
    memory.visit(&mut |page, bytes| {
        let is_private = private.binary_search(&page).is_ok();
        if is_private || bytes.iter().any(|byte| *byte != 0) {
            out.push((page, is_private, Box::new(*bytes)));
        }
    });
    out
}

/// Runs both engines as far as `reach` says, comparing them there and at every call before;
/// the follower's instructions in a block are shown to the tracer. `None` if the run goes on at `state.pc`.
pub(crate) fn run(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    pair: &mut Pair,
    host: &mut dyn Host,
    reach: Reach,
    tracer: &mut impl Tracer,
) -> Result<Option<Exit>, HostError> {
    let from = state.pc;
    let mut shadow = *state;
    let (left, right, page) = match reach {
        Reach::Exit => {
            let left = native::run(native, code, state, &mut pair.leader, &mut NoHost)?;
            let right = rivet_interp::run(code, &mut shadow, &mut pair.follower);
            let right = right.map_err(|_| HostError::Memory)?;
            let same = left == right && *state == shadow;
            let page = if same { pair.differing_page() } else { None };
            (Some(left), Some(right), page)
        }
        Reach::Block => {
            let left = native::step(native, code, state, &mut pair.leader, &mut NoHost)?;
            let mut watched = Watched::new(&mut pair.follower);
            let right = rivet_interp::run_block_traced(code, &mut shadow, &mut watched, tracer);
            let right = right.map_err(|_| HostError::Memory)?;
            let stored = watched.stored;
            let same = left == right && *state == shadow;
            let page = if !same {
                None
            } else if right.is_some() {
                pair.differing_page()
            } else {
                pair.differing_among(&stored)
            };
            (left, right, page)
        }
    };
    if left != right || *state != shadow || page.is_some() {
        let (native, interpreted) = ((left, *state), (right, shadow));
        return Err(HostError::Diverged(Box::new(Divergence {
            from,
            native,
            interpreted,
            page,
        })));
    }
    match left {
        Some(exit) => serve(exit, state, pair, host),
        None => Ok(None),
    }
}

/// The follower's memory during a block: it remembers where stores go.
struct Watched<'a> {
    memory: &'a mut SparseMemory,
    stored: Vec<PageIndex>,
}

impl<'a> Watched<'a> {
    fn new(memory: &'a mut SparseMemory) -> Self {
        let stored = Vec::new();
        Self { memory, stored }
    }
}

impl rivet_interp::Memory for Watched<'_> {
    type Error = <SparseMemory as rivet_interp::Memory>::Error;

    fn load(
        &mut self,
        addr: GuestAddr,
        width: Width,
    ) -> Result<u64, rivet_interp::AccessError<Self::Error>> {
        self.memory.load(addr, width)
    }

    fn store(
        &mut self,
        addr: GuestAddr,
        width: Width,
        value: u64,
    ) -> Result<u64, rivet_interp::AccessError<Self::Error>> {
        for page in [addr.page(), addr.wrapping_add(width.bytes() - 1).page()] {
            if !self.stored.contains(&page) {
                self.stored.push(page);
            }
        }
        self.memory.store(addr, width, value)
    }
}

/// Answers a call on the leader and replays what it wrote to the follower.
pub(crate) fn serve(
    exit: Exit,
    state: &mut State,
    pair: &mut Pair,
    host: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    let mut recorder = Recorder {
        memory: &mut pair.leader,
        writes: Vec::new(),
    };
    let exit = answered(exit, state, &mut recorder, host)?;
    for (addr, bytes) in recorder.writes {
        let written = GuestMemory::write(&mut pair.follower, addr, &bytes);
        written.map_err(|_| HostError::Memory)?;
    }
    Ok(exit)
}

/// Memory that remembers what was written.
struct Recorder<'a> {
    memory: &'a mut AddressSpace,
    writes: Vec<(GuestAddr, Vec<u8>)>,
}

impl GuestMemory for Recorder<'_> {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), AccessError> {
        GuestMemory::read(self.memory, addr, out)
    }

    fn is_mapped(&self, page: PageIndex) -> bool {
        self.memory.is_mapped(page)
    }

    fn write_price(&self, page: PageIndex) -> Option<u64> {
        self.memory.write_price(page)
    }

    fn write(&mut self, addr: GuestAddr, bytes: &[u8]) -> Result<(), AccessError> {
        GuestMemory::write(self.memory, addr, bytes)?;
        self.writes.push((addr, bytes.to_vec()));
        Ok(())
    }

    fn own(&mut self, page: PageIndex) -> Result<(), HostError> {
        GuestMemory::own(self.memory, page)?;
        let byte = paged::first_byte(self.memory, page)?;
        self.writes.push((page.base(), byte.to_vec()));
        Ok(())
    }

    fn private_pages(&self) -> Vec<PageIndex> {
        GuestMemory::private_pages(self.memory)
    }

    fn visit(&self, see: &mut dyn FnMut(PageIndex, &PageBytes)) {
        self.memory.visit(see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_isa::{Gas, Reg};

    fn agreed() -> Divergence {
        let state = State {
            pc: Pc::new(0x20),
            gas: Gas::new(7).expect("below 2^63"),
            ..State::default()
        };
        Divergence {
            from: Pc::new(0x10),
            native: (None, state),
            interpreted: (None, state),
            page: None,
        }
    }

    #[test]
    fn a_divergence_names_the_block_and_the_first_field_that_differs() {
        let mut found = agreed();
        found.page = PageIndex::new(0x10000);
        assert!(found.field().starts_with("page"), "{}", found.field());
        found.native.1.regs.set(Reg::A0, 0xAB);
        assert_eq!(found.field(), "slot 7");
        found.native.1.gas = Gas::new(8).expect("below 2^63");
        assert_eq!(found.field(), "gas");
        found.native.1.pc = Pc::new(0x22);
        assert_eq!(found.field(), "pc");
        found.native.0 = Some(Exit::Trap);
        assert_eq!(found.field(), "exit");
        let text = found.to_string();
        for part in [
            "from pc 0x10",
            "exit differs",
            "jit trap at pc 0x22 gas 8",
            "0xab",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
