//! The regions an engine lays out.

use rivet_image::{
    Access, Data, Digest, Image, ImageBuilder, Key, LayoutError, Mapping, Pinned, Region,
    RegionKind, SlotPath, Source,
};
use rivet_isa::PageIndex;

const BASE: u64 = 0x1000_0000;

fn mapping(page: u64, pages: u64, source: Source) -> Mapping {
    Mapping {
        start: BASE + page * 4096,
        size: pages * 4096,
        source,
    }
}

fn slot(key: u8) -> Source {
    Source::Persistent(Key::byte(key).into())
}

fn region(page: u32, pages: u32, kind: RegionKind, source: Data) -> Region {
    Region {
        first: PageIndex::new(0x1_0000 + page).unwrap(),
        pages,
        kind,
        source,
    }
}

fn text(bytes: &[u8]) -> Data {
    Data::from_bytes(4096, bytes).unwrap()
}

fn build(mappings: Vec<Mapping>, pinned: Vec<(u8, Pinned)>, initial: Vec<(u8, Data)>) -> Image {
    let mut builder = ImageBuilder::new([0; 4]);
    for mapping in mappings {
        builder = builder.mapping(mapping);
    }
    for (key, content) in pinned {
        builder = builder.pinned(Key::byte(key), content);
    }
    for (key, content) in initial {
        builder = builder.initial(Key::byte(key), content);
    }
    builder.build().unwrap()
}

#[test]
fn regions_ascend_and_show_pinned_initial_and_empty_slots() {
    let inside = SlotPath::new(vec![Key::byte(66), Key::byte(1)]).unwrap();
    let image = build(
        vec![
            mapping(9, 3, Source::Ephemeral),
            mapping(4, 2, slot(67)),
            mapping(0, 1, slot(66)),
            mapping(2, 1, slot(68)),
            mapping(7, 1, Source::Persistent(inside)),
        ],
        vec![(66, text(b"constant").into())],
        vec![(67, text(b"variable"))],
    );
    let layout = image.layout().unwrap();
    let expected = [
        region(0, 1, RegionKind::Pinned, text(b"constant")),
        region(2, 1, RegionKind::CopyOnWrite, Data::default()),
        region(4, 2, RegionKind::CopyOnWrite, text(b"variable")),
        region(7, 1, RegionKind::Pinned, Data::default()),
        region(9, 3, RegionKind::Ephemeral, Data::default()),
    ];
    assert_eq!(layout, expected);
    assert_eq!(layout[0].access(), Access::ReadOnly);
    assert_eq!(layout[2].access(), Access::ReadWrite);
    assert_eq!(layout[4].access(), Access::ReadWrite);
    assert_eq!(layout[4].start().value(), 0x1000_9000);
    assert_eq!((layout[4].size(), layout[4].end()), (0x3000, 0x1000_C000));
}

#[test]
fn the_last_page_of_the_address_space_can_be_mapped() {
    let last = Mapping {
        start: (1 << 32) - 4096,
        size: 4096,
        source: Source::Ephemeral,
    };
    let layout = build(vec![last], vec![], vec![]).layout().unwrap();
    assert_eq!(layout[0].first.index(), PageIndex::COUNT - 1);
    assert_eq!(layout[0].end(), 1 << 32);
}

#[test]
fn a_mapping_of_all_data_addresses_has_all_their_pages() {
    let all = mapping(0, 0xF_0000, Source::Ephemeral);
    let layout = build(vec![all], vec![], vec![]).layout().unwrap();
    assert_eq!(layout[0].pages, 0xF_0000);
}

#[test]
fn a_source_longer_than_its_mapping_is_refused() {
    for size in [8192, 1 << 40] {
        let image = build(
            vec![mapping(1, 1, slot(67))],
            vec![],
            vec![(67, Data::zeros(size).unwrap())],
        );
        assert_eq!(
            image.layout().unwrap_err(),
            LayoutError::SourceTooLong {
                index: 0,
                size: 4096,
                key: Key::byte(67),
                source_size: size,
            }
        );
    }
}

#[test]
fn a_pinned_image_is_no_source_of_memory() {
    let image = build(
        vec![mapping(0, 1, Source::Ephemeral), mapping(1, 1, slot(5))],
        vec![(5, Pinned::Image(Digest::new([1; 32])))],
        vec![],
    );
    let error = image.layout().unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory_mappings[1] maps slot [05], which pins an image: map a data slot"
    );
}
