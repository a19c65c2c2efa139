//! Loads and stores: ISA §4, §10.

mod common;

use common::{COW, DATA_LEN, Ended, bytes, memory, memory_with, program, run, writable};
use rivet_isa::{CODE_BASE, DATA_BASE, Exit, Inst, Op, PAGE_SIZE, PageIndex, Pc, Reg, Regs};
use rivet_jit::{Left, NoHost};
use rivet_paging::{AddressSpace, GuestAddr, PageRange, PageSource, Region};

const GAS: u64 = 1 << 40;

fn page_of(address: u64) -> PageIndex {
    PageIndex::new((address as u32) >> 12).unwrap()
}

fn fault(address: u64, pc: u64) -> Left {
    Left::Exit(
        Exit::PageFault {
            page: page_of(address),
        },
        Pc::new(pc),
    )
}

fn trap(pc: u64) -> Left {
    Left::Exit(Exit::Trap, Pc::new(pc))
}

/// Registers that all differ, with a base and a value.
fn regs(base: Reg, address: u64, value: Reg, content: u64) -> Regs {
    let mut regs = Regs::new(core::array::from_fn(|slot| {
        0xDEAD_0000_0000_0000 + slot as u64
    }));
    regs.set(value, content);
    regs.set(base, address);
    regs
}

fn run_one(inst: Inst, memory: &mut AddressSpace, regs: Regs) -> Ended {
    let code = bytes([inst, Inst::trap(rivet_isa::N)]);
    run(&program(&code), memory, 0, regs, GAS, &mut NoHost)
}

fn read(memory: &AddressSpace, address: u64) -> u64 {
    let mut bytes = [0; 8];
    memory
        .read(GuestAddr::wrapping(address), &mut bytes)
        .unwrap();
    u64::from_le_bytes(bytes)
}

const LOADS: [(Op, u64); 7] = [
    (Op::Lb, 1),
    (Op::Lbu, 1),
    (Op::Lh, 2),
    (Op::Lhu, 2),
    (Op::Lw, 4),
    (Op::Lwu, 4),
    (Op::Ld, 8),
];
const STORES: [(Op, u64); 4] = [(Op::Sb, 1), (Op::Sh, 2), (Op::Sw, 4), (Op::Sd, 8)];
const PATTERN: u64 = 0x8877_66F5_84F3_92F1;

fn extended(op: Op, value: u64) -> u64 {
    match op {
        Op::Lb => value as i8 as u64,
        Op::Lh => value as i16 as u64,
        Op::Lw => value as i32 as u64,
        Op::Lbu => value as u8 as u64,
        Op::Lhu => value as u16 as u64,
        Op::Lwu => value as u32 as u64,
        _ => value,
    }
}

fn all_regs() -> impl Iterator<Item = Reg> {
    (0..16).map(|n| Reg::new(n).unwrap())
}

#[test]
fn every_load_reads_every_alignment_through_every_pair_of_registers() {
    for (op, _) in LOADS {
        for (rd, rs1) in all_regs().flat_map(|rd| all_regs().map(move |rs1| (rd, rs1))) {
            if rs1.is_zero() {
                continue;
            }
            let offset = u64::from(rd.number()) % 8 + 4088;
            let mut memory = memory(&[]);
            memory
                .place(
                    GuestAddr::wrapping(DATA_BASE + offset),
                    &PATTERN.to_le_bytes(),
                )
                .unwrap();
            // The upper half of an address does not count.
            let address = (DATA_BASE + offset + 16) | 0xABCD_0000_0000_0000;
            let before = regs(rs1, address, rs1, address);
            let ended = run_one(
                Inst::from_parts(op, rd, rs1, Reg::ZERO, -16),
                &mut memory,
                before,
            );
            let mut after = before;
            after.set(rd, extended(op, PATTERN));
            assert_eq!(
                (ended.left, ended.regs),
                (trap(4), after),
                "{op:?} {rd:?} {rs1:?}"
            );
            assert_eq!(memory.private_count(), 0);
        }
    }
}

#[test]
fn every_store_writes_its_bytes_and_makes_its_pages_private() {
    for (op, len) in STORES {
        for (rs2, rs1) in all_regs().flat_map(|rs2| all_regs().map(move |rs1| (rs2, rs1))) {
            if rs1.is_zero() {
                continue;
            }
            let offset = u64::from(rs1.number()) + 4084;
            let mut memory = memory(&[]);
            let address = (DATA_BASE + offset - 8) | 0x1234_5678_0000_0000;
            let before = regs(rs1, address, rs2, PATTERN);
            let value = before.get(rs2);
            let ended = run_one(
                Inst::from_parts(op, Reg::ZERO, rs1, rs2, 8),
                &mut memory,
                before,
            );
            assert_eq!(
                (ended.left, ended.regs),
                (trap(4), before),
                "{op:?} {rs2:?} {rs1:?}"
            );
            let mask = u64::MAX >> (64 - 8 * len);
            assert_eq!(read(&memory, DATA_BASE + offset), value & mask);
            let pages = if offset % 4096 + len > 4096 { 2 } else { 1 };
            assert_eq!(memory.private_count(), pages);
            assert_eq!(
                GAS - ended.gas,
                22.max(run_cost(rs1, rs2)) + u64::from(pages) * COW
            );
        }
    }
}

