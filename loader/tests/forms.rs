//! Every form in which compilers refer to code and data, run before and after linking.

mod support;

use rivet_isa::{BlockStarts, CODE_BASE, Pc};
use rivet_loader::{LinkOptions, Linked, MemoryKind, link};
use support::machine::{End, Machine, Rules};
use support::*;

fn linked(elf: &Elf) -> Linked {
    link(&elf.build(), &LinkOptions::default())
        .unwrap_or_else(|error| panic!("{}", error.diagnostic("test.elf")))
}

/// The content of all memory of an image.
fn memory(linked: &Linked) -> Vec<(u64, Vec<u8>)> {
    let image = &linked.image;
    let mut memory = Vec::new();
    for mapping in image.mappings() {
        let Some(path) = mapping.path() else { continue };
        let data = match image.pinned(path.first()) {
            Some(rivet_image::Pinned::Data(data)) => data,
            _ => image.initial(path.first()).unwrap(),
        };
        for page in data.pages() {
            memory.push((
                mapping.start + u64::from(page.index) * 4096,
                page.bytes.to_vec(),
            ));
        }
    }
    memory
}

/// Runs the output and returns how it ended and a0.
fn run(linked: &Linked, argument: u64) -> (End, u64) {
    let starts = BlockStarts::scan(linked.image.code());
    let mut machine = Machine::new(linked.image.code(), CODE_BASE);
    machine.memory = memory(linked);
    machine.regs[10] = argument;
    let end = machine.run(0, 1000, &Rules::Pvm2(&starts));
    (end, machine.regs[10])
}

/// The immediate of `auipc` or `lui` and of the low part for a value.
fn parts(value: u64) -> (u64, i64) {
    let low = ((value << 52) as i64) >> 52;
    ((value.wrapping_sub(low as u64) >> 12) & 0xF_FFFF, low)
}

/// Code that dispatches over three cases; each case is entered by a jump only, and the labels are
/// not behind terminators. Cases return a0 = 11, 22, 33. `head` sets a1 to the target.
fn cases(head: &str) -> (Vec<u8>, [u64; 3]) {
    let mut code = asm(head);
    code.extend(asm("jalr zero, 0(a1)\n"));
    let mut labels = [0; 3];
    for (case, label) in labels.iter_mut().enumerate() {
        code.extend(asm("c.nop\n"));
        *label = TEXT + code.len() as u64;
        code.extend(asm(&format!(
            "addi a0, zero, {}\necalli 0\n",
            11 * (case + 1)
        )));
    }
    (code, labels)
}

const TABLE: u64 = DATA + 0x10;

/// An executable whose code loads from a table at `TABLE`, by an auipc pair.
fn with_table(load: &str, entries: impl Fn([u64; 3]) -> Vec<u8>) -> (Elf, [u64; 3], u32) {
    let (high, low) = parts(TABLE - TEXT);
    let head = format!("auipc a2, {high:#x}\naddi a2, a2, {low}\n{load}");
    let (code, labels) = cases(&head);
    let mut elf = Elf::new(code);
    let mut content = vec![0; 0x10];
    content.extend(entries(labels));
    let data = elf.section(".rodata", 0, DATA, content);
    let table = elf.symbol("table", OBJECT, data, TABLE);
    let high = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    elf.code_reloc(TEXT, PCREL_HI20, table);
    elf.code_reloc(TEXT + 4, PCREL_LO12_I, high);
    (elf, labels, table)
}

fn label(elf: &mut Elf, address: u64) -> u32 {
    elf.symbol(".L0 ", LABEL, 1, address)
}

fn check_cases(elf: &Elf) {
    let linked = linked(elf);
    assert_eq!(linked.report.fallthroughs, 3);
    for case in 0..3 {
        assert_eq!(run(&linked, case), (End::Call(0), 11 * (case + 1)));
    }
}

