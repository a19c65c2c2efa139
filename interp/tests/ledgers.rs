//! The golden ledgers of gas §17.2 and §18 that involve execution.

mod common;

use common::*;
use rivet_interp::sparse::{Access, Source};
use rivet_interp::{Program, SparseMemory, State};
use rivet_isa::gas::{CostModel, Multiplier, depth};
use rivet_isa::{Exit, Gas, PageIndex, Pc, Slot};

const PAGE: u32 = 0x1000_0000 >> 12;

/// Services every call as gas §9 says, with `extra` = 0, and returns the last exit.
fn service(program: &Program, state: &mut State, memory: &mut SparseMemory) -> Exit {
    loop {
        match go(program, state, memory) {
            Exit::HostCall { .. } | Exit::Ecall { .. } => match state.gas.checked_sub(100) {
                Some(left) => state.gas = left,
                None => {
                    state.pc = Pc::new(state.pc.value() - 4);
                    return Exit::OutOfGas;
                }
            },
            exit => return exit,
        }
    }
}

const PARTITION: &[u32] = &[
    0x0010_0513,
    0x0070_0713,
    0x0000_100B,
    0x0015_0513,
    0x0050_200B,
    0xFFF0_200B,
    0x0000_000B,
];

#[test]
fn the_whole_program_of_section_17_2_takes_303() {
    let program = program(&words(PARTITION));
    let end = |gas| {
        let mut state = state(gas);
        let exit = service(&program, &mut state, &mut empty());
        (exit, state)
    };
    let at = |exit: Exit, state: &State| (exit, state.pc.value(), state.gas.value());
    let (exit, done) = end(303);
    assert_eq!(at(exit, &done), (Exit::Trap, 24, 0));
    let (exit, short) = end(302);
    assert_eq!(at(exit, &short), (Exit::OutOfGas, 24, 0));
    let (exit, unpaid) = end(100);
    assert_eq!(at(exit, &unpaid), (Exit::OutOfGas, 8, 99));
    assert_eq!((unpaid.regs.slots()[7], unpaid.regs.slots()[11]), (1, 7));
    let (exit, none) = end(0);
    assert_eq!(at(exit, &none), (Exit::OutOfGas, 0, 0));
}

#[test]
fn a_reserved_halfword_ends_the_second_program_of_section_17_2() {
    let mut code = 0x0015_0513u32.to_le_bytes().to_vec();
    code.extend([0, 0]);
    code.extend(words(&[0x0015_8593, 0x0000_000B]));
    let mut state = state(5);
    let exit = go(&program(&code), &mut state, &mut empty());
    assert_eq!(
        (exit, state.pc.value(), state.gas.value()),
        (Exit::Panic, 4, 4)
    );
    assert_eq!(state.regs.get(reg("a0")), 1);
}

/// Block G11 on two fresh pages at a0's neighbours, entered with this gas, sp and a2.
fn two_stores(gas: u64, sp: u64, a2: u64, memory: &mut SparseMemory) -> (Exit, u64, u64) {
    // sd a0, 0(sp); sw a1, 8(a2); fallthrough
    let code = words(&[0x00A1_3023, 0x00B6_2423, 0x0000_400B]);
    let mut state = state(gas);
    state.regs.set(reg("sp"), sp);
    state.regs.set(reg("a2"), a2);
    let exit = go(&program(&code), &mut state, memory);
    (exit, state.pc.value(), state.gas.value())
}

fn pages(memory: &SparseMemory) -> Vec<u32> {
    memory.private_pages().map(PageIndex::index).collect()
}

fn writable() -> SparseMemory {
    let mut memory = empty();
    memory.map(ephemeral(0x1000_0000, 8)).unwrap();
    memory
        .map(region(0x1000_8000, 1, Access::ReadOnly, Source::zeros()))
        .unwrap();
    memory
}

const FRESH: u64 = 0x1000_0000;
/// END of the two-store program, where a run that completes it panics.
const END: u64 = 12;

#[test]
fn stores_and_the_reserve_of_section_18_1() {
    let mut memory = writable();
    let refused = two_stores(1045, FRESH, FRESH, &mut memory);
    assert_eq!(refused, (Exit::OutOfGas, 0, 1045));
    assert!(pages(&memory).is_empty());

    let same_page = two_stores(1046, FRESH, FRESH, &mut memory);
    assert_eq!(same_page, (Exit::Panic, END, 768));
    let private = two_stores(1046, FRESH, FRESH, &mut memory);
    assert_eq!(private, (Exit::Panic, END, 1024));

    let mut memory = writable();
    let straddling = two_stores(1046, FRESH + 0x0FFC, FRESH + 0x3FFE - 8, &mut memory);
    assert_eq!(straddling, (Exit::Panic, END, 0));
    assert_eq!(pages(&memory), [PAGE, PAGE + 1, PAGE + 3, PAGE + 4]);
}

