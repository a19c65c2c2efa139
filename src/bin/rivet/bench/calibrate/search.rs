//! A search for the program with the most time for its gas: hill climbing over loop bodies of any
//! instructions, unpredictable branches and walks through memory. It begins with random programs,
//! which are the measure of what it finds, climbs from the slowest classes of instructions, and then
//! from random programs until its time is used up.

use super::classes;
use super::clock::Clock;
use super::probe::{Loop, Probe, Rate, assembled};
use crate::failure::Failure;
use rivet::isa::arbitrary::Random;
use rivet::isa::{Flow, Inst, Op, PAGE_SIZE, Reg, decode, encode};
use std::time::Duration;

/// Longest body, in genes.
const LONGEST: u64 = 24;
/// Tries without a gain before the search begins anew.
const PATIENCE: u32 = 40;
/// Random programs that the search is measured against.
const RANDOM: u32 = 30;
/// Classes of instructions that it climbs from.
const CLASSES: usize = 3;
/// Ends of climbs that are measured once more.
const HIGHEST: usize = 5;

/// Registers that genes write. a0 counts, s0 and s1 point at data, ra and sp steer walks.
const WRITTEN: [Reg; 10] = [
    Reg::A1,
    Reg::A2,
    Reg::A3,
    Reg::A4,
    Reg::A5,
    Reg::T0,
    Reg::T1,
    Reg::T2,
    Reg::GP,
    Reg::TP,
];

/// A piece of a loop's body.
#[derive(Clone, Copy, Debug)]
enum Gene {
    /// Any instruction that goes on to the next.
    Plain(Inst),
    /// A branch to the next instruction but one, whose outcome hangs on two registers.
    Branch(Op, Reg, Reg),
    /// Moves s0 to a place in the data that hangs on a register.
    Walk(Reg),
}

/// How much data a program has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Data {
    Small,
    Large,
}

impl Data {
    fn bytes(self) -> u64 {
        match self {
            Self::Small => 4 * PAGE_SIZE,
            // Beyond what the caches near a core hold.
            Self::Large => 8 << 20,
        }
    }
}

#[derive(Clone, Debug)]
struct Genome {
    data: Data,
    genes: Vec<Gene>,
}

/// The worst program that was found.
pub(crate) struct Worst {
    pub(crate) rate: Rate,
    /// Assembly of the body.
    pub(crate) text: Vec<String>,
    pub(crate) data: u64,
    /// Programs that were measured.
    pub(crate) tried: u32,
    /// The worst rate of a random program, and how many there were.
    pub(crate) random: (f64, u32),
}

fn written(random: &mut Random) -> Reg {
    WRITTEN[random.below(WRITTEN.len() as u64) as usize]
}

fn gene(random: &mut Random) -> Gene {
    match random.below(10) {
        0 => {
            let ops = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
            let op = ops[random.below(6) as usize];
            Gene::Branch(op, written(random), written(random))
        }
        1 => Gene::Walk(written(random)),
        _ => Gene::Plain(plain(random)),
    }
}

/// An instruction whose accesses stay inside the data.
fn plain(random: &mut Random) -> Inst {
    loop {
        let op = Op::ALL[random.below(Op::ALL.len() as u64) as usize];
        if op.flow() != Flow::Next {
            continue;
        }
        let inst = random.inst(op);
        let (rd, rs1, rs2) = (written(random), written(random), written(random));
        if op.is_load() || op.is_store() {
            let imm = inst.imm().clamp(-2000, 2000);
            return Inst::from_parts(op, rd, Reg::S0, rs2, imm);
        }
        return Inst::from_parts(op, rd, rs1, rs2, inst.imm());
    }
}

impl Genome {
    fn new(random: &mut Random) -> Self {
        // Much data takes long to write before each measurement.
        let data = if random.once_in(8) {
            Data::Large
        } else {
            Data::Small
        };
        let count = 1 + random.below(LONGEST);
        Self {
            data,
            genes: (0..count).map(|_| gene(random)).collect(),
        }
    }

    /// A body of nothing but one class of instructions; nothing if it has other things in it than
    /// plain instructions.
    fn of_class(body: &[u8]) -> Option<Self> {
        let (mut genes, mut at) = (Vec::new(), 0);
        while let Some(decoded) = decode(body, at) {
            let memory = decoded.inst.op().is_load() || decoded.inst.op().is_store();
            if decoded.inst.flow() != Flow::Next || memory {
                return None;
            }
            genes.push(Gene::Plain(decoded.inst));
            at += decoded.len.bytes() as usize;
        }
        genes.truncate(LONGEST as usize);
        (!genes.is_empty()).then_some(Self {
            data: Data::Small,
            genes,
        })
    }