/// Cost of a block of one store and a trap: 25 cycles and 25 more for each operand in x3 or x4,
/// less 3.
fn run_cost(rs1: Reg, rs2: Reg) -> u64 {
    let spilled = |reg: Reg| u64::from(matches!(reg.number(), 3 | 4));
    25 * (1 + spilled(rs1) + spilled(rs2)) - 3
}

#[test]
fn faults_report_the_first_bad_page_and_leave_registers_as_before_the_instruction() {
    let end = DATA_BASE + DATA_LEN;
    let cases = [
        (0u64, 0u64),
        (CODE_BASE - 8, CODE_BASE - 8),
        (end, end),
        (end - 1, end),
        (end - 7, end),
        (DATA_BASE - 1, DATA_BASE - 1),
        (0xFFFF_FFFF, 0xFFFF_FFFF),
        (0xFFFF_FFFC, 0xFFFF_FFFC),
        (1 << 31, 1 << 31),
        (1 << 63, 0),
        (u64::MAX, u64::MAX),
    ];
    for (address, bad) in cases {
        for (rd, rs1) in [(10, 11), (11, 11), (3, 4), (4, 3), (0, 5), (13, 12), (3, 3)] {
            let (rd, rs1) = (Reg::new(rd).unwrap(), Reg::new(rs1).unwrap());
            let before = regs(rs1, address.wrapping_sub(8), rs1, address.wrapping_sub(8));
            for (op, source) in [(Op::Ld, Reg::ZERO), (Op::Sd, rd)] {
                let inst = Inst::from_parts(op, rd, rs1, source, 8);
                let mut memory = memory(&[]);
                let ended = run_one(inst, &mut memory, before);
                assert_eq!(
                    (ended.left, ended.regs),
                    (fault(bad, 0), before),
                    "{inst:?} {address:#x}"
                );
                assert_eq!(memory.private_count(), 0);
            }
        }
    }
}

#[test]
fn an_access_that_wraps_past_the_top_faults_at_page_zero() {
    let top = 0xFFFF_F000;
    for (op, len) in LOADS.into_iter().chain(STORES) {
        for back in 1..=8u64 {
            let address = (1 << 32) - back;
            let before = regs(Reg::A1, address, Reg::A1, address);
            let inst = Inst::from_parts(op, Reg::A0, Reg::A1, Reg::A2, 0);
            let mut memory = memory_with(&[], [writable(top, PAGE_SIZE)]);
            let ended = run_one(inst, &mut memory, before);
            let expected = if back < len { fault(0, 0) } else { trap(4) };
            assert_eq!(ended.left, expected, "{op:?} at -{back}");
            assert_eq!(
                memory.private_count(),
                u32::from(op.is_store() && back >= len)
            );
        }
    }
}

#[test]
fn absolute_addresses_go_through_the_truncation() {
    let top = 0xFFFF_F000;
    let mut memory = memory_with(&[], [writable(top, PAGE_SIZE)]);
    memory
        .place(GuestAddr::wrapping(0xFFFF_FFF8), &PATTERN.to_le_bytes())
        .unwrap();
    let load = Inst::from_parts(Op::Ld, Reg::A0, Reg::ZERO, Reg::ZERO, -8);
    let ended = run_one(load, &mut memory, Regs::default());
    assert_eq!((ended.left, ended.regs.get(Reg::A0)), (trap(4), PATTERN));
    let store = Inst::from_parts(Op::Sd, Reg::ZERO, Reg::ZERO, Reg::A0, -16);
    let ended = run_one(store, &mut memory, ended.regs);
    assert_eq!(ended.left, trap(4));
    assert_eq!(read(&memory, 0xFFFF_FFF0), PATTERN);
    let null = Inst::from_parts(Op::Lb, Reg::ZERO, Reg::ZERO, Reg::ZERO, 2047);
    assert_eq!(
        run_one(null, &mut memory, Regs::default()).left,
        fault(0, 0)
    );
}

