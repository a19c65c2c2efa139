//! Access rules of ISA §10 and page states of gas §10, seen by guests and by the embedder.

mod common;

use common::*;
use rivet_interp::sparse::{
    Access, LimitReached, MapError, PageClass, PageState, Placement, Region, Source,
};
use rivet_interp::{AccessError, Memory, RunError, SparseMemory, Width, run};
use rivet_isa::{Exit, GuestAddr, PageIndex};

const BASE: u32 = 0x1000_0000;
const WIDTHS: [Width; 4] = [Width::One, Width::Two, Width::Four, Width::Eight];

fn at(offset: u32) -> GuestAddr {
    GuestAddr::new(BASE.wrapping_add(offset))
}

fn page(addr: u32) -> PageIndex {
    GuestAddr::new(addr).page()
}

fn fault<T>(addr: u32) -> Result<T, AccessError<LimitReached>> {
    Err(AccessError::Fault(page(addr)))
}

/// Bytes that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 37 + i / 251) as u8).collect()
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value * 256 + u64::from(*byte))
}

#[test]
fn every_width_at_every_alignment_reads_the_bytes_that_are_there() {
    let bytes = pattern(3 * 4096);
    for access in [RW, Access::ReadOnly] {
        let mut memory = empty();
        let source = Source::bytes(bytes.as_slice().into());
        memory.map(region(BASE, 3, access, source)).unwrap();
        for width in WIDTHS {
            let len = width.bytes() as usize;
            for offset in (0..16).chain(4080..4112).chain(8180..8200) {
                let expected = little_endian(&bytes[offset..offset + len]);
                assert_eq!(memory.load(at(offset as u32), width), Ok(expected));
            }
        }
    }
}

#[test]
fn every_width_at_every_alignment_writes_its_bytes_and_no_others() {
    for width in WIDTHS {
        let len = width.bytes() as usize;
        for offset in (0..9).chain(4085..4100) {
            let mut expected = pattern(3 * 4096);
            let mut memory = empty();
            let source = Source::bytes(expected.as_slice().into());
            memory.map(region(BASE, 3, RW, source)).unwrap();
            let value = 0xF1E2_D3C4_B5A6_9788u64;
            let pages = 1 + u64::from(offset % 4096 + len > 4096);
            assert_eq!(
                memory.store(at(offset as u32), width, value),
                Ok(256 * pages)
            );
            assert_eq!(memory.store(at(offset as u32), width, value), Ok(0));
            for i in 0..len {
                expected[offset + i] = (value >> (8 * i)) as u8;
            }
            let mut actual = vec![0; expected.len()];
            memory.read(at(0), &mut actual).unwrap();
            assert!(actual == expected, "{width:?} at {offset}");
        }
    }
}

#[test]
fn the_fault_names_the_first_inaccessible_page_in_access_order() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 1)).unwrap();
    memory
        .map(region(BASE + 0x1000, 1, Access::ReadOnly, Source::zeros()))
        .unwrap();
    memory.map(ephemeral(0xFFFF_F000, 1)).unwrap();
    let addr = GuestAddr::new;
    assert_eq!(memory.load(addr(BASE + 0xFFC), Width::Eight), Ok(0));
    assert_eq!(
        memory.store(addr(BASE + 0xFFC), Width::Eight, 1),
        fault(BASE + 0x1000)
    );
    assert_eq!(
        memory.load(addr(BASE + 0x1FFC), Width::Eight),
        fault(BASE + 0x2000)
    );
    assert_eq!(
        memory.store(addr(BASE + 0x1FFC), Width::Eight, 1),
        fault(BASE + 0x1000)
    );
    assert_eq!(
        memory.load(addr(BASE - 4), Width::Eight),
        fault(BASE - 0x1000)
    );
    assert_eq!(
        memory.store(addr(BASE - 4), Width::Eight, 1),
        fault(BASE - 0x1000)
    );
    // Past 2^32 comes the null guard.
    assert_eq!(memory.load(addr(0xFFFF_FFFC), Width::Eight), fault(0));
    assert_eq!(memory.store(addr(0xFFFF_FFFC), Width::Eight, 1), fault(0));
    assert_eq!(memory.load(addr(0xFFFF_FFF8), Width::Eight), Ok(0));
    assert_eq!(memory.load(addr(0), Width::One), fault(0));
    assert_eq!(memory.private_pages().count(), 0);
}

#[test]
fn an_unmapped_last_page_is_named_before_page_zero() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 1)).unwrap();
    let result = memory.load(GuestAddr::new(0xFFFF_FFFC), Width::Eight);
    assert_eq!(result, fault(0xFFFF_F000));
}

