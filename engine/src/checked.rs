//! Both engines side by side: the recompiler leads, the interpreter follows, and every exit and
//! call compares them. A host is called once, on the leader; its answer (registers, gas, writes) is
//! replayed to the follower.

use crate::call::{AccessError, Host, NoHost};
use crate::error::HostError;
use crate::interpreted::answered;
use crate::memory::{GuestMemory, PageBytes, paged};
use crate::native::{self, NativeProgram};
use rivet_interp::{SparseMemory, State};
use rivet_isa::{Exit, GuestAddr, PageIndex};
use rivet_paging::AddressSpace;
use std::fmt;

/// The first difference between the engines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// What the recompiler gave, and its state.
    pub native: (Exit, State),
    /// What the interpreter gave, and its state.
    pub interpreted: (Exit, State),
    /// The first page whose content or privacy differs, if the states agree.
    pub page: Option<PageIndex>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((left, a), (right, b)) = (&self.native, &self.interpreted);
        write!(f, "jit {left} at pc {} gas {}, ", a.pc, a.gas)?;
        write!(f, "interp {right} at pc {} gas {}", b.pc, b.gas)?;
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

/// Runs both engines to an exit.
pub(crate) fn run(
    native: &NativeProgram,
    code: &rivet_interp::Program,
    state: &mut State,
    pair: &mut Pair,
    host: &mut dyn Host,
) -> Result<Exit, HostError> {
    loop {
        let mut shadow = *state;
        let left = native::run(native, code, state, &mut pair.leader, &mut NoHost)?;
        let right = rivet_interp::run(code, &mut shadow, &mut pair.follower)
            .map_err(|_| HostError::Memory)?;
        let same = left == right && *state == shadow;
        let page = if same { pair.differing_page() } else { None };
        if !same || page.is_some() {
            let (native, interpreted) = ((left, *state), (right, shadow));
            return Err(HostError::Diverged(Box::new(Divergence {
                native,
                interpreted,
                page,
            })));
        }
        if let Some(exit) = serve(left, state, pair, host)? {
            return Ok(exit);
        }
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
