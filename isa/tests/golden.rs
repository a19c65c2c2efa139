//! The golden vectors of the specifications that need no execution.
//! The files in `golden/` are transcriptions; every expected value is the document's own.

use rivet_isa::gas::{
    CostModel, FrameCosts, Multiplier, Pipeline, block_cost, depth, instruction_cost, ro_units,
};
use rivet_isa::{
    BlockStarts, CODE_BASE, Format, Inst, Op, Pc, Reg, decode, decode_halfword, decode_word,
};

/// Rows of a tab-separated file, without comments.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// An instruction in the notation of ISA §17.1: registers by number, offsets with a sign.
fn render(inst: Inst) -> String {
    let x = |reg: Reg| format!("x{}", reg.number());
    let (rd, rs1, rs2) = (x(inst.rd()), x(inst.rs1()), x(inst.rs2()));
    let (name, imm) = (inst.op().mnemonic(), inst.imm());
    match inst.op().format() {
        Format::R => format!("{name} {rd}, {rs1}, {rs2}"),
        Format::I if inst.op().is_load() || inst.op() == Op::Jalr => {
            format!("{name} {rd}, {imm}({rs1})")
        }
        Format::I | Format::I6 | Format::I5 => format!("{name} {rd}, {rs1}, {imm}"),
        Format::I1 => format!("{name} {rd}, {rs1}"),
        Format::S => format!("{name} {rs2}, {imm}({rs1})"),
        Format::B => format!("{name} {rs1}, {rs2}, {imm:+}"),
        Format::U => format!("{name} {rd}, {:#x}", imm as u32 >> 12),
        Format::J => format!("{name} {rd}, {imm:+}"),
        Format::Sel => format!("{name} {imm}, delivered as 0x{imm:08X}"),
        Format::N => name.to_string(),
    }
}

#[test]
fn every_decode_vector_of_isa_17_1_decodes_as_written() {
    let mut seen = 0;
    for row in rows(include_str!("golden/decode.tsv")) {
        let [encoding, meaning] = row[..] else {
            panic!("{row:?}")
        };
        let inst = match encoding.len() {
            10 => decode_word(hex(encoding)),
            6 => decode_halfword(hex(encoding) as u16),
            _ => panic!("{encoding}"),
        };
        let expected = meaning.split(" — ").next().unwrap();
        if expected.starts_with("reserved") || expected.starts_with("fatal") {
            assert_eq!(inst, Inst::RESERVED, "{encoding} {meaning}");
        } else {
            assert_eq!(render(inst), expected, "{encoding}");
        }
        seen += 1;
    }
    assert_eq!(seen, 132);
}