    fn mutated(&self, random: &mut Random) -> Self {
        let mut next = self.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(next.genes.len() as u64) as usize;
            match random.below(5) {
                0 if next.genes.len() > 1 => {
                    next.genes.remove(at);
                }
                1 if (next.genes.len() as u64) < LONGEST => next.genes.insert(at, gene(random)),
                2 if (next.genes.len() as u64) < LONGEST => {
                    let copy = next.genes[at];
                    next.genes.push(copy);
                }
                3 if random.once_in(4) => {
                    next.data = if next.data == Data::Small {
                        Data::Large
                    } else {
                        Data::Small
                    };
                }
                _ => next.genes[at] = gene(random),
            }
        }
        next
    }

    /// Assembly of the body, an instruction a line.
    fn text(&self) -> Vec<String> {
        let lines = self.genes.iter().flat_map(|gene| match gene {
            Gene::Plain(inst) => vec![inst.to_string()],
            Gene::Branch(op, left, right) => {
                let branch = Inst::from_parts(*op, Reg::ZERO, *left, *right, 8);
                vec![branch.to_string(), "fallthrough".to_owned()]
            }
            Gene::Walk(by) => vec![
                format!("add ra, ra, {by}"),
                "and s0, ra, sp".to_owned(),
                "add s0, s0, s1".to_owned(),
                "addi s0, s0, 2032".to_owned(),
            ],
        });
        lines.collect()
    }

    fn rate(&self, probe: &Probe, tries: usize) -> Result<Option<Rate>, Failure> {
        let pages = self.data.bytes() / PAGE_SIZE;
        let mask = (self.data.bytes() - 2 * PAGE_SIZE) & !7;
        // Every page is written first: its first write is no part of the loop.
        let before = assembled(&format!(
            "li a4, {pages}\nmv a5, s1\nlui t0, 1\nfallthrough\n\
             sd zero, 0(a5)\nadd a5, a5, t0\naddi a4, a4, -1\nbnez a4, -12\nli sp, {mask}"
        ))?;
        let mut body = Vec::new();
        for gene in &self.genes {
            body.extend(gene.bytes()?);
        }
        let code = Loop {
            before: &before,
            body: &body,
            data: self.data.bytes(),
        };
        probe.rate(&code, tries)
    }
}

impl Gene {
    fn bytes(self) -> Result<Vec<u8>, Failure> {
        let word = |inst: Inst| {
            let word = encode(inst).map_err(|error| Failure::message(error.to_string()))?;
            Ok::<_, Failure>(word.to_le_bytes().to_vec())
        };
        match self {
            Self::Plain(inst) => word(inst),
            Self::Branch(op, left, right) => {
                let mut bytes = word(Inst::from_parts(op, Reg::ZERO, left, right, 8))?;
                bytes.extend(assembled("fallthrough")?);
                Ok(bytes)
            }
            Self::Walk(by) => assembled(&format!(
                "add ra, ra, {by}\nand s0, ra, sp\nadd s0, s0, s1\naddi s0, s0, 2032"
            )),
        }
    }
}

/// A search under way.
struct Search<'a, P> {
    probe: &'a Probe,
    random: Random,
    clock: Clock,
    limit: Duration,
    tried: u32,
    /// Where climbs ended, with their heights.
    peaks: Vec<(f64, Genome)>,
    progress: P,
}

/// Searches for so much time of this thread. The same seed begins with the same programs, but times
/// decide how it goes on.
pub(crate) fn search(
    probe: &Probe,
    limit: Duration,
    seed: u64,
    progress: impl FnMut(f64),
) -> Result<Option<Worst>, Failure> {
    let mut search = Search {
        probe,
        random: Random::new(seed),
        clock: Clock::now(),
        limit,
        tried: 0,
        peaks: Vec::new(),
        progress,
    };
    let mut starts = Vec::new();
    for _ in 0..RANDOM {
        let genome = Genome::new(&mut search.random);
        search.tried += 1;
        let rate = genome.rate(probe, 2)?;
        starts.extend(rate.map(|rate| (rate.per_gas(), genome)));
    }
    let rates = starts.iter().map(|(height, _)| *height);
    let random = (rates.fold(0.0, f64::max), search.tried);
    for body in classes::bodies()? {
        let Some(genome) = Genome::of_class(&body) else {
            continue;
        };
        search.tried += 1;
        let rate = genome.rate(probe, 2)?;
        starts.extend(rate.map(|rate| (rate.per_gas(), genome)));
    }
    starts.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (height, genome) in starts.into_iter().take(CLASSES) {
        search.climb(height, genome)?;
    }
    while !search.over() {
        let genome = Genome::new(&mut search.random);
        search.climb(0.0, genome)?;
    }
    let Search {
        mut peaks, tried, ..
    } = search;
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    // A height may owe something to a disturbance, so the highest few are measured with more care.
    let mut worst: Option<Worst> = None;
    for (_, genome) in peaks.into_iter().take(HIGHEST) {
        let Some(rate) = genome.rate(probe, 7)? else {
            continue;
        };
        let higher = |worst: &Worst| worst.rate.per_gas() >= rate.per_gas();
        if !worst.as_ref().is_some_and(higher) {
            worst = Some(Worst {
                rate,
                text: genome.text(),
                data: genome.data.bytes(),
                tried,
                random,
            });
        }
    }
    Ok(worst)
}

impl<P: FnMut(f64)> Search<'_, P> {
    fn over(&self) -> bool {
        self.clock.elapsed() >= self.limit
    }

    /// Climbs from a program of this height until nothing gains any more.
    fn climb(&mut self, height: f64, from: Genome) -> Result<(), Failure> {
        let (mut height, mut here, mut stuck) = (height, from, 0);
        while stuck < PATIENCE && !self.over() {
            (self.progress)(self.clock.elapsed().as_secs_f64() / self.limit.as_secs_f64());
            let next = if height == 0.0 {
                here.clone()
            } else {
                here.mutated(&mut self.random)
            };
            self.tried += 1;
            stuck += 1;
            let Some(rate) = next.rate(self.probe, 1)? else {
                continue;
            };
            // A gain must show twice: one measurement may be noise.
            if rate.per_gas() > height * 1.02
                && let Some(rate) = next.rate(self.probe, 3)?
                && rate.per_gas() > height * 1.02
            {
                (here, height, stuck) = (next, rate.per_gas(), 0);
            }
        }
        self.peaks.push((height, here));
        Ok(())
    }
}
