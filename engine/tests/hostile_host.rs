//! What a host does to its process while the guest waits for an answer is no gas of the guest's.
#![cfg(has_jit)]
#![allow(unsafe_code, reason = "tests change the state of their process")]

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Flow, Host, HostError, Quote, Raw, Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::Gas;
use rivet_isa::asm::assemble;

/// Locks all memory of the process and unlocks it again, which copies every writable page.
struct Locker {
    refused: bool,
}

impl Host for Locker {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::extra(0)
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        // SAFETY: locking changes no content.
        self.refused = unsafe { libc::mlockall(libc::MCL_CURRENT) } != 0;
        // SAFETY: as above.
        unsafe { libc::munlockall() };
        Flow::Continue
    }
}

#[test]
fn memory_that_the_host_locks_and_unlocks_during_a_call_is_a_host_error_or_exact() {
    // The pages around the first stay open for the calls; reads take faults that could hide the
    // copies of the lock.
    const TEXT: &str = "
        lui t0, 0x10020
        sd t0, 0(t0)
        ecalli 1
        lui t1, 0x10040
        lui t2, 1
        li a0, 60
        fallthrough
        l: ld a1, 0(t1)
        add t1, t1, t2
        addi a0, a0, -1
        bnez a0, l
        trap";
    let load = |backend| {
        let engine = Engine::new(Config {
            backend,
            ..Config::default()
        });
        let raw = Raw::new(assemble(TEXT).unwrap());
        let raw = raw.region(0x1000_0000, 0x80_000, RegionKind::Ephemeral, vec![]);
        let start = Start::at(0).with_gas(Gas::new(1 << 40).unwrap());
        engine
            .unwrap()
            .load_raw(raw)
            .unwrap()
            .machine(start)
            .unwrap()
    };
    let mut host = Locker { refused: false };
    let mut reference = load(Backend::Interp);
    let expected = reference.run(&mut host).unwrap();
    let mut machine = load(Backend::Jit);
    match machine.run(&mut host) {
        Ok(exit) => {
            assert!(host.refused || machine.tracking() != "windows");
            assert_eq!(exit, expected);
            assert_eq!(machine.gas(), reference.gas());
        }
        Err(HostError::Paging(error)) => {
            assert!(error.to_string().contains("locked"), "{error}");
        }
        Err(other) => panic!("{other}"),
    }
}
