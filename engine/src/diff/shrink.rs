//! A smaller case with the same kind of difference.
//!
//! ```text
//!  runs: fewer ──▶ gas ──▶ code: fewer, simpler instructions ──▶ registers ──▶ memory ─┐
//!    ▲                                                                                 │
//!    └──────────────────────── until nothing is left to change ────────────────────────┘
//! ```
//!
//! Deterministic: the same case and sides give the same result, whatever the clock says, unless
//! the time limit ends the work early.

use super::compare::{Field, Plan};
use super::parting::parting;
use super::sketch::Sketch;
use super::subject::Subject;
use rivet_isa::generate::{AMPLE_GAS, Access, Case, Run};
use rivet_isa::{Flow, Op, PAGE_SIZE, SLOTS, encode};
use std::mem::discriminant;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long and how often smaller cases are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// Cases tried.
    pub attempts: u32,
    /// Time after which no other is.
    pub time: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            attempts: 20_000,
            time: Duration::from_secs(45),
        }
    }
}

/// Into how many pieces content is cut that is zeroed piece by piece; what is left is shorter next
/// time.
const PIECES: usize = 256;

/// Instructions beyond which pieces of code are blanked before any is deleted, and how many pieces.
const MUCH_CODE: usize = 1000;
const BLANKS: usize = 512;

/// Gas that reads well, tried in this order.
const ROUND_GAS: [u64; 6] = [0, 100, 1000, 10_000, 100_000, 1_000_000];

struct Search<'a> {
    sides: [&'a dyn Subject; 2],
    plan: &'a Plan,
    kind: std::mem::Discriminant<Field>,
    left: u32,
    until: Instant,
    best: Case,
}

/// Makes the case smaller while the sides [part](parting) on it in the same kind of field, each run
/// carried out as the plan says; the case itself if they do not part on it.
pub fn shrink(sides: [&dyn Subject; 2], case: &Case, plan: &Plan, effort: Effort) -> Case {
    let found = parting(sides, case, plan).and_then(|found| found.difference.field());
    let Some(field) = found else {
        return case.clone();
    };
    let mut search = Search {
        sides,
        plan,
        kind: discriminant(&field),
        left: effort.attempts,
        until: Instant::now() + effort.time,
        best: case.clone(),
    };
    loop {
        let before = search.best.clone();
        search.runs();
        search.gas();
        search.code();
        search.results();
        search.operands();
        search.registers();
        search.memory();
        search.gas();
        if search.best == before || search.spent() {
            return search.best;
        }
    }
}

