//! The page tree of `kernel-abi.md` §3.3: roots of pages, rehashed only along dirty paths.
//!
//! ```text
//!            H                 A node without any page but zero ones is not stored: its hash
//!          ╱   ╲               is that of its level. Nodes never change; an update makes new
//!        H       H             ones along the paths to its leaves and shares the rest, so a
//!      ╱  ╲    ╱  ╲            copy of a tree costs nothing.
//!    page page  0   page
//! ```

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::frame::PageBytes;

/// A SHA-256 hash, or 32 zeros for nothing.
pub type Hash = [u8; 32];

/// 32 zero bytes: the root of a page of zeros and of no pages at all.
pub const ZERO_HASH: Hash = [0; 32];

/// Levels of a tree over a whole address space.
const DEEPEST: usize = 20;
const CHUNK: usize = 32;

fn pair(left: &Hash, right: &Hash) -> Hash {
    #[cfg(test)]
    tests::HASHES.set(tests::HASHES.get() + 1);
    Sha256::new()
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of a page: 32 zeros if all of it is zero, else the tree over its 128 chunks.
pub fn page_root(page: &PageBytes) -> Hash {
    if page.iter().all(|&b| b == 0) {
        return ZERO_HASH;
    }
    let (chunks, _) = page.as_chunks::<CHUNK>();
    let mut level = [ZERO_HASH; 64];
    for (node, two) in level.iter_mut().zip(chunks.as_chunks::<2>().0) {
        *node = pair(&two[0], &two[1]);
    }
    let mut width = level.len();
    while width > 1 {
        width /= 2;
        for i in 0..width {
            level[i] = pair(&level[2 * i], &level[2 * i + 1]);
        }
    }
    level[0]
}

/// The root of data of `byte_size` bytes whose pages have the root `pages_root`.
pub fn data_root(byte_size: u64, pages_root: &Hash) -> Hash {
    let mut size = ZERO_HASH;
    size[..8].copy_from_slice(&byte_size.to_le_bytes());
    pair(&size, pages_root)
}

fn zero_of(level: usize) -> Hash {
    static ZEROS: OnceLock<[Hash; DEEPEST + 1]> = OnceLock::new();
    let zeros = ZEROS.get_or_init(|| {
        let mut zeros = [ZERO_HASH; DEEPEST + 1];
        for level in 0..DEEPEST {
            zeros[level + 1] = pair(&zeros[level], &zeros[level]);
        }
        zeros
    });
    zeros[level]
}

#[derive(Clone, Debug, Default)]
enum Node {
    /// Every page below is zero.
    #[default]
    Zero,
    /// One page.
    Leaf(Hash),
    Branch(Arc<Branch>),
}

#[derive(Debug)]
struct Branch {
    hash: Hash,
    children: [Node; 2],
}

impl Node {
    fn hash(&self, level: usize) -> Hash {
        match self {
            Self::Zero => zero_of(level),
            Self::Leaf(hash) => *hash,
            Self::Branch(branch) => branch.hash,
        }
    }

    /// This node, of `level` and with `first` as its lowest page, with `leaves` replaced.
    fn with(&self, level: usize, first: u32, leaves: &[(u32, Hash)]) -> Self {
        if leaves.is_empty() {
            return self.clone();
        }
        if level == 0 {
            // The last one wins, as with any sequence of writes.
            let hash = leaves[leaves.len() - 1].1;
            return if hash == ZERO_HASH {
                Self::Zero
            } else {
                Self::Leaf(hash)
            };
        }
        let middle = first + (1 << (level - 1));
        let (low, high) = leaves.split_at(leaves.partition_point(|leaf| leaf.0 < middle));
        let old = match self {
            Self::Branch(branch) => branch.children.clone(),
            Self::Zero | Self::Leaf(_) => [Self::Zero, Self::Zero],
        };
        let children = [
            old[0].with(level - 1, first, low),
            old[1].with(level - 1, middle, high),
        ];
        if let [Self::Zero, Self::Zero] = children {
            return Self::Zero;
        }
        let hash = pair(&children[0].hash(level - 1), &children[1].hash(level - 1));
        Self::Branch(Arc::new(Branch { hash, children }))
    }
}

/// The tree over the roots of a number of pages.
#[derive(Clone, Debug)]
pub(crate) struct PageTree {
    depth: usize,
    root: Node,
}

impl PageTree {
    /// The tree of `pages` pages of zeros.
    pub(crate) fn new(pages: u32) -> Self {
        Self {
            depth: pages.next_power_of_two().trailing_zeros() as usize,
            root: Node::Zero,
        }
    }

    /// Replaces the roots of pages, given in ascending order.
    pub(crate) fn update(&mut self, leaves: &[(u32, Hash)]) {
        self.root = self.root.with(self.depth, 0, leaves);
    }

    /// The root over all pages; 32 zeros if there are none.
    pub(crate) fn root(&self) -> Hash {
        self.root.hash(self.depth)
    }

    /// The root of one page.
    pub(crate) fn leaf(&self, page: u32) -> Hash {
        let mut node = &self.root;
        for level in (0..self.depth).rev() {
            match node {
                Node::Branch(branch) => node = &branch.children[(page >> level & 1) as usize],
                Node::Zero | Node::Leaf(_) => return ZERO_HASH,
            }
        }
        node.hash(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use std::cell::Cell;

    thread_local! {
        /// Pairs hashed by this thread.
        pub(super) static HASHES: Cell<u64> = const { Cell::new(0) };
    }

    /// `merkleize` of the specification, on the whole padded level at once.
    fn reference(leaves: &[Hash]) -> Hash {
        let mut level = leaves.to_vec();
        level.resize(leaves.len().next_power_of_two(), ZERO_HASH);
        while level.len() > 1 {
            level = level.chunks(2).map(|two| pair(&two[0], &two[1])).collect();
        }
        level[0]
    }

    #[test]
    fn random_updates_give_the_root_of_the_whole_list() {
        let mut random = Random::new(3);
        for pages in [1u32, 2, 3, 5, 8, 13, 64, 100] {
            let mut tree = PageTree::new(pages);
            let mut leaves = vec![ZERO_HASH; pages as usize];
            for _ in 0..60 {
                let mut dirty: Vec<u32> = (0..pages).filter(|_| random.below(4) == 0).collect();
                dirty.sort_unstable();
                let update: Vec<(u32, Hash)> = dirty
                    .into_iter()
                    .map(|page| (page, [(random.below(3) * 85) as u8; 32]))
                    .collect();
                for &(page, hash) in &update {
                    leaves[page as usize] = hash;
                }
                tree.update(&update);
                assert_eq!(tree.root(), reference(&leaves), "{pages} pages");
                for (page, hash) in leaves.iter().enumerate() {
                    assert_eq!(tree.leaf(page as u32), *hash);
                }
            }
        }
    }

    #[test]
    fn an_update_hashes_one_node_for_each_level_of_a_dirty_path() {
        let mut tree = PageTree::new(1 << 20);
        zero_of(0);
        HASHES.set(0);
        tree.update(&[(77_777, [1; 32])]);
        assert_eq!(HASHES.get(), 20);
        HASHES.set(0);
        // Neighbours share all of the path but nothing at level 1.
        tree.update(&[(0, [1; 32]), (1, [2; 32]), (1 << 19, [3; 32])]);
        assert_eq!(HASHES.get(), 20 + 19);
    }
}
