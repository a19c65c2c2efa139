//! A window that was used, by whomever and however it ended, is as good as a new one.
#![cfg(has_windows)]
#![allow(unsafe_code, reason = "tests poison the context of a window")]

mod common;

use std::sync::Arc;

use common::*;
use rivet_paging::*;

const GAS: u64 = 1 << 40;
const POISON: u64 = 0xdead_beef_dead_beef;

/// Three programs that share a pool, so that windows change hands between layouts. The last differs
/// from the first in one region, so that the rest of a window is handed on as it is.
fn layouts() -> [Arc<Layout>; 3] {
    let data = PageSource::from_bytes(&[0x33; 9 * PAGE_SIZE + 5]).unwrap();
    let other = vec![
        Region::read_only(
            pages(0x40_0000, 1),
            PageSource::from_bytes(&[1; 10]).unwrap(),
        ),
        Region::copy_on_write(pages(0x1000_0000, 12), data, COST),
        Region::ephemeral(pages(0x2000_0000, 20), COST),
    ];
    let mixed = mixed_layout();
    let content = PageSource::from_bytes(&[0x44; 7 * PAGE_SIZE + 9]).unwrap();
    let nearly = mixed.regions().iter().map(|region| {
        if region.range() == pages(0x2000_0000, 64) {
            Region::copy_on_write(region.range(), content.clone(), COST)
        } else {
            region.clone()
        }
    });
    let nearly = Layout::new(nearly.collect()).unwrap();
    let other = Layout::new(other).unwrap();
    [mixed, Arc::new(other), Arc::new(nearly)]
}

struct Checks {
    random: Random,
    layouts: [Arc<Layout>; 3],
    fresh: [Oracle; 3],
    pool: WindowPool,
    /// Pages of any layout written by earlier machines.
    soiled: Vec<u32>,
}

impl Checks {
    fn new(seed: u64) -> Self {
        let layouts = layouts();
        let fresh = layouts.each_ref().map(|layout| Oracle::new(layout, 0));
        Self {
            random: Random(seed | 1),
            layouts,
            fresh,
            pool: WindowPool::new(3, 48_000),
            soiled: Vec::new(),
        }
    }

    /// Whatever earlier machines wrote, `guest` sees its sources and a zero context.
    fn looks_fresh(&mut self, guest: &NativeGuest, which: usize) {
        assert_eq!(guest.space.private_count(), 0);
        assert_eq!(guest.space.open_charge(), 0);
        for page in std::mem::take(&mut self.soiled) {
            let at = (page << 12) + (self.random.below(512) as u32) * 8;
            let found = guest.space.load(GuestAddr::new(at), AccessLen::Double);
            let expected = self.fresh[which].load(at, 8);
            assert_eq!(
                found.map_err(|fault| fault.page.value()),
                expected,
                "{at:#x}"
            );
        }
        let context = guest.space.window().unwrap().context();
        for offset in [
            0,
            CONTEXT_SIZE / 2,
            CONTEXT_SIZE - PAGE_SIZE,
            CONTEXT_SIZE - 8,
        ] {
            // SAFETY: the offset lies in the context, which belongs to this machine.
            let at = unsafe { context.add(offset) };
            // SAFETY: as above, and it is aligned.
            unsafe {
                assert_eq!(at.cast::<u64>().read(), 0);
            }
        }
    }

    fn soil(&mut self, guest: &mut NativeGuest, which: usize) {
        let context = guest.space.window().unwrap().context();
        let offset = (self.random.below(CONTEXT_SIZE as u64 / 8) * 8) as usize;
        // SAFETY: the offset lies in the context, which belongs to this machine.
        let at = unsafe { context.add(offset) };
        // SAFETY: as above, and it is aligned.
        unsafe { at.cast::<u64>().write(POISON) };
        let mut expected = self.fresh[which].afresh(GAS);
        for _ in 0..self.random.below(7) {
            let at = interesting_address(&mut self.random, &self.layouts[which]);
            let done = guest.store(GuestAddr::new(at), AccessLen::Double, POISON);
            let allowed = expected.store(at, 8, POISON).is_ok();
            assert_eq!(matches!(done, Native::Done { .. }), allowed);
            self.soiled.push(at >> 12);
        }
        // As private, and as dear, as in a machine that never shared a window.
        if self.random.below(4) > 0 {
            assert_eq!(guest.end(), expected.gas);
            expected.check_private(&guest.space);
        }
    }

    fn machine(&mut self) {
        let which = self.random.below(3) as usize;
        let tracker = [Tracker::Trap, Tracker::Windows][self.random.below(2) as usize];
        let layout = Arc::clone(&self.layouts[which]);
        let mut guest = NativeGuest::new(&layout, &self.pool, tracker, GAS);
        self.looks_fresh(&guest, which);
        self.soil(&mut guest, which);
        match self.random.below(5) {
            0 => {
                guest.end();
                guest.space.reset().unwrap();
                self.looks_fresh_after_reset(&guest, which);
            }
            1 => {
                guest.end();
                guest.space.detach().unwrap();
            }
            2 => {
                // Panics between two blocks, limits and poisoned machines end here: no settle.
            }
            3 => {
                guest.end();
                let base = GuestAddr::new(0x2000_3000);
                let placed = guest.space.place(base, &[0xee; 5000]);
                self.soiled.extend([0x2_0003, 0x2_0004]);
                assert!(matches!(
                    placed,
                    Ok(()) | Err(Denied::Host(HostError::NotSettled))
                ));
            }
            _ => {
                guest.end();
            }
        }
    }

    fn looks_fresh_after_reset(&mut self, guest: &NativeGuest, which: usize) {
        let context_is_kept = self.soiled.clone();
        for page in context_is_kept {
            let found = guest
                .space
                .load(GuestAddr::new(page << 12), AccessLen::Double);
            let expected = self.fresh[which].load(page << 12, 8);
            assert_eq!(found.map_err(|fault| fault.page.value()), expected);
        }
        assert_eq!(guest.space.private_count(), 0);
    }
}

fn reuse(machines: u32, seed: u64) {
    let mut checks = Checks::new(seed);
    for _ in 0..machines {
        checks.machine();
    }
}

#[test]
fn reused_windows_are_as_good_as_new_ones() {
    reuse(4_000, 0xf00d);
}

#[test]
#[ignore = "minutes: a million machines, to be run with --release"]
fn a_million_reused_windows_are_as_good_as_new_ones() {
    reuse(1_000_000, 0xfeed);
}
