//! Every system call fails once, at every point of a machine's life; nothing else breaks.

use std::sync::{Arc, Barrier};

use super::{fail_at, fake};
use crate::space::Store;
use crate::testing::Random;
use crate::*;

#[path = "../../tests/child/mod.rs"]
mod child;
#[path = "../../tests/common/mod.rs"]
mod common;

use common::{NativeGuest, mixed_layout};

const START: u64 = 0x1000_0000;

fn layout() -> Result<Arc<Layout>, HostError> {
    let data = PageSource::from_bytes(&[7; 2 * PAGE_SIZE + 1])?;
    let range = |page: u64, count: u64| {
        let bytes = PAGE_SIZE as u64;
        PageRange::from_bytes(START + page * bytes, count * bytes).unwrap()
    };
    let regions = vec![
        Region::read_only(range(0, 3), data.clone()),
        Region::copy_on_write(range(3, 5), data, 256),
        Region::ephemeral(range(8, 40), 256),
    ];
    Ok(Arc::new(Layout::new(regions).unwrap()))
}

fn at(page: u64, offset: u64) -> GuestAddr {
    GuestAddr::wrapping(START + page * PAGE_SIZE as u64 + offset)
}

fn host(denied: Denied) -> HostError {
    match denied {
        Denied::Host(error) => error,
        Denied::Fault(fault) => panic!("no access of this life is refused: {fault}"),
    }
}

/// Writes a byte as a guest of a window does: through an open page without telling, else by a trap.
fn guest_store(space: &mut AddressSpace, to: GuestAddr, gas: &mut u64) -> Result<(), HostError> {
    let open = match &space.store {
        Store::Window { window, .. } => window.ledger.open().contains(to.page()),
        Store::Software(_) => false,
    };
    if !open && !space.is_private(to.page()) {
        let granted = space.access_opening(to, AccessLen::Byte, Access::Write, *gas);
        *gas -= granted.map_err(host)?.charge;
    }
    space.write_private(to.page(), to.offset(), &[5]);
    Ok(())
}

/// A machine's life: made, started, written, paused, forked, resumed, reset, dropped. Returns what
/// was charged.
fn life(pool: &WindowPool, tracker: Tracker, limits: &MemoryLimits) -> Result<u64, HostError> {
    let mut space = AddressSpace::new(layout()?, limits.clone());
    space.place(at(9, 5), &[3; 10]).map_err(host)?;
    space.attach(pool, tracker)?;
    space.begin_run()?;
    let mut gas = 1 << 40;
    for page in [3, 4, 9, 20, 22, 21, 40, 41, 42] {
        guest_store(&mut space, at(page, 8), &mut gas)?;
    }
    gas -= space.settle(Settle::Keep)?;
    guest_store(&mut space, at(24, 0), &mut gas)?;
    gas -= space.settle(Settle::Close)?;
    guest_store(&mut space, at(25, 0), &mut gas)?;
    gas -= space.end_run()?;
    space.detach()?;
    gas -= space.write(at(30, 100), &[9; 5000]).map_err(host)?;
    let mut twin = space.fork()?;
    twin.attach(pool, tracker)?;
    assert_eq!(twin.load(at(30, 100), AccessLen::Byte), Ok(9));
    assert_eq!(twin.load(at(9, 14), AccessLen::Byte), Ok(3));
    assert_eq!(twin.load(at(24, 0), AccessLen::Byte), Ok(5));
    twin.place(at(28, 0), &[6; 5000]).map_err(host)?;
    assert_eq!(twin.load(at(29, 0), AccessLen::Byte), Ok(6));
    twin.reset()?;
    assert_eq!(twin.load(at(29, 0), AccessLen::Byte), Ok(6));
    assert_eq!(twin.load(at(30, 100), AccessLen::Byte), Ok(0));
    assert_eq!(twin.load(at(9, 5), AccessLen::Byte), Ok(3));
    assert_eq!(twin.load(at(3, 0), AccessLen::Byte), Ok(7));
    assert_eq!(twin.private_count(), 0);
    let mut data = DataCap::from_bytes(&[1; 3 * PAGE_SIZE])?;
    data.write(0, &[2]).map_err(|_| HostError::TooLarge)?;
    data.flush()?;
    Ok((1 << 40) - gas)
}

