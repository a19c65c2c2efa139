//! Checks 1 to 3: maps and counts, ranges of the arena, Data descriptors.

use rivet_image::{ImageBuilder, Rule};

use super::{BASE, admitted, refused, with};
use crate::raw::{RawOptionalKey, RawPinned, RawSource, data, endpoint, entry, ephemeral};

// Check 1: maps strictly ascending, counts and key lengths within §1.7.

#[test]
fn check_1_endpoint_keys_ascend() {
    let at = endpoint(0, &[]);
    refused(
        &with(|raw| raw.endpoints = vec![entry(&[2], at.clone()), entry(&[1, 9], at.clone())]),
        "endpoints[1].key: key [0109] follows key [02]: \
         keys of a map are distinct and in ascending order",
    );
    admitted(&with(|raw| {
        raw.endpoints = vec![
            entry(&[], at.clone()),
            entry(&[1], at.clone()),
            entry(&[1, 0], at.clone()),
        ];
    }));
}

#[test]
fn check_1_pinned_keys_are_distinct() {
    let zeros = || RawPinned::Data(data(0, &[]));
    refused(
        &with(|raw| raw.pinned_slots = vec![entry(&[2], zeros()), entry(&[2], zeros())]),
        "pinned_slots[1].key: key [02] follows key [02]: \
         keys of a map are distinct and in ascending order",
    );
}

#[test]
fn check_1_initial_keys_ascend() {
    let zeros = || data(0, &[]);
    refused(
        &with(|raw| raw.initial_slots = vec![entry(&[2, 0], zeros()), entry(&[2], zeros())]),
        "initial_slots[1].key: key [02] follows key [0200]: \
         keys of a map are distinct and in ascending order",
    );
}

fn two_byte_key(index: usize) -> [u8; 3] {
    let [.., a, b, c] = index.to_be_bytes();
    [a, b, c]
}

#[test]
fn check_1_endpoints_are_at_most_65536() {
    let count = |count: usize| {
        let one = |index| entry(&two_byte_key(index), endpoint(0, &[]));
        with(|raw| raw.endpoints = (0..count).map(one).collect())
    };
    admitted(&count(65_536));
    refused(
        &count(65_537),
        "endpoints: 65537 entries are more than the limit of 65536",
    );
}

#[test]
fn check_1_pinned_slots_are_at_most_65536() {
    let count = |count: usize| {
        let one = |index| entry(&two_byte_key(index), RawPinned::Data(data(0, &[])));
        with(|raw| raw.pinned_slots = (0..count).map(one).collect())
    };
    admitted(&count(65_536));
    refused(
        &count(65_537),
        "pinned_slots: 65537 entries are more than the limit of 65536",
    );
}

#[test]
fn check_1_initial_slots_are_at_most_65536() {
    let count = |count: usize| {
        let one = |index| entry(&two_byte_key(index), data(0, &[]));
        with(|raw| raw.initial_slots = (0..count).map(one).collect())
    };
    admitted(&count(65_536));
    refused(
        &count(65_537),
        "initial_slots: 65537 entries are more than the limit of 65536",
    );
}

#[test]
fn check_1_mappings_are_at_most_1024() {
    let count = |count: u64| {
        let one = |index| ephemeral(BASE + index * 4096, 4096);
        with(|raw| raw.memory_mappings = (0..count).map(one).collect())
    };
    admitted(&count(1024));
    refused(
        &count(1025),
        "memory_mappings: 1025 entries are more than the limit of 1024",
    );
}

#[test]
fn check_1_gas_and_quota_slots_are_at_most_64() {
    admitted(&with(|raw| raw.gas_slots = vec![vec![7]; 64]));
    admitted(&with(|raw| raw.quota_slots = vec![vec![8]; 64]));
    refused(
        &with(|raw| raw.gas_slots = vec![vec![7]; 65]),
        "gas_slots: 65 entries are more than the limit of 64",
    );
    refused(
        &with(|raw| raw.quota_slots = vec![vec![8]; 65]),
        "quota_slots: 65 entries are more than the limit of 64",
    );
}

#[test]
fn check_1_keys_have_at_most_64_bytes() {
    admitted(&with(|raw| raw.gas_slots = vec![vec![7; 64]]));
    let long = "key of 65 bytes is too long: at most 64 bytes are allowed";
    for (raw, place) in [
        (
            with(|raw| raw.endpoints = vec![entry(&[7; 65], endpoint(0, &[]))]),
            "endpoints[0].key",
        ),
        (
            with(|raw| raw.pinned_slots = vec![entry(&[7; 65], RawPinned::Data(data(0, &[])))]),
            "pinned_slots[0].key",
        ),
        (
            with(|raw| raw.initial_slots = vec![entry(&[7; 65], data(0, &[]))]),
            "initial_slots[0].key",
        ),
        (
            with(|raw| raw.yield_receiver_slot = RawOptionalKey::Some(vec![7; 65])),
            "yield_receiver_slot",
        ),
        (
            with(|raw| raw.gas_slots = vec![vec![7], vec![7; 65]]),
            "gas_slots[1]",
        ),
        (
            with(|raw| raw.quota_slots = vec![vec![7; 65]]),
            "quota_slots[0]",
        ),
        (
            with(|raw| {
                let mut mapping = ephemeral(BASE, 4096);
                mapping.source = RawSource::Persistent(vec![vec![7], vec![7; 65]]);
                raw.memory_mappings = vec![mapping];
            }),
            "memory_mappings[0].source.path[1]",
        ),
    ] {
        refused(&raw, &format!("{place}: {long}"));
    }
}

