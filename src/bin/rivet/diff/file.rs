//! One program on two sides: where they part, shown, and shrunk to a vector.

use super::reproducer::{self, Shown};
use super::{Args, contender, contenders};
use crate::Outcome;
use crate::failure::Failure;
use crate::input;
use crate::symbols::Symbols;
use indicatif::{ProgressBar, ProgressStyle};
use rivet::engine::diff::{
    Calls, Case, Contender, Effort, Evidence, LocateError, Located, Plan, Recorded, Reduced, Run,
    Seen, Step, Subject, case_of, locate_watched, parting, reduce,
};
use rivet::engine::trace::Recording;
use rivet::engine::{Backend, Config, Engine};
use rivet::isa::{BlockStarts, Pc, Slot};
use rivet::vectors::{Engines, Vector};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often progress is drawn.
const DRAWN: Duration = Duration::from_millis(500);

pub(super) fn compare(args: &Args, file: &Path) -> Result<Outcome, Failure> {
    let engine = Engine::new(Config {
        backend: Backend::Interp,
        ..Config::default()
    })?;
    let (loaded, state) = args.program.open_at(file, &engine)?;
    let mut case = case_of(&loaded.program, &state);
    let mut plan = Plan {
        exits: 1,
        ..Plan::default()
    };
    let mut extent = Extent::Whole;
    let (a, b) = match &args.trace {
        Some(path) => {
            let recorded;
            (recorded, extent) = self::recorded(path, &case)?;
            case.runs = vec![recorded.run()];
            plan.blocks = recorded.steps();
            (contender(args.a, Calls::Bare)?, Side::Recorded(recorded))
        }
        None => {
            let [a, b] = contenders(args, Calls::Bare)?;
            (a, Side::Engine(b))
        }
    };
    let sides: [&dyn Subject; 2] = [&a, b.subject()];
    let bar = progress();
    let found = locate_watched(sides, &case, &plan, &mut |blocks| bar.set_position(blocks));
    bar.finish_and_clear();
    let found = found.map_err(|error| match error {
        LocateError::Load(error) => Failure::from(error),
        LocateError::Host(error) => Failure::message(error.to_string()),
    })?;
    let report = Report {
        args,
        symbols: &loaded.symbols,
        names: sides.map(Subject::name),
    };
    let (found, ran) = match found {
        Some(located) => (Some(located), Ran::ByBlock),
        None => (without_stopping(sides, &case, &plan), Ran::WithoutStopping),
    };
    let Some(located) = found else {
        report.agreed(extent);
        return Ok(Outcome::Done);
    };
    if !args.json {
        report.located(&located, ran);
    }
    let kept = keep(args, sides, &case, &plan, &located)?;
    report.kept(&located, &kept);
    Ok(Outcome::GuestFailed)
}

/// How the sides ran when they were found to part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    ByBlock,
    /// Block by block they agree.
    WithoutStopping,
}

/// What differs only where engines are not stopped after every block.
fn without_stopping(sides: [&dyn Subject; 2], case: &Case, plan: &Plan) -> Option<Located> {
    if !sides.iter().all(|side| side.runs_anything()) {
        return None;
    }
    let found = parting(sides, case, plan)?;
    Some(Located {
        blocks: 0,
        difference: found.difference,
        private: Vec::new(),
        restart: None,
        instruction: None,
    })
}

/// Shows on standard error how far both sides agree, if that is a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = "{spinner} {human_pos} blocks agree, {per_sec}, {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(DRAWN);
    bar
}

enum Side {
    Engine(Contender),
    Recorded(Recorded),
}

impl Side {
    fn subject(&self) -> &dyn Subject {
        match self {
            Self::Engine(engine) => engine,
            Self::Recorded(recorded) => recorded,
        }
    }
}

/// How much of the run was compared.
#[derive(Clone, Copy)]
enum Extent {
    Whole,
    /// The recording breaks off.
    Part,
}

fn recorded(path: &Path, case: &Case) -> Result<(Recorded, Extent), Failure> {
    let shown = path.display();
    let bytes = input::bytes(path)?;
    let recording = Recording::decode(&bytes)
        .map_err(|error| Failure::message(format!("`{shown}`: {error}")))?;
    let mut extent = Extent::Whole;
    if let Some(broken) = &recording.broken {
        extent = Extent::Part;
        eprintln!("warning: `{shown}` is compared up to where it breaks off: {broken}");
    }
    let recorded = Recorded::new(recording, &case.code)
        .map_err(|error| Failure::message(format!("`{shown}`: {error}")))?;
    Ok((recorded, extent))
}

/// The smallest program known to show the difference.
struct Kept {
    what: What,
    instructions: usize,
    path: PathBuf,
}

/// What a file of findings holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A shrunk program with what the interpreter does.
    Shrunk,
    /// One block with what a recording says of it.
    Claim,
    /// A program that was cut and not shrunk, because one side is a recording.
    Cut,
}

