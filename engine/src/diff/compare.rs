//! Two sessions side by side, to the end of a run or to the first thing that differs.

use super::subject::{Session, Step};
use crate::error::HostError;
use rivet_interp::State;
use rivet_isa::generate::{HAND_OVER, Run};
use rivet_isa::{Exit, Gas, PAGE_SIZE, PageIndex, Pc, SLOTS, Slot};
use std::fmt;

/// Where two sides are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Every {
    /// At every exit: everything.
    #[default]
    Exit,
    /// After every block as well: registers, pc, gas, private pages, and the content of some of
    /// them.
    Block,
}

/// How a run is carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where the sides are compared.
    pub every: Every,
    /// What gas becomes each time it runs out; then the run ends.
    pub refills: Vec<u64>,
    /// Most exits that are followed.
    pub exits: usize,
    /// Most blocks that are followed, with [`Every::Block`].
    pub blocks: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            every: Every::Exit,
            refills: Vec::new(),
            exits: 60,
            blocks: u64::MAX,
        }
    }
}

/// What a run was like on which both sides agreed.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Blocks compared one by one; 0 with [`Every::Exit`].
    pub blocks: u64,
    /// Exits compared.
    pub exits: u64,
    /// Programs of a chain that were begun, the first included.
    pub programs: u64,
    /// The last exit.
    pub last: Option<Exit>,
    /// Private pages at the end.
    pub private: usize,
}

/// One side at a point.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// How far it came.
    pub step: Result<Step, HostError>,
    /// Its state there.
    pub state: State,
    /// Its private pages there.
    pub private: Vec<PageIndex>,
}

/// The first thing on which two sides differ.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Blocks or exits before it on which they agreed.
    pub after: u64,
    /// The state in which both began the stretch that ended so.
    pub from: State,
    /// Both sides.
    pub sides: [Seen; 2],
    /// The first page that differs in content, if all else is equal.
    pub page: Option<PageIndex>,
}

/// What differs first, in the order in which reports look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// One side failed, or how far they came.
    Exit,
    /// The pc.
    Pc,
    /// A register.
    Slot(Slot),
    /// Gas.
    Gas,
    /// Whether a page is private.
    Private(PageIndex),
    /// The content of a page.
    Content(PageIndex),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => f.write_str("exit"),
            Self::Pc => f.write_str("pc"),
            Self::Slot(slot) => write!(f, "slot {} ({})", slot.index(), slot.reg().name()),
            Self::Gas => f.write_str("gas"),
            Self::Private(page) => write!(f, "privacy of page {page}"),
            Self::Content(page) => write!(f, "content of page {page}"),
        }
    }
}

impl Difference {
    /// What differs first.
    pub fn field(&self) -> Option<Field> {
        let [a, b] = &self.sides;
        if a.step != b.step {
            return Some(Field::Exit);
        }
        if a.state.pc != b.state.pc {
            return Some(Field::Pc);
        }
        let slots = |side: &Seen| *side.state.regs.slots();
        let (x, y) = (slots(a), slots(b));
        if let Some(i) = (0..SLOTS).find(|i| x[*i] != y[*i]) {
            return Slot::new(i as u8).map(Field::Slot);
        }
        if a.state.gas != b.state.gas {
            return Some(Field::Gas);
        }
        let one_sided = a.private.iter().filter(|page| !b.private.contains(page));
        let other = b.private.iter().filter(|page| !a.private.contains(page));
        if let Some(page) = one_sided.chain(other).min() {
            return Some(Field::Private(*page));
        }
        self.page.map(Field::Content)
    }
}

fn shown(step: &Result<Step, HostError>) -> String {
    match step {
        Ok(Step::Block) => "the next block".to_owned(),
        Ok(Step::Exit(exit)) => exit.to_string(),
        Err(error) => format!("host error: {error}"),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field().map_or("nothing".to_owned(), |f| f.to_string());
        write!(f, "{field} differs after pc {}", self.from.pc)?;
        for (name, side) in ["a", "b"].iter().zip(&self.sides) {
            let State { pc, gas, .. } = side.state;
            write!(f, "; {name}: {} at pc {pc}, gas {gas}", shown(&side.step))?;
        }
        let [x, y] = self.sides.each_ref().map(|side| *side.state.regs.slots());
        for slot in Slot::all().filter(|slot| x[slot.index()] != y[slot.index()]) {
            let (i, name) = (slot.index(), slot.reg().name());
            write!(f, "; {name} {:#x} and {:#x}", x[i], y[i])?;
        }
        Ok(())
    }
}

/// Pages whose content is compared after each block; the others take turns.
const PAGES_PER_BLOCK: usize = 2;

