//! Keys and slot paths of §1.1 and §1.2.

use rivet_image::{Data, DataError, Key, KeyTooLong, PathLength, SlotPath};

fn key(bytes: &[u8]) -> Key {
    Key::new(bytes).unwrap()
}

#[test]
fn keys_differ_in_length_and_sort_by_byte_with_prefixes_first() {
    assert_ne!(key(&[]), key(&[0]));
    assert_ne!(key(&[0]), key(&[0, 0]));
    assert_eq!(key(&[1, 2]), key(&[1, 2]));
    let sorted = [
        key(&[]),
        key(&[0]),
        key(&[0, 0]),
        key(&[1]),
        key(&[1, 255]),
        key(&[2]),
    ];
    assert!(sorted.is_sorted_by(|a, b| a < b));
}

#[test]
fn only_the_one_zero_byte_is_the_scratchpad() {
    assert!(key(&[0]).is_scratchpad());
    for other in [&[][..], &[1], &[0, 0]] {
        assert!(!key(other).is_scratchpad());
    }
}

#[test]
fn a_key_has_at_most_64_bytes_and_a_path_1_to_8_keys() {
    assert!(Key::new(&[1; 64]).is_ok());
    assert_eq!(Key::new(&[1; 65]), Err(KeyTooLong { len: 65 }));
    assert!(SlotPath::new(vec![key(&[]); 8]).is_ok());
    for steps in [0, 9] {
        let path = SlotPath::new(vec![key(&[]); steps]);
        assert_eq!(path, Err(PathLength { steps }));
    }
}

#[test]
fn a_path_of_one_step_is_a_root_slot() {
    let one = SlotPath::from(key(&[5]));
    assert_eq!(one.as_root_slot(), Some(&key(&[5])));
    let two = SlotPath::new(vec![key(&[5]), key(&[6])]).unwrap();
    assert_eq!((two.as_root_slot(), two.first()), (None, &key(&[5])));
    assert_ne!(one, two);
    assert_eq!(two.to_string(), "[05][06]");
}

#[test]
fn data_is_refused_with_the_page_and_the_rule() {
    assert_eq!(Data::zeros(1), Err(DataError::Unaligned { size: 1 }));
    assert_eq!(
        Data::from_bytes(4096, &[0; 4097]),
        Err(DataError::PageOutside { index: 1, pages: 1 })
    );
    let long = [1; 4097];
    assert_eq!(
        Data::from_pages(4096, [(0, &long[..])]),
        Err(DataError::PageTooLong {
            index: 0,
            len: 4097
        })
    );
    let page = [1; 1];
    assert_eq!(
        Data::from_pages(8192, [(1, &page[..]), (1, &page)]),
        Err(DataError::Disorder {
            index: 1,
            previous: 1
        })
    );
}

#[test]
fn data_with_equal_content_is_equal_however_it_was_made() {
    let plain = Data::from_bytes(8192, b"Hello").unwrap();
    let mut padded = [0; 8192];
    padded[..5].copy_from_slice(b"Hello");
    assert_eq!(Data::from_bytes(8192, &padded).unwrap(), plain);
    assert_eq!(plain.pages().len(), 1);
    let spelled = Data::from_pages(8192, [(0, &padded[..4096]), (1, &[0; 9][..])]);
    assert_eq!(spelled.unwrap(), plain);
    assert_ne!(Data::from_bytes(4096, b"Hello").unwrap(), plain);
    assert_ne!(Data::from_bytes(8192, b"Hellp").unwrap(), plain);
}
