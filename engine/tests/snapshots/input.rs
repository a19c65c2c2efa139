//! What must hold for any bytes at all that claim to be paused state. The body of a fuzz target.

use rivet_engine::snapshot::{Delta, Parcel, Snapshot};
use rivet_engine::{Call, Machine, Payment, Program, Ran, Until};
use rivet_image::{NoImages, RegionKind};
use rivet_isa::{Gas, PageIndex};

/// How far an input got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reached {
    Refused,
    Decoded,
    Resumed,
}

/// Reads the bytes as everything they could be; what is read has these bytes and no others, and
/// what resumes is a state that a run of the program can be in.
pub(crate) fn check(bytes: &[u8], program: &Program) -> Reached {
    if let Ok(delta) = Delta::decode(bytes) {
        assert_eq!(delta.encode(), bytes, "a delta has one form");
        return Reached::Decoded;
    }
    if let Ok(parcel) = Parcel::decode(bytes, &NoImages) {
        // The wire form of an image is packed in more ways than one.
        let again = parcel.encode().expect("it came from bytes");
        assert_eq!(Parcel::decode(&again, &NoImages), Ok(parcel));
        return Reached::Decoded;
    }
    let Ok(snapshot) = Snapshot::decode(bytes) else {
        return Reached::Refused;
    };
    assert_eq!(snapshot.encode(), bytes, "a snapshot has one form");
    let Ok(mut machine) = program.resume(&snapshot) else {
        return Reached::Decoded;
    };
    reachable(&snapshot, program);
    assert_eq!(machine.snapshot().as_ref(), Ok(&snapshot));
    run_a_little(&mut machine);
    Reached::Resumed
}

/// The rules of ISA §11.3, §4 and gas §12 about paused states, from the code and the regions.
fn reachable(snapshot: &Snapshot, program: &Program) {
    let pc = snapshot.pc();
    assert!(snapshot.gas() <= Gas::MAX);
    match snapshot.pending() {
        None => assert!(program.starts().contains(pc), "pc {pc}"),
        Some(pending) => {
            let own = pc.value().checked_sub(4).expect("a call has four bytes") as usize;
            assert!(program.starts().contains(rivet_isa::Pc::new(own as u64)));
            let word = program.code()[own..]
                .first_chunk()
                .map(|bytes| u32::from_le_bytes(*bytes));
            let word = word.expect("the call is in the code");
            let call = match word & 0x707F {
                0x200B => Call::Host {
                    selector: (word as i32 >> 20) as u32,
                },
                0x100B => Call::Kernel,
                _ => panic!("{word:#x} at {own} is no call"),
            };
            assert_eq!(call, pending.call);
            assert!(matches!(pending.payment, Payment::Paid | Payment::Unpaid));
        }
    }
    let writable = |page: PageIndex| {
        program.regions().iter().any(|region| {
            let pages = region.first.index()..region.first.index() + region.pages;
            region.kind != RegionKind::Pinned && pages.contains(&page.index())
        })
    };
    let lists = [snapshot.base_pages(), snapshot.private_pages()];
    for (page, _) in lists.into_iter().flat_map(|list| list.iter()) {
        assert!(writable(page), "page {page}");
    }
}

/// Whatever the registers hold, a run is a run.
fn run_a_little(machine: &mut Machine) {
    let gas = Gas::new(machine.gas().value().min(3000)).expect("it is small");
    machine.set_gas(gas);
    let ran = machine.run_until(&mut rivet_engine::NoHost, &Until::exit());
    assert!(matches!(ran, Ok(Ran::Exit(_))), "{ran:?}");
}
