//! The first block, and in it the first instruction, on which two sides differ.
//!
//! ```text
//!  checkpoint ── window of blocks ──▶ hashes equal? ── yes ──▶ next checkpoint, larger window
//!      ▲                                  │ no
//!      └── fork, half as many blocks ◀────┘  until one block is left
//! ```
//!
//! Each side keeps a rolling hash of what it passed: pc, registers, gas, exits. Only hashes and
//! the digests of private pages are compared, so a side may be a recording.

use super::compare::{Difference, Plan, Seen, compare, known_to_differ};
use super::subject::{Session, Step, Subject};
use super::{prologue, restart};
use crate::error::{HostError, LoadError};
use crate::trace::mix;
use rivet_interp::State;
use rivet_isa::generate::{Case, Run};
use rivet_isa::{Decoded, Exit, Gas, PageIndex, Pc, Slot, decode};

/// Blocks of the first window and of the largest.
const FIRST_WINDOW: u64 = 256;
const LAST_WINDOW: u64 = 1 << 20;

/// Instructions of a block that are tried one after the other; longer blocks are bisected.
const TRIED_IN_TURN: usize = 64;

/// Where two sides part.
#[derive(Debug)]
pub struct Located {
    /// Blocks on which they agreed before.
    pub blocks: u64,
    /// The block: state before it, both sides after it.
    pub difference: Box<Difference>,
    /// The private pages in front of the block.
    pub private: Vec<PageIndex>,
    /// A case that starts in front of the block. Between engines it differs too; there is none if
    /// what came before the block matters.
    pub restart: Option<Case>,
    /// The first instruction of the block after which the sides differ, if a cut block shows it.
    pub instruction: Option<Culprit>,
}

/// How the instruction of a [`Culprit`] is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// The sides agree on the block cut in front of it and differ on the block cut behind it.
    Shown,
    /// One side is a recording, which knows no states inside of blocks: it is the first instruction
    /// that was the last to write something that differs, or at which one side stopped.
    LastToWrite,
}

/// An instruction after which two sides differ.
#[derive(Debug)]
pub struct Culprit {
    /// How it is known.
    pub evidence: Evidence,
    /// Its offset in the program.
    pub pc: Pc,
    /// The instruction.
    pub decoded: Decoded,
    /// Both sides after it; after the block where it is not [shown](Evidence::Shown).
    pub difference: Box<Difference>,
    /// The case that ends behind it.
    pub case: Case,
}

/// Why nothing could be located.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The case cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A side failed outside of the guest before anything differed.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// One side walking along its run.
struct Walker {
    session: Box<dyn Session>,
    hash: u64,
    blocks: u64,
    exits: usize,
    refilled: usize,
    last: Option<Result<Step, HostError>>,
    ended: bool,
}

impl Walker {
    fn new(mut session: Box<dyn Session>, run: &Run) -> Result<Self, HostError> {
        session.start(run)?;
        Ok(Self {
            session,
            hash: 0,
            blocks: 0,
            exits: 0,
            refilled: 0,
            last: None,
            ended: false,
        })
    }

    fn fork(&mut self) -> Result<Self, HostError> {
        Ok(Self {
            session: self.session.fork()?,
            last: self.last.clone(),
            ..*self
        })
    }

    fn walk(&mut self, blocks: u64, plan: &Plan) {
        for _ in 0..blocks {
            if self.ended {
                return;
            }
            self.step(plan);
        }
    }

    fn step(&mut self, plan: &Plan) {
        let step = self.session.step();
        self.blocks += 1;
        let state = self.session.state();
        let kind = match &step {
            Ok(Step::Block) => 1,
            Ok(Step::Exit(exit)) => 2 + exit_word(*exit),
            Err(_) => 0,
        };
        for word in [kind, state.pc.value(), state.gas.value()] {
            self.hash = mix(self.hash, word);
        }
        for slot in state.regs.slots() {
            self.hash = mix(self.hash, *slot);
        }
        match step {
            Ok(Step::Block) => {}
            Ok(Step::Exit(exit)) => self.exited(exit, plan),
            Err(_) => self.ended = true,
        }
        self.last = Some(step);
    }

