//! From a machine to a snapshot and back, and what makes a state one that a run can be paused in.

use super::error::{ResumeError, SnapshotError};
use super::pages::{PageList, SnapshotPage};
use super::value::{Head, Pending, Snapshot};
use crate::call::Call;
use crate::error::HostError;
use crate::machine::{Machine, Status, Store};
use crate::memory::{PageBytes, paged};
use crate::program::Program;
use crate::service::own_pc;
use rivet_image::{Region, RegionKind};
use rivet_interp::SparseMemory;
use rivet_interp::sparse::{PageClass as SparseClass, Placement};
use rivet_isa::{Op, PageIndex, Payment, Pc, decode};
use rivet_paging::{AddressSpace, PageClass};
use std::sync::Arc;

/// How a state contradicts ISA §11.3.
enum Misplaced {
    /// Not a block start.
    Pc,
    /// Not behind the call that is said to be pending.
    Call,
}

/// Whether a run of `program` can be paused so: in front of a block, or behind a call.
fn check_pause(program: &Program, pc: Pc, pending: Option<Pending>) -> Result<(), Misplaced> {
    let Some(Pending { call, .. }) = pending else {
        return if program.starts().contains(pc) {
            Ok(())
        } else {
            Err(Misplaced::Pc)
        };
    };
    let own = own_pc(pc);
    let found = program
        .starts()
        .contains(own)
        .then(|| decode(program.code(), own.value() as usize))
        .flatten()
        .map(|decoded| (decoded.inst.op(), decoded.inst.imm() as u32));
    match (call, found) {
        (Call::Host { selector }, Some((Op::Ecalli, imm))) if selector == imm => Ok(()),
        (Call::Kernel, Some((Op::EcallJar, _))) => Ok(()),
        _ => Err(Misplaced::Call),
    }
}

impl Program {
    fn region(&self, page: PageIndex) -> Option<&Region> {
        let regions = self.regions();
        let after = regions.partition_point(|region| region.first <= page);
        let region = &regions[after.checked_sub(1)?];
        (page.index() - region.first.index() < region.pages).then_some(region)
    }

    /// Whether this is what the image has at a page.
    fn has(&self, page: PageIndex, content: &PageBytes) -> bool {
        self.region(page).is_some_and(|region| {
            let start = region.source.page(page.index() - region.first.index());
            let (front, rest) = content.split_at(start.len());
            front == start && rest.iter().all(|byte| *byte == 0)
        })
    }

    /// A machine that goes on where the snapshot was taken, whatever backend and host took it.
    ///
    /// # Errors
    /// [`ResumeError`] if it is of another program or other cost parameters, or no run of this
    /// program can be paused so.
    pub fn resume(&self, snapshot: &Snapshot) -> Result<Machine, ResumeError> {
        let Head {
            image,
            cost_model,
            state,
            pending,
        } = snapshot.head;
        let own = self.image()?.address();
        if image != own {
            return Err(ResumeError::OtherImage {
                snapshot: image,
                program: own,
            });
        }
        if cost_model != self.cost_model() {
            return Err(ResumeError::OtherCostModel {
                snapshot: cost_model,
                program: self.cost_model(),
            });
        }
        let pc = state.pc;
        check_pause(self, pc, pending).map_err(|misplaced| match misplaced {
            Misplaced::Pc => ResumeError::Pc { pc },
            Misplaced::Call => ResumeError::NotTheCall { pc },
        })?;
        for (page, content) in snapshot.base.iter() {
            if self.has(page, content) {
                return Err(ResumeError::Redundant { page });
            }
        }
        for (page, _) in snapshot.base.iter().chain(snapshot.private.iter()) {
            let region = self.region(page);
            if region.is_none_or(|region| region.kind == RegionKind::Pinned) {
                return Err(ResumeError::NotWritable { page });
            }
        }
        let mut machine = Machine::new(self.clone(), state);
        machine.status = match pending {
            None => Status::Ready,
            Some(Pending { call, payment }) => match payment {
                Payment::Unpaid => Status::Pending(call),
                Payment::Paid => Status::Suspended(call),
            },
        };
        match &mut machine.store {
            Store::Sparse(memory) => restore_sparse(memory, snapshot)?,
            Store::Paged(memory) => restore_paged(memory, snapshot)?,
            Store::Checked(pair) => {
                restore_paged(&mut pair.leader, snapshot)?;
                restore_sparse(&mut pair.follower, snapshot)?;
            }
        }
        Ok(machine)
    }
}