// Check 2: code and page ranges.

#[test]
fn check_2_code_is_at_most_252_mib() {
    refused(
        &with(|raw| raw.code.len = 0x0FC0_0001),
        "code: code of 264241153 bytes is longer than the limit of 264241152 bytes",
    );
    // The longest code is refused only because the arena does not hold it.
    refused(
        &with(|raw| raw.code.len = 0x0FC0_0000),
        "code: arena range 0x0 + 0xfc00000 ends outside the arena of 0x4 bytes",
    );
    let built = ImageBuilder::new(vec![0u8; 0x0FC0_0001]).build();
    let rule = Rule::CodeTooLong { len: 0x0FC0_0001 };
    assert_eq!(built.unwrap_err().rule, rule);
}

#[test]
fn check_2_code_lies_inside_the_arena() {
    admitted(&with(|raw| (raw.code.arena_off, raw.code.len) = (4, 0)));
    for (offset, len) in [(0, 5), (1, 4), (5, 0), (u32::MAX, 4), (4, 0x0FC0_0000)] {
        refused(
            &with(|raw| (raw.code.arena_off, raw.code.len) = (offset, len)),
            &format!(
                "code: arena range {offset:#x} + {len:#x} ends outside the arena of 0x4 bytes"
            ),
        );
    }
}

#[test]
fn check_2_pages_lie_inside_the_arena() {
    refused(
        &with(|raw| raw.initial_slots = vec![entry(&[1], data(4096, &[(0, 1, 4)]))]),
        "initial_slots[0].value.pages[0]: \
         arena range 0x1 + 0x4 ends outside the arena of 0x4 bytes",
    );
    refused(
        &with(|raw| {
            let content = data(8192, &[(0, 0, 4), (1, u32::MAX, 4096)]);
            raw.pinned_slots = vec![entry(&[1], RawPinned::Data(content))];
        }),
        "pinned_slots[0].value.pages[1]: \
         arena range 0xffffffff + 0x1000 ends outside the arena of 0x4 bytes",
    );
}

// Check 3: Data descriptors.

#[test]
fn check_3_data_is_made_of_whole_pages() {
    refused(
        &with(|raw| raw.initial_slots = vec![entry(&[1], data(4097, &[]))]),
        "initial_slots[0].value: \
         data size 0x1001 is not a multiple of 4096: round it up to a page",
    );
    admitted(&with(|raw| {
        raw.initial_slots = vec![entry(&[1], data(u64::MAX - 4095, &[(u32::MAX, 0, 4)]))];
    }));
}

#[test]
fn check_3_a_page_has_1_to_4096_bytes() {
    for len in [0, 4097, u32::MAX] {
        refused(
            &with(|raw| {
                raw.arena.resize(8192, 1);
                raw.initial_slots = vec![entry(&[1], data(4096, &[(0, 0, len)]))];
            }),
            &format!(
                "initial_slots[0].value.pages[0]: a page range of {len} bytes: \
                 it needs 1 to 4096, and a zero page is left out"
            ),
        );
    }
}

#[test]
fn check_3_pages_lie_inside_the_size() {
    refused(
        &with(|raw| raw.initial_slots = vec![entry(&[1], data(8192, &[(2, 0, 4)]))]),
        "initial_slots[0].value.pages[0]: page 2 lies outside the data, which has 2 pages",
    );
    refused(
        &with(|raw| raw.initial_slots = vec![entry(&[1], data(0, &[(0, 0, 4)]))]),
        "initial_slots[0].value.pages[0]: page 0 lies outside the data, which has 0 pages",
    );
}

#[test]
fn check_3_pages_strictly_ascend() {
    for index in [0, 1] {
        refused(
            &with(|raw| {
                let pages = [(1, 0, 4), (index, 0, 4)];
                raw.initial_slots = vec![entry(&[1], data(8192, &pages))];
            }),
            &format!(
                "initial_slots[0].value.pages[1]: page {index} follows page 1: \
                 pages go in strictly ascending order"
            ),
        );
    }
}

#[test]
fn check_3_zero_pages_count_for_the_order_of_pages() {
    // Bytes 2 and 3 of the arena are zero.
    refused(
        &with(|raw| {
            let pages = [(1, 2, 2), (1, 0, 4)];
            raw.initial_slots = vec![entry(&[1], data(8192, &pages))];
        }),
        "initial_slots[0].value.pages[1]: page 1 follows page 1: \
         pages go in strictly ascending order",
    );
}
