//! The price of a block against gas §5 to §8 written down as they stand there.

use rivet_isa::arbitrary::Random;
use rivet_isa::gas::{BlockCost, FrameCosts, InstCost, Pipeline, instruction_cost};
use rivet_isa::{Format, Inst, Op, Reg};

/// The columns of the cost table of gas §6. `cycles` of `None` is the latency of memory.
struct Row {
    cycles: Option<u64>,
    slots: u64,
    /// The slots where the overlap condition holds.
    overlapping: u64,
    overlap: &'static str,
}

fn row(op: Op) -> Row {
    let (cycles, slots, overlapping, overlap) = match op.mnemonic() {
        "reserved" | "trap" | "fallthrough" => (Some(2), 1, 1, "-"),
        "jalr" => (Some(22), 1, 1, "-"),
        "jal" => (Some(15), 1, 1, "-"),
        "beq" | "bne" | "blt" | "bge" | "bltu" | "bgeu" => (Some(20), 1, 1, "-"),
        "fence" | "fence.i" => (Some(1), 1, 1, "-"),
        "lb" | "lh" | "lw" | "ld" | "lbu" | "lhu" | "lwu" => (None, 1, 1, "-"),
        "sb" | "sh" | "sw" | "sd" => (None, 1, 1, "-"),
        "lui" | "auipc" => (Some(1), 2, 2, "-"),
        "addi" | "andi" | "ori" | "xori" | "slti" | "sltiu" | "slli" | "srli" | "srai" | "rori"
        | "slli.uw" | "bclri" | "bseti" | "binvi" | "bexti" => (Some(1), 2, 1, "rs1"),
        "addiw" | "slliw" | "srliw" | "sraiw" | "roriw" => (Some(2), 3, 2, "rs1"),
        "add" | "sub" | "and" | "or" | "xor" | "sh1add" | "sh2add" | "sh3add" | "sh1add.uw"
        | "sh2add.uw" | "sh3add.uw" | "add.uw" | "bclr" | "bset" | "binv" | "bext" => {
            (Some(1), 2, 1, "any")
        }
        "sll" | "srl" | "sra" | "rol" | "ror" => (Some(1), 3, 2, "rs1"),
        "slt" | "sltu" => (Some(3), 3, 3, "-"),
        "addw" | "subw" => (Some(2), 3, 2, "any"),
        "sllw" | "srlw" | "sraw" | "rolw" | "rorw" => (Some(2), 4, 3, "rs1"),
        "mul" => (Some(3), 2, 1, "any"),
        "mulw" => (Some(4), 3, 2, "any"),
        "mulh" | "mulhu" => (Some(4), 4, 4, "-"),
        "mulhsu" => (Some(6), 4, 4, "-"),
        "div" | "divu" | "rem" | "remu" | "divw" | "divuw" | "remw" | "remuw" => {
            (Some(60), 4, 4, "-")
        }
        "clz" | "clzw" | "cpop" | "cpopw" | "sext.b" | "sext.h" | "zext.h" | "rev8" | "orc.b" => {
            (Some(1), 1, 1, "-")
        }
        "ctz" | "ctzw" => (Some(2), 1, 1, "-"),
        "min" | "minu" | "max" | "maxu" => (Some(3), 3, 2, "any"),
        "andn" | "orn" => (Some(2), 3, 3, "-"),
        "xnor" => (Some(2), 3, 2, "any"),
        "czero.eqz" | "czero.nez" => (Some(2), 2, 2, "-"),
        other => panic!("gas §6 has no row for {other}"),
    };
    Row {
        cycles,
        slots,
        overlapping,
        overlap,
    }
}

