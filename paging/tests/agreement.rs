//! Software tracking, real faults and the rules of the specification agree on everything.

mod common;

use common::*;
use rivet_paging::*;

const GAS: u64 = 1 << 40;

/// One program of stores and loads, on the oracle, in software and natively.
fn program(seed: u64, steps: u32, pool: &WindowPool, tracker: Tracker) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let layout = mixed_layout_once();
    let mut oracle = Oracle::new(&layout, GAS);
    let mut software = AddressSpace::new(layout.clone(), MemoryLimits::default());
    let mut software_gas = GAS;
    let mut native = NativeGuest::new(&layout, pool, tracker, GAS);
    for _ in 0..steps {
        let at = interesting_address(&mut random, &layout);
        let (addr, len) = (GuestAddr::new(at), any_len(&mut random));
        if random.below(4) == 0 {
            let expected = oracle.load(at, len.bytes());
            let found = software.load(addr, len).map_err(|f| f.page.value());
            assert_eq!(found, expected, "load {at:#x} {len:?}");
            match (native.load(addr, len), expected) {
                (Native::Done { value }, Ok(expected)) => assert_eq!(value, expected),
                (Native::Fault(page), Err(expected)) => assert_eq!(page.value(), expected),
                (other, expected) => panic!("load {at:#x}: {other:?}, expected {expected:?}"),
            }
            continue;
        }
        let value = random.next();
        let expected = oracle.store(at, len.bytes(), value);
        match software.store(addr, len, value) {
            Ok(charge) => {
                software_gas -= charge;
                assert_eq!(expected, Ok(()));
            }
            Err(Denied::Fault(fault)) => assert_eq!(expected, Err(fault.page.value())),
            Err(Denied::Host(error)) => panic!("{error}"),
        }
        match native.store(addr, len, value) {
            Native::Done { .. } => assert_eq!(expected, Ok(())),
            Native::Fault(page) => assert_eq!(expected, Err(page.value())),
            Native::Host(error) => panic!("{error}"),
        }
    }
    assert_eq!(software_gas, oracle.gas);
    assert_eq!(native.settle(Settle::Close), oracle.gas);
    let private: Vec<u32> = native.space.private_pages().map(PageIndex::value).collect();
    let expected: Vec<u32> = oracle.private.iter().copied().collect();
    assert_eq!(private, expected);
    if seed.is_multiple_of(16) {
        oracle.check(&software);
        oracle.check(&native.space);
        native.space.detach();
        oracle.check(&native.space);
    }
}

fn mixed_layout_once() -> std::sync::Arc<Layout> {
    use std::sync::{Arc, OnceLock};
    static LAYOUT: OnceLock<Arc<Layout>> = OnceLock::new();
    LAYOUT.get_or_init(mixed_layout).clone()
}

#[test]
fn trap_software_and_oracle_agree_on_random_programs() {
    let pool = WindowPool::default();
    for seed in 0..400 {
        program(seed, 40, &pool, Tracker::Trap);
    }
}
