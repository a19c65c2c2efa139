//! `rivet snap info|diff`: what snapshot files hold, and in what they differ.

use super::{file, whole};
use crate::failure::Failure;
use crate::{Outcome, output};
use rivet::engine::Payment;
use rivet::engine::snapshot::{
    FORMAT_VERSION, ISA_VERSION, Parcel, ParcelState, Pending, Snapshot, SnapshotPage,
};
use rivet::isa::PageIndex;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

const INFO_EXAMPLES: &str = "\
Examples:
  rivet snap info state.snap
  rivet snap info --json state.snap | jq .pc";

/// Show what a snapshot file holds
#[derive(clap::Args)]
#[command(after_help = INFO_EXAMPLES)]
pub(crate) struct InfoArgs {
    /// Snapshot file, `-` for standard input
    state: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  rivet snap diff before.snap after.snap
  rivet snap diff --save change.delta before.snap after.snap     keep the difference alone

Exit status: 0 equal, 1 different, 2 usage or load error; with --save 0 if the file was written.";

/// Compare two paused states of one program
#[derive(clap::Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub(crate) struct DiffArgs {
    /// Snapshot file to compare with
    before: PathBuf,
    /// Snapshot file
    after: PathBuf,
    /// Write what changed to FILE as a delta
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Info {
    kind: &'static str,
    format: u16,
    isa: u16,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    image: String,
    has_image: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_model: Option<String>,
    pc: u64,
    gas: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    regs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    base_pages: usize,
    private_pages: usize,
}

fn pending(pending: Pending) -> String {
    let paid = match pending.payment {
        Payment::Paid => "paid",
        Payment::Unpaid => "unpaid",
    };
    format!("{}, {paid}", pending.exit())
}

impl Info {
    fn of(parcel: &Parcel) -> Self {
        let has_image = parcel.image.is_some();
        let (format, isa) = (FORMAT_VERSION, ISA_VERSION);
        match &parcel.state {
            ParcelState::Snapshot(state) => Self {
                kind: "snapshot",
                format,
                isa,
                address: state.address().to_string(),
                base: None,
                image: state.image().to_string(),
                has_image,
                cost_model: Some(state.cost_model().to_string()),
                pc: state.pc().value(),
                gas: state.gas().value(),
                regs: Some(
                    state
                        .regs()
                        .slots()
                        .iter()
                        .map(|v| format!("{v:#x}"))
                        .collect(),
                ),
                pending: state.pending().map(pending),
                base_pages: state.base_pages().len(),
                private_pages: state.private_pages().len(),
            },
            ParcelState::Delta(delta) => Self {
                kind: "delta",
                format,
                isa,
                address: delta.result().to_string(),
                base: Some(delta.base().to_string()),
                image: delta.image().to_string(),
                has_image,
                cost_model: None,
                pc: delta.pc().value(),
                gas: delta.gas().value(),
                regs: None,
                pending: None,
                base_pages: delta.pages()[0].len(),
                private_pages: delta.pages()[1].len(),
            },
        }
    }

    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}: {}", self.kind, self.address)?;
        if let Some(base) = &self.base {
            writeln!(out, "against: {base}")?;
        }
        let here = if self.has_image {
            "in the file"
        } else {
            "not in the file"
        };
        writeln!(out, "image: {} ({here})", self.image)?;
        writeln!(out, "pc: {:#x}, gas: {}", self.pc, self.gas)?;
        if let Some(pending) = &self.pending {
            writeln!(out, "behind: {pending}")?;
        }
        if let Some(regs) = &self.regs {
            writeln!(out, "slots: {}", regs.join(" "))?;
        }
        let (base, private) = (self.base_pages, self.private_pages);
        writeln!(out, "pages: {private} private, {base} placed")?;
        writeln!(out, "format {}, instruction set {}", self.format, self.isa)
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::output(error.into()))
}