impl Search<'_> {
    fn spent(&self) -> bool {
        self.left == 0 || Instant::now() >= self.until
    }

    /// Keeps a candidate that differs in the same way.
    fn keep(&mut self, candidate: Case) -> bool {
        if self.spent() || candidate == self.best {
            return false;
        }
        self.left -= 1;
        let found = parting(self.sides, &candidate, self.plan);
        let field = found.and_then(|found| found.difference.field());
        let same = field.is_some_and(|field| discriminant(&field) == self.kind);
        if same {
            self.best = candidate;
        }
        same
    }

    /// Drops runs: all but the last ones, then ever smaller pieces.
    fn runs(&mut self) {
        for last in [1, 2] {
            let count = self.best.runs.len();
            if count > last && self.keep_without_runs(0..count - last) {
                break;
            }
        }
        let mut size = self.best.runs.len().div_ceil(2);
        while size > 0 && !self.spent() {
            let mut at = 0;
            while at < self.best.runs.len() && !self.spent() {
                let end = (at + size).min(self.best.runs.len());
                if !self.keep_without_runs(at..end) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn keep_without_runs(&mut self, range: Range<usize>) -> bool {
        let mut case = self.best.clone();
        case.runs.drain(range);
        !case.runs.is_empty() && self.keep(case)
    }

    /// Drops most of what lies behind the last entry, if that is far more than is needed.
    fn truncate(&mut self) {
        let entries = self.best.runs.iter().map(|run| run.entry as usize);
        let last = entries.max().unwrap_or(0);
        for more in (6..).map(|power| 1_usize << power) {
            let end = last.saturating_add(more);
            if end >= self.best.code.len() || self.spent() {
                return;
            }
            let mut case = self.best.clone();
            case.code.truncate(end);
            if self.keep(case) {
                return;
            }
        }
    }

    /// Deletes instructions: what lies far behind and in front of the entry, then ever smaller pieces.
    fn code(&mut self) {
        self.truncate();
        let sketch = Sketch::of(&self.best);
        if let Some(entry) = sketch.entry().filter(|entry| *entry > 0) {
            self.keep(sketch.without(0..entry));
        }
        self.blanks();
        let mut size = Sketch::of(&self.best).len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            loop {
                let sketch = Sketch::of(&self.best);
                if at >= sketch.len() || self.spent() {
                    break;
                }
                let end = (at + size).min(sketch.len());
                if !self.keep(sketch.without(at..end)) {
                    at += size;
                }
            }
            if size == 1 || self.spent() {
                break;
            }
            size = size.div_ceil(2);
        }
    }

    /// Makes pieces of much code do nothing: deleting them would move the rest.
    fn blanks(&mut self) {
        let count = Sketch::of(&self.best).len();
        let (mut size, least) = (count / 2, (count / BLANKS).max(1));
        while count > MUCH_CODE && size >= least {
            for at in (0..count).step_by(size) {
                let blanked = Sketch::of(&self.best).blanked(at..(at + size).min(count));
                self.keep(blanked);
            }
            size /= 2;
        }
    }

    /// Drops instructions at the entry that only compute: the run begins with their results.
    fn results(&mut self) {
        while let Some(case) = self.begun_later() {
            if !self.keep(case) {
                return;
            }
        }
    }

    fn begun_later(&self) -> Option<Case> {
        let [run] = &self.best.runs[..] else {
            return None;
        };
        let sketch = Sketch::of(&self.best);
        let first = sketch.entry()?;
        let inst = sketch.inst(first)?;
        let op = inst.op();
        let computes = op.flow() == Flow::Next && !op.is_load() && !op.is_store();
        // What `auipc` gives depends on where it is.
        let slot = inst.rd().slot().filter(|_| computes && op != Op::Auipc)?;
        let alone = Case {
            code: encode(inst).ok()?.to_le_bytes().to_vec(),
            map: Vec::new(),
            runs: vec![Run {
                entry: 0,
                gas: AMPLE_GAS,
                ..run.clone()
            }],
        };
        let mut session = self.sides[1].load(&alone).ok()?;
        session.start(&alone.runs[0]).ok()?;
        session.run().ok()?;
        let mut case = sketch.without(first..first + 1);
        case.runs[0].slots[slot.index()] = session.state().regs.get(inst.rd());
        Some(case)
    }

    /// Full-length encodings, then immediates of 0 and 1, and x0 for operands.
    fn operands(&mut self) {
        let mut at = 0;
        while at < Sketch::of(&self.best).len() && !self.spent() {
            for simpler in Sketch::of(&self.best).simpler(at) {
                self.keep(simpler);
            }
            at += 1;
        }
    }

    fn registers(&mut self) {
        for run in 0..self.best.runs.len() {
            self.registers_of(run);
        }
    }

    fn registers_of(&mut self, run: usize) {
        for slot in 0..SLOTS {
            let value = self.best.runs[run].slots[slot];
            let candidates = [
                0,
                1,
                value & 0xFFF,
                value & 0xFFFF_FFFF,
                value & !0xFFFF_FFFF,
                value & 0xFFFF_F000,
                value & value.wrapping_neg(),
                1 << (63 - value.leading_zeros().min(63)),
            ];
            for candidate in candidates {
                // A kept one ends the list: the others come from the old value.
                if candidate.count_ones() >= value.count_ones() && candidate != 0 {
                    continue;
                }
                let mut case = self.best.clone();
                case.runs[run].slots[slot] = candidate;
                if self.keep(case) {
                    break;
                }
            }
        }
    }

    fn gas(&mut self) {
        for run in 0..self.best.runs.len() {
            self.gas_of(run);
        }
    }

    fn gas_of(&mut self, run: usize) {
        for gas in ROUND_GAS {
            let now = self.best.runs[run].gas;
            if ROUND_GAS.contains(&now) && gas >= now {
                return;
            }
            let mut case = self.best.clone();
            case.runs[run].gas = gas;
            if self.keep(case) {
                return;
            }
        }
    }

    /// Drops mappings, then their content, then their length.
    fn memory(&mut self) {
        let mut at = 0;
        while at < self.best.map.len() && !self.spent() {
            let mut without = self.best.clone();
            without.map.remove(at);
            if self.keep(without) {
                continue;
            }
            self.mapping(at);
            at += 1;
        }
    }

    fn mapping(&mut self, at: usize) {
        let change = |best: &Case, body: &dyn Fn(&mut rivet_isa::generate::Mapping)| {
            let mut case = best.clone();
            body(&mut case.map[at]);
            case
        };
        let empty = change(&self.best, &|mapping| {
            mapping.content.clear();
            if mapping.access == Access::CopyOnWrite {
                mapping.access = Access::Ephemeral;
            }
        });
        if !self.keep(empty) {
            let zeros = change(&self.best, &|mapping| mapping.content.fill(0));
            self.keep(zeros);
            let len = self.best.map[at].content.len();
            let (mut piece, least) = (len / 2, (len / PIECES).max(8));
            while piece >= least && !self.spent() {
                self.clear_pieces(at, piece);
                piece /= 2;
            }
            let trimmed = change(&self.best, &|mapping| {
                let used = mapping.content.iter().rposition(|byte| *byte != 0);
                mapping.content.truncate(used.map_or(0, |last| last + 1));
            });
            self.keep(trimmed);
        }
        let content = (self.best.map[at].content.len() as u64).next_multiple_of(PAGE_SIZE);
        for size in [PAGE_SIZE, 2 * PAGE_SIZE, content] {
            if size >= content.max(PAGE_SIZE) && size < self.best.map[at].size {
                let shorter = change(&self.best, &|mapping| mapping.size = size);
                if self.keep(shorter) {
                    break;
                }
            }
        }
    }

    /// Zeroes one piece of content after the other.
    fn clear_pieces(&mut self, at: usize, piece: usize) {
        let mut from = 0;
        while from < self.best.map[at].content.len() && !self.spent() {
            let mut case = self.best.clone();
            let content = &mut case.map[at].content;
            let end = (from + piece).min(content.len());
            if content[from..end].iter().any(|byte| *byte != 0) {
                content[from..end].fill(0);
                self.keep(case);
            }
            from = end;
        }
    }
}
