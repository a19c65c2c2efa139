//! Checks 4 to 8: mappings, paths, endpoints, keys and pinned images.

use libssz::SszEncode;
use rivet_image::{Digest, Image, NoImages};

use super::{BASE, admitted, refused, with};
use crate::raw::{
    RawImage, RawOptionalKey, RawPinned, RawSource, data, endpoint, entry, ephemeral,
};

// Check 4: mappings.

fn mapped(ranges: &[(u64, u64)]) -> RawImage {
    let mapping = |&(start, size)| ephemeral(start, size);
    with(|raw| raw.memory_mappings = ranges.iter().map(mapping).collect())
}

#[test]
fn check_4_a_mapping_starts_on_a_page() {
    refused(
        &mapped(&[(BASE, 4096), (BASE + 0x1800, 4096)]),
        "memory_mappings[1].start: \
         0x10001800 is not a multiple of 4096: mappings are made of whole pages",
    );
}

#[test]
fn check_4_a_mapping_has_whole_pages() {
    refused(
        &mapped(&[(BASE, 4095)]),
        "memory_mappings[0].size: \
         0xfff is not a multiple of 4096: mappings are made of whole pages",
    );
}

#[test]
fn check_4_a_mapping_is_not_empty() {
    refused(
        &mapped(&[(BASE, 0)]),
        "memory_mappings[0].size: the mapping is empty: it needs at least one page",
    );
}

#[test]
fn check_4_a_mapping_lies_in_the_data_range() {
    admitted(&mapped(&[(BASE, (1 << 32) - BASE)]));
    admitted(&mapped(&[((1 << 32) - 4096, 4096)]));
    for (start, size) in [
        (BASE - 4096, 4096),
        (0, 4096),
        (BASE, (1 << 32) - BASE + 4096),
        (1 << 32, 4096),
        (u64::MAX - 4095, 4096),
        (BASE, u64::MAX - 4095),
    ] {
        refused(
            &mapped(&[(start, size)]),
            &format!(
                "memory_mappings[0]: range {start:#x} + {size:#x} \
                 is not inside the data range 0x10000000 to 2^32"
            ),
        );
    }
}

#[test]
fn check_4_mappings_do_not_overlap_in_whatever_order_they_stand() {
    admitted(&mapped(&[(BASE + 8192, 4096), (BASE, 8192)]));
    refused(
        &mapped(&[(BASE + 4096, 8192), (BASE + 0x8000, 4096), (BASE, 8192)]),
        "memory_mappings[2]: range 0x10000000 + 0x2000 overlaps memory_mappings[0]",
    );
    refused(
        &mapped(&[(BASE, 4096), (BASE, 4096)]),
        "memory_mappings[1]: range 0x10000000 + 0x1000 overlaps memory_mappings[0]",
    );
    // A mapping inside another that does not touch its neighbours in order.
    refused(
        &mapped(&[(BASE, 0x10_0000), (BASE + 0x8000, 4096)]),
        "memory_mappings[1]: range 0x10008000 + 0x1000 overlaps memory_mappings[0]",
    );
}

// Check 5: paths.

#[test]
fn check_5_a_path_has_1_to_8_steps() {
    let path = |steps: usize| {
        let mut mapping = ephemeral(BASE, 4096);
        mapping.source = RawSource::Persistent(vec![vec![5]; steps]);
        with(|raw| raw.memory_mappings = vec![mapping])
    };
    admitted(&path(1));
    admitted(&path(8));
    for steps in [0, 9, 1000] {
        refused(
            &path(steps),
            &format!("memory_mappings[0].source: slot path has {steps} steps: it needs 1 to 8"),
        );
    }
}

#[test]
fn check_5_a_path_that_is_too_long_is_refused_before_its_keys_are_read() {
    let mut mapping = ephemeral(BASE, 4096);
    mapping.source = RawSource::Persistent(vec![vec![5; 65]; 9]);
    refused(
        &with(|raw| raw.memory_mappings = vec![mapping]),
        "memory_mappings[0].source: slot path has 9 steps: it needs 1 to 8",
    );
}

#[test]
fn check_5_a_mapping_is_pinned_iff_the_first_step_is_a_pinned_key() {
    let raw = with(|raw| {
        raw.pinned_slots = vec![entry(&[3], RawPinned::Data(data(0, &[])))];
        for (index, path) in [
            vec![vec![3]],
            vec![vec![3], vec![4]],
            vec![vec![4], vec![3]],
        ]
        .into_iter()
        .enumerate()
        {
            let mut mapping = ephemeral(BASE + index as u64 * 4096, 4096);
            mapping.source = RawSource::Persistent(path);
            raw.memory_mappings.push(mapping);
        }
        raw.memory_mappings.push(ephemeral(BASE + 3 * 4096, 4096));
    });
    let image = Image::decode(&raw.to_ssz(), &NoImages).unwrap();
    let pinned: Vec<_> = image
        .mappings()
        .iter()
        .map(|m| image.is_pinned(m))
        .collect();
    assert_eq!(pinned, [true, true, false, false]);
}

