//! Wire form and logical form are two views of one image.

use crate::generate::{data, image, resolves};
use crate::logical;
use crate::raw::{RawImage, RawPage};
use libssz::{SszDecode, SszEncode};
use proptest::prelude::*;
use rivet_image::{Data, EndpointDef, Image, ImageBuilder, Key, NoImages};
use rivet_isa::Pc;

/// Image A of §3.8, byte by byte as §3.4 lays it out.
const IMAGE_A: &[u8] = &[
    0, 0, 0, 0, 4, 0, 0, 0, // 0: code: arena_off 0, len 4
    40, 0, 0, 0, // 8: endpoints start at 40 = 8 + 8 * 4
    67, 0, 0, 0, // 12: memory_mappings at 67 = 40 + 27, empty
    67, 0, 0, 0, // 16: pinned_slots, empty
    67, 0, 0, 0, // 20: initial_slots, empty
    67, 0, 0, 0, // 24: yield_receiver_slot
    68, 0, 0, 0, // 28: gas_slots, empty
    68, 0, 0, 0, // 32: quota_slots, empty
    68, 0, 0, 0, // 36: arena
    4, 0, 0, 0, // 40: endpoints[0] starts 4 bytes into the list
    8, 0, 0, 0, // 44: its key is 8 bytes into the entry
    9, 0, 0, 0, // 48: its value is behind the one-byte key
    0, // 52: key [00]
    0, 0, 0, 0, 0, 0, 0, 0, // 53: entry_pc
    0, // 61: arg_registers
    0, // 62: arg_cnode_size
    14, 0, 0, 0, // 63: initial_regs behind the fixed 14 bytes, empty
    0, // 67: yield_receiver_slot: None
    0x0b, 0x20, 0, 0, // 68: arena: ecalli 0
];

#[test]
fn image_a_is_the_bytes_written_by_hand() {
    let image = ImageBuilder::new([0x0b, 0x20, 0, 0])
        .endpoint(Key::byte(0), EndpointDef::at(Pc::new(0)))
        .build()
        .unwrap();
    assert_eq!(image.encode().unwrap(), IMAGE_A);
    assert_eq!(Image::decode(IMAGE_A, &NoImages).unwrap(), image);
}

#[test]
fn a_data_of_three_gib_without_content_takes_a_few_bytes_and_has_an_address() {
    let size = 3 << 30;
    let zeros = Data::zeros(size).unwrap();
    let image = ImageBuilder::new([])
        .initial(Key::byte(67), zeros.clone())
        .build()
        .unwrap();
    let wire = image.encode().unwrap();
    assert!(wire.len() < 100);
    let read = Image::decode(&wire, &NoImages).unwrap();
    assert_eq!(read.initial(&Key::byte(67)), Some(&zeros));
    assert_eq!(read.address(), image.address());
}

#[test]
fn the_largest_data_of_whole_pages_has_an_address_that_its_size_changes() {
    let size = u64::MAX - 4095;
    let one_page_less = Data::zeros(size - 4096).unwrap();
    assert_ne!(
        Data::zeros(size).unwrap().address(),
        one_page_less.address()
    );
}

#[test]
fn equal_pages_are_stored_once_and_the_code_comes_last() {
    let content = [[1u8; 4096], [2; 4096], [1; 4096]].concat();
    let image = ImageBuilder::new([0xAA; 6])
        .pinned(Key::byte(2), Data::from_bytes(0x3000, &content).unwrap())
        .initial(Key::byte(1), Data::from_bytes(0x1000, &[1; 4096]).unwrap())
        .build()
        .unwrap();
    let raw = RawImage::from_ssz_bytes(&image.encode().unwrap()).unwrap();
    let expected = [[1u8; 4096].as_slice(), &[2; 4096], &[0xAA; 6]].concat();
    assert_eq!(raw.arena, expected);
    assert_eq!((raw.code.arena_off, raw.code.len), (8192, 6));
}

#[test]
fn endpoint_keys_are_the_shortest_big_endian_index() {
    assert_eq!(Key::endpoint(0).as_bytes(), [0]);
    assert_eq!(Key::endpoint(255).as_bytes(), [255]);
    assert_eq!(Key::endpoint(256).as_bytes(), [1, 0]);
    assert_eq!(Key::endpoint(0xFFFE).as_bytes(), [0xFF, 0xFE]);
}

/// The same image in another packing: pages in reverse, none shared, each
/// behind `filler` and as long as the page allows, zero pages spelled out.
fn repack(raw: &RawImage, filler: &[u8]) -> RawImage {
    let mut repacked = raw.clone();
    let range = |from: u32, len: u32| &raw.arena[from as usize..][..len as usize];
    let mut arena = filler.to_vec();
    let code = range(raw.code.arena_off, raw.code.len);
    repacked.code.arena_off = arena.len() as u32;
    arena.extend_from_slice(code);
    let mut all: Vec<_> = repacked.data_mut().collect();
    for data in all.iter_mut().rev() {
        let mut pages = Vec::new();
        for index in (0..data.size / 4096).rev() {
            let index = index as u32;
            arena.extend_from_slice(filler);
            let arena_off = arena.len() as u32;
            let old = data.pages.iter().find(|page| page.page_index == index);
            let mut len = 1;
            if let Some(page) = old {
                arena.extend_from_slice(range(page.arena_off, page.len));
                len = page.len + u32::from(page.len < 4096);
            }
            arena.resize(arena_off as usize + len as usize, 0);
            pages.push(RawPage {
                page_index: index,
                arena_off,
                len,
            });
        }
        pages.reverse();
        data.pages = pages;
    }
    repacked.arena = arena;
    repacked
}

proptest! {
    #[test]
    fn decoding_what_was_encoded_gives_the_image_back(image in image()) {
        let wire = image.encode().unwrap();
        prop_assert_eq!(Image::decode(&wire, &resolves).unwrap(), image);
    }

    #[test]
    fn any_packing_has_the_same_address_and_the_same_canonical_bytes(
        image in image(),
        filler in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let canonical = image.encode().unwrap();
        let raw = RawImage::from_ssz_bytes(&canonical).unwrap();
        let other = Image::decode(&repack(&raw, &filler).to_ssz(), &resolves).unwrap();
        prop_assert_eq!(&other, &image);
        prop_assert_eq!(other.address(), image.address());
        prop_assert_eq!(other.encode().unwrap(), canonical);
    }

    #[test]
    fn the_address_of_an_image_is_what_an_independent_merkleiser_gives(image in image()) {
        prop_assert_eq!(*image.address().as_bytes(), logical::image_address(&image));
    }

    #[test]
    fn the_address_of_data_is_what_hashing_its_whole_content_gives(data in data()) {
        prop_assert_eq!(*data.address().as_bytes(), logical::data_address(&data));
    }

    #[test]
    fn data_reads_back_page_by_page(bytes in prop::collection::vec(0..2u8, 0..9000)) {
        let data = Data::from_bytes(0x3000, &bytes).unwrap();
        let mut padded = bytes.clone();
        padded.resize(0x3000, 0);
        for (index, expected) in (0..).zip(padded.chunks(4096)) {
            let mut page = data.page(index).to_vec();
            page.resize(4096, 0);
            prop_assert_eq!(page, expected);
        }
        prop_assert_eq!(data.page(3), &[] as &[u8]);
    }
}