    fn exited(&mut self, exit: Exit, plan: &Plan) {
        self.exits += 1;
        if exit.is_final() || self.exits >= plan.exits {
            self.ended = true;
        } else if exit == Exit::OutOfGas {
            let gas = plan.refills.get(self.refilled).and_then(|g| Gas::new(*g));
            self.refilled += 1;
            match gas {
                Some(gas) => self.session.set_gas(gas),
                None => self.ended = true,
            }
        }
    }

    /// The first private page that the other side has not, or not with this content.
    fn differing_page(&self, other: &Self) -> Option<PageIndex> {
        let (left, right) = (self.session.private_pages(), other.session.private_pages());
        if left != right {
            return left.iter().chain(&right).min().copied();
        }
        let differs = |page: &&PageIndex| {
            known_to_differ(self.session.digest(**page), other.session.digest(**page))
        };
        left.iter().find(differs).copied()
    }

    fn agrees(&self, other: &Self) -> bool {
        (self.hash, self.blocks, self.ended) == (other.hash, other.blocks, other.ended)
            && self.differing_page(other).is_none()
    }

    fn seen(self) -> Seen {
        Seen {
            state: self.session.state(),
            private: self.session.private_pages(),
            step: self.last.unwrap_or(Ok(Step::Block)),
        }
    }
}

/// All of an exit in one number.
fn exit_word(exit: Exit) -> u64 {
    let payload = match exit {
        Exit::PageFault { page } => u64::from(page.index()),
        Exit::HostCall { selector, .. } => u64::from(selector),
        _ => 0,
    };
    u64::from(exit.code()) << 40 | payload << 4
}

/// Finds where the sides part on the first run of the case; `None` if they do not.
///
/// # Errors
/// [`LocateError`] if the case cannot be loaded or forked.
pub fn locate(
    sides: [&dyn Subject; 2],
    case: &Case,
    plan: &Plan,
) -> Result<Option<Located>, LocateError> {
    locate_watched(sides, case, plan, &mut |_| {})
}

/// [`locate`], which tells `agreed` now and then how many blocks are known to agree.
///
/// # Errors
/// As [`locate`].
pub fn locate_watched(
    sides: [&dyn Subject; 2],
    case: &Case,
    plan: &Plan,
    agreed: &mut dyn FnMut(u64),
) -> Result<Option<Located>, LocateError> {
    let Some(run) = case.runs.first() else {
        return Ok(None);
    };
    let mut base = [
        Walker::new(sides[0].load(case)?, run)?,
        Walker::new(sides[1].load(case)?, run)?,
    ];
    let mut window = FIRST_WINDOW;
    loop {
        let mut ahead = fork(&mut base)?;
        walk(&mut ahead, window.min(plan.blocks - base[0].blocks), plan);
        if !ahead[0].agrees(&ahead[1]) {
            break;
        }
        if ahead[0].ended || ahead[0].blocks >= plan.blocks {
            return Ok(None);
        }
        base = ahead;
        agreed(base[0].blocks);
        window = (window * 2).min(LAST_WINDOW);
    }
    // They agree after `low` blocks from the checkpoint and differ after `high`.
    let (mut low, mut high) = (0, window);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let mut probe = fork(&mut base)?;
        walk(&mut probe, middle, plan);
        if probe[0].agrees(&probe[1]) {
            low = middle;
        } else {
            high = middle;
        }
    }
    walk(&mut base, low, plan);
    let mut after = fork(&mut base)?;
    walk(&mut after, 1, plan);
    let located = explain(sides, case, base, after)?;
    Ok(Some(located))
}

fn fork(pair: &mut [Walker; 2]) -> Result<[Walker; 2], HostError> {
    let [a, b] = pair;
    Ok([a.fork()?, b.fork()?])
}

fn walk(pair: &mut [Walker; 2], blocks: u64, plan: &Plan) {
    for side in pair {
        side.walk(blocks, plan);
    }
}

fn explain(
    sides: [&dyn Subject; 2],
    case: &Case,
    before: [Walker; 2],
    after: [Walker; 2],
) -> Result<Located, LocateError> {
    let page = after[0].differing_page(&after[1]);
    let from = before[1].session.state();
    let blocks = before[1].blocks;
    let private = before[1].session.private_pages();
    let difference = Box::new(Difference {
        after: blocks,
        from,
        sides: after.map(Walker::seen),
        page,
    });
    // They agree before the block, but a recording does not know the bytes of pages.
    let [a, b] = before
        .each_ref()
        .map(|side| restart::in_front_of(case, &*side.session));
    let restart = b.or(a);
    let (restart, instruction) = match &restart {
        Some(case) if sides.iter().all(|side| side.runs_anything()) => {
            shown_again(sides, case, from, &private)
        }
        Some(case) => {
            let instruction = last_to_write(case, &difference);
            (restart, instruction)
        }
        None => (None, None),
    };
    Ok(Located {
        blocks,
        difference,
        private,
        restart,
        instruction,
    })
}

