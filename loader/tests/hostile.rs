//! Files that no linker wrote: never a panic, never more than a little time and memory.

mod support;

use std::time::Instant;

use rivet_loader::{LinkError, LinkOptions, Sidecar, link};
use support::*;

fn guest(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../guests/prebuilt/{name}.elf",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).expect("the prebuilt guests are in the repository")
}

/// Links and renders whatever comes of it.
fn attempt(elf: &[u8]) -> Result<(), LinkError> {
    match link(elf, &LinkOptions::default()) {
        Ok(linked) => {
            let _ = linked.sidecar().encode();
            Ok(())
        }
        Err(error) => {
            let text = error.diagnostic("hostile").to_string();
            assert!(
                text.len() < 16 << 10,
                "a diagnostic of {} bytes",
                text.len()
            );
            assert!(!matches!(error, LinkError::Proof { .. }), "{text}");
            Err(error)
        }
    }
}

#[test]
fn a_guest_cut_at_any_byte_is_refused() {
    for name in ["linkage", "threaded-pic"] {
        let elf = guest(name);
        assert_eq!(attempt(&elf), Ok(()));
        for len in 0..elf.len() {
            assert!(attempt(&elf[..len]).is_err(), "{name} cut to {len} bytes");
        }
    }
}

#[test]
fn every_field_of_every_header_at_its_extremes_is_survived() {
    let elf = guest("linkage");
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let mut places = vec![(0, 64)];
    places.push((word(0x20) as usize, 56 * half(0x38)));
    places.push((word(0x28) as usize, 64 * half(0x3C)));
    let values = [
        0,
        1,
        2,
        0x7F,
        0xFFFF,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFF,
        1 << 32,
        1 << 62,
        i64::MAX as u64,
        u64::MAX - 7,
        u64::MAX,
    ];
    for (start, len) in places {
        for at in start..start + len {
            for width in [1, 2, 4, 8] {
                for value in values {
                    let mut changed = elf.clone();
                    let Some(field) = changed.get_mut(at..at + width) else {
                        continue;
                    };
                    field.copy_from_slice(&value.to_le_bytes()[..width]);
                    let _ = attempt(&changed);
                }
            }
        }
    }
}

#[test]
fn random_damage_is_survived() {
    let guests: Vec<_> = ["linkage", "linkage-medlow", "threaded", "bcvm-pic"]
        .map(guest)
        .into();
    let random = &mut Random::new(7);
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut elf = guests[round % guests.len()].clone();
        for _ in 0..=random.below(8) {
            let at = random.below(elf.len());
            match random.below(3) {
                0 => elf[at] = random.next() as u8,
                1 => elf[at] ^= 1 << random.below(8),
                _ => {
                    let end = (at + 8).min(elf.len());
                    let value = random.next() >> random.below(64);
                    elf[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                }
            }
        }
        accepted += usize::from(attempt(&elf).is_ok());
    }
    // Damage to names, debug information or plain instructions changes nothing that is checked.
    assert!(accepted > 100, "{accepted} of 20000 accepted");
}

#[test]
fn damaged_sidecars_are_survived() {
    let linked = link(&guest("linkage"), &LinkOptions::default()).unwrap();
    let bytes = linked.sidecar().encode();
    let random = &mut Random::new(11);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len());
            damaged[at] = random.next() as u8;
        }
        match Sidecar::decode(&damaged) {
            // What is read is written back as it was: there is one form of everything.
            Ok(sidecar) => assert_eq!(sidecar.encode(), damaged),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1000, "{refused} of 20000 refused");
}

#[test]
fn huge_counts_and_sizes_cost_nothing() {
    let begin = Instant::now();
    let elf = guest("hello");
    for (at, width) in [(0x38, 2), (0x3C, 2), (0x3E, 2), (0x20, 8), (0x28, 8)] {
        let mut changed = elf.clone();
        changed[at..at + width].copy_from_slice(&u64::MAX.to_le_bytes()[..width]);
        assert!(attempt(&changed).is_err());
    }
    // A bss of almost 4 GiB is no memory here.
    let mut large = Elf::new(asm("ecalli 0\n"));
    let bss = large.section(".bss", WRITE, DATA, Vec::new());
    large.sections[bss as usize - 1].kind = NOBITS;
    large.sections[bss as usize - 1].size = 0xEFF0_0000;
    assert!(
        attempt(&large.build()).is_err(),
        "there is a page too little for the stack"
    );
    large.sections[bss as usize - 1].size -= 0x1000;
    assert_eq!(attempt(&large.build()), Ok(()));
    // A symbol name that never ends, many times.
    let mut named = Elf::new(asm("ecalli 0\n"));
    let name: &'static str = "x".repeat(1 << 20).leak();
    for _ in 0..3000 {
        named.symbol("", FUNCTION | GLOBAL, 1, TEXT);
    }
    named.symbol(name, FUNCTION | GLOBAL, 1, TEXT);
    assert_eq!(attempt(&named.build()), Ok(()));
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
}

#[test]
fn sections_that_are_many_or_code_that_is_all_branches_take_linear_time() {
    let begin = Instant::now();
    let mut many = Elf::new(asm("ecalli 0\n"));
    for index in 0..2000 {
        many.section(".data", WRITE, DATA + index * 0x10_000, vec![1; 8]);
    }
    // More mappings than an image may have.
    assert_eq!(attempt(&many.build()).unwrap_err().code(), "image");
    // Each branch goes as far forward as it can, so what the end of the code needs pushes the last
    // branches out of reach, their widening the ones before them, and so on to the first.
    let mut code = asm("c.beqz a0, 254\n").repeat(300_000);
    code.extend(asm("c.nop\n").repeat(126));
    code.extend(asm("ecalli 0\necalli 0\n"));
    let elf = Elf::new(code).build();
    let linked = link(&elf, &LinkOptions::default()).unwrap();
    assert_eq!(linked.report.widened, 300_000);
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
