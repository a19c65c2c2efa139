//! `rivet link`: an ELF executable to an image.

use crate::failure::Failure;
use crate::{Outcome, input, number, whole};
use rivet::loader::{LinkOptions, Linked, link as link_elf};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  rivet link prog.elf -o prog.pvm
  rivet link prog.elf -o prog.pvm --export on_transfer --export on_query

Beside the image, prog.pvm.map keeps symbols, debug information and the address map. The executable
must be RV64E, static and linked with -Wl,--no-relax -Wl,--emit-relocs from relaxable objects.";

/// Link an RV64E ELF executable into an image
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The executable
    file: PathBuf,
    /// The image to write
    #[arg(short, long, value_name = "FILE.pvm")]
    output: PathBuf,
    /// Symbol of the first endpoint [default: _start]
    #[arg(long, value_name = "SYMBOL")]
    entry: Option<String>,
    /// Symbol of a further endpoint; may be repeated
    #[arg(long = "export", value_name = "SYMBOL")]
    exports: Vec<String>,
    /// Bytes of stack, where the executable does not say
    #[arg(long, value_name = "BYTES", value_parser = number::number)]
    stack_size: Option<u64>,
    /// Bytes of heap, where the executable does not say
    #[arg(long, value_name = "BYTES", value_parser = number::number)]
    heap_size: Option<u64>,
    /// Do not write the .map file
    #[arg(long)]
    no_map: bool,
    /// Print the link report as one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn link(args: &Args) -> Result<Outcome, Failure> {
    let options = LinkOptions {
        entry: args.entry.clone(),
        exports: args.exports.clone(),
        stack_size: args.stack_size,
        heap_size: args.heap_size,
    };
    let linked = link_file(&args.file, &options)?;
    write_image(&linked, &args.output, !args.no_map)?;
    let report = &linked.report;
    if args.json {
        let object = serde_json::json!({
            "image": linked.image.address().to_string(),
            "text_before": report.text_before,
            "text_after": report.text_after,
            "fallthroughs": report.fallthroughs,
            "widened": report.widened,
            "embedded": report.embedded,
            "words": report.words,
            "unwind_dropped": report.unwind_dropped,
            "symbols": linked.symbols.len(),
        });
        println!("{object}");
    } else {
        eprintln!("{}", summary(&linked, &args.output));
    }
    Ok(Outcome::Done)
}

/// Reads and links an executable.
pub(crate) fn link_file(path: &Path, options: &LinkOptions) -> Result<Linked, Failure> {
    let content = input::bytes(path)?;
    link_elf(&content, options)
        .map_err(|error| Failure::Rendered(error.diagnostic(&path.to_string_lossy()).to_string()))
}

/// One line on what linking did.
pub(crate) fn summary(linked: &Linked, output: &Path) -> String {
    let report = &linked.report;
    format!(
        "{}: {} bytes of code from {}, {} fallthroughs inserted, {} branches widened; image {}",
        output.display(),
        report.text_after,
        report.text_before,
        report.fallthroughs,
        report.widened,
        linked.image.address(),
    )
}

/// Writes the image and, if asked, its sidecar; a file appears whole or not at all.
pub(crate) fn write_image(linked: &Linked, path: &Path, with_map: bool) -> Result<(), Failure> {
    let wire = linked
        .image
        .encode()
        .map_err(|error| Failure::message(format!("the image cannot be written: {error}")))?;
    whole::write(path, |file| file.write_all(&wire))?;
    if with_map && !whole::is_stream(path) {
        let sidecar = linked.sidecar().encode();
        whole::write(&input::sidecar_path(path), |file| file.write_all(&sidecar))?;
    }
    Ok(())
}