#[test]
fn jump_tables_of_64_bit_addresses_follow_the_code() {
    let (mut elf, labels, _) = with_table("sh3add a2, a0, a2\nld a1, 0(a2)\n", |labels| {
        labels
            .iter()
            .flat_map(|label| label.to_le_bytes())
            .collect()
    });
    for (index, address) in labels.into_iter().enumerate() {
        let symbol = label(&mut elf, address);
        elf.reloc(2, TABLE + 8 * index as u64, R_64, symbol, 0);
    }
    check_cases(&elf);
}

#[test]
fn jump_tables_of_32_bit_addresses_follow_the_code() {
    let (mut elf, labels, _) = with_table("sh2add a2, a0, a2\nlwu a1, 0(a2)\n", |labels| {
        labels
            .iter()
            .flat_map(|label| (*label as u32).to_le_bytes())
            .collect()
    });
    let text = elf.symbol(".text", 3, 1, TEXT);
    for (index, address) in labels.into_iter().enumerate() {
        // By section and addend, as some assemblers do.
        elf.reloc(
            2,
            TABLE + 4 * index as u64,
            R_32,
            text,
            (address - TEXT) as i64,
        );
    }
    check_cases(&elf);
}

#[test]
fn jump_tables_of_distances_follow_the_code() {
    let load = "sh2add a1, a0, a2\nlw a1, 0(a1)\nadd a1, a1, a2\n";
    let (mut elf, labels, table) = with_table(load, |labels| {
        labels
            .iter()
            .flat_map(|label| (label.wrapping_sub(TABLE) as u32).to_le_bytes())
            .collect()
    });
    for (index, address) in labels.into_iter().enumerate() {
        let symbol = label(&mut elf, address);
        let at = TABLE + 4 * index as u64;
        elf.reloc(2, at, ADD32, symbol, 0);
        elf.reloc(2, at, SUB32, table, 0);
    }
    check_cases(&elf);
}

#[test]
fn tables_of_self_relative_distances_follow_the_code() {
    // Entry n holds label - (address of entry n).
    let load = "sh2add a2, a0, a2\nlw a1, 0(a2)\nadd a1, a1, a2\n";
    let (mut elf, labels, _) = with_table(load, |labels| {
        let entry = |(i, label): (usize, &u64)| label.wrapping_sub(TABLE + 4 * i as u64) as u32;
        labels
            .iter()
            .enumerate()
            .flat_map(|one| entry(one).to_le_bytes())
            .collect()
    });
    for (index, address) in labels.into_iter().enumerate() {
        let symbol = label(&mut elf, address);
        elf.reloc(2, TABLE + 4 * index as u64, PCREL32, symbol, 0);
    }
    check_cases(&elf);
}

/// Distances between labels in bytes, all of them relocated.
fn byte_table(pad: usize) -> Elf {
    let (high, low) = parts(TABLE - TEXT);
    let base = 0x1C;
    let head = format!(
        "auipc a2, {high:#x}\naddi a2, a2, {low}\nadd a2, a2, a0\nlbu a1, 0(a2)\n\
         auipc a3, 0\naddi a3, a3, {}\nadd a1, a1, a3\n",
        base - 0x10
    );
    let mut code = asm(&head);
    assert_eq!(code.len(), base);
    code.extend(asm("jalr zero, 0(a1)\n"));
    let mut labels = Vec::new();
    for case in 0..3 {
        code.extend(asm("c.nop\n").repeat(if case == 2 { pad } else { 1 }));
        labels.push(TEXT + code.len() as u64);
        code.extend(asm(&format!(
            "addi a0, zero, {}\necalli 0\n",
            11 * (case + 1)
        )));
    }
    let mut elf = Elf::new(code);
    let start = TEXT + base as u64;
    let mut content = vec![0; 0x10];
    content.extend(labels.iter().map(|label| (label - start) as u8));
    let data = elf.section(".rodata", 0, DATA, content);
    let table = elf.symbol("table", OBJECT, data, TABLE);
    elf.symbols[table as usize - 1].size = 3;
    let first = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    let second = elf.symbol(".Lpcrel_hi1", LABEL, 1, TEXT + 0x10);
    let base = label(&mut elf, start);
    elf.code_reloc(TEXT, PCREL_HI20, table);
    elf.code_reloc(TEXT + 4, PCREL_LO12_I, first);
    elf.code_reloc(TEXT + 0x10, PCREL_HI20, base);
    elf.code_reloc(TEXT + 0x14, PCREL_LO12_I, second);
    for (index, &address) in labels.iter().enumerate() {
        let symbol = label(&mut elf, address);
        elf.reloc(2, TABLE + index as u64, ADD8, symbol, 0);
        elf.reloc(2, TABLE + index as u64, SUB8, base, 0);
    }
    elf
}

