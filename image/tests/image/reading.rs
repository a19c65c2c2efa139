//! A plain reading of the admission checks of §3.4, as an oracle: slow, without
//! places, and apart from the code under test.

use rivet_image::{Data, Image, Pinned, Source};

use crate::raw::{Entry, RawData, RawImage, RawOptionalKey, RawPinned, RawRange, RawSource};
use libssz::{SszDecode, SszEncode};

/// Whether the image passes every check; pinned images always resolve.
pub(crate) fn admits(raw: &RawImage) -> bool {
    let arena = raw.arena.len() as u64;
    let all_data: Vec<&RawData> = data(raw).collect();
    let declared = declared_keys(raw);
    let mut all_keys: Vec<&Vec<u8>> = declared.clone();
    all_keys.extend(raw.endpoints.iter().map(|entry| &entry.key));
    all_keys.extend(raw.memory_mappings.iter().flat_map(|m| steps(&m.source)));

    let check_1 = ascends(&raw.endpoints)
        && ascends(&raw.pinned_slots)
        && ascends(&raw.initial_slots)
        && raw.endpoints.len() <= 65_536
        && raw.pinned_slots.len() <= 65_536
        && raw.initial_slots.len() <= 65_536
        && raw.memory_mappings.len() <= 1024
        && raw.gas_slots.len() <= 64
        && raw.quota_slots.len() <= 64
        && all_keys.iter().all(|key| key.len() <= 64);
    let check_2 = raw.code.len <= 252 << 20 && inside(&raw.code, arena);
    let check_3 = all_data.iter().all(|data| is_data(data, arena));
    let check_4 = raw.memory_mappings.iter().enumerate().all(|(at, one)| {
        let (start, end) = (
            u128::from(one.start),
            u128::from(one.start) + u128::from(one.size),
        );
        let apart = |other: &crate::raw::RawMapping| {
            let other_end = u128::from(other.start) + u128::from(other.size);
            end <= u128::from(other.start) || other_end <= start
        };
        one.start.is_multiple_of(4096)
            && one.size.is_multiple_of(4096)
            && one.size > 0
            && start >= 0x1000_0000
            && end <= 1 << 32
            && raw.memory_mappings[..at].iter().all(apart)
    });
    let check_5 = raw.memory_mappings.iter().all(|one| match &one.source {
        RawSource::Persistent(path) => (1..=8).contains(&path.len()),
        RawSource::Ephemeral => true,
    });
    let check_6 = raw.endpoints.iter().all(|entry| {
        let def = &entry.value;
        let regs: Vec<u8> = def.initial_regs.iter().map(|r| r.reg).collect();
        def.entry_pc < u64::from(raw.code.len)
            && def.arg_registers <= 4
            && regs.is_sorted_by(|a, b| a < b)
            && regs.iter().all(|&reg| reg < 15)
    });
    let check_7 = declared.iter().all(|key| key.as_slice() != [0])
        && raw
            .initial_slots
            .iter()
            .all(|entry| raw.pinned_slots.iter().all(|other| other.key != entry.key));
    check_1 && check_2 && check_3 && check_4 && check_5 && check_6 && check_7
}