#[test]
fn code_reads_as_its_bytes_and_zeros_and_refuses_stores() {
    let code = pattern(5000);
    let mut memory = empty();
    memory.map_code(code.as_slice().into()).unwrap();
    let base = GuestAddr::new(0x0040_0000);
    let mut bytes = vec![1; 8192];
    memory.read(base, &mut bytes).unwrap();
    assert_eq!(bytes[..5000], code);
    assert!(bytes[5000..].iter().all(|byte| *byte == 0));
    assert_eq!(
        memory.load(base.wrapping_add(4998), Width::Four),
        Ok(little_endian(&code[4998..]))
    );
    assert_eq!(
        memory.load(base.wrapping_add(8192), Width::One),
        fault(0x0040_2000)
    );
    assert_eq!(
        memory.load(GuestAddr::new(0x003F_FFFF), Width::One),
        fault(0x003F_F000)
    );
    assert_eq!(memory.store(base, Width::One, 0), fault(0x0040_0000));
    assert_eq!(memory.quote(base, 1), fault(0x0040_0000));
    assert_eq!(memory.write(base, &[0]), fault(0x0040_0000));

    let mut memory = empty();
    memory.map_code([].as_slice().into()).unwrap();
    assert_eq!(memory.load(base, Width::One), fault(0x0040_0000));
}

#[test]
fn an_access_may_span_the_last_code_page_and_the_first_data_page() {
    let mut code = vec![0; 0x0FC0_0000];
    code[0x0FBF_FFFF] = 0x11;
    let mut memory = empty();
    memory.map_code(code.into()).unwrap();
    memory
        .map(region(BASE, 1, RW, Source::bytes([0x22].as_slice().into())))
        .unwrap();
    assert_eq!(
        memory.load(GuestAddr::new(BASE - 1), Width::Two),
        Ok(0x2211)
    );
    assert_eq!(
        memory.store(GuestAddr::new(BASE - 1), Width::Two, 0),
        fault(BASE - 0x1000)
    );
    assert!(memory.map_code(vec![0; 0x0FC0_0001].into()).is_err());
}

#[test]
fn page_states_follow_the_table_of_gas_section_10() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 2)).unwrap();
    memory
        .map(region(BASE + 0x2000, 1, Access::ReadOnly, Source::zeros()))
        .unwrap();
    let state = |memory: &SparseMemory, i: u32| memory.state(page(BASE + i * 0x1000));
    assert_eq!(state(&memory, 0), Some(PageState::NotPresent));
    memory.load(at(0), Width::One).unwrap();
    assert_eq!(state(&memory, 0), Some(PageState::PresentRo));
    assert_eq!(memory.store(at(0), Width::One, 1), Ok(256));
    assert_eq!(state(&memory, 0), Some(PageState::PresentRw));
    memory.load(at(0), Width::One).unwrap();
    assert_eq!(state(&memory, 0), Some(PageState::PresentRw));
    assert_eq!(memory.store(at(0x1000), Width::One, 1), Ok(256));
    assert_eq!(state(&memory, 1), Some(PageState::PresentRw));
    assert_eq!(
        memory.store(at(0x2000), Width::One, 1),
        fault(BASE + 0x2000)
    );
    assert_eq!(state(&memory, 2), Some(PageState::NotPresent));
    assert_eq!(state(&memory, 3), None);
}

#[test]
fn a_faulting_access_leaves_page_states_alone() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 1)).unwrap();
    assert_eq!(memory.load(at(0xFFC), Width::Eight), fault(BASE + 0x1000));
    assert_eq!(memory.state(page(BASE)), Some(PageState::NotPresent));
}

#[test]
fn a_huge_sparse_region_costs_nothing_until_it_is_touched() {
    let mut memory = SparseMemory::new(4);
    let pages = (0xD000_0000u64 >> 12) as u32;
    memory.map(ephemeral(BASE, pages)).unwrap();
    assert_eq!(memory.contents().count(), 0);
    assert_eq!(
        memory.load(GuestAddr::new(0xC000_0000), Width::Eight),
        Ok(0)
    );
    assert_eq!(
        memory.store(GuestAddr::new(0xD000_0000), Width::Eight, 5),
        Ok(256)
    );
    let contents: Vec<_> = memory.contents().map(|(p, class, _)| (p, class)).collect();
    assert_eq!(contents, [(page(0xD000_0000), PageClass::Private)]);
}