#[test]
fn read_only_pages_load_and_never_store() {
    let start = DATA_BASE + 0x10_0000;
    let content = PageSource::from_bytes(&[0x5A; 4096]).unwrap();
    let pinned = Region::read_only(PageRange::from_bytes(start, 4096).unwrap(), content);
    let mut memory = memory_with(&[], [writable(DATA_BASE, DATA_LEN), pinned]);
    let before = regs(Reg::A1, start - 4, Reg::A1, start - 4);
    let load = Inst::from_parts(Op::Ld, Reg::A0, Reg::A1, Reg::ZERO, 0);
    let ended = run_one(load, &mut memory, before);
    assert_eq!(ended.regs.get(Reg::A0), 0x5A5A_5A5A_0000_0000);
    let store = Inst::from_parts(Op::Sd, Reg::ZERO, Reg::A1, Reg::A0, 0);
    let ended = run_one(store, &mut memory, before);
    assert_eq!((ended.left, memory.private_count()), (fault(start, 0), 0));
    assert_eq!(read(&memory, start - 8), 0);
}

#[test]
fn code_is_readable_with_zero_padding_and_not_writable() {
    let source = "ld a0, 0(a1)\nld a2, 2040(a1)\nsb a0, 0(a1)";
    let code = rivet_isa::asm::assemble(source).unwrap();
    let mut memory = memory(&code);
    let mut regs = Regs::default();
    regs.set(Reg::A1, CODE_BASE);
    regs.set(Reg::A2, 7);
    let ended = run(&program(&code), &mut memory, 0, regs, GAS, &mut NoHost);
    assert_eq!(ended.left, fault(CODE_BASE, 8));
    let first = u64::from_le_bytes(code[..8].try_into().unwrap());
    assert_eq!(ended.regs.get(Reg::A0), first);
    assert_eq!(ended.regs.get(Reg::A2), 0);
}

/// Registers at a fault, with a block of many kinds of instructions around it.
#[test]
fn work_before_a_fault_is_kept_and_work_behind_it_is_not_done() {
    let source = "mulhu a3, a1, a2\nmul a4, a1, a2\nrol t0, a1, a2\ndivu t1, a1, a2\n\
                  add gp, a1, a2\nld a1, 0(s0)\nli a5, 1\ntrap";
    let code = rivet_isa::asm::assemble(source).unwrap();
    let mut before = Regs::new([3; 15]);
    before.set(Reg::A1, 1 << 63);
    before.set(Reg::A2, 6);
    let ended = run(
        &program(&code),
        &mut memory(&code),
        0,
        before,
        GAS,
        &mut NoHost,
    );
    let mut after = before;
    after.set(Reg::A3, 3);
    after.set(Reg::A4, 0);
    after.set(Reg::T0, 1 << 5);
    after.set(Reg::T1, (1 << 63) / 6);
    after.set(Reg::new(3).unwrap(), (1 << 63) + 6);
    assert_eq!((ended.left, ended.regs), (fault(3, 20), after));
}

#[test]
fn an_address_sum_folded_into_a_load_is_there_when_the_load_faults() {
    let sums = [
        (Op::Add, 0),
        (Op::Sh1add, 1),
        (Op::Sh2add, 2),
        (Op::Sh3add, 3),
    ];
    for (add, scale) in sums {
        for (load, _) in LOADS {
            for (rd, rs1, rs2) in [
                (10, 11, 12),
                (10, 10, 12),
                (10, 11, 10),
                (9, 9, 9),
                (1, 2, 7),
            ] {
                let reg = |n| Reg::new(n).unwrap();
                let (rd, rs1, rs2) = (reg(rd), reg(rs1), reg(rs2));
                for base in [DATA_BASE + DATA_LEN, DATA_BASE + DATA_LEN - 8, 1 << 63] {
                    let code = bytes([
                        Inst::from_parts(add, rd, rs1, rs2, 0),
                        Inst::from_parts(load, rd, rd, Reg::ZERO, 0),
                        Inst::trap(rivet_isa::N),
                    ]);
                    let mut before = regs(rs1, 3 << 32, rs2, base);
                    before.set(
                        rs2,
                        base.wrapping_sub(if rs1 == rs2 { 0 } else { 3 << (32 + scale) }),
                    );
                    let sum = (before.get(rs1) << scale).wrapping_add(before.get(rs2));
                    let mut memory = memory(&[]);
                    let ended = run(&program(&code), &mut memory, 0, before, GAS, &mut NoHost);
                    let mapped = (DATA_BASE..DATA_BASE + DATA_LEN).contains(&u64::from(sum as u32));
                    let mut after = before;
                    after.set(rd, if mapped { 0 } else { sum });
                    let left = if mapped { trap(8) } else { fault(sum, 4) };
                    assert_eq!((ended.left, ended.regs), (left, after), "{add:?} {load:?}");
                }
            }
        }
    }
}
