//! `rivet cc`: C to an image, with the runtime that the command carries.
//!
//! The runtime is compiled apart from the program, so that neither sees the other's options, and
//! clang links both into an executable that the linker turns into an image.

use crate::Outcome;
use crate::failure::Failure;
use crate::link::{link_file, summary, write_image};
use rivet::loader::LinkOptions;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The runtime: path below `rt/` and content.
const RUNTIME: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/runtime.rs"));

/// Versions of clang that are known to build conforming guests, best first.
const VERSIONS: [&str; 4] = ["22", "21", "20", "19"];

const EXAMPLES: &str = "\
Examples:
  rivet cc hello.c -o hello.pvm
  rivet cc -O3 -Iinclude -DNDEBUG main.c lib.c -o prog.pvm
  rivet cc big.c -Wl,--defsym=__heap_size=67108864 -o big.pvm

All arguments but these go to clang as they are: -o names the image, --keep-elf FILE keeps the
executable, --no-map leaves out the .map file. The standard headers are the runtime's; <pvm2.h>
has the calls of PVM2. -O2 is the default.";

/// Compile C with clang and link it into an image
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// C files, clang options, -o FILE.pvm
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "ARG"
    )]
    args: Vec<OsString>,
}

/// The arguments sorted: ours, and clang's.
#[derive(Default)]
struct Request {
    output: Option<PathBuf>,
    keep_elf: Option<PathBuf>,
    no_map: bool,
    clang: Vec<OsString>,
}

pub(crate) fn cc(args: &Args) -> Result<Outcome, Failure> {
    let request = sort(&args.args)?;
    let output = request.output.as_deref().ok_or_else(|| {
        Failure::message("-o is missing").help("name the image to write: -o prog.pvm")
    })?;
    if !request.clang.iter().any(is_input) {
        return Err(
            Failure::message("no input file").help("name a C file: rivet cc hello.c -o hello.pvm")
        );
    }
    let tools = Tools::find()?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::file("create a folder in", &env::temp_dir(), error))?;
    let runtime = Runtime::unpack(scratch.path())?;
    let objects = runtime.compile(&tools, scratch.path())?;
    let elf = scratch.path().join("program.elf");
    runtime.build(&tools, &request.clang, &objects, &elf)?;
    if let Some(keep) = &request.keep_elf {
        fs::copy(&elf, keep).map_err(|error| Failure::file("write", keep, error))?;
    }
    let linked = link_file(&elf, &LinkOptions::default())?;
    write_image(&linked, output, !request.no_map)?;
    eprintln!("{}", summary(&linked, output));
    Ok(Outcome::Done)
}

