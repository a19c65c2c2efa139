//! `rivet gas`: what each block of a program costs.

use crate::Outcome;
use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::symbols::Symbols;
use rivet::engine::{BlockInfo, Program};
use rivet::isa::decode;
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  rivet gas prog.elf
  rivet gas --json prog.pvm | jq -s 'max_by(.cost)'

A block's gate wants cost + reserve and deducts cost; the reserve covers the pages that its stores
can make private. Blocks that are a call have no static price. The totals count every block once.";

/// Show cost and reserve of every block
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// ELF executable, .pvm image, or bare code with --raw
    file: PathBuf,
    /// Take FILE as bare code bytes
    #[arg(long)]
    raw: bool,
    /// Print one JSON object per block and one with the totals
    #[arg(long)]
    json: bool,
}

#[derive(Default)]
struct Totals {
    blocks: u64,
    instructions: u64,
    cost: u64,
    reserve: u64,
}

pub(crate) fn gas(args: &Args) -> Result<Outcome, Failure> {
    let loaded = input::inspect(&args.file, args.raw)?;
    output::write(|out| print(&loaded.program, &loaded.symbols, args.json, out))?;
    Ok(Outcome::Done)
}

fn print(program: &Program, symbols: &Symbols, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if !json {
        writeln!(
            out,
            "{:>10} {:>6} {:>8} {:>8}  symbol",
            "pc", "insts", "cost", "reserve"
        )?;
    }
    let mut totals = Totals::default();
    for info in program.blocks() {
        let instructions = instructions(program, &info);
        totals.blocks += 1;
        totals.instructions += instructions;
        totals.cost += info.cost.cost;
        totals.reserve += info.cost.reserve;
        let start = info.block.start;
        let symbol = symbols.describe(start);
        if json {
            let object = serde_json::json!({
                "pc": start.value(),
                "end": info.block.end.value(),
                "instructions": instructions,
                "cost": info.cost.cost,
                "reserve": info.cost.reserve,
                "symbol": symbol,
            });
            writeln!(out, "{object}")?;
        } else {
            let symbol = symbol.unwrap_or_default();
            let BlockInfo { cost, .. } = info;
            let (pc, cost, reserve) = (start.to_string(), cost.cost, cost.reserve);
            writeln!(
                out,
                "{pc:>10} {instructions:>6} {cost:>8} {reserve:>8}  {symbol}"
            )?;
        }
    }
    print_totals(program, &totals, json, out)
}

fn instructions(program: &Program, info: &BlockInfo) -> u64 {
    let mut at = info.block.start.value();
    let mut count = 0;
    while at < info.block.end.value() {
        let decoded = usize::try_from(at)
            .ok()
            .and_then(|at| decode(program.code(), at));
        let Some(decoded) = decoded else { break };
        at += decoded.len.bytes();
        count += 1;
    }
    count
}

fn print_totals(
    program: &Program,
    totals: &Totals,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let costs = program.costs();
    if json {
        let object = serde_json::json!({
            "blocks": totals.blocks,
            "instructions": totals.instructions,
            "total_cost": totals.cost,
            "total_reserve": totals.reserve,
            "mem_cycles": costs.mem_cycles(),
            "cow_max": costs.cow_max(),
        });
        return writeln!(out, "{object}");
    }
    let Totals {
        blocks,
        instructions,
        cost,
        reserve,
    } = totals;
    writeln!(
        out,
        "{blocks} blocks, {instructions} instructions, cost {cost}, reserve {reserve}"
    )?;
    writeln!(
        out,
        "frame: {} cycles per memory access, {} gas for the dearest page",
        costs.mem_cycles(),
        costs.cow_max()
    )
}