#[test]
fn byte_distances_between_labels_grow_with_the_code() {
    let linked = linked(&byte_table(1));
    for case in 0..3 {
        assert_eq!(run(&linked, case), (End::Call(0), 11 * (case + 1)));
    }
}

#[test]
fn byte_distances_that_no_longer_fit_are_refused() {
    // 4 + 2 + 8 + 2 + 8 + 2 * 115 = 254 bytes before, three fallthroughs more afterwards.
    let error = link(&byte_table(115).build(), &LinkOptions::default()).unwrap_err();
    assert_eq!(error.code(), "out-of-reach");
    assert_eq!(error.site().unwrap().symbol.as_deref(), Some("table"));
}

#[test]
fn one_high_part_serves_low_parts_in_other_blocks() {
    let value = DATA + 0x20;
    let (high, low) = parts(value - TEXT);
    // a1 = mem[value]; the second low part stands behind a branch and its target.
    let text = format!(
        "auipc a2, {high:#x}\nld a1, {low}(a2)\nc.beqz a0, 6\nc.nop\nc.nop\n\
         ld a0, {low}(a2)\nadd a0, a0, a1\necalli 0\n"
    );
    let mut elf = Elf::new(asm(&text));
    let mut content = vec![0; 0x20];
    content.extend(1000u64.to_le_bytes());
    let data = elf.section(".data", WRITE, DATA, content);
    let variable = elf.symbol("variable", OBJECT, data, value);
    let label = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    elf.code_reloc(TEXT, PCREL_HI20, variable);
    elf.code_reloc(TEXT + 4, PCREL_LO12_I, label);
    elf.code_reloc(TEXT + 14, PCREL_LO12_I, label);
    let linked = linked(&elf);
    assert_eq!(linked.report.fallthroughs, 1);
    assert_eq!(run(&linked, 0), (End::Call(0), 2000));
    assert_eq!(run(&linked, 1), (End::Call(0), 2000));
}

#[test]
fn absolute_parts_and_calls_follow_functions() {
    // The callee stands behind a no-op, so calls need a fallthrough before it.
    let callee = 0x1E;
    let (high, low) = parts(TEXT + callee);
    let text = format!(
        "lui a1, {high:#x}\njalr ra, {low}(a1)\nauipc ra, 0\njalr ra, {}(ra)\n\
         auipc t1, 0\njalr zero, {}(t1)\nc.beqz a0, 4\nc.nop\nc.nop\n\
         addi a0, a0, 5\njalr zero, 0(ra)\necalli 0\n",
        callee - 8,
        0x26 - 0x10
    );
    let mut elf = Elf::new(asm(&text));
    let function = elf.symbol("callee", FUNCTION | GLOBAL, 1, TEXT + callee);
    let end = elf.symbol("finish", FUNCTION | GLOBAL, 1, TEXT + 0x26);
    elf.code_reloc(TEXT, HI20, function);
    elf.code_reloc(TEXT + 4, LO12_I, function);
    elf.code_reloc(TEXT + 8, CALL_PLT, function);
    elf.code_reloc(TEXT + 16, CALL_PLT, end);
    let linked = linked(&elf);
    assert_eq!(run(&linked, 1), (End::Call(0), 11));
}

