//! SSZ merkleisation over SHA-256 (kernel ABI §3.1).
//!
//! ```text
//!             root                 level 2
//!           /      \
//!        node      zero(1)         level 1: nothing present, never hashed
//!       /    \
//!    leaf    zero(0)               level 0: 32-byte chunks
//! ```
//!
//! A subtree in which no leaf is present is taken from a table, so a tree costs
//! O(present leaves + depth) when they are dense and O(present leaves × depth)
//! when they are sparse, however many leaves the limit allows. Nothing is
//! collected in memory: recursion is as deep as the tree, at most 64.
//!
//! The merkleisers of the SSZ crates take a dense slice of chunks. Code would be
//! copied to feed them and a sparse Data would be expanded, so the fold is
//! here; the tests compare it with such a crate.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Level of a `List[byte, 2^32]`: 2^27 chunks.
const BYTE_LIST_LEVEL: u32 = 27;

/// Level of a list of 2^32 composite elements.
const LIST_LEVEL: u32 = 32;

/// Roots of all-zero subtrees by level; a Data has at most 2^52 pages.
static ZERO_ROOTS: LazyLock<[Digest; 65]> = LazyLock::new(|| {
    let mut roots = [Digest::ZERO; 65];
    for level in 1..roots.len() {
        roots[level] = node(roots[level - 1], roots[level - 1]);
    }
    roots
});

/// `SHA-256(left ‖ right)`.
pub(crate) fn node(left: Digest, right: Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Digest::new(hasher.finalize().into())
}

/// A number as one chunk: 32 little-endian bytes.
pub(crate) fn number(value: u64) -> Digest {
    let mut chunk = [0; 32];
    chunk[..8].copy_from_slice(&value.to_le_bytes());
    Digest::new(chunk)
}

/// Root of a tree of 2^level leaves whose first `count` are given by `leaf`.
fn dense(level: u32, start: u64, count: u64, leaf: &impl Fn(u64) -> Digest) -> Digest {
    if start >= count {
        return ZERO_ROOTS[level as usize];
    }
    let Some(below) = level.checked_sub(1) else {
        return leaf(start);
    };
    node(
        dense(below, start, count, leaf),
        dense(below, start + (1 << below), count, leaf),
    )
}

/// Root of a tree of 2^level leaves of which `present` lists the non-zero ones,
/// by strictly ascending index.
pub(crate) fn sparse(level: u32, present: &[(u64, Digest)]) -> Digest {
    sparse_from(level, 0, present)
}

fn sparse_from(level: u32, start: u64, present: &[(u64, Digest)]) -> Digest {
    let Some(&(_, first)) = present.first() else {
        return ZERO_ROOTS[level as usize];
    };
    let Some(below) = level.checked_sub(1) else {
        return first;
    };
    let middle = start + (1 << below);
    let (left, right) = present.split_at(present.partition_point(|&(at, _)| at < middle));
    node(
        sparse_from(below, start, left),
        sparse_from(below, middle, right),
    )
}

/// Root of `bytes` as chunks of 32 in a tree of 2^level chunks.
pub(crate) fn bytes_in(level: u32, bytes: &[u8]) -> Digest {
    let count = bytes.len().div_ceil(32) as u64;
    dense(level, 0, count, &|index| {
        let start = index as usize * 32;
        let piece = &bytes[start..bytes.len().min(start + 32)];
        let mut chunk = [0; 32];
        chunk[..piece.len()].copy_from_slice(piece);
        Digest::new(chunk)
    })
}

/// Root of a `List[byte, 2^32]`.
pub(crate) fn byte_list(bytes: &[u8]) -> Digest {
    node(bytes_in(BYTE_LIST_LEVEL, bytes), number(bytes.len() as u64))
}

/// Root of a `List[T, 2^32]` of composite elements.
pub(crate) fn list<T>(items: &[T], root: impl Fn(&T) -> Digest) -> Digest {
    let count = items.len() as u64;
    let tree = dense(LIST_LEVEL, 0, count, &|index| root(&items[index as usize]));
    node(tree, number(count))
}

