//! Addresses of capabilities and roots of the values inside them
//! (kernel ABI §3.1, §3.2 and §3.4).

use crate::image::Parts;
use crate::{
    Data, Digest, EndpointDef, InitialReg, Key, Mapping, Pinned, SlotPath, Source, merkle,
};

/// The kinds of capability, numbered as in the SSZ union that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CapKind {
    /// An instance.
    Instance = 0,
    /// An image.
    Image = 1,
    /// A Data.
    Data = 2,
    /// A CNode.
    CNode = 3,
}

/// The address of a capability: `H(root ‖ le256(selector))`.
#[must_use]
pub fn cap_address(kind: CapKind, root: Digest) -> Digest {
    merkle::union(kind as u8, root)
}

impl Data {
    /// The capability address `hash(Cap::Data)`.
    #[must_use]
    pub fn address(&self) -> Digest {
        cap_address(CapKind::Data, self.root())
    }
}

impl Key {
    /// SSZ root of the key as `List[byte, 2^32]`.
    #[must_use]
    pub fn root(&self) -> Digest {
        merkle::byte_list(self.as_bytes())
    }
}

impl SlotPath {
    /// SSZ root of the path as `List[Key, 2^32]`.
    #[must_use]
    pub fn root(&self) -> Digest {
        merkle::list(self.steps(), Key::root)
    }
}

/// The address of an image in its logical form.
pub(crate) fn image(parts: &Parts) -> Digest {
    let root = merkle::container(&[
        merkle::byte_list(&parts.code),
        map(&parts.endpoints, endpoint),
        merkle::list(&parts.mappings, mapping),
        map(&parts.pinned, pinned),
        map(&parts.initial, Data::address),
        optional_key(parts.yield_receiver_slot.as_ref()),
        merkle::list(&parts.gas_slots, Key::root),
        merkle::list(&parts.quota_slots, Key::root),
    ]);
    cap_address(CapKind::Image, root)
}

fn map<V>(entries: &[(Key, V)], value: impl Fn(&V) -> Digest) -> Digest {
    merkle::list(entries, |(key, v)| {
        merkle::container(&[key.root(), value(v)])
    })
}

fn endpoint(def: &EndpointDef) -> Digest {
    merkle::container(&[
        merkle::number(def.entry_pc.value()),
        merkle::number(def.arg_registers.into()),
        merkle::number(def.arg_cnode_size.into()),
        merkle::list(&def.initial_regs, initial_reg),
    ])
}

fn initial_reg(reg: &InitialReg) -> Digest {
    merkle::container(&[
        merkle::number(reg.reg.index() as u64),
        merkle::number(reg.value),
    ])
}

fn mapping(mapping: &Mapping) -> Digest {
    merkle::container(&[
        merkle::number(mapping.start),
        merkle::number(mapping.size),
        source(&mapping.source),
    ])
}

fn source(source: &Source) -> Digest {
    match source {
        Source::Persistent(path) => merkle::union(0, path.root()),
        Source::Ephemeral => merkle::union(1, Digest::ZERO),
    }
}

fn pinned(pinned: &Pinned) -> Digest {
    match pinned {
        Pinned::Data(data) => data.address(),
        Pinned::Image(address) => *address,
    }
}

fn optional_key(key: Option<&Key>) -> Digest {
    match key {
        None => merkle::union(0, Digest::ZERO),
        Some(key) => merkle::union(1, key.root()),
    }
}
