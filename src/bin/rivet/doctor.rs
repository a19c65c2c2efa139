//! `rivet doctor`: what this machine can do, and what is missing.

use crate::Outcome;
use crate::cc;
use crate::failure::Failure;
use rivet::engine::{first_write_tracking, native_available};
use std::io::{self, Write};

/// Say what works on this machine and what is missing
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  rivet doctor\n  rivet doctor --json")]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    fine: bool,
    finding: String,
}

pub(crate) fn doctor(args: &Args) -> Result<Outcome, Failure> {
    let checks = [recompiler(), tracker(), interpreter(), compiler()];
    let mut out = io::stdout().lock();
    if args.json {
        let entry = |check: &Check| {
            let value = serde_json::json!({ "ok": check.fine, "finding": check.finding });
            (check.name.to_owned(), value)
        };
        let object: serde_json::Map<_, _> = checks.iter().map(entry).collect();
        writeln!(out, "{}", serde_json::Value::from(object)).map_err(Failure::output)?;
    } else {
        for Check {
            name,
            fine,
            finding,
        } in checks
        {
            let mark = if fine { "ok" } else { "--" };
            writeln!(out, "{mark}  {name}: {finding}").map_err(Failure::output)?;
        }
    }
    Ok(Outcome::Done)
}

fn recompiler() -> Check {
    let (fine, finding) = match native_available() {
        Ok(()) => (true, "runs here; `--engine auto` uses it".to_owned()),
        Err(reason) => (
            false,
            format!("{reason}; `--engine auto` uses the interpreter"),
        ),
    };
    Check {
        name: "recompiler",
        fine,
        finding,
    }
}

fn tracker() -> Check {
    let finding = first_write_tracking();
    Check {
        name: "first writes",
        fine: true,
        finding,
    }
}

fn interpreter() -> Check {
    let finding = "runs everywhere".to_owned();
    Check {
        name: "interpreter",
        fine: true,
        finding,
    }
}

fn compiler() -> Check {
    let (fine, finding) = match cc::compiler() {
        Ok(path) => (true, format!("{} for `rivet cc`", path.display())),
        Err(failure) => (false, failure.to_string().replace('\n', ";")),
    };
    Check {
        name: "clang",
        fine,
        finding,
    }
}
