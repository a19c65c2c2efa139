//! Opening the neighbours of a page that trapped, so that their first writes need no trap.
//!
//! How many: 16 pages around the trap, twice as many each time the guest runs past what was opened
//! last. Where: inside one contiguous writable run without its two edge pages, and not past a base
//! page. How much: all open pages together may cost a quarter of the gas that is surely left, so
//! that closing them again costs a run only O(log gas) times.

use super::{Charged, HostPages, Ledger, Settle, Tracker, price};
use crate::error::HostError;
use crate::layout::Layout;
use crate::page::{PageIndex, PageRange};
use crate::quota::Held;
use rivet_mutants::mutant;

/// Pages opened around a trap far from the last one.
const FIRST: u32 = 16;
/// Most pages opened by one trap.
const MOST: u32 = 1024;
/// How far past the last opened pages a trap still counts as running past them.
const NEAR: u32 = 8;
/// The open charge may be this part of the gas before open pages are paid; a fifth of that is a
/// quarter of what is left when they are.
const PART: u64 = 5;

/// What was opened last.
pub(super) struct Growth {
    last: PageRange,
    size: u32,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            last: PageRange::between(0, 0),
            size: FIRST,
        }
    }
}

impl Growth {
    /// How many pages to open around `page`.
    fn at(&mut self, page: u32) -> u32 {
        let past_end = page >= self.last.end() && page - self.last.end() < NEAR;
        let past_start = page < self.last.start() && self.last.start() - page <= NEAR;
        let runs_on = !self.last.is_empty() && (past_end || past_start);
        self.size = if runs_on {
            (self.size * 2).min(MOST)
        } else {
            FIRST
        };
        self.size
    }
}

/// Pages that a trap would open, together with those it charges.
struct Plan {
    range: PageRange,
    fresh: u32,
    charge: u64,
}

impl Ledger {
    /// What a store to the writable pages of `range` costs and changes, with `gas` left before
    /// open pages are paid; may open neighbours and settle.
    pub(crate) fn trap(
        &mut self,
        layout: &Layout,
        range: PageRange,
        gas: u64,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<Charged, HostError> {
        self.asked = false;
        let closed = self.closed_part(range);
        if self.tracker().0 == Tracker::Trap || !self.running || closed.is_empty() {
            return self.charge(layout, range, host, held);
        }
        let quote = self.quote(layout, range);
        let least = price(layout, PageIndex::masked(closed.start()));
        if !self.open.is_empty() && self.room(gas.saturating_sub(quote.charge)) < least {
            self.owed += self.settle(layout, Settle::Close, host, held)?;
        }
        // Some pages of `range` may have been open and charged by the settle.
        let quote = self.quote(layout, range);
        let room = self.room(gas.saturating_sub(self.owed + quote.charge));
        self.open_around(layout, self.closed_part(range), room, host, held)?;
        let mut done = self.charge(layout, range, host, held)?;
        done.charge += mutant!(OwedLost, std::mem::take(&mut self.owed), {
            self.owed = 0;
            0
        });
        Ok(done)
    }

    /// How much more may be open when `gas` is left before open pages are paid.
    fn room(&self, gas: u64) -> u64 {
        (gas / PART).saturating_sub(self.open_charge)
    }

    /// Opens what `room` and the limits allow around the closed pages `range`. They themselves
    /// become open too, for the caller to charge. Opening none is not a failure; not being able
    /// to close again what should not have been opened is.
    fn open_around(
        &mut self,
        layout: &Layout,
        range: PageRange,
        room: u64,
        host: &mut impl HostPages,
        held: &mut Held,
    ) -> Result<(), HostError> {
        let first = range.iter().next();
        let Some(run) = first.and_then(|page| layout.writable_run(page)) else {
            return Ok(());
        };
        let size = self.growth.at(range.start());
        let plan = self.plan(layout, range, run, size, room);
        if plan.range == range || held.take(u64::from(plan.fresh)).is_err() {
            return Ok(());
        }
        if let Err(error) = self.open_planned(&plan, host) {
            held.give(u64::from(plan.fresh));
            self.forbid_closed(plan.range, host)?;
            if !matches!(error, HostError::MappingsShort { .. }) {
                self.broken = Some(error);
            }
            return Ok(());
        }
        for page in plan.range.iter() {
            if !self.charged.contains(page) {
                self.open.insert(page);
            }
        }
        self.open_charge += mutant!(OpenUncounted, plan.charge, 0);
        self.growth.last = plan.range;
        Ok(())
    }

    /// Extends `range` upwards, then downwards, inside its aligned block of `size` pages.
    fn plan(
        &self,
        layout: &Layout,
        range: PageRange,
        run: PageRange,
        size: u32,
        room: u64,
    ) -> Plan {
        let start = range.start() & !(size - 1);
        let block = PageRange::between(start, start + size);
        let inner = PageRange::between(run.start() + 1, run.end().saturating_sub(1));
        let inner = mutant!(EdgePagesOpened, inner, run);
        let block = block.intersect(inner);
        let mut plan = Plan {
            range,
            fresh: 0,
            charge: 0,
        };
        if block.is_empty() {
            return plan;
        }
        for page in range.iter().filter(|p| !self.is_writable(p.value())) {
            plan.fresh += 1;
            plan.charge += price(layout, page);
        }
        let limit = plan.charge.saturating_add(room);
        let up = range.end()..block.end();
        let grown = up.take_while(|&p| self.extend(layout, p, limit, &mut plan));
        let end = grown.last().map_or(range.end(), |p| p + 1);
        let down = (block.start()..range.start()).rev();
        let grown = down.take_while(|&p| self.extend(layout, p, limit, &mut plan));
        let start = grown.last().unwrap_or(range.start());
        plan.range = PageRange::between(start, end);
        plan
    }

    /// Counts `page` in, unless it must stay closed or costs too much.
    fn extend(&self, layout: &Layout, page: u32, limit: u64, plan: &mut Plan) -> bool {
        let index = PageIndex::masked(page);
        if self.is_writable(page) {
            return true;
        }
        let charge = plan.charge + price(layout, index);
        if mutant!(PlacedPagesOpened, self.base.contains(index), false) || charge > limit {
            return false;
        }
        plan.charge = charge;
        plan.fresh += 1;
        true
    }

    /// Lets the processor write the planned pages, provided that the page tables can be believed.
    fn open_planned(&mut self, plan: &Plan, host: &mut impl HostPages) -> Result<(), HostError> {
        host.vouch(plan.range)?;
        if self.open.is_empty() {
            self.faults = host.faults()?;
        }
        let cut = Self::cut(plan.range, |p| self.is_writable(p));
        host.allow(plan.range, cut)?;
        let mut copied = 0;
        // The page that trapped may be a base page, which has had a copy from the start.
        let copies = [&self.charged, &self.open, &self.base];
        host.scan(plan.range, &mut |found| {
            let known = |p: &PageIndex| copies.iter().any(|set| set.contains(*p));
            copied += found.iter().filter(|p| !known(p)).count() as u64;
        })?;
        if copied == 0 {
            Ok(())
        } else {
            Err(HostError::Tripwire {
                found: copied,
                faults: 0,
            })
        }
    }
}