fn keep(
    args: &Args,
    sides: [&dyn Subject; 2],
    case: &Case,
    plan: &Plan,
    located: &Located,
) -> Result<Kept, Failure> {
    let name = args.trace.as_ref().or(args.file.as_ref());
    let name = name.and_then(|file| file.file_stem());
    let name = name.map_or("difference".into(), |stem| stem.to_string_lossy());
    let name: String = name.split_whitespace().collect();
    let name = format!("{name}-difference");
    let note = located.difference.to_string();
    let mut what = What::Shrunk;
    if let Some(recording) = &args.trace {
        what = What::Cut;
        if let Some(claim) = claim(args, located)? {
            let origin = format!("the recording `{}`", recording.display());
            let instructions = restart_instructions(located);
            let vector = Vector {
                name: name.clone(),
                note: Some(note),
                ..claim
            };
            let path = reproducer::write_file(&args.findings, &name, &origin, vector)?;
            return Ok(Kept {
                what: What::Claim,
                instructions,
                path,
            });
        }
    }
    let found = Found {
        case,
        plan,
        located: Some(located),
    };
    let (reduced, exit) = smallest(sides, &found, &mut Vec::new);
    let shown = Shown {
        reduced: &reduced,
        exit,
        calls: Calls::Bare,
    };
    let path = reproducer::save(&args.findings, &name, &note, &shown)?;
    Ok(Kept {
        what,
        instructions: reproducer::instructions(&reduced.case.code),
        path,
    })
}

/// What the recording says of the block, if that can be a vector of its own.
fn claim(args: &Args, located: &Located) -> Result<Option<Vector>, Failure> {
    let engines = Engines::new(args.a)?;
    Ok(Vector::of_claim(&engines, located, Calls::Bare))
}

/// Instructions of the block at which the sides part.
fn restart_instructions(located: &Located) -> usize {
    let Some(case) = &located.restart else {
        return 0;
    };
    let starts = BlockStarts::scan(&case.code);
    let block = starts.block_at(located.difference.from.pc);
    block.map_or(0, |block| {
        let range = block.start.value() as usize..block.end.value() as usize;
        reproducer::instructions(&case.code[range])
    })
}

/// What was found.
pub(super) struct Found<'a> {
    /// The case with the run.
    pub(super) case: &'a Case,
    pub(super) plan: &'a Plan,
    pub(super) located: Option<&'a Located>,
}

/// The smallest program known to show the difference, and the exit of its last run at which it does.
/// Where a side cannot run others: the case cut behind the instruction, else the one that starts in
/// front of the block, else the whole.
pub(super) fn smallest(
    sides: [&dyn Subject; 2],
    found: &Found<'_>,
    before: &mut dyn FnMut() -> Vec<Vec<Run>>,
) -> (Reduced, Option<u64>) {
    let whole = |case: &Case| Reduced {
        case: case.clone(),
        plan: found.plan.clone(),
    };
    if !sides.iter().all(|side| side.runs_anything()) {
        let located = found.located;
        let cut = located.and_then(|found| found.instruction.as_ref());
        let restart = located.and_then(|found| found.restart.as_ref());
        let from = cut.map(|found| &found.case).or(restart);
        return (whole(from.unwrap_or(found.case)), None);
    }
    eprintln!("shrinking");
    let Found {
        case,
        plan,
        located,
    } = *found;
    let reduced = reduce(sides, case, plan, located, before, Effort::default());
    let mut reduced = reduced.unwrap_or_else(|| {
        eprintln!(
            "engines that ran nothing before agree on it, so this is the whole program; the \
             same command finds it again"
        );
        whole(found.case)
    });
    let parting = parting(sides, &reduced.case, &reduced.plan);
    if let Some(found) = &parting {
        reduced.case.runs.truncate(found.run + 1);
    }
    let exit = parting.and_then(|found| found.exit(&reduced.plan));
    (reduced, exit)
}

struct Report<'a> {
    args: &'a Args,
    symbols: &'a Symbols,
    names: [String; 2],
}

