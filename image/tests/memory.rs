//! Reading an image takes memory and time in proportion to its bytes, whatever
//! the bytes declare. One test per process: the allocator counts everything.

use peak_alloc::PeakAlloc;
use rivet_image::{Data, Image, ImageBuilder, Key, NoImages};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes of memory a reader may take for each byte it reads.
const FACTOR: usize = 4;

/// Bytes it may take whatever it reads.
const FLOOR: usize = 4096;

/// Reads `wire`, which is admitted or gives `expected`, within the bound.
#[track_caller]
fn read(wire: &[u8], expected: &str) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let image = Image::decode(wire, &NoImages);
    let used = ALLOCATOR.peak_usage() - before;
    let outcome = image.map_or_else(|error| error.to_string(), |_| "admitted".to_owned());
    assert_eq!(outcome, expected);
    let limit = FACTOR * wire.len() + FLOOR;
    assert!(used <= limit, "{used} bytes for {} read", wire.len());
}

fn little(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

/// A wire form from the bytes of its eight variable fields.
fn wire(fields: [&[u8]; 8]) -> Vec<u8> {
    let mut wire = [0; 8].to_vec();
    let mut offset = 40;
    for field in fields {
        wire.extend(little(offset));
        offset += field.len();
    }
    for field in fields {
        wire.extend(field);
    }
    wire
}

/// A list of `count` equal elements of variable size.
fn list(count: usize, element: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    for index in 0..count {
        list.extend(little(4 * count + index * element.len()));
    }
    list.extend(element.repeat(count));
    list
}

#[test]
fn memory_is_bounded_by_the_bytes_read() {
    // Sixteen mebibytes of pages that all show the same range of the arena.
    let content = vec![1; 4096];
    let pages = (0..4096).map(|index| (index, content.as_slice()));
    let shared = Data::from_pages(1 << 40, pages).unwrap();
    let shared = ImageBuilder::new([]).initial(Key::byte(1), shared);
    let shared = shared.build().unwrap().encode().unwrap();
    assert!(shared.len() < 4096 * 14);
    read(&shared, "admitted");

    let receiver = [0];
    let equal_keys = "key [] follows key []: keys of a map are distinct and in ascending order";
    let zeros = [8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0];
    let initial = list(65_536, &zeros);
    read(
        &wire([&[], &[], &[], &initial, &receiver, &[], &[], &[]]),
        &format!("initial_slots[1].key: {equal_keys}"),
    );
    let pinned = list(65_536, &[&zeros[..8], &[0], &zeros[8..]].concat());
    read(
        &wire([&[], &[], &pinned, &[], &receiver, &[], &[], &[]]),
        &format!("pinned_slots[1].key: {equal_keys}"),
    );

    let mut endpoint = [0; 22];
    (endpoint[0], endpoint[4], endpoint[18]) = (8, 8, 14);
    let endpoints = list(65_536, &endpoint);
    read(
        &wire([&endpoints, &[], &[], &[], &receiver, &[], &[], &[]]),
        &format!("endpoints[1].key: {equal_keys}"),
    );

    // A path of a hundred thousand steps, none with a byte.
    let mut mapping = [0; 21];
    mapping[16] = 20;
    let path = [&mapping[..], &list(100_000, &[])].concat();
    let mappings = list(1, &path);
    read(
        &wire([&[], &mappings, &[], &[], &receiver, &[], &[], &[]]),
        "memory_mappings[0].source: slot path has 100000 steps: it needs 1 to 8",
    );

    // Lists longer than their limits.
    let keys = list(100_000, &[]);
    read(
        &wire([&[], &[], &[], &[], &receiver, &keys, &[], &[]]),
        "gas_slots: 100000 entries are more than the limit of 64",
    );
    read(
        &wire([&[], &[], &[], &keys, &receiver, &[], &[], &[]]),
        "initial_slots: 100000 entries are more than the limit of 65536",
    );
}