#[test]
fn faulting_stores_of_section_18_1() {
    let fault = |page| Exit::PageFault {
        page: PageIndex::new(page).unwrap(),
    };
    let mut memory = writable();
    let second_faults = two_stores(2000, FRESH, 0, &mut memory);
    assert_eq!(second_faults, (fault(0), 4, 1722));

    // The last fresh page and the pinned one behind it.
    let mut memory = writable();
    let half_bad = two_stores(2000, FRESH + 0x7FFC, FRESH, &mut memory);
    assert_eq!(half_bad, (fault(PAGE + 8), 0, 1978));
    assert!(pages(&memory).is_empty());

    let pinned = two_stores(2000, FRESH + 0x8000, FRESH, &mut memory);
    assert_eq!(pinned, (fault(PAGE + 8), 0, 1978));
}

#[test]
fn the_copy_loop_of_section_18_2_needs_909() {
    // ld a3,0(a1); sd a3,0(a0); addi a1,a1,8; addi a0,a0,8; bltu a0,a2,-16; jalr zero,0(ra)
    let code = words(&[
        0x0005_B683,
        0x00D5_3023,
        0x0085_8593,
        0x0085_0513,
        0xFEC5_68E3,
        0x0000_8067,
    ]);
    let end = |gas| {
        let mut memory = writable();
        let mut state = state(gas);
        state.regs.set(reg("a0"), FRESH);
        state.regs.set(reg("a1"), FRESH + 0x8000);
        state.regs.set(reg("a2"), FRESH + 24);
        let exit = go(&program(&code), &mut state, &mut memory);
        (exit, state.pc.value(), state.gas.value())
    };
    // ra is 0, which is no start: the jalr panics after it was paid.
    assert_eq!(end(909), (Exit::Panic, 20, 909 - 416));
    assert_eq!(end(908), (Exit::OutOfGas, 0, 558));
}

#[test]
fn prices_of_section_18_6_follow_the_depth_of_the_mapping() {
    let factors: Vec<u32> = (0..=20).map(|d| 1 + d / 8).collect();
    let model = CostModel::with_multiplier(Multiplier::new(factors.try_into().unwrap()).unwrap());
    let costs = model.frame(16 + 4096, [16, 4096]);
    assert_eq!(costs.cow_max(), 512);
    let price = |pages| Access::CopyOnWrite {
        cow_cost: model.cow_cost(depth(pages)),
    };
    let mut memory = empty();
    memory
        .map(region(0x1000_0000, 16, price(16), Source::zeros()))
        .unwrap();
    memory
        .map(region(0x2000_0000, 4096, price(4096), Source::zeros()))
        .unwrap();
    // sd a0, 0(sp); footprint 4112 pages: tier 2, so 50 - 3 and a reserve of 1024.
    let program = Program::new(words(&[0x00A1_3023]).into(), costs);
    let mut left = |gas, sp: u64| {
        let mut state = state(gas);
        state.regs.set(reg("sp"), sp);
        let exit = go(&program, &mut state, &mut memory);
        (exit, state.gas.value())
    };
    assert_eq!(left(1070, 0x1000_0000), (Exit::OutOfGas, 1070));
    assert_eq!(left(1071, 0x1000_0000), (Exit::Panic, 1071 - 47 - 256));
    assert_eq!(left(1071, 0x2000_0000), (Exit::Panic, 1071 - 47 - 512));
    assert_eq!(
        left(1071, 0x1000_FFFC),
        (
            Exit::PageFault {
                page: PageIndex::new(PAGE + 16).unwrap()
            },
            1024
        )
    );
    // Pages of two mappings that touch, each at its own price.
    let mut memory = empty();
    memory
        .map(region(0x1000_0000, 16, price(16), Source::zeros()))
        .unwrap();
    memory
        .map(region(0x1001_0000, 4096, price(4096), Source::zeros()))
        .unwrap();
    let mut state = state(1071);
    state.regs.set(reg("sp"), 0x1000_FFFC);
    go(&program, &mut state, &mut memory);
    assert_eq!(state.gas.value(), 1071 - 47 - 256 - 512);
}

#[test]
fn a_kernel_write_of_section_18_5_is_quoted_before_it_happens() {
    let mut memory = writable();
    let base = rivet_isa::GuestAddr::new(0x1000_0000);
    assert_eq!(memory.write(base.wrapping_add(0x1000), &[1]), Ok(256));
    let len = 3 * 4096;
    assert_eq!(memory.quote(base, len), Ok(512));
    assert_eq!(memory.write(base, &vec![9; len as usize]), Ok(512));
    assert_eq!(pages(&memory), [PAGE, PAGE + 1, PAGE + 2]);
    assert_eq!(memory.quote(base, len), Ok(0));
}

#[test]
fn the_largest_amount_of_gas_works() {
    let mut state = State {
        gas: Gas::MAX,
        ..State::default()
    };
    assert_eq!(
        go(&program(&words(&[0x0000_400B])), &mut state, &mut empty()),
        Exit::Panic
    );
    assert_eq!(state.gas.value(), Gas::MAX.value() - 1);
    assert_eq!(Slot::all().count(), 15);
}
