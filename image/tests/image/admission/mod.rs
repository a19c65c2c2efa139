//! Each admission check of §3.4, with the error it gives.

mod form;
mod meaning;

use libssz::SszEncode;
use rivet_image::{
    Data, EndpointDef, Field, Image, ImageBuilder, ImageError, Key, Mapping, NoImages, Part, Place,
    Rule, Source,
};
use rivet_isa::Pc;

use crate::raw::{RawImage, endpoint, entry};

/// First address of the data range.
const BASE: u64 = 0x1000_0000;

/// A minimal image with one thing changed.
fn with(change: impl FnOnce(&mut RawImage)) -> RawImage {
    let mut raw = RawImage::minimal();
    change(&mut raw);
    raw
}

#[track_caller]
fn refused(raw: &RawImage, expected: &str) -> ImageError {
    let error = Image::decode(&raw.to_ssz(), &NoImages).unwrap_err();
    assert_eq!(error.to_string(), expected);
    error
}

#[track_caller]
fn admitted(raw: &RawImage) {
    Image::decode(&raw.to_ssz(), &NoImages).unwrap();
}

#[test]
fn the_minimal_image_is_admitted() {
    admitted(&RawImage::minimal());
}

#[test]
fn the_error_holds_the_place_and_the_rule_as_data() {
    let error = refused(
        &with(|raw| raw.endpoints = vec![entry(&[0], endpoint(9, &[]))]),
        "endpoints[0].value.entry_pc: entry 0x9 is outside the code of 0x4 bytes",
    );
    let expected = ImageError {
        at: Place::item(Field::Endpoints, 0).part(Part::EntryPc),
        rule: Rule::EntryOutsideCode {
            entry_pc: Pc::new(9),
            code_len: 4,
        },
    };
    assert_eq!(error, expected);
}

// The builder makes the same checks.

#[test]
fn a_builder_refuses_what_a_reader_refuses() {
    let twice = ImageBuilder::new([0; 4])
        .endpoint(Key::byte(1), EndpointDef::at(Pc::new(0)))
        .endpoint(Key::byte(1), EndpointDef::at(Pc::new(2)))
        .build();
    assert!(matches!(
        twice.unwrap_err().rule,
        Rule::KeyOrder { key, .. } if key == Key::byte(1)
    ));
    let low = ImageBuilder::new([])
        .mapping(Mapping {
            start: 0,
            size: 4096,
            source: Source::Ephemeral,
        })
        .build();
    let at = Place::item(Field::MemoryMappings, 0);
    assert_eq!(low.unwrap_err().at, at);
    let scratchpad = ImageBuilder::new([]).initial(Key::scratchpad(), Data::default());
    assert_eq!(scratchpad.build().unwrap_err().rule, Rule::Scratchpad);
}

#[test]
fn a_builder_takes_endpoints_and_slots_in_any_order() {
    let at = |pc| EndpointDef::at(Pc::new(pc));
    let zeros = |pages: u64| Data::zeros(pages * 4096).unwrap();
    let ascending = ImageBuilder::new([0; 4])
        .endpoint(Key::byte(1), at(0))
        .endpoint(Key::byte(2), at(2))
        .pinned(Key::byte(3), zeros(3))
        .pinned(Key::byte(4), zeros(4))
        .initial(Key::byte(5), zeros(5))
        .initial(Key::byte(6), zeros(6));
    let descending = ImageBuilder::new([0; 4])
        .initial(Key::byte(6), zeros(6))
        .initial(Key::byte(5), zeros(5))
        .pinned(Key::byte(4), zeros(4))
        .pinned(Key::byte(3), zeros(3))
        .endpoint(Key::byte(2), at(2))
        .endpoint(Key::byte(1), at(0));
    assert_eq!(descending.build().unwrap(), ascending.build().unwrap());
}
