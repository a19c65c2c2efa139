//! What cannot be linked is refused by name, with the place and the way out.

mod support;

use rivet_loader::{LinkError, LinkOptions, link};
use support::*;

fn refusal(elf: &[u8]) -> LinkError {
    link(elf, &LinkOptions::default()).expect_err("this must be refused")
}

/// Checks the code of a refusal and that its diagnostic is complete.
fn refused(elf: &Elf, code: &str) -> LinkError {
    let error = refusal(&elf.build());
    let text = error.diagnostic("guest.elf").to_string();
    assert_eq!(error.code(), code, "{text}");
    assert!(text.starts_with(&format!("error[{code}]: ")), "{text}");
    assert!(text.contains("\n  --> guest.elf"), "{text}");
    assert!(text.contains("\n   = help: "), "{text}");
    error
}

/// Two no-ops and a host call.
fn plain() -> Elf {
    Elf::new(asm("c.nop\nc.nop\necalli 0\n"))
}

/// An executable with this code and a reason to have relocations.
fn relocated(code: &str) -> Elf {
    let mut elf = Elf::new(asm(code));
    let data = elf.section(".data", WRITE, DATA, vec![0; 64]);
    let own = elf.symbol("own", OBJECT, data, DATA);
    elf.sections[1].bytes[..8].copy_from_slice(&DATA.to_le_bytes());
    elf.reloc(2, DATA, R_64, own, 0);
    elf
}

#[test]
fn a_diagnostic_shows_what_where_and_how_to_fix_it() {
    let error = refused(
        &relocated("c.nop\nauipc a0, 1\necalli 0\n"),
        "auipc-without-relocation",
    );
    let site = error.site().unwrap();
    assert_eq!((site.section.as_str(), site.offset), (".text", Some(2)));
    assert_eq!(site.symbol.as_deref(), Some("_start"));
    assert_eq!(site.instruction.as_deref(), Some("auipc a0, 0x1"));
    assert_eq!(
        error.diagnostic("a.elf").to_string(),
        "error[auipc-without-relocation]: .text+0x2 (address 0x400002) in `_start`: this auipc \
         has no relocation, so what it refers to is unknown\n  \
         --> a.elf: .text+0x2 (address 0x400002) in `_start`\n   |\n   | 400002: auipc a0, 0x1\n   \
         |\n   = help: link with -Wl,--no-relax -Wl,--emit-relocs and assemble without -mno-relax \
         and .option norelax (Rust: -C target-feature=+relax), so that the assembler leaves a \
         relocation\n"
    );
}

