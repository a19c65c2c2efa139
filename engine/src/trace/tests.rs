//! Recordings read back, and bytes that are none.

use super::{Extent, Header, Kind, Problem, Record, Recording, Writer, digest};
use rivet_interp::State;
use rivet_isa::arbitrary::Random;
use rivet_isa::{Exit, Gas, PageIndex, Payment, Pc, Regs, SLOTS};

fn state(random: &mut Random) -> State {
    let mut slots = [0; SLOTS];
    for slot in &mut slots {
        *slot = random.value();
    }
    State {
        regs: Regs::new(slots),
        pc: Pc::new(random.value()),
        gas: Gas::new(random.value() >> 1).expect("below 2^63"),
    }
}

fn pages(random: &mut Random) -> Vec<PageIndex> {
    let count = random.below(4);
    let page = |_| PageIndex::new(random.below(1 << 20) as u32).expect("below 2^20");
    (0..count).map(page).collect()
}

fn sample(seed: u64) -> (Header, Vec<Record>, Vec<u8>) {
    let mut random = Random::new(seed);
    let header = Header {
        kind: random.pick(&[Kind::Blocks, Kind::Instructions]),
        extent: random.pick(&[Extent::Whole, Extent::Filtered]),
        code_len: random.value(),
        code_check: random.bits(),
        start: state(&mut random),
    };
    let exits = [
        Exit::Halt,
        Exit::OutOfGas,
        Exit::PageFault {
            page: PageIndex::new(0xF_FFFF).expect("the last page"),
        },
        Exit::HostCall {
            selector: u32::MAX,
            payment: Payment::Paid,
        },
        Exit::Ecall {
            payment: Payment::Unpaid,
        },
        Exit::Trap,
    ];
    let records: Vec<Record> = (0..20)
        .map(|_| match random.below(4) {
            0 => Record::Step(state(&mut random), pages(&mut random)),
            1 => Record::Instruction(state(&mut random)),
            2 => Record::Exit(random.pick(&exits), state(&mut random), pages(&mut random)),
            _ => Record::Pages(
                pages(&mut random)
                    .into_iter()
                    .map(|p| (p, random.bits()))
                    .collect(),
            ),
        })
        .collect();
    let mut writer = Writer::new(Vec::new(), &header).expect("memory takes it");
    for record in &records {
        writer.record(record).expect("memory takes it");
    }
    let bytes = writer.finish().expect("memory takes it");
    (header, records, bytes)
}

#[test]
fn what_was_written_is_read_back() {
    for seed in 0..200 {
        let (header, records, bytes) = sample(seed);
        let recording = Recording::decode(&bytes).expect("it was written so");
        assert_eq!((recording.header, recording.records), (header, records));
        assert_eq!(recording.broken, None);
    }
}

#[test]
fn a_recording_cut_at_any_byte_is_good_up_to_the_last_whole_record() {
    let (header, records, bytes) = sample(7);
    let mut whole = 0;
    for len in 0..bytes.len() {
        match Recording::decode(&bytes[..len]) {
            Ok(recording) => {
                assert_eq!(recording.header, header);
                let count = recording.records.len();
                assert_eq!(recording.records, records[..count]);
                assert!(count >= whole && count < records.len());
                whole = count;
            }
            Err(error) => {
                assert_eq!((error.problem, whole), (Problem::Ends, 0), "in the header");
            }
        }
    }
    assert_eq!(whole, records.len() - 1);
}

#[test]
fn damaged_recordings_are_read_or_refused_with_offset_and_field() {
    let (_, _, bytes) = sample(3);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Err(error) = Recording::decode(&damaged) {
                assert!(error.offset <= damaged.len() && !error.field.is_empty());
            }
        }
    }
    let error = Recording::decode(b"not a recording").expect_err("it is none");
    assert_eq!(error.to_string().split(':').next(), Some("offset 0, magic"));
    let mut later = bytes.clone();
    later[8] = 9;
    let error = Recording::decode(&later).expect_err("of another version");
    assert_eq!((error.offset, error.problem), (8, Problem::Version(9)));
}

#[test]
fn digests_differ_where_bytes_differ() {
    let page = [0u8; 4096];
    let mut other = page;
    other[4095] = 1;
    assert_ne!(digest(&page), digest(&other));
    assert_eq!(
        digest(&[1, 2, 3]),
        digest(&[1, 2, 3, 0]),
        "padded with zeros"
    );
}