impl Machine {
    /// The machine's state as a value. Pages that are in software are shared, not copied; nothing
    /// is hashed but, once for a program, its image.
    ///
    /// # Errors
    /// [`SnapshotError`] if the run is over, failed, or would begin at a pc that is no block start.
    pub fn snapshot(&self) -> Result<Snapshot, SnapshotError> {
        match self.status {
            Status::Ended(exit) => return Err(SnapshotError::Ended { exit }),
            Status::Poisoned => return Err(SnapshotError::Poisoned),
            Status::Ready | Status::Pending(_) | Status::Suspended(_) => {}
        }
        let pending = self.pending();
        let pc = self.state.pc;
        check_pause(&self.program, pc, pending).map_err(|_| SnapshotError::Pc { pc })?;
        let head = Head {
            image: self.program.image()?.address(),
            cost_model: self.program.cost_model(),
            state: self.state,
            pending,
        };
        let mut pages = Changed {
            program: &self.program,
            base: PageList::default(),
            private: PageList::default(),
        };
        match &self.store {
            Store::Sparse(memory) => pages.of_sparse(memory),
            Store::Paged(memory) => pages.of_paged(memory)?,
            Store::Checked(pair) => pages.of_paged(&pair.leader)?,
        }
        let Changed { base, private, .. } = pages;
        Ok(Snapshot {
            head,
            base,
            private,
        })
    }
}

/// The two lists while they are filled.
struct Changed<'a> {
    program: &'a Program,
    base: PageList,
    private: PageList,
}

impl Changed<'_> {
    fn base(&mut self, page: PageIndex, content: SnapshotPage) {
        if !self.program.has(page, &content) {
            self.base.push(page, content);
        }
    }

    fn of_sparse(&mut self, memory: &SparseMemory) {
        for (page, class, content) in memory.changed() {
            match class {
                SparseClass::Unchanged => {}
                SparseClass::Base => self.base(page, Arc::new(*content)),
                SparseClass::Private => self.private.push(page, Arc::new(*content)),
            }
        }
    }

    fn of_paged(&mut self, memory: &AddressSpace) -> Result<(), HostError> {
        memory.changed(|page, class, content| {
            let page = paged::index(page);
            match class {
                PageClass::Unchanged => {}
                PageClass::Base => self.base(page, content),
                PageClass::Private => self.private.push(page, content),
            }
        })?;
        Ok(())
    }
}

/// Every page that is writable has been found so; what fails now is the host.
fn restore_sparse(memory: &mut SparseMemory, snapshot: &Snapshot) -> Result<(), HostError> {
    let base = snapshot.base.iter().map(|p| (p, Placement::Base));
    let private = snapshot.private.iter().map(|p| (p, Placement::Private));
    for ((page, content), placement) in base.chain(private) {
        let placed = memory.place(page, content, placement);
        placed.map_err(|_| HostError::Memory)?;
    }
    Ok(())
}

fn restore_paged(memory: &mut AddressSpace, snapshot: &Snapshot) -> Result<(), HostError> {
    memory.reserve_private(snapshot.private.len() as u64)?;
    let base = snapshot.base.iter().map(|p| (p, PageClass::Base));
    let private = snapshot.private.iter().map(|p| (p, PageClass::Private));
    for ((page, content), class) in base.chain(private) {
        let at = paged::address(page.base()).page();
        let restored = memory.restore(at, class, Arc::clone(content));
        restored.map_err(|_| HostError::Memory)?;
    }
    Ok(())
}