// Check 6: endpoints.

#[test]
fn check_6_initial_registers_exist() {
    admitted(&with(|raw| {
        raw.endpoints = vec![entry(&[0], endpoint(0, &[0, 14]))];
    }));
    refused(
        &with(|raw| raw.endpoints = vec![entry(&[0], endpoint(0, &[1, 15]))]),
        "endpoints[0].value.initial_regs[1]: \
         register slot 15 does not exist: slots go from 0 to 14",
    );
    let sixteen: Vec<u8> = (0..16).collect();
    refused(
        &with(|raw| raw.endpoints = vec![entry(&[0], endpoint(0, &sixteen))]),
        "endpoints[0].value.initial_regs: 16 entries are more than the limit of 15",
    );
}

#[test]
fn check_6_initial_registers_strictly_ascend() {
    for regs in [[4, 4], [4, 3]] {
        refused(
            &with(|raw| raw.endpoints = vec![entry(&[0], endpoint(0, &regs))]),
            &format!(
                "endpoints[0].value.initial_regs[1]: register slot {} follows slot 4: \
                 slots go in strictly ascending order",
                regs[1]
            ),
        );
    }
}

#[test]
fn check_6_an_entry_lies_inside_the_code() {
    // An entry need not be a block start or even an instruction: that is lazy.
    admitted(&with(|raw| {
        raw.endpoints = vec![entry(&[0], endpoint(3, &[]))]
    }));
    for pc in [4, u64::MAX] {
        refused(
            &with(|raw| raw.endpoints = vec![entry(&[0], endpoint(pc, &[]))]),
            &format!("endpoints[0].value.entry_pc: entry {pc:#x} is outside the code of 0x4 bytes"),
        );
    }
}

#[test]
fn check_6_an_endpoint_documents_at_most_4_arguments() {
    let arguments = |count| {
        let mut def = endpoint(0, &[]);
        (def.arg_registers, def.arg_cnode_size) = (count, 255);
        with(|raw| raw.endpoints = vec![entry(&[0], def)])
    };
    admitted(&arguments(4));
    refused(
        &arguments(5),
        "endpoints[0].value.arg_registers: 5 argument registers: a call passes at most 4",
    );
}

// Check 7: the scratchpad, pinned against initial.

#[test]
fn check_7_the_scratchpad_is_declared_nowhere_but_as_an_endpoint_or_a_source() {
    let declared = "key [00] is the scratchpad and cannot be declared here: choose another key";
    for (raw, place) in [
        (
            with(|raw| raw.pinned_slots = vec![entry(&[0], RawPinned::Data(data(0, &[])))]),
            "pinned_slots[0]",
        ),
        (
            with(|raw| {
                raw.initial_slots = vec![entry(&[], data(0, &[])), entry(&[0], data(0, &[]))];
            }),
            "initial_slots[1]",
        ),
        (
            with(|raw| raw.yield_receiver_slot = RawOptionalKey::Some(vec![0])),
            "yield_receiver_slot",
        ),
        (
            with(|raw| raw.gas_slots = vec![vec![7], vec![0]]),
            "gas_slots[1]",
        ),
        (
            with(|raw| raw.quota_slots = vec![vec![0]]),
            "quota_slots[0]",
        ),
    ] {
        refused(&raw, &format!("{place}: {declared}"));
    }
    admitted(&with(|raw| {
        let mut mapping = ephemeral(BASE, 4096);
        mapping.source = RawSource::Persistent(vec![vec![0], vec![1]]);
        raw.memory_mappings = vec![mapping];
        raw.endpoints = vec![entry(&[0], endpoint(0, &[]))];
        raw.gas_slots = vec![vec![], vec![0, 0], vec![1]];
    }));
}

#[test]
fn check_7_a_key_is_not_both_pinned_and_initial() {
    refused(
        &with(|raw| {
            raw.pinned_slots = vec![entry(&[3], RawPinned::Data(data(0, &[])))];
            raw.initial_slots = vec![entry(&[2], data(0, &[])), entry(&[3], data(0, &[]))];
        }),
        "initial_slots[1].key: key [03] is pinned and initial: keep one of the two",
    );
}

// Check 8: pinned images.

#[test]
fn check_8_a_pinned_image_can_be_resolved() {
    let raw = with(|raw| {
        raw.pinned_slots = vec![
            entry(&[1], RawPinned::Image([0x11; 32])),
            entry(&[2], RawPinned::Image([0x22; 32])),
        ];
    });
    let known = |address| address == Digest::new([0x11; 32]);
    let error = Image::decode(&raw.to_ssz(), &known).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "pinned_slots[1].value: pinned image {} is not known: admit that image first",
            "22".repeat(32)
        )
    );
    let all = |_| true;
    assert!(Image::decode(&raw.to_ssz(), &all).is_ok());
}