impl Report<'_> {
    fn agreed(&self, extent: Extent) {
        let [a, b] = &self.names;
        if self.args.json {
            println!(
                "{}",
                serde_json::json!({
                    "differs": false,
                    "whole": matches!(extent, Extent::Whole),
                    "a": a,
                    "b": b,
                })
            );
        } else {
            let part = match extent {
                Extent::Whole => "",
                Extent::Part => " before the recording breaks off",
            };
            println!("{a} and {b} agree on every block{part}");
        }
    }

    fn place(&self, pc: Pc) -> String {
        match self.symbols.describe(pc) {
            Some(symbol) => format!("{pc} ({symbol})"),
            None => pc.to_string(),
        }
    }

    fn located(&self, located: &Located, ran: Ran) {
        let difference = &located.difference;
        let field = difference
            .field()
            .map_or("nothing".into(), |f| f.to_string());
        let place = self.place(difference.from.pc);
        match ran {
            Ran::ByBlock => println!(
                "after {} equal blocks, {field} differs in the block at {place}",
                located.blocks
            ),
            Ran::WithoutStopping => println!(
                "block by block they agree; without stopping, {field} differs at the first exit \
                 of the run from {place}"
            ),
        }
        println!(
            "{:>10} {:>20} {:>20} {:>20}",
            "", "before", self.names[0], self.names[1]
        );
        let [a, b] = &difference.sides;
        print_sides("", &difference.from, a, b);
        if let Some(found) = &located.instruction {
            let at = self.place(found.pc);
            let inst = found.decoded.inst;
            match found.evidence {
                Evidence::Shown => {
                    println!("first differing instruction at {at}: {inst}");
                    let [a, b] = &found.difference.sides;
                    print_sides("  ", &difference.from, a, b);
                }
                Evidence::LastToWrite => println!(
                    "what differs was last written, or decided, at {at}: {inst}\n\
                     (a recording has no states inside of blocks)"
                ),
            }
        } else if located.restart.is_none() && ran == Ran::ByBlock {
            println!("it needs what happened before the block");
        }
    }

    fn kept(&self, located: &Located, kept: &Kept) {
        let count = kept.instructions;
        let path = kept.path.display();
        if !self.args.json {
            println!("reproducer of {count} instructions in {path}");
            match kept.what {
                What::Shrunk => {}
                What::Claim => println!(
                    "it is the block alone, with what the recording says of it; the engine that \
                     made the recording can run it as well"
                ),
                What::Cut => println!(
                    "a recording cannot run smaller programs, so this one is cut, not shrunk; the \
                     engine that made the recording can: run the file there"
                ),
            }
            println!(
                "run it with: rivet vectors run {path} --engine {}",
                self.names[0]
            );
            return;
        }
        let difference = &located.difference;
        let instruction = located.instruction.as_ref().map(|found| {
            serde_json::json!({
                "pc": found.pc.value(),
                "shown": found.evidence == Evidence::Shown,
                "text": found.decoded.inst.to_string(),
                "a": side(&found.difference.sides[0]),
                "b": side(&found.difference.sides[1]),
            })
        });
        let object = serde_json::json!({
            "differs": true,
            "a": self.names[0],
            "b": self.names[1],
            "equal_blocks": located.blocks,
            "field": difference.field().map(|field| field.to_string()),
            "block": difference.from.pc.value(),
            "block_a": side(&difference.sides[0]),
            "block_b": side(&difference.sides[1]),
            "instruction": instruction,
            "reproducer": kept.path.to_string_lossy(),
            "reproducer_instructions": count,
            "reproducer_is": kept.what.name(),
        });
        println!("{object}");
    }
}

impl What {
    /// What the JSON report calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Shrunk => "shrunk",
            Self::Claim => "claim",
            Self::Cut => "cut",
        }
    }
}

fn step(seen: &Seen) -> String {
    match &seen.step {
        Ok(Step::Block) => "next block".to_owned(),
        Ok(Step::Exit(exit)) => exit.to_string(),
        Err(error) => format!("host error: {error}"),
    }
}

fn side(seen: &Seen) -> serde_json::Value {
    let regs = seen.state.regs.slots().iter();
    serde_json::json!({
        "exit": step(seen),
        "pc": seen.state.pc.value(),
        "gas": seen.state.gas.value(),
        "regs": regs.map(|value| format!("{value:#x}")).collect::<Vec<_>>(),
        "private_pages": seen.private.len(),
    })
}

/// A table of a state before and both sides after; lines that differ are marked.
fn print_sides(indent: &str, before: &rivet::engine::State, a: &Seen, b: &Seen) {
    let line = |name: &str, before: String, x: String, y: String| {
        let mark = if x == y { ' ' } else { '≠' };
        println!("{indent}{mark} {name:>8} {before:>20} {x:>20} {y:>20}");
    };
    line("exit", String::new(), step(a), step(b));
    let pcs = [before.pc, a.state.pc, b.state.pc].map(|pc| pc.to_string());
    let [x, y, z] = pcs;
    line("pc", x, y, z);
    let [x, y, z] = [before.gas, a.state.gas, b.state.gas].map(|gas| gas.value().to_string());
    line("gas", x, y, z);
    for slot in Slot::all() {
        let values = [&before.regs, &a.state.regs, &b.state.regs];
        let [x, y, z] = values.map(|regs| regs.slots()[slot.index()]);
        if x != y || y != z {
            let [x, y, z] = [x, y, z].map(|value| format!("{value:#x}"));
            line(slot.reg().name(), x, y, z);
        }
    }
    let [x, y] = [a, b].map(|seen| seen.private.len().to_string());
    line("private", String::new(), x, y);
}
