//! Asking the page tables which open pages were written, and closing the rest.

use super::{HostPages, Ledger, Settle};
use crate::error::HostError;
use crate::layout::Layout;
use crate::page::{PAGES, PageRange};
use crate::quota::Held;
use rivet_mutants::mutant;

/// Clean pages worth scanning along to save a question.
const COALESCE: u32 = 16;
/// Settles in a row that may find nothing before everything is closed.
const PATIENCE: u8 = 2;
/// Runs of open pages that the end of a run closes; with more it leaves them open.
const CHEAP: usize = 16;

impl Ledger {
    /// A guest is about to run on this thread.
    pub(crate) fn begin_run(&mut self, host: &mut impl HostPages) -> Result<(), HostError> {
        self.check_untouched(host)?;
        self.running = true;
        self.asked = false;
        Ok(())
    }

    /// The guest is about to go on after the host had the thread: whatever copied an open page
    /// meanwhile was not the guest, and its faults are not the guest's.
    pub(crate) fn check_untouched(&mut self, host: &mut impl HostPages) -> Result<(), HostError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let (mut found, mut at) = (0, 0);
        while let Some(range) = self.next_question(at) {
            at = range.end();
            host.scan(range, &mut |run| {
                let open = |p: &crate::PageIndex| self.open.contains(*p);
                found += run.iter().filter(open).count() as u64;
            })?;
        }
        if found > 0 {
            return Err(HostError::Tripwire { found, faults: 0 });
        }
        self.faults = host.faults()?;
        Ok(())
    }

    /// The guest stopped: settles, and closes what is cheap to close. Returns the charge.
    pub(crate) fn end_run(
        &mut self,
        layout: &Layout,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<u64, HostError> {
        let charge = self.find_written(layout, host)?;
        if self.open.runs().take(CHEAP + 1).count() <= CHEAP {
            self.close(layout, host, held);
        }
        self.running = false;
        Ok(charge + std::mem::take(&mut self.owed))
    }

    /// Charges the open pages that were written; closes the others as `how` says. Returns the
    /// charge.
    pub(crate) fn settle(
        &mut self,
        layout: &Layout,
        how: Settle,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<u64, HostError> {
        if self.open.is_empty() {
            return Ok(std::mem::take(&mut self.owed));
        }
        let charge = self.find_written(layout, host)?;
        self.fruitless = if charge == 0 { self.fruitless + 1 } else { 0 };
        if how == Settle::Close || self.fruitless >= PATIENCE {
            self.fruitless = 0;
            self.close(layout, host, held);
        }
        self.asked = true;
        Ok(charge + std::mem::take(&mut self.owed))
    }

    fn find_written(
        &mut self,
        layout: &Layout,
        host: &mut impl HostPages,
    ) -> Result<u64, HostError> {
        if self.open.is_empty() {
            return Ok(0);
        }
        let faults = host.faults()?;
        let (mut found, mut charge) = (0, 0);
        let mut at = 0;
        while let Some(range) = self.next_question(at) {
            at = range.end();
            host.scan(range, &mut |run| {
                let mut from = run.start();
                while let Some(open) = self.open.next_run(PageRange::between(from, run.end())) {
                    let done = self.mark_charged(layout, open);
                    found += u64::from(done.pages);
                    charge += mutant!(SettleFree, done.charge, 0);
                    from = open.end();
                }
            })?;
        }
        let taken = faults.count.saturating_sub(self.faults.count);
        // What was written before a fork was counted by the parent.
        if found > taken && faults.process == self.faults.process {
            return Err(HostError::Tripwire {
                found,
                faults: taken,
            });
        }
        self.faults = faults;
        Ok(charge)
    }

    /// The next range at or above `at` to scan: runs of open pages with small gaps between them.
    fn next_question(&self, at: u32) -> Option<PageRange> {
        let first = self.open.next_run(PageRange::between(at, PAGES))?;
        let mut end = first.end();
        while let Some(next) = self.open.next_run(PageRange::between(end, PAGES)) {
            if next.start() - end > COALESCE {
                break;
            }
            end = next.end();
        }
        Some(PageRange::between(first.start(), end))
    }

    /// Closes every open page. Pages that cannot be closed, for want of mappings, stay open.
    fn close(&mut self, layout: &Layout, host: &mut impl HostPages, held: &mut Held) {
        let mut at = 0;
        self.stuck = None;
        while let Some(run) = self.open.next_run(PageRange::between(at, PAGES)) {
            at = run.end();
            let cut = Self::cut(run, |p| !self.charged.contains(crate::PageIndex::masked(p)));
            if let Err(error) = host.forbid(run, cut) {
                self.stuck = Some(error);
                return;
            }
            for page in run.iter() {
                self.open.remove(page);
                self.open_charge -= super::price(layout, page);
            }
            held.give(u64::from(run.count().value()));
        }
        self.growth = super::Growth::default();
    }
}