/// Open files and mappings of this process.
fn holdings() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (files, maps.lines().count())
}

#[test]
fn any_system_call_may_fail_and_nothing_is_leaked_or_harmed() {
    let test = "sys::tests::any_system_call_may_fail_and_nothing_is_leaked_or_harmed";
    child::passes(test, || {
        // Eleven pages by stores, then 30 and 31 by the host.
        let expected = 13 * 256;
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let pool = WindowPool::new(4, 10_000);
            let engine = Arc::new(EngineQuota::new(1000));
            let limits = MemoryLimits {
                machine_pages: 1000,
                engine: Arc::clone(&engine),
            };
            assert_eq!(life(&pool, tracker, &limits), Ok(expected));
            pool.clear();
            let before = holdings();
            for n in 0.. {
                fail_at(Some(n));
                let outcome = life(&pool, tracker, &limits);
                if fail_at(None).is_some() {
                    assert_eq!(outcome, Ok(expected));
                    assert!(n > 40, "a life makes more than {n} calls");
                    break;
                }
                // A failure that only costs time, as of opening neighbours, is not reported.
                let known = outcome.is_err() || outcome == Ok(expected);
                assert!(known, "{tracker:?}, call {n}: {outcome:?}");
                let after = life(&pool, tracker, &limits);
                assert_eq!(after, Ok(expected), "after call {n} failed");
                pool.clear();
                assert_eq!((pool.mappings(), engine.used()), (0, 0), "call {n}");
            }
            pool.clear();
            let (files, maps) = holdings();
            assert_eq!(files, before.0, "{tracker:?}");
            assert!(maps <= before.1 + 2, "{maps} mappings, {} before", before.1);
        }
    });
}

#[test]
fn faults_are_served_while_other_threads_hold_every_lock_of_this_crate() {
    let test = "sys::tests::faults_are_served_while_other_threads_hold_every_lock_of_this_crate";
    child::passes(test, || {
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let pool = WindowPool::default();
            let mut guest = NativeGuest::new(&mixed_layout(), &pool, tracker, 1 << 40);
            let mut store = |page: u64| {
                let to = GuestAddr::wrapping(0x2000_0000 + page * PAGE_SIZE as u64);
                let done = guest.store(to, AccessLen::Double, 7);
                assert_eq!(done, common::Native::Done { value: 7 });
            };
            // The first entry installs the handler.
            store(0);
            let (held, done) = (Barrier::new(3), Barrier::new(3));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let _windows = pool.lock();
                    held.wait();
                    done.wait();
                });
                scope.spawn(|| {
                    let _handlers = super::signals::INSTALL.lock();
                    held.wait();
                    done.wait();
                });
                held.wait();
                (1..64).for_each(&mut store);
                done.wait();
            });
            assert_eq!(guest.end(), (1 << 40) - 64 * common::COST);
        }
    });
}

#[test]
fn a_slab_on_the_heap_and_one_in_a_file_have_the_same_content() {
    let mut random = Random::new(77);
    for _ in 0..50 {
        let len = (1 + random.below(5) as usize) * PAGE_SIZE;
        let at = random.below(len as u64) as usize;
        let count = random.below((len - at) as u64 + 1) as usize;
        let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        let chunks = || std::iter::once((at, &bytes[..]));
        let heap = fake::SlabFile::create(len, chunks()).unwrap();
        let file = super::SlabFile::create(len, chunks()).unwrap();
        assert_eq!(heap.bytes(), file.bytes());
    }
}