#[test]
fn names_with_control_characters_do_not_reach_the_terminal() {
    let mut elf = plain();
    elf.symbol("\x1b[2Jhidden\nerror: forged", 10 | GLOBAL, 1, TEXT);
    let text = refusal(&elf.build()).diagnostic("a.elf").to_string();
    assert!(text.contains("`<unprintable name>`"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains("forged"), "{text}");
}

#[test]
fn files_that_are_not_rv64e_executables_are_refused() {
    assert_eq!(refusal(b"").code(), "not-elf");
    assert_eq!(refusal(b"\x7fEL").code(), "not-elf");
    assert_eq!(refusal(b"#!/bin/sh\n").code(), "not-elf");
    let set = |at: usize, bytes: &[u8]| {
        let mut elf = plain().build();
        elf[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&elf).code()
    };
    assert_eq!(set(4, &[1]), "wrong-class");
    assert_eq!(set(5, &[2]), "wrong-endian");
    assert_eq!(set(6, &[0]), "wrong-version");
    assert_eq!(set(16, &[1]), "wrong-type");
    assert_eq!(set(16, &[3]), "wrong-type");
    assert_eq!(set(18, &[62]), "wrong-machine");
    assert_eq!(set(20, &[2]), "wrong-version");
    // RV64I with compression; float ABI; an unknown flag.
    for flags in [1, 0, 9 | 2, 9 | 4, 9 | 0x100] {
        let elf = Elf { flags, ..plain() };
        refused(&elf, "wrong-flags");
    }
    // Without compression, and with TSO.
    for flags in [8, 9 | 16] {
        let elf = Elf { flags, ..plain() };
        assert!(link(&elf.build(), &LinkOptions::default()).is_ok());
    }
}

#[test]
fn dynamic_and_thread_local_executables_are_refused() {
    for (kind, code) in [(2, "dynamic"), (3, "dynamic"), (7, "thread-local")] {
        let mut elf = plain();
        elf.segments.push((kind, 4, 0, 0));
        refused(&elf, code);
    }
    let mut elf = plain();
    elf.section(".tdata", WRITE | 0x400, DATA, vec![0; 8]);
    refused(&elf, "thread-local");
    let mut elf = plain();
    elf.symbol("thread_local", 6, 1, TEXT);
    refused(&elf, "thread-local");
    let mut elf = plain();
    elf.symbol("resolver", 10 | GLOBAL, 1, TEXT);
    let error = refused(&elf, "indirect-function");
    assert_eq!(error.site().unwrap().symbol.as_deref(), Some("resolver"));
}

#[test]
fn memory_that_is_writable_and_executable_or_overlaps_is_refused() {
    let mut elf = plain();
    elf.sections[0].flags |= WRITE;
    refused(&elf, "writable-code");
    let mut elf = plain();
    elf.segments.push((1, 7, DATA, 0x1000));
    refused(&elf, "writable-code");
    let mut elf = plain();
    elf.section(".data", WRITE, TEXT + 4, vec![0; 8]);
    let error = refused(&elf, "overlap");
    assert!(matches!(error, LinkError::Overlap { address, .. } if address == TEXT + 4));
    let mut elf = plain();
    elf.section(".data", WRITE, 0xFFFF_FFFC, vec![0; 8]);
    refused(&elf, "outside-address-space");
    let mut elf = plain();
    elf.section(".data", WRITE, u64::MAX - 3, vec![0; 8]);
    refused(&elf, "outside-address-space");
}

#[test]
fn code_must_have_content_whole_instructions_and_an_entry() {
    let mut elf = plain();
    elf.sections[0].kind = NOBITS;
    elf.sections[0].size = 1 << 40;
    elf.sections[0].bytes.clear();
    refused(&elf, "outside-address-space");
    elf.sections[0].size = 8;
    refused(&elf, "empty-code");
    let mut elf = plain();
    elf.sections[0].flags &= !EXEC;
    refused(&elf, "no-code");
    let mut elf = plain();
    elf.sections[0].bytes.extend([0x13, 0x05]);
    refused(&elf, "partial-instruction");
    let mut elf = plain();
    elf.symbols.clear();
    elf.entry = TEXT + 0x1000;
    refused(&elf, "no-entry");
    elf.entry = TEXT + 6;
    refused(&elf, "no-entry");
    let options = LinkOptions {
        exports: vec!["nothing".into()],
        ..LinkOptions::default()
    };
    let error = link(&plain().build(), &options).unwrap_err();
    assert_eq!(
        error,
        LinkError::BadEndpoint {
            name: "nothing".into()
        }
    );
}

#[test]
fn more_code_than_a_program_may_have_is_refused() {
    // Two sections of 128 MiB; one file has both.
    let mut elf = Elf::new(vec![0x01; 128 << 20]);
    elf.section(".text.more", EXEC, 0x2000_0000, vec![0x01; 128 << 20]);
    let error = refused(&elf, "code-too-large");
    assert_eq!(
        error,
        LinkError::CodeTooLarge {
            size: 256 << 20,
            limit: 0x0FC0_0000
        }
    );
}

#[test]
fn executables_without_relocations_are_refused_where_it_matters() {
    let error = refused(
        &Elf::new(asm("auipc a0, 1\necalli 0\n")),
        "relocations-missing",
    );
    assert!(error.remedy().contains("--emit-relocs"));
    refused(
        &Elf::new(asm("lw a0, 8(zero)\njalr zero, 0(a0)\n")),
        "relocations-missing",
    );
    // Returns and direct branches depend on nothing.
    let local = Elf::new(asm(
        "jal ra, 8\necalli 0\naddi a0, a0, 1\njalr zero, 0(ra)\n",
    ));
    assert!(link(&local.build(), &LinkOptions::default()).is_ok());
}

#[test]
fn objects_without_relaxation_that_take_their_own_addresses_are_refused() {
    let mut elf = relocated("auipc a1, 0\naddi a1, a1, 0\nauipc a0, 0\naddi a0, a0, 8\necalli 0\n");
    let (high, low) = (0xFC00u32, 0u32);
    elf.sections[0].bytes[..4].copy_from_slice(&(high << 12 | 0x597).to_le_bytes());
    elf.sections[0].bytes[4..8].copy_from_slice(&(low << 20 | 0x58593).to_le_bytes());
    let label = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    elf.reloc(1, TEXT, PCREL_HI20, 2, 0);
    elf.reloc(1, TEXT + 4, PCREL_LO12_I, label, 0);
    // Not one relaxable place has the mark of relaxation.
    let error = refused(&elf, "no-relax-object");
    assert!(error.to_string().contains("-mno-relax"));
    assert_eq!(error.site().unwrap().offset, Some(8));
    // With it, only the lost relocation is to blame.
    elf.reloc(1, TEXT, RELAX, 0, 0);
    refused(&elf, "auipc-without-relocation");
}

/// A computed goto by distances from the first label; `relocated` entries have relocations.
fn computed_goto(relocated: &[usize]) -> Elf {
    let table = DATA + 0x40;
    let mut elf = Elf::new(asm(
        "lui a2, 0x10000\naddi a2, a2, 0x40\nlui a1, 0x400\naddi a1, a1, 0x20\nsh2add a2, a0, a2\n\
         lw a2, 0(a2)\nadd a1, a1, a2\njalr zero, 0(a1)\naddi a0, a0, 1\naddi a0, a0, 2\necalli 0\n",
    ));
    let mut content = vec![0; 0x40];
    content.extend([0u32, 4, 8].iter().flat_map(|entry| entry.to_le_bytes()));
    let data = elf.section(".rodata", 0, DATA, content);
    let object = elf.symbol("targets", OBJECT, data, table);
    elf.symbols[object as usize - 1].size = 12;
    let base = elf.symbol(".Ltmp0", LABEL, 1, TEXT + 0x20);
    for (at, kind, symbol) in [
        (0, HI20, object),
        (4, LO12_I, object),
        (8, HI20, base),
        (12, LO12_I, base),
    ] {
        elf.code_reloc(TEXT + at, kind, symbol);
    }
    for &entry in relocated {
        let label = elf.symbol(".Ltmp", LABEL, 1, TEXT + 0x20 + 4 * entry as u64);
        let at = table + 4 * entry as u64;
        elf.reloc(2, at, ADD32, label, 0);
        elf.reloc(2, at, SUB32, base, 0);
    }
    elf
}

#[test]
fn jumps_by_folded_distances_between_labels_are_refused() {
    assert!(link(&computed_goto(&[1, 2]).build(), &LinkOptions::default()).is_ok());
    for folded in [&[1][..], &[2], &[]] {
        let error = refused(&computed_goto(folded), "folded-difference");
        assert!(error.to_string().contains("`targets`"), "{error}");
        assert_eq!(
            error.site().unwrap().instruction.as_deref(),
            Some("jalr zero, 0(a1)")
        );
    }
    let mut unmarked = computed_goto(&[]);
    for (_, relocs) in &mut unmarked.relocs {
        relocs.retain(|rela| rela.kind != RELAX);
    }
    refused(&unmarked, "no-relax-object");
}

#[test]
fn relocations_that_do_not_fit_the_bytes_are_refused() {
    // The word should hold 0x10000000.
    let mut elf = relocated("ecalli 0\n");
    elf.sections[1].bytes[0] = 1;
    let error = refused(&elf, "relocation-mismatch");
    assert!(matches!(
        error,
        LinkError::RelocationMismatch {
            expected: DATA,
            found: 0x1000_0001,
            ..
        }
    ));
    // Half of a difference: the other half was folded.
    let mut elf = relocated("ecalli 0\n");
    elf.reloc(2, DATA + 8, ADD32, 2, 0);
    refused(&elf, "relocation-mismatch");
    // The high part of another address.
    let mut elf = relocated("lui a0, 0x12345\necalli 0\n");
    elf.code_reloc(TEXT, HI20, 2);
    refused(&elf, "relocation-mismatch");
    // A branch relocation that disagrees with the branch.
    let mut elf = relocated("c.nop\nc.j -2\necalli 0\n");
    elf.reloc(1, TEXT + 2, 45, 1, 4);
    refused(&elf, "relocation-mismatch");
}

#[test]
fn relocations_at_wrong_places_and_of_unknown_types_are_refused() {
    let cases = [
        (TEXT, PCREL_HI20, "misplaced-relocation"),
        (TEXT + 2, CALL_PLT, "misplaced-relocation"),
        (TEXT, LO12_I, "misplaced-relocation"),
        (TEXT + 1, R_64, "misplaced-relocation"),
        (TEXT + 400, HI20, "misplaced-relocation"),
        (TEXT, 29, "thread-local"),
        (TEXT, 58, "indirect-function"),
        (TEXT, GPREL_I, "gp-relaxed"),
        (TEXT, 191, "unsupported-relocation"),
        (TEXT, u32::MAX, "unsupported-relocation"),
        (TEXT, 3, "unsupported-relocation"),
    ];
    for (address, kind, code) in cases {
        let mut elf = plain();
        elf.reloc(1, address, kind, 1, 0);
        refused(&elf, code);
    }
    let mut elf = relocated("ecalli 0\n");
    elf.reloc(2, DATA + 60, R_64, 2, 0);
    refused(&elf, "misplaced-relocation");
    let mut elf = relocated("ecalli 0\n");
    elf.reloc(2, DATA + 4, R_64, 2, 0);
    let error = refusal(&elf.build());
    assert!(["relocated-twice", "relocation-mismatch"].contains(&error.code()));
    let mut elf = relocated("ecalli 0\n");
    elf.reloc(2, DATA + 8, R_64, 77, 0);
    refused(&elf, "bad-index");
    let mut elf = plain();
    elf.relocs.push((99, vec![]));
    elf.reloc(99, TEXT, HI20, 1, 0);
    refused(&elf, "bad-index");
}

#[test]
fn low_parts_without_high_parts_are_refused() {
    let mut elf = relocated("addi a0, a0, 0\necalli 0\n");
    elf.reloc(1, TEXT, PCREL_LO12_I, 1, 0);
    refused(&elf, "orphan-part");
    let mut elf = relocated("auipc a0, 0\necalli 0\n");
    elf.reloc(1, TEXT, GOT_HI20, 2, 0);
    refused(&elf, "orphan-part");
}

#[test]
fn code_addresses_must_be_starts_of_instructions() {
    // A pointer into the middle of a four-byte instruction.
    let mut elf = relocated("addi a0, a0, 1\necalli 0\n");
    elf.sections[1].bytes[8..16].copy_from_slice(&(TEXT + 2).to_le_bytes());
    elf.reloc(2, DATA + 8, R_64, 1, 2);
    let error = refused(&elf, "inside-instruction");
    assert!(error.to_string().contains("`_start`+0x2"), "{error}");
    assert_eq!(error.site().unwrap().section, ".data");
    // A branch there.
    refused(
        &Elf::new(asm("c.j 4\naddi a0, a0, 1\necalli 0\n")),
        "inside-instruction",
    );
    // A branch out of the code.
    refused(&Elf::new(asm("c.j -2\necalli 0\n")), "target-not-code");
    // A function symbol there.
    let mut elf = Elf::new(asm("addi a0, a0, 1\necalli 0\n"));
    elf.symbol("crooked", FUNCTION, 1, TEXT + 2);
    refused(&elf, "inside-instruction");
    // A pointer behind the section.
    let mut elf = relocated("ecalli 0\n");
    elf.sections[1].bytes[8..16].copy_from_slice(&(TEXT + 6).to_le_bytes());
    elf.reloc(2, DATA + 8, R_64, 1, 6);
    refused(&elf, "symbol-outside");
}

#[test]
fn symbols_must_be_defined_inside_their_sections() {
    let mut elf = plain();
    elf.symbol("nowhere", FUNCTION, 1, TEXT + 0x1000);
    refused(&elf, "symbol-outside");
    let mut elf = plain();
    elf.symbol("lost", FUNCTION, 77, TEXT);
    refused(&elf, "bad-index");
    let mut elf = relocated("ecalli 0\n");
    let missing = elf.symbol("missing", GLOBAL, UNDEFINED, 0);
    elf.reloc(2, DATA + 8, R_64, missing, 0);
    let error = refused(&elf, "undefined-symbol");
    assert!(matches!(error, LinkError::Undefined { name, .. } if name == "missing"));
}

#[test]
fn calls_of_data_and_code_that_runs_into_data_are_refused() {
    let mut elf = relocated("auipc ra, 0xfc00\njalr ra, 0(ra)\necalli 0\n");
    elf.code_reloc(TEXT, CALL_PLT, 2);
    refused(&elf, "target-not-code");
    // An addition runs into a word that is no instruction.
    let mut code = asm("addi a0, a0, 1\n");
    code.extend([0xFF; 4]);
    let mut elf = Elf::new(code);
    elf.symbol("$d", LABEL, 1, TEXT + 4);
    let error = refused(&elf, "falls-into-data");
    assert!(matches!(error, LinkError::FallsIntoData { data, .. } if data == TEXT + 4));
}

#[test]
fn relaxation_to_the_global_pointer_and_used_unwinding_tables_are_refused() {
    // addi a0, gp, 16 with the relocation of the low part of an address 0 away.
    let mut elf = relocated("addi a0, gp, 16\necalli 0\n");
    elf.reloc(1, TEXT, LO12_I, 2, 0);
    refused(&elf, "gp-relaxed");
    let mut elf = relocated("ecalli 0\n");
    let frames = elf.section(".eh_frame", 0, DATA + 0x1000, vec![0; 16]);
    assert!(link(&elf.build(), &LinkOptions::default()).is_ok());
    let begin = elf.symbol("__eh_frame_start", LABEL, frames, DATA + 0x1000);
    elf.sections[1].bytes[8..16].copy_from_slice(&(DATA + 0x1000).to_le_bytes());
    elf.reloc(2, DATA + 8, R_64, begin, 0);
    let error = refused(&elf, "unwinding-used");
    assert!(matches!(error, LinkError::UnwindingUsed { table, .. } if table == ".eh_frame"));
}

#[test]
fn stack_and_heap_symbols_must_name_free_memory() {
    for value in [0x1000, TEXT + 0x800, 1 << 33] {
        let mut elf = plain();
        elf.symbol("__stack_top", GLOBAL, ABSOLUTE, value);
        refused(&elf, "bad-memory-symbol");
    }
    let mut elf = plain();
    elf.symbol("__stack_top", GLOBAL, ABSOLUTE, 0x2000_0000);
    elf.symbol("__stack_size", GLOBAL, ABSOLUTE, 0x8000);
    let linked = link(&elf.build(), &LinkOptions::default()).unwrap();
    assert_eq!(linked.report.stack_top, 0x2000_0000);
    assert_eq!(linked.report.memory[0].start, 0x2000_0000 - 0x8000);
    // Absolute numbers that name memory which moves.
    let mut elf = plain();
    let data = elf.section(".data", WRITE, 0x2_0000, vec![0; 64]);
    elf.sections[1].bytes[..8].copy_from_slice(&0x2_0008u64.to_le_bytes());
    let number = elf.symbol("number", GLOBAL, ABSOLUTE, 0x2_0008);
    elf.reloc(data.into(), 0x2_0000, R_64, number, 0);
    refused(&elf, "absolute-moved");
}