/// A case that starts in front of the block and one that ends behind the instruction, as far as
/// they differ: first with no page private, then with those that were.
fn shown_again(
    sides: [&dyn Subject; 2],
    case: &Case,
    from: State,
    pages: &[PageIndex],
) -> (Option<Case>, Option<Culprit>) {
    let differing = |case: Option<Case>| case.filter(|case| differs(sides, case).is_some());
    // Behind the block the difference may vanish again, so the cut block is asked as well.
    let plain = differing(Some(case.clone()));
    let instruction = culprit(sides, case, from, &|cut| Some(cut));
    if plain.is_some() || instruction.is_some() || pages.is_empty() {
        return (plain, instruction);
    }
    let paid = |cut: Case| prologue::with_private(&cut, pages);
    let instruction = culprit(sides, case, from, &paid);
    (differing(paid(case.clone())), instruction)
}

/// Runs the first run of a case to its first exit on both sides.
pub(super) fn differs(sides: [&dyn Subject; 2], case: &Case) -> Option<Box<Difference>> {
    let run = case.runs.first()?;
    let mut a = sides[0].load(case).ok()?;
    let mut b = sides[1].load(case).ok()?;
    let plan = Plan {
        exits: 1,
        ..Plan::default()
    };
    compare(&mut *a, &mut *b, run, &plan).err()
}

/// The first instruction of the block at the case's entry after which the sides differ, each cut
/// block prepared so.
fn culprit(
    sides: [&dyn Subject; 2],
    case: &Case,
    from: State,
    prepared: &dyn Fn(Case) -> Option<Case>,
) -> Option<Culprit> {
    let insts = restart::block(&case.code, from.pc);
    let cut = |count: usize| {
        let case = prepared(restart::cut_behind(case, &insts[..count])?)?;
        let difference = differs(sides, &case)?;
        Some((case, difference))
    };
    let first = if insts.len() <= TRIED_IN_TURN {
        (1..=insts.len()).find(|count| cut(*count).is_some())?
    } else {
        let (mut low, mut high) = (0, insts.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match cut(middle) {
                Some(_) => high = middle,
                None => low = middle,
            }
        }
        high
    };
    let (case, difference) = cut(first)?;
    let pc = insts[first - 1];
    let decoded = decode(&case.code, usize::try_from(pc.value()).ok()?)?;
    Some(Culprit {
        evidence: Evidence::Shown,
        pc,
        decoded,
        difference,
        case,
    })
}

/// The instruction of the block to which what differs behind it leads back: see [`Evidence`].
fn last_to_write(case: &Case, difference: &Difference) -> Option<Culprit> {
    let insts = restart::block(&case.code, difference.from.pc);
    let at = |pc: Pc| decode(&case.code, usize::try_from(pc.value()).ok()?);
    let [a, b] = &difference.sides;
    let number = if a.step != b.step || a.state.pc != b.state.pc {
        // Where one of them stopped, or what sent them to different places.
        let stops = [a, b].map(|side| insts.iter().position(|pc| *pc == side.state.pc));
        stops
            .into_iter()
            .flatten()
            .min()
            .or(insts.len().checked_sub(1))?
    } else {
        let slots = [a, b].map(|side| *side.state.regs.slots());
        let differing = Slot::all().filter(|slot| slots[0][slot.index()] != slots[1][slot.index()]);
        let writes = |pc: &Pc, reg| at(*pc).is_some_and(|decoded| decoded.inst.rd() == reg);
        let last = differing.filter_map(|slot| insts.iter().rposition(|pc| writes(pc, slot.reg())));
        last.min()?
    };
    let pc = insts[number];
    Some(Culprit {
        evidence: Evidence::LastToWrite,
        pc,
        decoded: at(pc)?,
        difference: Box::new(difference.clone()),
        case: restart::cut_behind(case, &insts[..=number])?,
    })
}
