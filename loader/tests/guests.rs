//! Every prebuilt guest links, and what comes out agrees with what `rivet-isa` alone can say.

use std::path::PathBuf;

use rivet_image::{Key, Source};
use rivet_isa::{BlockStarts, Pc, decode};
use rivet_loader::{LinkOptions, Linked, Sidecar, link};

fn prebuilt() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../guests/prebuilt");
    let mut guests: Vec<_> = std::fs::read_dir(folder)
        .expect("the prebuilt guests are in the repository")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "elf"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    guests.sort();
    guests
}

fn linked(name: &str, elf: &[u8]) -> Linked {
    link(elf, &LinkOptions::default()).unwrap_or_else(|error| panic!("{}", error.diagnostic(name)))
}

#[test]
fn all_guests_link_and_begin_at_start() {
    let guests = prebuilt();
    assert!(guests.len() >= 30, "{} guests", guests.len());
    for (name, elf) in guests {
        let linked = linked(&name, &elf);
        let starts = BlockStarts::scan(linked.image.code());
        let start = linked.image.endpoint(&Key::endpoint(0)).unwrap();
        assert!(starts.contains(start.entry_pc), "{name}");
        let symbol = linked.symbols.iter().find(|symbol| symbol.name == "_start");
        assert_eq!(symbol.unwrap().pc, start.entry_pc, "{name}");
        assert_eq!(
            start.initial_regs[0].value, linked.report.stack_top,
            "{name}"
        );
        let stack = linked.report.stack_top - 1;
        let mapping = linked.image.mappings().iter();
        let mut mapping = mapping.filter(|one| one.start <= stack && stack < one.end());
        assert_eq!(mapping.next().unwrap().source, Source::Ephemeral, "{name}");
    }
}

#[test]
fn code_grows_by_exactly_what_was_inserted_and_widened() {
    for (name, elf) in prebuilt() {
        let report = linked(&name, &elf).report;
        let inserted = report.text_before + 4 * u64::from(report.fallthroughs);
        if report.widened == 0 {
            assert_eq!(report.text_after, inserted, "{name}");
        } else {
            assert!(report.text_after > inserted, "{name}");
        }
    }
}

#[test]
fn every_static_target_in_the_output_is_a_block_start() {
    for (name, elf) in prebuilt() {
        let linked = linked(&name, &elf);
        let code = linked.image.code();
        let starts = BlockStarts::scan(code);
        let mut at = 0usize;
        while let Some(one) = decode(code, at) {
            use rivet_isa::Flow;
            if matches!(one.inst.flow(), Flow::Branch | Flow::Jump) {
                let target = at as i64 + i64::from(one.inst.imm());
                assert!(starts.contains(Pc::new(target as u64)), "{name} at {at:#x}");
            }
            at += one.len.bytes() as usize;
        }
        assert_eq!(at, code.len(), "{name}");
    }
}

#[test]
fn symbols_are_block_starts_and_addresses_map_both_ways() {
    for (name, elf) in prebuilt() {
        let linked = linked(&name, &elf);
        let starts = BlockStarts::scan(linked.image.code());
        for symbol in linked.symbols.iter().filter(|symbol| symbol.size > 0) {
            assert!(starts.contains(symbol.pc), "{name} {}", symbol.name);
            let old = linked.map.to_old(symbol.pc).unwrap();
            assert_eq!(
                linked.map.to_new(old),
                Some(symbol.pc),
                "{name} {}",
                symbol.name
            );
        }
        for pc in (0..linked.image.code().len() as u64).step_by(2) {
            assert!(linked.map.to_old(Pc::new(pc)).is_some(), "{name} {pc:#x}");
        }
    }
}

#[test]
fn sidecars_survive_a_round_trip_and_no_truncation() {
    for (name, elf) in prebuilt() {
        let sidecar = linked(&name, &elf).sidecar();
        let bytes = sidecar.encode();
        assert_eq!(Sidecar::decode(&bytes), Ok(sidecar), "{name}");
        let step = bytes.len() / 500 + 1;
        for len in (0..bytes.len()).step_by(step) {
            assert!(
                Sidecar::decode(&bytes[..len]).is_err(),
                "{name} cut to {len}"
            );
        }
    }
}
