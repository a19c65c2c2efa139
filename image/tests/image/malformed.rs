//! Check 1 of §3.4: bytes that are not the serialization of an image.

use libssz::SszDecode;
use proptest::prelude::*;
use rivet_image::{Image, ImageBuilder, NoImages, Rule};

use crate::generate::{image, resolves};
use crate::raw::RawImage;
use crate::reading;

/// The fixed parts of an image: a code range and eight offsets.
const FIXED: usize = 40;

/// An image of four code bytes and nothing else.
fn minimal() -> Vec<u8> {
    ImageBuilder::new([1, 2, 3, 4])
        .build()
        .unwrap()
        .encode()
        .unwrap()
}

#[track_caller]
fn refused(wire: &[u8], expected: &str) {
    let error = Image::decode(wire, &NoImages).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

fn set_offset(wire: &mut [u8], at: usize, offset: u32) {
    wire[at..at + 4].copy_from_slice(&offset.to_le_bytes());
}

#[test]
fn an_empty_file_is_too_short() {
    refused(&[], "image: 0 bytes at byte 0x0 where 40 are needed");
}

#[test]
fn a_file_of_something_else_has_a_wrong_first_offset() {
    let elf = [b"\x7fELF".as_slice(), &[2; 60]].concat();
    refused(
        &elf,
        "image: the first offset at byte 0x8 is 0x2020202, not 0x28",
    );
}

#[test]
fn an_offset_that_decreases_is_named() {
    let mut wire = minimal();
    set_offset(&mut wire, 12, 39);
    refused(
        &wire,
        "image: the offset at byte 0xc is 0x27, less than the 0x28 before it",
    );
}

#[test]
fn an_offset_past_the_end_is_named() {
    let mut wire = minimal();
    set_offset(&mut wire, 36, 46);
    refused(
        &wire,
        "image: the offset at byte 0x24 is 0x2e, past the end of 0x2d bytes",
    );
}

#[test]
fn a_list_whose_first_offset_is_no_count_is_named() {
    for first in [0, 2, 6] {
        let mut wire = minimal();
        // Eight bytes of mappings: the later fields move behind them.
        wire.splice(FIXED..FIXED, [first, 0, 0, 0, 0, 0, 0, 0]);
        for at in [16, 20, 24, 28, 32, 36] {
            wire[at] += 8;
        }
        refused(
            &wire,
            &format!(
                "memory_mappings: the first offset at byte 0x28 is {first:#x}, \
                 not a positive multiple of 4"
            ),
        );
    }
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused_before_it_is_believed() {
    let mut wire = minimal();
    wire.splice(FIXED..FIXED, [0xFC, 0xFF, 0xFF, 0xFF]);
    for at in [12, 16, 20, 24, 28, 32, 36] {
        wire[at] += 4;
    }
    refused(
        &wire,
        "endpoints: the offset at byte 0x28 is 0xfffffffc, past the end of 0x4 bytes",
    );
}

#[test]
fn a_union_selector_without_an_arm_is_named() {
    let mut wire = minimal();
    wire[FIXED] = 2;
    refused(
        &wire,
        "yield_receiver_slot: the union selector at byte 0x28 is 2: there are 2 arms",
    );
}

#[test]
fn an_empty_arm_with_content_is_trailing_bytes() {
    let mut wire = minimal();
    wire.insert(FIXED + 1, 9);
    for at in [28, 32, 36] {
        wire[at] += 1;
    }
    refused(
        &wire,
        "yield_receiver_slot: 1 bytes follow the value that ends at byte 0x29",
    );
}

/// What holds for any input: an image is admitted iff an independent decoder
/// reads the bytes and a plain reading of §3.4 admits what it read, and then it
/// is the same image. An error blames the serialization only if that decoder
/// does, too.
fn check_total(wire: &[u8]) {
    let oracle = RawImage::from_ssz_bytes(wire);
    match Image::decode(wire, &resolves) {
        Ok(image) => {
            let raw = oracle.unwrap();
            assert!(reading::admits(&raw));
            assert!(reading::is_same(&raw, &image));
            let canonical = image.encode().unwrap();
            assert_eq!(Image::decode(&canonical, &resolves).unwrap(), image);
        }
        Err(error) => match oracle {
            Ok(raw) => {
                assert!(!matches!(error.rule, Rule::Malformed(_)), "{error}");
                assert!(!reading::admits(&raw), "{error}");
            }
            Err(_) => assert!(!error.to_string().is_empty()),
        },
    }
}

/// An image with something in every field.
fn rich() -> Vec<u8> {
    use rivet_image::{Data, Digest, EndpointDef, Key, Mapping, Pinned, SlotPath, Source};
    use rivet_isa::{Pc, Slot};

    let path = SlotPath::new(vec![Key::byte(3), Key::new(&[4, 5]).unwrap()]).unwrap();
    let mapping = |page: u64, source| Mapping {
        start: 0x1000_0000 + page * 4096,
        size: 4096,
        source,
    };
    let entry = EndpointDef::at(Pc::new(2)).with_stack_top(0x2000);
    ImageBuilder::new([1, 2, 3, 4, 5])
        .endpoint(Key::byte(0), entry.clone())
        .endpoint(Key::byte(1), entry.with_reg(Slot::new(14).unwrap(), 9))
        .mapping(mapping(1, Source::Persistent(path)))
        .mapping(mapping(0, Source::Ephemeral))
        .pinned(Key::byte(3), Data::from_bytes(8192, b"Hello").unwrap())
        .pinned(Key::byte(4), Pinned::Image(Digest::new([7; 32])))
        .initial(
            Key::byte(5),
            Data::from_pages(4096 * 3, [(2, &[9; 3][..])]).unwrap(),
        )
        .yield_receiver_slot(Key::byte(9))
        .gas_slot(Key::byte(7))
        .quota_slot(Key::byte(8))
        .build()
        .unwrap()
        .encode()
        .unwrap()
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let wire = rich();
    for len in 0..wire.len() {
        assert!(
            Image::decode(&wire[..len], &resolves).is_err(),
            "cut at {len}"
        );
        check_total(&wire[..len]);
    }
}

#[test]
fn a_file_with_any_one_byte_changed_in_any_way_is_read_or_refused_without_panic() {
    let wire = rich();
    let mut changed = wire.clone();
    for at in 0..wire.len() {
        for byte in 0..=255 {
            changed[at] = byte;
            check_total(&changed);
        }
        changed[at] = wire[at];
    }
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(mut wire in prop::collection::vec(any::<u8>(), 0..200)) {
        check_total(&wire);
        // With a right fixed part the random rest is reached.
        let fixed = minimal();
        wire.splice(0..0, fixed[..FIXED].iter().copied());
        check_total(&wire);
    }

    #[test]
    fn images_with_several_bytes_changed_are_read_or_refused(
        image in image(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut wire = image.encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        check_total(&wire);
    }
}