pub(super) fn info(args: &InfoArgs) -> Result<Outcome, Failure> {
    let info = Info::of(&file::read(&args.state)?);
    if args.json {
        let line = json(&info)?;
        output::write(|out| writeln!(out, "{line}"))?;
    } else {
        output::write(|out| info.show(out))?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Diff {
    equal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pc: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<[Option<String>; 2]>,
    slots: Vec<Slot>,
    pages: Vec<Page>,
}

#[derive(Serialize)]
struct Slot {
    slot: usize,
    before: String,
    after: String,
}

#[derive(Serialize)]
struct Page {
    address: u32,
    before: &'static str,
    after: &'static str,
    bytes: usize,
}

/// Class of a page, and its content if that is in the snapshot.
fn class(state: &Snapshot, page: PageIndex) -> (&'static str, Option<&SnapshotPage>) {
    match (
        state.private_pages().get(page),
        state.base_pages().get(page),
    ) {
        (Some(content), _) => ("private", Some(content)),
        (None, Some(content)) => ("placed", Some(content)),
        (None, None) => ("unchanged", None),
    }
}

impl Diff {
    fn of(before: &Snapshot, after: &Snapshot) -> Self {
        fn differ<T: PartialEq>(a: T, b: T) -> Option<[T; 2]> {
            (a != b).then_some([a, b])
        }
        let slots = before.regs().slots().iter().zip(after.regs().slots());
        let slots = slots.enumerate().filter(|(_, (a, b))| a != b);
        let lists = [before, after].map(|state| [state.base_pages(), state.private_pages()]);
        let mut pages: Vec<_> = lists
            .iter()
            .flatten()
            .flat_map(|l| l.iter().map(|p| p.0))
            .collect();
        pages.sort_unstable();
        pages.dedup();
        let page = |page: &PageIndex| {
            let ((was, old), (is, new)) = (class(before, *page), class(after, *page));
            let bytes = match (old, new) {
                (Some(old), Some(new)) => old.iter().zip(&**new).filter(|(a, b)| a != b).count(),
                (None, None) => 0,
                _ => 4096,
            };
            (was != is || bytes > 0).then(|| Page {
                address: page.base().value(),
                before: was,
                after: is,
                bytes,
            })
        };
        Self {
            equal: before == after,
            pc: differ(before.pc().value(), after.pc().value()),
            gas: differ(before.gas().value(), after.gas().value()),
            pending: differ(before.pending(), after.pending())
                .map(|both| both.map(|p| p.map(pending))),
            slots: slots
                .map(|(slot, (a, b))| Slot {
                    slot,
                    before: format!("{a:#x}"),
                    after: format!("{b:#x}"),
                })
                .collect(),
            pages: pages.iter().filter_map(page).collect(),
        }
    }

    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.equal {
            return writeln!(out, "equal");
        }
        if let Some([a, b]) = self.pc {
            writeln!(out, "pc: {a:#x} -> {b:#x}")?;
        }
        if let Some([a, b]) = self.gas {
            writeln!(out, "gas: {a} -> {b}")?;
        }
        if let Some([a, b]) = &self.pending {
            let name = |p: &Option<String>| p.clone().unwrap_or_else(|| "no call".to_owned());
            writeln!(out, "behind: {} -> {}", name(a), name(b))?;
        }
        for Slot {
            slot,
            before,
            after,
        } in &self.slots
        {
            writeln!(out, "slot {slot}: {before} -> {after}")?;
        }
        for page in &self.pages {
            let Page {
                address,
                before,
                after,
                bytes,
            } = page;
            writeln!(out, "page {address:#x}: {before} -> {after}, {bytes} bytes")?;
        }
        Ok(())
    }
}

pub(super) fn diff(args: &DiffArgs) -> Result<Outcome, Failure> {
    let ((before, _), (after, _)) = (whole(&args.before, &[])?, whole(&args.after, &[])?);
    let diff = Diff::of(&before, &after);
    let delta = after
        .since(&before)
        .map_err(|error| Failure::message(error.to_string()))?;
    if args.json {
        let line = json(&diff)?;
        output::write(|out| writeln!(out, "{line}"))?;
    } else {
        output::write(|out| diff.show(out))?;
    }
    if let Some(path) = &args.save {
        let state = ParcelState::Delta(delta);
        // Whoever has the base has the image.
        file::write(path, &Parcel { state, image: None })?;
        return Ok(Outcome::Done);
    }
    Ok(if diff.equal {
        Outcome::Done
    } else {
        Outcome::GuestFailed
    })
}
