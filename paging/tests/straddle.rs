//! Accesses across every kind of edge, each on a machine of its own: a page that a faulting store
//! leaves copied shows only where nothing else touches it.
#![cfg(has_windows)]

mod common;

use std::sync::Arc;

use common::*;
use rivet_paging::*;

const GAS: u64 = 1 << 40;
/// Where the left part ends and the right part begins.
const EDGE: u64 = 0x2000_0000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Nothing,
    Pinned,
    CopyOnWrite,
    ShortSource,
    Ephemeral,
}

const KINDS: [Kind; 5] = [
    Kind::Nothing,
    Kind::Pinned,
    Kind::CopyOnWrite,
    Kind::ShortSource,
    Kind::Ephemeral,
];

fn region(kind: Kind, start: u64, count: u64, cost: u64) -> Option<Region> {
    let range = pages(start, count);
    let filled = |pages: u64| {
        PageSource::from_bytes(&vec![0x44; (pages * PAGE_SIZE as u64) as usize]).unwrap()
    };
    match kind {
        Kind::Nothing => None,
        Kind::Pinned => Some(Region::read_only(range, filled(count))),
        Kind::CopyOnWrite => Some(Region::copy_on_write(range, filled(count), cost)),
        Kind::ShortSource => Some(Region::copy_on_write(range, filled(count / 2), cost)),
        Kind::Ephemeral => Some(Region::ephemeral(range, cost)),
    }
}

/// Opens whatever a tracker opens, then makes one access near the edge.
fn check(layout: &Arc<Layout>, fresh: &Oracle, pool: &WindowPool, prime: &[u32], probe: Probe) {
    for tracker in [Tracker::Trap, Tracker::Windows] {
        let mut oracle = fresh.afresh(GAS);
        let mut guest = NativeGuest::new(layout, pool, tracker, GAS);
        for &at in prime {
            let done = guest.store(GuestAddr::new(at), AccessLen::Byte, 1);
            match oracle.store(at, 1, 1) {
                Ok(()) => assert_eq!(done, Native::Done { value: 1 }),
                Err(_) => assert!(matches!(done, Native::Fault(_))),
            }
        }
        let addr = GuestAddr::new(probe.at);
        let (done, expected) = if probe.access == Access::Write {
            let done = guest.store(addr, probe.len, 0x0807_0605_0403_0201);
            (
                done,
                oracle.store(probe.at, probe.len.bytes(), 0x0807_0605_0403_0201),
            )
        } else {
            let done = guest.load(addr, probe.len);
            (done, oracle.load(probe.at, probe.len.bytes()).map(|_| ()))
        };
        match (done, expected) {
            (Native::Done { .. }, Ok(())) => {}
            (Native::Fault(page), Err(expected)) => assert_eq!(page.value(), expected),
            other => panic!("{tracker:?} {probe:?}: {other:?}"),
        }
        assert_eq!(guest.end(), oracle.gas, "{tracker:?} {probe:?}");
        oracle.check_private(&guest.space);
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    at: u32,
    len: AccessLen,
    access: Access,
}

#[test]
fn accesses_across_the_edge_of_any_two_regions_charge_what_the_rules_say() {
    let pool = WindowPool::new(4, 48_000);
    for left in KINDS {
        for right in KINDS {
            for (before, after) in [(1, 1), (2, 3), (3, 1), (20, 20)] {
                let start = EDGE - before * PAGE_SIZE as u64;
                let regions = [
                    region(left, start, before, COST),
                    region(right, EDGE, after, 3 * COST),
                ];
                let regions: Vec<Region> = regions.into_iter().flatten().collect();
                let layout = Arc::new(Layout::new(regions).unwrap());
                let fresh = Oracle::new(&layout, 0);
                // Nothing open; the middle of each part; the page next but one to the edge.
                let middle = (start + before / 2 * PAGE_SIZE as u64) as u32;
                let primes: [&[u32]; 3] = [
                    &[],
                    &[middle, (EDGE + after / 2 * PAGE_SIZE as u64) as u32],
                    &[
                        (EDGE - 2 * PAGE_SIZE as u64) as u32,
                        (EDGE + PAGE_SIZE as u64) as u32,
                    ],
                ];
                for prime in primes {
                    for back in [1, 3, 4, 7] {
                        let at = (EDGE - back) as u32;
                        for len in [AccessLen::Half, AccessLen::Word, AccessLen::Double] {
                            for access in [Access::Write, Access::Read] {
                                check(&layout, &fresh, &pool, prime, Probe { at, len, access });
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn accesses_across_any_page_of_a_small_run_charge_what_the_rules_say() {
    let pool = WindowPool::new(4, 48_000);
    for count in 1..=5u64 {
        let regions = vec![Region::ephemeral(pages(EDGE, count), COST)];
        let layout = Arc::new(Layout::new(regions).unwrap());
        let fresh = Oracle::new(&layout, 0);
        for edge in 0..=count {
            for prime in 0..=count {
                let primed = [(EDGE + prime * PAGE_SIZE as u64) as u32 + 9];
                let at = (EDGE + edge * PAGE_SIZE as u64) as u32 - 4;
                let (len, access) = (AccessLen::Double, Access::Write);
                check(&layout, &fresh, &pool, &primed, Probe { at, len, access });
            }
        }
    }
}

#[test]
fn an_access_across_the_end_of_the_address_space_faults_and_charges_nothing() {
    let pool = WindowPool::default();
    let last = 0xffff_f000u64;
    for count in [1, 4, 40] {
        let range = pages(last - (count - 1) * PAGE_SIZE as u64, count);
        let layout = Arc::new(Layout::new(vec![Region::ephemeral(range, COST)]).unwrap());
        let fresh = Oracle::new(&layout, 0);
        for prime in [0xffff_ff00, 0xffff_e000, 0xffff_d000] {
            for at in 0xffff_fff8u32..=0xffff_ffff {
                for len in [
                    AccessLen::Byte,
                    AccessLen::Half,
                    AccessLen::Word,
                    AccessLen::Double,
                ] {
                    for access in [Access::Write, Access::Read] {
                        check(&layout, &fresh, &pool, &[prime], Probe { at, len, access });
                    }
                }
            }
        }
    }
}