#[test]
fn the_page_limit_is_a_host_failure_and_never_a_guest_exit() {
    let mut memory = SparseMemory::new(2);
    memory.map(ephemeral(BASE, 8)).unwrap();
    let code = assemble("sd a0, 0(a1)\n sd a0, 2047(a1)\n sd a0, 2047(a2)\n trap");
    let program = program(&code);
    let mut state = state(100_000);
    state.regs.set(reg("a1"), u64::from(BASE));
    state.regs.set(reg("a2"), u64::from(BASE) + 0x2000);
    assert_eq!(go(&program, &mut state.clone(), &mut memory), Exit::Trap);
    state.regs.set(reg("a1"), u64::from(BASE) + 0x4000);
    let result = run(&program, &mut state, &mut memory);
    assert_eq!(result, Err(RunError::Memory(LimitReached { pages: 2 })));
}

#[test]
fn a_price_above_the_reserve_is_an_internal_error() {
    let mut memory = empty();
    let dear = Access::CopyOnWrite { cow_cost: 5000 };
    memory.map(region(BASE, 1, dear, Source::zeros())).unwrap();
    let mut state = state(22 + 512);
    state.regs.set(reg("a1"), u64::from(BASE));
    let result = run(
        &program(&assemble("sd a0, 0(a1)\n trap")),
        &mut state,
        &mut memory,
    );
    let expected = RunError::Reserve {
        gas: 512,
        charge: 5000,
    };
    assert_eq!(result, Err(expected));
}

#[test]
fn mappings_that_break_isa_section_12_are_refused() {
    let mut memory = empty();
    let refused = |memory: &mut SparseMemory, region: Region| memory.map(region).unwrap_err();
    assert!(matches!(
        refused(&mut memory, ephemeral(0x0FFF_F000, 1)),
        MapError::Range { .. }
    ));
    assert!(matches!(
        refused(&mut memory, ephemeral(BASE, 0)),
        MapError::Range { .. }
    ));
    assert!(matches!(
        refused(&mut memory, ephemeral(0xFFFF_F000, 2)),
        MapError::Range { .. }
    ));
    assert!(matches!(
        refused(&mut memory, ephemeral(BASE, u32::MAX)),
        MapError::Range { .. }
    ));
    let long = region(BASE, 1, RW, Source::bytes(vec![0; 4097].into()));
    assert!(matches!(
        refused(&mut memory, long),
        MapError::SourceSize { source: 2, .. }
    ));
    memory.map(ephemeral(BASE + 0x2000, 2)).unwrap();
    for (start, pages) in [
        (0x2000, 2),
        (0x1000, 2),
        (0x3000, 2),
        (0x0000, 8),
        (0x3000, 1),
    ] {
        let error = refused(&mut memory, ephemeral(BASE + start, pages));
        assert!(matches!(error, MapError::Overlap { .. }), "{start:#x}");
    }
    memory.map(ephemeral(BASE + 0x1000, 1)).unwrap();
    memory.map(ephemeral(BASE + 0x4000, 1)).unwrap();
    memory.map(ephemeral(0xFFFF_F000, 1)).unwrap();
}

#[test]
fn kernel_reads_are_free_and_kernel_writes_are_all_or_nothing() {
    let mut memory = empty();
    memory
        .map(region(BASE, 2, RW, Source::bytes(pattern(4100).into())))
        .unwrap();
    let mut bytes = [0; 8];
    memory.read(at(4096), &mut bytes).unwrap();
    assert_eq!(bytes[..4], pattern(4100)[4096..]);
    assert_eq!(bytes[4..], [0; 4]);
    assert_eq!(memory.read(at(0x1FFC), &mut bytes), fault(BASE + 0x2000));
    assert_eq!(memory.state(page(BASE)), Some(PageState::NotPresent));
    assert_eq!(memory.quote(at(0xFFF), 0x1002), fault(BASE + 0x2000));
    assert_eq!(memory.write(at(0xFFF), &[1; 0x1002]), fault(BASE + 0x2000));
    assert_eq!(memory.private_pages().count(), 0);
    assert_eq!(memory.quote(at(0xFFF), 2), Ok(512));
    assert_eq!(memory.write(at(0xFFF), &[1, 2]), Ok(512));
    assert_eq!(memory.load(at(0xFFF), Width::Two), Ok(0x0201));
    assert_eq!(memory.quote(GuestAddr::new(0), 0), Ok(0));
    assert_eq!(memory.read(GuestAddr::new(0), &mut []), Ok(()));
    assert_eq!(memory.quote(at(0), u64::MAX), fault(BASE + 0x2000));
}