#[test]
fn calls_that_the_assembler_resolved_follow_the_code() {
    // Counts a0 down through a call of itself without relocation, and adds up in a1; the no-op
    // makes the callee need a fallthrough, and the branch another one inside.
    let text = "c.nop\nadd a1, a1, a0\naddi a0, a0, -1\nc.beqz a0, 18\nadd a2, zero, ra\n\
                auipc ra, 0\njalr ra, -14(ra)\nc.nop\nc.nop\nadd a0, zero, a1\necalli 0\n";
    let mut elf = Elf::new(asm(text));
    let data = elf.section(".data", WRITE, DATA, vec![0; 8]);
    elf.sections[1].bytes.copy_from_slice(&DATA.to_le_bytes());
    let own = elf.symbol("own", OBJECT, data, DATA);
    elf.reloc(2, DATA, R_64, own, 0);
    let linked = linked(&elf);
    assert_eq!(linked.report.fallthroughs, 2);
    assert_eq!(run(&linked, 10), (End::Call(0), 55));
    // Through a register that lives on, or with an entry between the two, it is refused.
    let refused = |changes: &[(usize, &str)]| {
        let mut elf = elf.clone();
        for &(at, text) in changes {
            let bytes = asm(text);
            elf.sections[0].bytes[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        link(&elf.build(), &LinkOptions::default())
            .unwrap_err()
            .code()
    };
    let other = [(16, "auipc a0, 0\n"), (20, "jalr ra, -14(a0)\n")];
    assert_eq!(refused(&other), "auipc-without-relocation");
    assert_eq!(
        refused(&[(10, "c.beqz a0, 10\n")]),
        "auipc-without-relocation"
    );
}

#[test]
fn got_slots_hold_moved_addresses_and_missing_weak_symbols_stay_null() {
    let slot = DATA + 8;
    let (high, low) = parts(slot - TEXT);
    let (weak_high, weak_low) = parts(slot + 8 - (TEXT + 12));
    let text = format!(
        "auipc a2, {high:#x}\nld a1, {low}(a2)\njalr ra, 0(a1)\n\
         auipc a2, {weak_high:#x}\nld a3, {weak_low}(a2)\nadd a0, a0, a3\necalli 0\n\
         auipc ra, 0\njalr ra, 0(ra)\n\
         c.nop\nc.nop\naddi a0, a0, 1\njalr zero, 0(ra)\n"
    );
    let mut elf = Elf::new(asm(&text));
    let function = TEXT + 7 * 4 + 8 + 4;
    let mut content = vec![0; 8];
    content.extend(function.to_le_bytes());
    content.extend([0; 8]);
    let _got = elf.section(".got", WRITE, DATA, content);
    let callee = elf.symbol("callee", FUNCTION | GLOBAL, 1, function);
    let weak = elf.symbol("missing", WEAK, UNDEFINED, 0);
    let first = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    let second = elf.symbol(".Lpcrel_hi1", LABEL, 1, TEXT + 12);
    elf.code_reloc(TEXT, GOT_HI20, callee);
    elf.code_reloc(TEXT + 4, PCREL_LO12_I, first);
    elf.code_reloc(TEXT + 12, GOT_HI20, weak);
    elf.code_reloc(TEXT + 16, PCREL_LO12_I, second);
    // A call of a missing weak function, as linkers leave it: to itself.
    elf.code_reloc(TEXT + 28, CALL_PLT, weak);
    let linked = linked(&elf);
    assert_eq!(linked.report.fallthroughs, 1);
    assert_eq!(run(&linked, 41), (End::Call(0), 42));
    // What was never called now goes to address 0, which is no code.
    let starts = BlockStarts::scan(linked.image.code());
    let mut machine = Machine::new(linked.image.code(), CODE_BASE);
    assert_eq!(
        machine.run(28, 10, &Rules::Pvm2(&starts)),
        End::BadTarget(32)
    );
}

#[test]
fn data_between_instructions_moves_out_and_keeps_its_pointers() {
    // ld a1, (constant); ld a2, (pointer); jump over the data to the end.
    let constant = TEXT + 0x18;
    let text = format!(
        "auipc a1, 0\nld a1, {}(a1)\nauipc a2, 0\nld a2, {}(a2)\njalr zero, 0(a2)\nc.nop\nc.nop\n",
        0x18,
        0x20 - 8
    );
    let mut code = asm(&text);
    assert_eq!(code.len(), 0x18);
    let target = TEXT + 0x2A;
    code.extend(0x1234_5678_9ABC_DEF1u64.to_le_bytes());
    code.extend(target.to_le_bytes());
    code.extend(asm("c.nop\nadd a0, a0, a1\necalli 0\n"));
    let mut elf = Elf::new(code);
    elf.symbol("$x", LABEL, 1, TEXT);
    elf.symbol("$d", LABEL, 1, constant);
    elf.symbol("$x", LABEL, 1, constant + 16);
    let pool = elf.symbol("pool", LABEL, 1, constant);
    let pointer = elf.symbol("pointer", LABEL, 1, constant + 8);
    let after = elf.symbol(".Lafter", LABEL, 1, target);
    let first = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
    let second = elf.symbol(".Lpcrel_hi1", LABEL, 1, TEXT + 8);
    elf.code_reloc(TEXT, PCREL_HI20, pool);
    elf.code_reloc(TEXT + 4, PCREL_LO12_I, first);
    elf.code_reloc(TEXT + 8, PCREL_HI20, pointer);
    elf.code_reloc(TEXT + 12, PCREL_LO12_I, second);
    elf.reloc(1, constant + 8, R_64, after, 0);
    let linked = linked(&elf);
    assert_eq!(linked.report.embedded, 16);
    assert_eq!(linked.report.fallthroughs, 1);
    assert_eq!(run(&linked, 1), (End::Call(0), 0x1234_5678_9ABC_DEF2));
    let kinds: Vec<_> = linked.report.memory.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [MemoryKind::Zero, MemoryKind::ReadOnly]);
}

#[test]
fn instructions_written_as_numbers_are_code() {
    // addi a0, a0, 1; .word 0x0000200b (ecalli 0), which assemblers mark as data.
    let mut code = asm("addi a0, a0, 1\n");
    code.extend(0x0000_200Bu32.to_le_bytes());
    code.extend(asm("addi a0, a0, 100\necalli 1\n"));
    let mut elf = Elf::new(code);
    elf.symbol("$x", LABEL, 1, TEXT);
    elf.symbol("$d", LABEL, 1, TEXT + 4);
    elf.symbol("$x", LABEL, 1, TEXT + 8);
    let linked = linked(&elf);
    assert_eq!(linked.report.embedded, 0);
    assert_eq!(run(&linked, 1), (End::Call(0), 2));
}

#[test]
fn programs_linked_elsewhere_move_to_where_they_must_be() {
    // Text at 0x11000 and data at 0x13000, as without a linker script.
    let (text, data) = (0x1_1000, 0x1_3010);
    let (high, low) = parts(data - text);
    let mut code = asm(&format!(
        "auipc a2, {high:#x}\nld a1, {low}(a2)\njalr zero, 0(a1)\nc.nop\n"
    ));
    let target = text + code.len() as u64;
    code.extend(asm("addi a0, a0, 7\necalli 0\n"));
    let mut elf = Elf::new(code);
    elf.sections[0].address = text;
    elf.symbols[0].value = text;
    elf.entry = text;
    let mut content = vec![0; 0x10];
    content.extend(target.to_le_bytes());
    let section = elf.section(".data", WRITE, 0x1_3000, content);
    let pointer = elf.symbol("pointer", OBJECT, section, data);
    let after = elf.symbol("after", LABEL, 1, target);
    let high = elf.symbol(".Lpcrel_hi0", LABEL, 1, text);
    elf.code_reloc(text, PCREL_HI20, pointer);
    elf.code_reloc(text + 4, PCREL_LO12_I, high);
    elf.reloc(2, data, R_64, after, 0);
    let linked = linked(&elf);
    assert_eq!(linked.report.data_shift, 0x1000_0000 - 0x1_3000);
    assert_eq!(run(&linked, 1), (End::Call(0), 8));
    assert_eq!(linked.map.to_new(text), Some(Pc::new(0)));
}

#[test]
fn sections_share_pages_and_zeros_follow_content() {
    let mut elf = Elf::new(asm("ecalli 0\n"));
    elf.section(".rodata", 0, DATA, vec![1; 0x1800]);
    elf.section(".data", WRITE, DATA + 0x1800, vec![2; 0x100]);
    let bss = elf.section(".bss", WRITE, DATA + 0x1900, Vec::new());
    let heap = elf.section(".heap", WRITE, DATA + 0x10000, Vec::new());
    for (section, size) in [(bss, 0x5000), (heap, 0x3000)] {
        elf.sections[section as usize - 1].kind = NOBITS;
        elf.sections[section as usize - 1].size = size;
    }
    let linked = linked(&elf);
    let memory: Vec<_> = linked
        .report
        .memory
        .iter()
        .map(|one| (one.start - DATA, one.size, one.kind))
        .collect();
    assert_eq!(
        memory,
        [
            (0, 0x1000, MemoryKind::ReadOnly),
            // The shared page is writable, and the zeros of .bss go with it.
            (0x1000, 0x6000, MemoryKind::Writable),
            (0x10000, 0x3000, MemoryKind::Zero),
            (0x14000, 0x10_0000, MemoryKind::Zero),
        ]
    );
    assert_eq!(linked.report.stack_top, DATA + 0x11_4000);
    let writable = linked.image.initial_slots();
    assert_eq!(writable[0].1.size(), 0x1000);
    assert_eq!(writable[0].1.page(0)[0x7FF..0x801], [1, 2]);
}

#[test]
fn relocations_that_lld_left_behind_alignment_are_put_back() {
    // Six bytes of no-ops were assembled and four are left, so with --no-relax lld writes what
    // follows two bytes too high; a table with distances and a call come after them.
    let text = "auipc a2, 0\naddi a2, a2, 24\nsh2add a3, a0, a2\nlw a3, 0(a3)\nadd a3, a3, a2\n\
                c.jr a3\nc.nop\n";
    let table = TEXT + 24;
    let mut code = asm(text);
    assert_eq!(code.len(), 24);
    let labels = [table + 8 + 2, table + 8 + 2 + 6];
    for label in labels {
        code.extend(((label - table) as u32).to_le_bytes());
    }
    code.extend(asm("c.nop\naddi a0, zero, 11\nc.nop\n"));
    code.extend(asm(
        "auipc ra, 0\njalr ra, 10(ra)\nc.nop\naddi a0, a0, 22\necalli 0\n",
    ));
    // Both labels stand behind no-ops; the second is right before the call.
    let call = labels[1];
    code[24 + 8 + 6..24 + 8 + 8].copy_from_slice(&asm("c.nop\n"));
    for stale in [0, 2] {
        let mut elf = Elf::new(code.clone());
        elf.symbol("$x", LABEL, 1, TEXT);
        elf.symbol("$d", LABEL, 1, table);
        elf.symbol("$x", LABEL, 1, table + 8);
        let object = elf.symbol("table", LABEL, 1, table);
        let high = elf.symbol(".Lpcrel_hi0", LABEL, 1, TEXT);
        let after = elf.symbol("after", FUNCTION, 1, call + 10);
        elf.code_reloc(TEXT, PCREL_HI20, object);
        elf.code_reloc(TEXT + 4, PCREL_LO12_I, high);
        elf.reloc(1, TEXT + 20, ALIGN, 0, 6);
        for (index, address) in labels.into_iter().enumerate() {
            let symbol = label(&mut elf, address);
            let at = table + 4 * index as u64 + stale;
            elf.reloc(1, at, ADD32, symbol, 0);
            elf.reloc(1, at, SUB32, object, 0);
        }
        elf.code_reloc(call + stale, CALL_PLT, after);
        let linked = linked(&elf);
        assert_eq!(linked.report.embedded, 8);
        assert_eq!(
            run(&linked, 0),
            (End::Call(0), 33),
            "{stale} bytes too high"
        );
        assert_eq!(
            run(&linked, 1),
            (End::Call(0), 23),
            "{stale} bytes too high"
        );
    }
}