#[test]
fn every_partition_vector_of_isa_17_2_has_its_starts_and_end() {
    let mut seen = 0;
    for row in rows(include_str!("golden/partition.tsv")) {
        let [id, code, names, starts, end] = row[..] else {
            panic!("{row:?}")
        };
        let code: Vec<u8> = match code {
            "-" => vec![],
            hex => (0..hex.len() / 2)
                .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                .collect(),
        };
        let walk = BlockStarts::scan(&code);
        let numbers = starts.split(", ").filter(|text| !text.is_empty());
        let expected: Vec<Pc> = numbers.map(|text| Pc::new(text.parse().unwrap())).collect();
        assert_eq!(walk.iter().collect::<Vec<_>>(), expected, "{id}");
        assert_eq!(walk.end().value(), end.parse::<u64>().unwrap(), "{id}");
        assert_eq!(walk.count(), expected.len(), "{id}");
        for at in 0..code.len() as u64 + 4 {
            assert_eq!(
                walk.contains(Pc::new(at)),
                expected.contains(&Pc::new(at)),
                "{id} {at}"
            );
        }
        if names != "none" {
            for entry in names.split("; ") {
                let (at, name) = entry.split_once(": ").unwrap();
                let found = decode(&code, at.parse().unwrap()).unwrap();
                assert_eq!(found.inst.op().mnemonic(), name, "{id} at {at}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 18);
}

fn bytes(words: &str) -> Vec<u8> {
    let mut code = Vec::new();
    for word in words.split(' ') {
        match word.len() {
            10 => code.extend_from_slice(&hex(word).to_le_bytes()),
            6 => code.extend_from_slice(&(hex(word) as u16).to_le_bytes()),
            _ => panic!("{word}"),
        }
    }
    code
}

#[test]
fn every_block_of_gas_17_has_its_cost_and_reserve() {
    let mut seen = 0;
    for row in rows(include_str!("golden/block-costs.tsv")) {
        let [id, words, mem_cycles, cost, reserve] = row[..] else {
            panic!("{row:?}")
        };
        let code = bytes(words);
        let blocks: Vec<_> = BlockStarts::scan(&code).blocks().collect();
        assert_eq!(blocks.len(), 1, "{id} is one block");
        let frame = FrameCosts::new(mem_cycles.parse().unwrap(), 256);
        let found = block_cost(&code, blocks[0], frame);
        assert_eq!(found.cost, cost.parse::<u64>().unwrap(), "{id} cost");
        assert_eq!(
            found.reserve,
            reserve.parse::<u64>().unwrap(),
            "{id} reserve"
        );
        assert_eq!(found.gate(), found.cost + found.reserve, "{id} gate");
        seen += 1;
    }
    assert_eq!(seen, 40);
}

#[test]
fn every_trace_of_gas_17_1_has_its_slots_cycles_and_finish_times() {
    let blocks: Vec<Vec<&str>> = rows(include_str!("golden/block-costs.tsv")).collect();
    let mut seen = 0;
    let traces: Vec<Vec<&str>> = rows(include_str!("golden/traces.tsv")).collect();
    for trace in traces.chunk_by(|a, b| a[0] == b[0]) {
        let block = blocks.iter().find(|block| block[0] == trace[0][0]).unwrap();
        let code = bytes(block[1]);
        let mut pipeline = Pipeline::new(FrameCosts::new(25, 256));
        let (mut at, mut last) = (0, 0);
        for row in trace {
            let [id, text, slots, cycles, _, begin, finish] = row[..] else {
                panic!("{row:?}")
            };
            let number = |text: &str| text.parse::<u64>().unwrap();
            let found = decode(&code, at).unwrap();
            let cost = instruction_cost(found.inst, 25);
            assert_eq!(u64::from(cost.slots), number(slots), "{id} {text}");
            assert_eq!(u64::from(cost.cycles), number(cycles), "{id} {text}");
            assert_eq!(
                number(begin) + number(cycles),
                number(finish),
                "{id} {text}"
            );
            // The cost of the block cut here shows the latest finish so far.
            pipeline.push(found.inst);
            last = number(finish).max(last);
            assert_eq!(pipeline.finish().cost, last.max(4) - 3, "{id} {text}");
            at += found.len.bytes() as usize;
            seen += 1;
        }
        assert_eq!(at, code.len(), "{} is traced to its end", block[0]);
    }
    assert_eq!(seen, 42);
}

#[test]
fn the_programs_of_gas_17_2_are_cut_and_priced_as_written() {
    let frame = FrameCosts::new(25, 256);
    let costs = |words: &str| -> Vec<(u64, u64, u64)> {
        let code = bytes(words);
        let starts = BlockStarts::scan(&code);
        let price = |block| block_cost(&code, block, frame);
        starts
            .blocks()
            .map(|b| (b.start.value(), price(b).cost, price(b).reserve))
            .collect()
    };
    let first = "0x00100513 0x00700713 0x0000100B 0x00150513 0x0050200B 0xFFF0200B 0x0000000B";
    let expected = [
        (0, 1, 0),
        (8, 0, 0),
        (12, 1, 0),
        (16, 0, 0),
        (20, 0, 0),
        (24, 1, 0),
    ];
    assert_eq!(costs(first), expected);
    assert_eq!(
        costs("0x00150513 0x0000 0x00158593 0x0000000B"),
        [(0, 1, 0), (6, 1, 0)]
    );
}

#[test]
fn tiers_follow_gas_18_3() {
    let model = CostModel::default();
    let expected = [
        (0, 25),
        (1, 25),
        (2048, 25),
        (2049, 50),
        (8192, 50),
        (8193, 75),
        (65536, 75),
        (65537, 100),
        (983_040, 100),
    ];
    for (pages, cycles) in expected {
        assert_eq!(model.mem_cycles(pages), cycles, "{pages} pages");
    }
}

#[test]
fn frame_costs_and_read_only_units_follow_gas_18_4() {
    let model = CostModel::default();
    let expected = [
        (0, 0, 1024),
        (1, 1, 1600),
        (4096, 1, 1600),
        (4097, 1, 2112),
        (10000, 3, 2752),
        (264_241_152, 126, 33_039_232),
    ];
    for (code_len, units, cost) in expected {
        assert_eq!(model.call_frame_cost(code_len, units), cost);
    }
    assert_eq!(ro_units(0x1000_0000, 0x1020_0000), 1);
    assert_eq!(ro_units(0x1000_1000, 0x1020_1000), 2);
    assert_eq!(ro_units(0x101F_F000, 0x1020_1000), 2);
    assert_eq!(
        ro_units(0x1000_0000, 0x1000_1000) + ro_units(0x1000_1000, 0x1000_2000),
        2
    );
    assert_eq!(ro_units(0x1000_0000, 0x1060_1000), 4);
    for (len, units) in [
        (0, 0),
        (1, 1),
        (2 << 20, 1),
        ((2 << 20) + 1, 2),
        (264_241_152, 126),
    ] {
        assert_eq!(
            ro_units(CODE_BASE, CODE_BASE + len),
            units,
            "{len} bytes of code"
        );
    }
}

#[test]
fn depth_and_page_prices_follow_gas_10_and_18_6() {
    let expected = [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 2),
        (512, 9),
        (513, 10),
        (2048, 11),
    ];
    for (pages, expected) in expected.into_iter().chain([(65536, 16), (1 << 20, 20)]) {
        assert_eq!(depth(pages), expected, "{pages} pages");
    }
    let model = CostModel::default();
    assert_eq!(model.cow_cost(0), 256);
    assert_eq!(model.cow_cost(20), 256);
    assert_eq!(model.frame(0, []).cow_max(), 256);

    let steps = std::array::from_fn(|d| 1 + d as u32 / 8);
    let stepped = CostModel::with_multiplier(Multiplier::new(steps).unwrap());
    assert_eq!((stepped.cow_cost(4), stepped.cow_cost(12)), (256, 512));
    let frame = stepped.frame(4112, [16, 4096]);
    assert_eq!((frame.cow_max(), frame.block_reserve(1)), (512, 1024));
    assert_ne!(stepped.to_bytes(), model.to_bytes());
}

#[test]
fn multipliers_out_of_range_or_decreasing_are_refused() {
    let mut factors = [1; 21];
    factors[3] = 0;
    assert!(Multiplier::new(factors).is_err());
    factors[3] = 5;
    assert!(Multiplier::new(factors).is_err(), "decreases at depth 4");
    assert!(Multiplier::new([(1 << 20) + 1; 21]).is_err());
    assert!(Multiplier::new([1 << 20; 21]).is_ok());
}

#[test]
fn the_largest_reserve_is_exact() {
    assert_eq!(
        FrameCosts::new(25, 256).block_reserve(132_120_576),
        67_645_734_912
    );
}
