//! The logical form, declared as §3.4 lists it and hashed by `libssz-merkle`
//! over dense content: an oracle for addresses.

use libssz::SszEncode;
use libssz_derive::{HashTreeRoot, SszEncode};
use libssz_merkle::{HashTreeRoot, Node, Sha2Hasher, merkleize, mix_in_selector, pack};
use libssz_types::SszList;
use rivet_image::{Data, EndpointDef, Image, Key, Mapping, Pinned, SlotPath, Source};

const LIMIT: usize = 1 << 32;
type List<T> = SszList<T, LIMIT>;
type Bytes = List<u8>;

#[derive(HashTreeRoot, SszEncode)]
struct Logical {
    code: Bytes,
    endpoints: List<Entry<Endpoint>>,
    memory_mappings: List<Range>,
    pinned_slots: List<Entry<Node>>,
    initial_slots: List<Entry<Node>>,
    yield_receiver_slot: OptionalKey,
    gas_slots: List<Bytes>,
    quota_slots: List<Bytes>,
}

#[derive(HashTreeRoot, SszEncode)]
struct Entry<V: HashTreeRoot + SszEncode> {
    key: Bytes,
    value: V,
}

#[derive(HashTreeRoot, SszEncode)]
struct Endpoint {
    entry_pc: u64,
    arg_registers: u8,
    arg_cnode_size: u8,
    initial_regs: List<Reg>,
}

#[derive(HashTreeRoot, SszEncode)]
struct Reg {
    reg: u8,
    value: u64,
}

#[derive(HashTreeRoot, SszEncode)]
struct Range {
    start: u64,
    size: u64,
    source: Origin,
}

#[derive(HashTreeRoot, SszEncode)]
#[ssz(enum_behaviour = "union")]
enum Origin {
    Persistent(List<Bytes>),
    Ephemeral,
}

#[derive(HashTreeRoot, SszEncode)]
#[ssz(enum_behaviour = "union")]
enum OptionalKey {
    None,
    Some(Bytes),
}

#[derive(HashTreeRoot, SszEncode)]
struct DataRoot {
    byte_size: u64,
    pages_root: Node,
}

/// `hash(Cap::Data)`, from the whole content.
pub(crate) fn data_address(data: &Data) -> Node {
    let mut content = vec![0; usize::try_from(data.size()).unwrap()];
    for page in data.pages() {
        let start = page.index as usize * 4096;
        content[start..start + page.bytes.len()].copy_from_slice(page.bytes);
    }
    let page_roots: Vec<Node> = content
        .chunks(4096)
        .map(|page| {
            if page.iter().all(|&byte| byte == 0) {
                return [0; 32];
            }
            merkleize(&Sha2Hasher, &pack(page), Some(128))
        })
        .collect();
    let root = DataRoot {
        byte_size: data.size(),
        pages_root: merkleize(&Sha2Hasher, &page_roots, Some(page_roots.len())),
    };
    mix_in_selector(&Sha2Hasher, &root.hash_tree_root(&Sha2Hasher), 2)
}

/// `hash(Cap::Image)`.
pub(crate) fn image_address(image: &Image) -> Node {
    let logical = Logical {
        code: list(image.code().to_vec()),
        endpoints: entries(image.endpoints(), endpoint),
        memory_mappings: list(image.mappings().iter().map(range).collect()),
        pinned_slots: entries(image.pinned_slots(), |pinned| match pinned {
            Pinned::Data(data) => data_address(data),
            Pinned::Image(address) => *address.as_bytes(),
        }),
        initial_slots: entries(image.initial_slots(), data_address),
        yield_receiver_slot: match image.yield_receiver_slot() {
            None => OptionalKey::None,
            Some(key) => OptionalKey::Some(bytes(key)),
        },
        gas_slots: list(image.gas_slots().iter().map(bytes).collect()),
        quota_slots: list(image.quota_slots().iter().map(bytes).collect()),
    };
    mix_in_selector(&Sha2Hasher, &logical.hash_tree_root(&Sha2Hasher), 1)
}

fn list<T>(items: Vec<T>) -> List<T> {
    List::try_from(items).ok().unwrap()
}

fn bytes(key: &Key) -> Bytes {
    list(key.as_bytes().to_vec())
}

fn entries<V, W: HashTreeRoot + SszEncode>(
    map: &[(Key, V)],
    value: impl Fn(&V) -> W,
) -> List<Entry<W>> {
    let entry = |(key, v): &(Key, V)| Entry {
        key: bytes(key),
        value: value(v),
    };
    list(map.iter().map(entry).collect())
}

fn endpoint(def: &EndpointDef) -> Endpoint {
    let reg = |r: &rivet_image::InitialReg| Reg {
        reg: r.reg.index() as u8,
        value: r.value,
    };
    Endpoint {
        entry_pc: def.entry_pc.value(),
        arg_registers: def.arg_registers,
        arg_cnode_size: def.arg_cnode_size,
        initial_regs: list(def.initial_regs.iter().map(reg).collect()),
    }
}

fn range(mapping: &Mapping) -> Range {
    Range {
        start: mapping.start,
        size: mapping.size,
        source: match &mapping.source {
            Source::Persistent(path) => Origin::Persistent(steps(path)),
            Source::Ephemeral => Origin::Ephemeral,
        },
    }
}

fn steps(path: &SlotPath) -> List<Bytes> {
    list(path.steps().iter().map(bytes).collect())
}
