//! Data capabilities against a plain vector of bytes, and the vectors of `kernel-abi.md` §3.8.

mod random;

use random::Random;
use rivet_paging::*;
use sha2::{Digest, Sha256};

fn hex(hash: Hash) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// The address of a Data capability (§3.2): its root mixed with selector 2.
fn address(data: &mut DataCap) -> String {
    let mut selector = [0; 32];
    selector[0] = 2;
    let root = data.data_root();
    hex(Sha256::new()
        .chain_update(root)
        .chain_update(selector)
        .finalize()
        .into())
}

fn zeros(pages: u32) -> DataCap {
    DataCap::new(PageCount::new(pages).unwrap(), PageSource::empty()).unwrap()
}

#[test]
fn addresses_of_data_are_those_of_the_specification() {
    let vectors = [
        (
            0,
            "6735630c0dd0ae42f505cf2e229851902e57048e0fe30b86144a3d97a5f0f46a",
        ),
        (
            1,
            "bca79a4850d7c13977a98026c2d86dd151e9e1bdd6c3673e307c723a5f30024a",
        ),
        (
            2,
            "fcbf471debe1eb8852caff0450931d4d9765756f4afd5cfbccfcf503a98f44a3",
        ),
    ];
    for (pages, expected) in vectors {
        assert_eq!(address(&mut zeros(pages)), expected, "{pages} zero pages");
    }
    let hello = "abf2bde79b1ef9bf7ea8f7e21cf29fecda2074d08ff6da6b4766bad57f4a5099";
    assert_eq!(address(&mut DataCap::from_bytes(b"Hello").unwrap()), hello);
    let mut two = zeros(2);
    two.write(0, b"Hello").unwrap();
    let hello_two = "5dba284295b74741dc87cf487750a752de0f8335ff97db5a7c129eb5c7ffebcb";
    assert_eq!(address(&mut two), hello_two);
    let mut three = zeros(3);
    three.write(4096, b"Hello").unwrap();
    let middle = "8373bcc5e8714dd1dcc427e212f2f4a1d8f19f108ac794b3be43cf0b6eb6db49";
    assert_eq!(address(&mut three), middle);
    let mut page = [0; PAGE_SIZE];
    page[..5].copy_from_slice(b"Hello");
    let root = "d18debe85b2b37dba79941b8401018b124b7922a0df2f082f9ff22e9d750e36f";
    assert_eq!(hex(page_root(&page)), root);
}

/// What the root must be, from a capability made anew of the same bytes.
fn fresh_root(bytes: &[u8]) -> Hash {
    let source = PageSource::from_bytes(bytes).unwrap();
    let pages = PageCount::covering(bytes.len() as u64).unwrap();
    DataCap::new(pages, source).unwrap().data_root()
}

#[test]
fn random_histories_agree_with_a_vector_of_bytes() {
    let mut random = Random(0xda7a);
    for _ in 0..12 {
        let pages = 1 + random.below(200);
        let len = pages as usize * PAGE_SIZE;
        let mut live = vec![(zeros(pages as u32), vec![0u8; len])];
        for _ in 0..150 {
            let i = random.below(live.len() as u64) as usize;
            match random.below(12) {
                0 => {
                    let copy = live[i].clone();
                    live.push(copy);
                    live.truncate(5);
                }
                1..=2 => live[i].0.flush().unwrap(),
                3 => {
                    let (data, bytes) = &mut live[i];
                    assert_eq!(data.data_root(), fresh_root(bytes));
                }
                4 => {
                    let (data, bytes) = &live[i];
                    let start = random.below(pages) as usize;
                    let end = start + random.below(pages - start as u64 + 1) as usize;
                    let mut slice = data.slice(start as u32..end as u32).unwrap();
                    let part = &bytes[start * PAGE_SIZE..end * PAGE_SIZE];
                    let mut read = vec![1; part.len()];
                    slice.read(0, &mut read).unwrap();
                    assert_eq!(read, part);
                    assert_eq!(slice.data_root(), fresh_root(part));
                }
                _ => {
                    let (data, bytes) = &mut live[i];
                    let at = random.below(len as u64) as usize;
                    let most = (len - at).min(9000);
                    let count = random.below(most as u64 + 1) as usize;
                    // Zeros too: a page that becomes zero again must leave the tree.
                    let fill = (random.below(3) * 100) as u8;
                    data.write(at as u64, &vec![fill; count]).unwrap();
                    bytes[at..at + count].fill(fill);
                }
            }
        }
        for (data, bytes) in &mut live {
            let mut read = vec![1; len];
            data.read(0, &mut read).unwrap();
            assert!(read == *bytes);
            assert_eq!(data.data_root(), fresh_root(bytes));
        }
    }
}

#[test]
fn a_flush_keeps_the_number_of_extents_bounded() {
    let mut data = zeros(4096);
    for round in 0..200u64 {
        // Single pages far apart: the worst case for sharing page by page.
        data.write((round * 37 % 4096) * PAGE_SIZE as u64, &[round as u8 + 1])
            .unwrap();
        data.flush().unwrap();
    }
    let source = data.source().unwrap();
    assert!(source.extent_count() <= MAX_EXTENTS);
    for round in 0..200u64 {
        let page = source.page((round * 37 % 4096) as u32).unwrap();
        assert_eq!(page[0], round as u8 + 1);
    }
}

#[test]
fn ranges_outside_are_refused_and_nothing_is_written() {
    let mut data = zeros(2);
    let size = data.byte_size();
    for (offset, len) in [(size, 1), (size - 1, 2), (u64::MAX, 1), (u64::MAX, 0)] {
        assert!(data.write(offset, &vec![1; len]).is_err(), "{offset} {len}");
        assert!(data.read(offset, &mut vec![1; len]).is_err());
    }
    assert_eq!(data.write(size, &[]), Ok(()));
    assert_eq!(data.dirty().count(), 0);
    assert!(data.slice(1..3).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may pass one")]
    let reversed = data.slice(2..1);
    assert!(reversed.is_err());
}
