//! Every system call fails once, at every point of a machine's life; nothing else breaks.

use std::sync::Arc;

use super::{fail_at, fake};
use crate::testing::Random;
use crate::*;

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

/// A machine's life: made, started, written, paused, forked, resumed, reset, dropped. Returns what
/// was charged.
fn life(pool: &WindowPool) -> Result<u64, HostError> {
    let mut space = AddressSpace::new(layout()?, MemoryLimits::default());
    space.place(at(9, 5), &[3; 10]).map_err(host)?;
    space.attach(pool, Tracker::Trap)?;
    let mut charge = 0;
    for (page, offset) in [(3, 0), (4, 4090), (9, 0), (20, 8), (22, 8), (21, 8)] {
        charge += space
            .store(at(page, offset), AccessLen::Double, 0x0102_0304_0506_0708)
            .map_err(host)?;
    }
    space.detach()?;
    charge += space.write(at(30, 100), &[9; 5000]).map_err(host)?;
    let mut twin = space.fork()?;
    twin.attach(pool, Tracker::Trap)?;
    assert_eq!(twin.load(at(30, 100), AccessLen::Byte), Ok(9));
    assert_eq!(twin.load(at(9, 14), AccessLen::Byte), Ok(3));
    twin.reset()?;
    assert_eq!(twin.load(at(30, 100), AccessLen::Byte), Ok(0));
    assert_eq!(twin.load(at(9, 5), AccessLen::Byte), Ok(3));
    assert_eq!(twin.load(at(3, 0), AccessLen::Byte), Ok(7));
    assert_eq!(twin.private_count(), 0);
    Ok(charge)
}

#[test]
fn any_system_call_may_fail_and_later_lives_are_unharmed() {
    // Pages 3, 4 and 5, 9, 20, 22, 21, then 30 and 31.
    let expected = 9 * 256;
    let pool = WindowPool::new(4, 10_000);
    assert_eq!(life(&pool), Ok(expected));
    for n in 0.. {
        pool.clear();
        fail_at(Some(n));
        let outcome = life(&pool);
        if fail_at(None).is_some() {
            assert_eq!(outcome, Ok(expected));
            assert!(n > 20, "the life makes more than {n} calls");
            break;
        }
        // A call whose failure costs nothing, such as dropping pages early, need not be reported.
        assert!(outcome.is_err() || outcome == Ok(expected), "call {n}");
        assert_eq!(life(&pool), Ok(expected), "after call {n} failed");
    }
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