/// Whether `image` is what `raw` says, field by field.
pub(crate) fn is_same(raw: &RawImage, image: &Image) -> bool {
    let code = range(raw, raw.code.arena_off, raw.code.len);
    let endpoints = raw.endpoints.iter().map(|entry| {
        let def = &entry.value;
        let regs = def.initial_regs.iter().map(|r| (r.reg, r.value));
        let head = (def.entry_pc, def.arg_registers, def.arg_cnode_size);
        (entry.key.clone(), head, regs.collect::<Vec<_>>())
    });
    let read_endpoints = image.endpoints().iter().map(|(key, def)| {
        let regs = def.initial_regs.iter();
        let regs = regs.map(|r| (r.reg.index() as u8, r.value));
        let head = (def.entry_pc.value(), def.arg_registers, def.arg_cnode_size);
        (key.as_bytes().to_vec(), head, regs.collect::<Vec<_>>())
    });
    let mappings = raw.memory_mappings.iter().map(|m| {
        let path: Vec<Vec<u8>> = steps(&m.source).cloned().collect();
        (m.start, m.size, path)
    });
    let read_mappings = image.mappings().iter().map(|m| {
        let path = match &m.source {
            Source::Persistent(path) => {
                path.steps().iter().map(|k| k.as_bytes().to_vec()).collect()
            }
            Source::Ephemeral => vec![],
        };
        (m.start, m.size, path)
    });
    let pinned = raw.pinned_slots.iter().zip(image.pinned_slots());
    let initial = raw.initial_slots.iter().zip(image.initial_slots());
    let receiver = match &raw.yield_receiver_slot {
        RawOptionalKey::None => None,
        RawOptionalKey::Some(key) => Some(key.as_slice()),
    };
    code == image.code()
        && endpoints.eq(read_endpoints)
        && mappings.eq(read_mappings)
        && raw.pinned_slots.len() == image.pinned_slots().len()
        && pinned.into_iter().all(|(entry, (key, read))| {
            let same = match (&entry.value, read) {
                (RawPinned::Data(data), Pinned::Data(read)) => same_data(raw, data, read),
                (RawPinned::Image(address), Pinned::Image(read)) => address == read.as_bytes(),
                _ => false,
            };
            same && entry.key == key.as_bytes()
        })
        && raw.initial_slots.len() == image.initial_slots().len()
        && initial.into_iter().all(|(entry, (key, read))| {
            entry.key == key.as_bytes() && same_data(raw, &entry.value, read)
        })
        && receiver == image.yield_receiver_slot().map(|key| key.as_bytes())
        && raw
            .gas_slots
            .iter()
            .eq(image.gas_slots().iter().map(|key| key.as_bytes()))
        && raw
            .quota_slots
            .iter()
            .eq(image.quota_slots().iter().map(|key| key.as_bytes()))
}

fn range(raw: &RawImage, offset: u32, len: u32) -> &[u8] {
    &raw.arena[offset as usize..][..len as usize]
}

/// Pages that are named have their bytes, and no other page has any.
fn same_data(raw: &RawImage, data: &RawData, read: &Data) -> bool {
    let named = data.pages.iter().all(|page| {
        let mut bytes = read.page(page.page_index).to_vec();
        bytes.resize(page.len as usize, 0);
        bytes == range(raw, page.arena_off, page.len)
    });
    let no_other = read
        .pages()
        .all(|page| data.pages.iter().any(|p| p.page_index == page.index));
    data.size == read.size() && named && no_other
}

fn data(raw: &RawImage) -> impl Iterator<Item = &RawData> {
    let pinned = raw
        .pinned_slots
        .iter()
        .filter_map(|entry| match &entry.value {
            RawPinned::Data(data) => Some(data),
            RawPinned::Image(_) => None,
        });
    pinned.chain(raw.initial_slots.iter().map(|entry| &entry.value))
}

/// Keys of all slots an image declares.
fn declared_keys(raw: &RawImage) -> Vec<&Vec<u8>> {
    let mut keys: Vec<_> = raw.gas_slots.iter().chain(&raw.quota_slots).collect();
    keys.extend(raw.pinned_slots.iter().map(|entry| &entry.key));
    keys.extend(raw.initial_slots.iter().map(|entry| &entry.key));
    if let RawOptionalKey::Some(key) = &raw.yield_receiver_slot {
        keys.push(key);
    }
    keys
}

fn steps(source: &RawSource) -> impl Iterator<Item = &Vec<u8>> {
    match source {
        RawSource::Persistent(path) => path.as_slice(),
        RawSource::Ephemeral => &[],
    }
    .iter()
}

fn ascends<V: SszEncode + SszDecode>(map: &[Entry<V>]) -> bool {
    map.is_sorted_by(|a, b| a.key < b.key)
}

fn inside(range: &RawRange, arena: u64) -> bool {
    u64::from(range.arena_off) + u64::from(range.len) <= arena
}

fn is_data(data: &RawData, arena: u64) -> bool {
    data.size.is_multiple_of(4096)
        && data.pages.is_sorted_by(|a, b| a.page_index < b.page_index)
        && data.pages.iter().all(|page| {
            let range = RawRange {
                arena_off: page.arena_off,
                len: page.len,
            };
            (1..=4096).contains(&page.len)
                && u64::from(page.page_index) < data.size / 4096
                && inside(&range, arena)
        })
}