/// Runs both sessions from the start of `run`.
///
/// # Errors
/// The first [`Difference`]; a host error on either side is one.
pub fn compare(
    a: &mut dyn Session,
    b: &mut dyn Session,
    run: &Run,
    plan: &Plan,
) -> Result<Summary, Box<Difference>> {
    let from = super::subject::state_of(run);
    let started = [a.start(run), b.start(run)];
    let summary = Summary {
        programs: 1,
        ..Summary::default()
    };
    let mut pair = Pair {
        sides: [a, b],
        summary,
        from,
        pages: Box::new([[0; PAGE_SIZE as usize]; 2]),
    };
    if started.iter().any(Result::is_err) {
        return Err(pair.differ(started.map(|result| result.map(|()| Step::Block)), None));
    }
    pair.go(plan)
}

struct Pair<'a> {
    sides: [&'a mut dyn Session; 2],
    summary: Summary,
    from: State,
    /// Room for a page of each side.
    pages: Box<[[u8; PAGE_SIZE as usize]; 2]>,
}

impl Pair<'_> {
    fn differ(
        &self,
        steps: [Result<Step, HostError>; 2],
        page: Option<PageIndex>,
    ) -> Box<Difference> {
        let [a, b] = steps;
        let seen = |side: &dyn Session, step| Seen {
            step,
            state: side.state(),
            private: side.private_pages(),
        };
        Box::new(Difference {
            after: self.summary.blocks + self.summary.exits,
            from: self.from,
            sides: [seen(&*self.sides[0], a), seen(&*self.sides[1], b)],
            page,
        })
    }

    fn go(&mut self, plan: &Plan) -> Result<Summary, Box<Difference>> {
        let mut refills = plan.refills.iter();
        loop {
            self.from = self.sides[0].state();
            let [a, b] = &mut self.sides;
            let steps = match plan.every {
                Every::Exit => [a.run().map(Step::Exit), b.run().map(Step::Exit)],
                Every::Block => [a.step(), b.step()],
            };
            let exit = match steps {
                [Ok(x), Ok(y)] if x == y && a.state() == b.state() => x,
                _ => return Err(self.differ(steps, None)),
            };
            self.summary.private = self.compare_memory(exit)?;
            match exit {
                Step::Block => {
                    self.summary.blocks += 1;
                    if self.summary.blocks >= plan.blocks {
                        break;
                    }
                }
                Step::Exit(exit) => {
                    self.summary.exits += 1;
                    self.summary.last = Some(exit);
                    let done = exit.is_final() || self.summary.exits as usize >= plan.exits;
                    if done {
                        break;
                    }
                    if matches!(
                        exit,
                        Exit::HostCall {
                            selector: HAND_OVER,
                            ..
                        }
                    ) {
                        self.summary.programs += 1;
                    }
                    if exit == Exit::OutOfGas {
                        let Some(gas) = refills.next().and_then(|gas| Gas::new(*gas)) else {
                            break;
                        };
                        for side in &mut self.sides {
                            side.set_gas(gas);
                        }
                    }
                }
            }
        }
        Ok(self.summary.clone())
    }

    /// Private pages: the same ones, with the same content. Content is compared in full at exits.
    /// Returns how many there are.
    fn compare_memory(&mut self, step: Step) -> Result<usize, Box<Difference>> {
        let [a, b] = &self.sides;
        let pages = a.private_pages();
        if pages != b.private_pages() {
            return Err(self.differ([Ok(step), Ok(step)], None));
        }
        let few = step == Step::Block && pages.len() > PAGES_PER_BLOCK;
        let turn = self.summary.blocks as usize;
        let looked_at = if few { PAGES_PER_BLOCK } else { pages.len() };
        for i in 0..looked_at {
            let page = pages[if few { (turn + i) % pages.len() } else { i }];
            if content_differs(&**a, &**b, page, &mut self.pages) {
                return Err(self.differ([Ok(step), Ok(step)], Some(page)));
            }
        }
        Ok(pages.len())
    }
}

/// Whether a page is known to differ: by its bytes where both sides know them, else by digests.
fn content_differs(
    a: &dyn Session,
    b: &dyn Session,
    page: PageIndex,
    [x, y]: &mut [[u8; PAGE_SIZE as usize]; 2],
) -> bool {
    if a.copy_page(page, x) && b.copy_page(page, y) {
        return x != y;
    }
    known_to_differ(a.digest(page), b.digest(page))
}

/// Whether both digests are known and differ.
pub(super) fn known_to_differ(a: Option<u64>, b: Option<u64>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a != b)
}

impl Difference {
    /// The pc at which the stretch began: a block's start where every block was compared.
    pub fn from_pc(&self) -> Pc {
        self.from.pc
    }
}