/// Root of a container from the roots of its fields.
pub(crate) fn container(fields: &[Digest]) -> Digest {
    let level = fields.len().next_power_of_two().trailing_zeros();
    dense(level, 0, fields.len() as u64, &|index| {
        fields[index as usize]
    })
}

/// Root of the union arm `selector`; an empty arm has the root [`Digest::ZERO`].
pub(crate) fn union(selector: u8, root: Digest) -> Digest {
    node(root, number(selector.into()))
}

#[cfg(test)]
mod tests {
    use libssz_merkle::{Sha2Hasher, merkleize, mix_in_length, mix_in_selector};
    use proptest::prelude::*;

    use super::*;

    fn leaf(byte: u8) -> Digest {
        Digest::new([byte; 32])
    }

    #[test]
    fn zero_subtrees_have_the_published_roots() {
        // SHA-256 of 64 zero bytes, and of twice that hash.
        assert_eq!(
            ZERO_ROOTS[1].to_string(),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"
        );
        assert_eq!(
            ZERO_ROOTS[2].to_string(),
            "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71"
        );
    }

    #[test]
    fn trees_are_folded_as_by_hand() {
        let [a, b, c] = [leaf(1), leaf(2), leaf(3)];
        let zero = Digest::ZERO;
        let three = node(node(a, b), node(c, zero));
        assert_eq!(container(&[a]), a);
        assert_eq!(container(&[a, b]), node(a, b));
        assert_eq!(container(&[a, b, c]), three);
        assert_eq!(sparse(2, &[(0, a), (1, b), (2, c)]), three);
        assert_eq!(
            sparse(3, &[(6, a)]),
            node(
                node(node(zero, zero), node(zero, zero)),
                node(node(zero, zero), node(a, zero))
            )
        );
        assert_eq!(sparse(0, &[(0, a)]), a);
        assert_eq!(sparse(0, &[]), zero);
        assert_eq!(union(1, a), node(a, number(1)));
        let mut one = [0; 32];
        (one[0], one[1]) = (0x34, 0x12);
        assert_eq!(number(0x1234), Digest::new(one));
    }

    proptest! {
        #[test]
        fn lists_have_the_roots_of_an_independent_merkleiser(
            leaves in prop::collection::vec(any::<[u8; 32]>(), 0..40),
        ) {
            let tree = merkleize(&Sha2Hasher, &leaves, Some(1 << 32));
            let expected = mix_in_length(&Sha2Hasher, &tree, leaves.len());
            prop_assert_eq!(list(&leaves, |&leaf| Digest::new(leaf)), Digest::new(expected));
        }

        #[test]
        fn bytes_have_the_root_of_an_independent_merkleiser(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let chunks = libssz_merkle::pack(&bytes);
            let tree = merkleize(&Sha2Hasher, &chunks, Some(1 << 27));
            let expected = mix_in_length(&Sha2Hasher, &tree, bytes.len());
            prop_assert_eq!(byte_list(&bytes), Digest::new(expected));
        }

        #[test]
        fn sparse_trees_have_the_root_of_the_dense_one(
            level in 0..8u32,
            present in prop::collection::btree_map(0..256u64, any::<[u8; 32]>(), 0..20),
        ) {
            let size = 1 << level;
            let mut leaves = vec![[0; 32]; size];
            let mut sparse_leaves = Vec::new();
            for (index, leaf) in present.into_iter().filter(|&(at, _)| at < size as u64) {
                leaves[index as usize] = leaf;
                sparse_leaves.push((index, Digest::new(leaf)));
            }
            let expected = merkleize(&Sha2Hasher, &leaves, Some(size));
            prop_assert_eq!(sparse(level, &sparse_leaves), Digest::new(expected));
        }

        #[test]
        fn unions_mix_in_the_selector(root in any::<[u8; 32]>(), selector in any::<u8>()) {
            let expected = mix_in_selector(&Sha2Hasher, &root, selector);
            prop_assert_eq!(union(selector, Digest::new(root)), Digest::new(expected));
        }
    }
}
