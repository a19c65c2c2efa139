//! Generated images that pass admission.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rivet_image::{
    Data, Digest, EndpointDef, Image, ImageBuilder, Key, Mapping, Pinned, SlotPath, Source,
};
use rivet_isa::{Pc, Slot};

fn key_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(0..12u8, 0..3),
        1 => vec(any::<u8>(), 0..=64),
    ]
    .prop_filter("the scratchpad cannot be declared", |key| *key != [0])
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![vec(0..4u8, 0..3), vec(any::<u8>(), 0..=64)]
        .prop_map(|bytes| Key::new(&bytes).unwrap())
}

fn slot_key() -> impl Strategy<Value = Key> {
    key_bytes().prop_map(|bytes| Key::new(&bytes).unwrap())
}

/// Pages of few bytes from a small alphabet, so that pages repeat and zeros lie
/// at both ends.
fn page() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(0..2u8, 0..5),
        1 => vec(any::<u8>(), 0..200),
        1 => (0..4096usize, 1..=255u8).prop_map(|(at, byte)| {
            let mut page = vec![0; at];
            page.push(byte);
            page
        }),
    ]
}

/// Content of up to nine pages, sometimes sparse.
pub(crate) fn data() -> impl Strategy<Value = Data> {
    (0..9u64, btree_map(0..9u32, page(), 0..6)).prop_map(|(pages, content)| {
        let inside = content.iter().filter(|&(&at, _)| u64::from(at) < pages);
        let inside = inside.map(|(&at, bytes)| (at, bytes.as_slice()));
        Data::from_pages(pages * 4096, inside).unwrap()
    })
}

fn endpoint() -> impl Strategy<Value = (u64, u8, u8, BTreeMap<u8, u64>)> {
    (
        any::<u64>(),
        0..=4u8,
        any::<u8>(),
        btree_map(0..15u8, any::<u64>(), 0..4),
    )
}

/// Gap before and size of a mapping in pages, and its source; ascending.
fn mapping() -> impl Strategy<Value = (u64, u64, Source)> {
    let path = vec(any_key(), 1..=8).prop_map(|steps| SlotPath::new(steps).unwrap());
    let source = prop_oneof![
        Just(Source::Ephemeral),
        slot_key().prop_map(|key| Source::Persistent(key.into())),
        path.prop_map(Source::Persistent),
    ];
    (0..3u64, 1..5u64, source)
}

/// A pinned value: content or an image that [`resolves`] knows.
fn pinned() -> impl Strategy<Value = Pinned> {
    prop_oneof![
        3 => data().prop_map(Pinned::Data),
        1 => any::<[u8; 32]>().prop_map(|bytes| Pinned::Image(Digest::new(bytes))),
    ]
}

/// Whether the generated images may refer to an image: always.
pub(crate) fn resolves(_: Digest) -> bool {
    true
}

/// Images with every field filled now and then.
pub(crate) fn image() -> impl Strategy<Value = Image> {
    let slots = (
        btree_map(key_bytes(), pinned(), 0..4),
        btree_map(key_bytes(), data(), 0..4),
    );
    let handles = (
        option::of(slot_key()),
        vec(slot_key(), 0..4),
        vec(slot_key(), 0..4),
    );
    (
        vec(any::<u8>(), 0..70),
        btree_map(vec(0..4u8, 0..3), endpoint(), 0..4),
        vec(mapping(), 0..5),
        slots,
        handles,
        any::<bool>(),
    )
        .prop_map(|(code, endpoints, mappings, slots, handles, reverse)| {
            let mut builder = ImageBuilder::new(code.clone());
            for (key, (pc, args, cnode, regs)) in endpoints {
                if code.is_empty() {
                    break;
                }
                let mut def = EndpointDef::at(Pc::new(pc % code.len() as u64));
                def.arg_registers = args;
                def.arg_cnode_size = cnode;
                for (reg, value) in regs {
                    def = def.with_reg(Slot::new(reg).unwrap(), value);
                }
                builder = builder.endpoint(Key::new(&key).unwrap(), def);
            }
            for mapping in place(mappings, reverse) {
                builder = builder.mapping(mapping);
            }
            let pinned_keys: BTreeSet<_> = slots.0.keys().cloned().collect();
            for (key, content) in slots.0 {
                builder = builder.pinned(Key::new(&key).unwrap(), content);
            }
            for (key, content) in slots.1 {
                if !pinned_keys.contains(&key) {
                    builder = builder.initial(Key::new(&key).unwrap(), content);
                }
            }
            if let Some(key) = handles.0 {
                builder = builder.yield_receiver_slot(key);
            }
            for key in handles.1 {
                builder = builder.gas_slot(key);
            }
            for key in handles.2 {
                builder = builder.quota_slot(key);
            }
            builder.build().unwrap()
        })
}

fn place(gaps: Vec<(u64, u64, Source)>, reverse: bool) -> Vec<Mapping> {
    let mut next = 0x1000_0000;
    let mut mappings = Vec::new();
    for (gap, pages, source) in gaps {
        let start = next + gap * 4096;
        let size = pages * 4096;
        mappings.push(Mapping {
            start,
            size,
            source,
        });
        next = start + size;
    }
    if reverse {
        mappings.reverse();
    }
    mappings
}