fn is_input(arg: &OsString) -> bool {
    let name = arg.to_string_lossy();
    !name.starts_with('-')
        && [".c", ".S", ".s", ".o", ".a"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn sort(args: &[OsString]) -> Result<Request, Failure> {
    let mut request = Request::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = |name: &str| {
            rest.next()
                .map(PathBuf::from)
                .ok_or_else(|| Failure::message(format!("{name} needs a file name")))
        };
        match arg.to_str() {
            Some("-o" | "--output") => request.output = Some(value("-o")?),
            Some("--keep-elf") => request.keep_elf = Some(value("--keep-elf")?),
            Some("--no-map") => request.no_map = true,
            _ => request.clang.push(arg.clone()),
        }
    }
    Ok(request)
}

struct Tools {
    clang: PathBuf,
    lld: PathBuf,
}

impl Tools {
    fn find() -> Result<Self, Failure> {
        for version in VERSIONS {
            let found = (
                on_path(&format!("clang-{version}")),
                on_path(&format!("ld.lld-{version}")),
            );
            if let (Some(clang), Some(lld)) = found {
                return Ok(Self { clang, lld });
            }
        }
        let clang = VERSIONS
            .iter()
            .find_map(|version| on_path(&format!("clang-{version}")));
        let (clang, lld) = (on_path("clang").or(clang), on_path("ld.lld"));
        match (clang, lld) {
            (Some(clang), Some(lld)) => Ok(Self { clang, lld }),
            (clang, lld) => Err(missing(clang.is_none(), lld.is_none())),
        }
    }
}

fn missing(clang: bool, lld: bool) -> Failure {
    let (what, packages) = match (clang, lld) {
        (true, false) => ("clang is not installed", "clang-22"),
        (false, _) => ("lld is not installed for the clang that is", "lld-22"),
        (true, true) => ("clang and lld are not installed", "clang-22 lld-22"),
    };
    Failure::message(what)
        .note("rivet cc needs clang 19 or later and the lld of the same version")
        .help(format!("apt-get install {packages}"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The runtime's files in a folder.
struct Runtime {
    root: PathBuf,
}

impl Runtime {
    fn unpack(scratch: &Path) -> Result<Self, Failure> {
        let root = scratch.join("rt");
        for (name, content) in RUNTIME {
            let path = root.join(name);
            let write = || -> std::io::Result<()> {
                fs::create_dir_all(path.parent().unwrap_or(&root))?;
                fs::write(&path, content)
            };
            write().map_err(|error| Failure::file("write", &path, error))?;
        }
        Ok(Self { root })
    }

    /// The options that one of the runtime's `.args` files lists, a line each.
    fn options(name: &str) -> impl Iterator<Item = &'static str> {
        let text = RUNTIME
            .iter()
            .find(|(file, _)| *file == name)
            .map_or("", |(_, text)| text);
        text.lines().map(str::trim).filter(|line| !line.is_empty())
    }

    fn compiler(&self, tools: &Tools) -> Command {
        let mut command = Command::new(&tools.clang);
        command.args(Self::options("compile.args")).arg("-O2");
        command.arg("-isystem").arg(self.root.join("include"));
        command.arg("-Wno-unused-command-line-argument");
        command
    }

    /// Compiles the runtime's sources and returns the objects.
    fn compile(&self, tools: &Tools, scratch: &Path) -> Result<Vec<PathBuf>, Failure> {
        let is_source = |name: &&str| name.ends_with(".c") || name.ends_with(".S");
        let sources: Vec<&str> = RUNTIME
            .iter()
            .map(|(name, _)| *name)
            .filter(is_source)
            .collect();
        let mut command = self.compiler(tools);
        command
            .current_dir(scratch)
            .arg("-c")
            .arg("-I")
            .arg(&self.root);
        command.args(sources.iter().map(|name| self.root.join(name)));
        run(command, "the runtime")?;
        let object = |name: &str| scratch.join(Path::new(name).with_extension("o"));
        Ok(sources.into_iter().map(object).collect())
    }

    /// Compiles the program and links it with the runtime.
    fn build(
        &self,
        tools: &Tools,
        args: &[OsString],
        objects: &[PathBuf],
        elf: &Path,
    ) -> Result<(), Failure> {
        let mut command = self.compiler(tools);
        // As a library, the runtime yields to what the program defines itself.
        command.args(args).arg("-Wl,--start-lib").args(objects);
        command
            .arg("-Wl,--end-lib")
            .args(Self::options("link.args"));
        let mut lld = OsString::from("--ld-path=");
        lld.push(&tools.lld);
        let mut script = OsString::from("-Wl,-T,");
        script.push(self.root.join("pvm2.ld"));
        command.arg(lld).arg(script).arg("-o").arg(elf);
        run(command, "the program")
    }
}

fn run(mut command: Command, what: &str) -> Result<(), Failure> {
    let name = command.get_program().to_owned();
    let status = command
        .status()
        .map_err(|error| Failure::file("run", Path::new(&name), error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::message(format!(
        "clang could not compile {what}; its messages are above"
    )))
}

/// The clang that `rivet cc` would use.
pub(crate) fn compiler() -> Result<PathBuf, Failure> {
    Tools::find().map(|tools| tools.clang)
}