#[test]
fn placed_pages_are_not_private_until_the_guest_writes_them() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 3)).unwrap();
    assert_eq!(memory.load(at(0), Width::One), Ok(0));
    memory.place_bytes(at(0xFFF), &[5, 6]).unwrap();
    assert_eq!(memory.load(at(0xFFF), Width::Two), Ok(0x0605));
    let classes = |memory: &SparseMemory| -> Vec<_> {
        memory
            .contents()
            .map(|(p, class, _)| (p.index() - (BASE >> 12), class))
            .collect()
    };
    assert_eq!(
        classes(&memory),
        [(0, PageClass::Base), (1, PageClass::Base)]
    );
    assert_eq!(memory.store(at(0), Width::One, 1), Ok(256));
    assert_eq!(memory.load(at(0xFFF), Width::Two), Ok(0x0605));
    assert_eq!(
        classes(&memory),
        [(0, PageClass::Private), (1, PageClass::Base)]
    );
    // Placing on a private page changes contents and not its class; a later store is free.
    memory
        .place(page(BASE), &[9; 4096], Placement::Base)
        .unwrap();
    assert_eq!(memory.load(at(0), Width::One), Ok(9));
    assert_eq!(memory.store(at(0), Width::One, 1), Ok(0));
    memory
        .place(page(BASE + 0x2000), &[4; 4096], Placement::Private)
        .unwrap();
    assert_eq!(memory.store(at(0x2000), Width::One, 1), Ok(0));
    assert_eq!(memory.load(at(0x2000), Width::Two), Ok(0x0401));
    assert_eq!(
        memory.place(page(BASE + 0x3000), &[0; 4096], Placement::Base),
        fault(BASE + 0x3000)
    );
}

#[test]
fn forks_share_until_one_side_writes() {
    let mut memory = empty();
    memory.map(ephemeral(BASE, 4)).unwrap();
    memory.store(at(0), Width::Eight, 1).unwrap();
    let mut fork = memory.fork();
    // Private in both, so free in both, and apart from each other.
    assert_eq!(memory.store(at(0), Width::Eight, 2), Ok(0));
    assert_eq!(fork.load(at(0), Width::Eight), Ok(1));
    assert_eq!(fork.store(at(0), Width::Eight, 3), Ok(0));
    assert_eq!(memory.load(at(0), Width::Eight), Ok(2));
    assert_eq!(fork.store(at(0x1000), Width::Eight, 3), Ok(256));
    assert_eq!(memory.load(at(0x1000), Width::Eight), Ok(0));
    let third = fork.fork();
    drop(fork);
    assert_eq!(third.private_pages().count(), 2);
}

#[test]
fn reset_goes_back_to_the_mappings() {
    let mut memory = empty();
    memory
        .map(region(BASE, 2, RW, Source::bytes([7].as_slice().into())))
        .unwrap();
    memory.store(at(0), Width::One, 1).unwrap();
    memory.place_bytes(at(0x1000), &[1]).unwrap();
    memory.reset();
    assert_eq!(memory.load(at(0), Width::One), Ok(7));
    assert_eq!(memory.load(at(0x1000), Width::One), Ok(0));
    assert_eq!(memory.private_pages().count(), 0);
    assert_eq!(memory.store(at(0), Width::One, 1), Ok(256));
}

#[test]
fn sparse_sources_have_zeros_between_their_pages() {
    let mut memory = empty();
    let source = Source::pages([(0, [1; 4096]), (5, [2; 4096])]);
    assert_eq!(source.len_pages(), 6);
    memory.map(region(BASE, 9, RW, source)).unwrap();
    assert_eq!(memory.load(at(0x4FFF), Width::Two), Ok(0x0200));
    assert_eq!(memory.load(at(0x0FFF), Width::Two), Ok(0x0001));
    assert_eq!(memory.load(at(0x8FF8), Width::Eight), Ok(0));
    assert_eq!(memory.contents().count(), 2);
    assert_eq!(memory.store(at(0x5000), Width::One, 9), Ok(256));
    assert_eq!(memory.load(at(0x5000), Width::Two), Ok(0x0209));
}

#[test]
fn addresses_alias_modulo_two_to_the_32_in_loads_and_stores() {
    let code = assemble("sd a0, 8(a1)\n ld a2, 8(a3)\n trap");
    let program = program(&code);
    let mut memory = empty();
    memory.map(ephemeral(BASE, 1)).unwrap();
    for upper in [0, 1, 0x8000_0000, 0xFFFF_FFFF] {
        let mut state = state(10_000);
        state.regs.set(reg("a0"), upper);
        state.regs.set(reg("a1"), upper << 32 | u64::from(BASE));
        state.regs.set(reg("a3"), u64::from(BASE));
        assert_eq!(go(&program, &mut state, &mut memory), Exit::Trap);
        assert_eq!(state.regs.get(reg("a2")), upper);
    }
}