/// Slots, effective latency, sources and tracked destination of one instruction (gas §6, §7).
fn plain(inst: Inst, mem_cycles: u64) -> (u64, u64, Vec<Reg>, Option<Reg>) {
    let (row, format) = (row(inst.op()), inst.op().format());
    let tracks = format.has_rd() && inst.op() != Op::Jalr;
    let destination = Some(inst.rd()).filter(|rd| tracks && !rd.is_zero());
    let mut sources = Vec::new();
    if format.has_rs1() {
        sources.push(inst.rs1());
    }
    if format.has_rs2() {
        sources.push(inst.rs2());
    }
    let writes = format.has_rd() && !inst.rd().is_zero();
    let overlaps = match row.overlap {
        "rs1" => writes && inst.rd() == inst.rs1(),
        "any" => writes && sources.contains(&inst.rd()),
        _ => false,
    };
    let slots = if overlaps { row.overlapping } else { row.slots };
    let positions = sources.iter().chain(&destination);
    let spilled = positions
        .filter(|reg| [3, 4].contains(&reg.number()))
        .count() as u64;
    let cycles = row.cycles.unwrap_or(mem_cycles) + spilled * mem_cycles;
    sources.retain(|reg| !reg.is_zero());
    (slots, cycles.min(255), sources, destination)
}

/// `block_cost` of gas §5 and `reserve` of §8.
fn plain_block(block: &[Inst], mem_cycles: u64, cow_max: u64) -> BlockCost {
    let mut ready = [0u64; 16];
    let (mut now, mut used, mut last) = (0, 0, 0);
    for inst in block {
        let (slots, cycles, sources, destination) = plain(*inst, mem_cycles);
        if used >= 4 {
            now += 1;
            used = slots;
        } else {
            used += slots;
        }
        let mut begin = now;
        for source in sources {
            begin = begin.max(ready[usize::from(source.number())]);
        }
        let finish = begin + cycles;
        if let Some(destination) = destination {
            ready[usize::from(destination.number())] = finish;
        }
        last = last.max(finish);
    }
    let stores = block
        .iter()
        .filter(|inst| inst.op().format() == Format::S)
        .count() as u64;
    BlockCost {
        cost: last.max(4) - 3,
        reserve: stores * 2 * cow_max,
    }
}

fn random_inst(random: &mut Random) -> Inst {
    loop {
        let op = match random.below(Op::ALL.len() as u64 + 1) as usize {
            n if n == Op::ALL.len() => Op::Reserved,
            n => Op::ALL[n],
        };
        let mut reg = || Reg::new(random.below(16) as u8).expect("below 16");
        let inst = Inst::from_parts(op, reg(), reg(), reg(), 0);
        if !inst.flow().is_call() {
            return inst;
        }
    }
}

#[test]
fn random_blocks_cost_and_reserve_what_the_definition_says_at_every_tier() {
    let mut random = Random::new(0x5EED_0002);
    for n in 0..40_000u64 {
        let mem_cycles = [25, 50, 75, 100][(n % 4) as usize];
        let cow_max = [256, 512, 256 << 20][(n % 3) as usize];
        let len = 1 + random.below(40);
        let block: Vec<_> = (0..len).map(|_| random_inst(&mut random)).collect();
        let mut pipeline = Pipeline::new(FrameCosts::new(mem_cycles, cow_max));
        block.iter().for_each(|inst| pipeline.push(*inst));
        let expected = plain_block(&block, u64::from(mem_cycles), cow_max);
        assert_eq!(pipeline.finish(), expected, "{block:?} at {mem_cycles}");
    }
}

#[test]
fn every_operation_on_every_register_triple_costs_what_the_table_says() {
    for op in Op::ALL.iter().filter(|op| !op.flow().is_call()) {
        for (rd, rs1, rs2) in (0..16 * 16 * 16u16).map(|n| (n & 15, n >> 4 & 15, n >> 8)) {
            let reg = |n: u16| Reg::new(n as u8).expect("below 16");
            let inst = Inst::from_parts(*op, reg(rd), reg(rs1), reg(rs2), 0);
            for mem_cycles in [25, 100] {
                let (slots, cycles, sources, destination) = plain(inst, u64::from(mem_cycles));
                let bits = |regs: &mut dyn Iterator<Item = Reg>| {
                    regs.filter_map(Reg::slot)
                        .fold(0, |set, slot| set | 1 << slot.index())
                };
                let expected = InstCost {
                    slots: slots as u8,
                    cycles: cycles as u8,
                    sources: bits(&mut sources.into_iter()),
                    destination: bits(&mut destination.into_iter()),
                };
                assert_eq!(instruction_cost(inst, mem_cycles), expected, "{inst:?}");
            }
        }
    }
}
