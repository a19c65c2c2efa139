//! The guests' C sources compiled for every engine: the same source, the same headers, each in the
//! form that the engine takes.

use super::workloads::{BIG_CODE, Workload, big_code};
use crate::failure::Failure;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kind of executable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Form {
    /// The machine at hand, `-O2`.
    Native,
    /// The machine at hand, `-O3 -march=native`.
    NativeBest,
    /// RV64E for this engine.
    Pvm2,
    /// WebAssembly.
    Wasm,
    /// RV64E for PolkaVM's linker.
    PolkaVm,
    /// RV64 with all its registers.
    Ckb,
    /// An object of clang's BPF target, which the runner links.
    Bpf,
}

/// How an executable of a form is linked.
enum Linker {
    /// Clang links.
    Clang,
    /// A tool beside clang, with these options.
    Tool(&'static str, &'static [&'static str]),
    /// Nobody; the object is what the runner takes.
    None,
}

impl Form {
    /// Ending of the file names.
    fn suffix(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::NativeBest => "native3",
            Self::Pvm2 => "elf",
            Self::Wasm => "wasm",
            Self::PolkaVm => "polkavm.elf",
            Self::Ckb => "ckb.elf",
            Self::Bpf => "bpf.o",
        }
    }

    /// Options that choose the target.
    fn target(self) -> &'static [&'static str] {
        match self {
            Self::Native => &["-O2"],
            Self::NativeBest => &["-O3", "-march=native"],
            Self::Pvm2 => &[],
            Self::Wasm => &[
                "--target=wasm32",
                "-mbulk-memory",
                "-msign-ext",
                "-mmutable-globals",
            ],
            Self::PolkaVm => &[
                "--target=riscv64-unknown-elf",
                "-march=rv64emac_zbb_xtheadcondmov",
                "-mabi=lp64e",
                "-mcmodel=medany",
                "-fpie",
            ],
            Self::Ckb => &[
                "--target=riscv64-unknown-elf",
                "-march=rv64imc_zba_zbb_zbc_zbs",
                "-mabi=lp64",
                "-mcmodel=medany",
                // All of its memory is 4 MiB.
                "-DPVM_HEAP_SIZE=2097152",
            ],
            Self::Bpf => &[
                "--target=bpf",
                "-mcpu=v2",
                // Frames of the machine that runs it have 4 KiB.
                "-mllvm",
                "-bpf-stack-size=4096",
            ],
        }
    }

    /// Sources of `benches/peers/rt` that stand before the C library.
    fn own_runtime(self) -> &'static [&'static str] {
        match self {
            Self::Wasm => &["wasm.c"],
            Self::PolkaVm => &["polkavm.c"],
            Self::Ckb => &["ckb.c"],
            Self::Native | Self::NativeBest | Self::Pvm2 | Self::Bpf => &[],
        }
    }

    /// Who links.
    fn linker(self) -> Linker {
        match self {
            Self::Native | Self::NativeBest | Self::Pvm2 => Linker::Clang,
            Self::Bpf => Linker::None,
            Self::Wasm => Linker::Tool(
                "wasm-ld",
                &[
                    "--no-entry",
                    "--export=guest_main",
                    "--allow-undefined",
                    "-zstack-size=1048576",
                ],
            ),
            Self::PolkaVm => Linker::Tool(
                "ld.lld",
                &[
                    "-pie",
                    "-znotext",
                    "--emit-relocs",
                    "--unique",
                    "--apply-dynamic-relocs",
                    "-Bsymbolic",
                    "--no-relax",
                    "--gc-sections",
                    "-e0",
                ],
            ),
            Self::Ckb => Linker::Tool("ld.lld", &["-static", "--gc-sections", "-e_start"]),
        }
    }
}

/// The files of the C library that guests need elsewhere.
const LIBRARY: [&str; 9] = [
    "decimal.c",
    "format.c",
    "int128.c",
    "malloc.c",
    "math.c",
    "softfloat.c",
    "stdio.c",
    "stdlib.c",
    "string.c",
];

/// What every target without a system is compiled with. `-U__riscv` makes the guests use the
/// host's functions instead of the instructions of PVM2.
const FREESTANDING: [&str; 5] = ["-O2", "-w", "-U__riscv", "-ffreestanding", "-nostdlibinc"];

/// What a linker needs to leave out what is not used.
const SECTIONS: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

/// Clang and the linkers of its version, with the places of sources and results.
pub(crate) struct Toolchain {
    clang: PathBuf,
    source: PathBuf,
    out: PathBuf,
}

impl Toolchain {
    /// Sources below `source`, results below `out`.
    pub(crate) fn new(source: &Path, out: &Path) -> Result<Self, Failure> {
        Ok(Self {
            clang: crate::cc::compiler()?,
            source: source.to_owned(),
            out: out.to_owned(),
        })
    }

    /// First line of `clang --version`.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(&self.clang).arg("--version").output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().next().unwrap_or("unknown").to_owned()
    }

    /// The tool of this name that belongs to the compiler: `clang-22` goes with `wasm-ld-22`.
    fn beside(&self, tool: &str) -> PathBuf {
        let name = self.clang.file_name().unwrap_or_default().to_string_lossy();
        let version = name.strip_prefix("clang").unwrap_or_default();
        self.clang.with_file_name(format!("{tool}{version}"))
    }

    fn file(&self, name: &str, form: Form) -> PathBuf {
        self.out.join(format!("{name}.{}", form.suffix()))
    }

    /// Compiles what all workloads of a form share. Must come before the workloads.
    pub(crate) fn library(&self, form: Form) -> Result<(), String> {
        let Linker::Tool(..) = form.linker() else {
            return Ok(());
        };
        let folder = self.out.join(form.suffix().replace('.', "-"));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let peers = self.source.join("benches/peers/rt");
        let library = self.source.join("guests/rt");
        let own = form.own_runtime().iter().map(|name| peers.join(name));
        let sources = own.chain([peers.join("heap.c")]);
        let sources = sources.chain(LIBRARY.iter().map(|name| library.join(name)));
        let mut command = self.compiler(form);
        command.current_dir(&folder).arg("-c").args(sources);
        run(command)
    }

    fn compiler(&self, form: Form) -> Command {
        let mut command = Command::new(&self.clang);
        command.args(form.target());
        if let Linker::Tool(..) | Linker::None = form.linker() {
            command.args(FREESTANDING);
            // Objects that nobody links keep their code in one section.
            if let Linker::Tool(..) = form.linker() {
                command.args(SECTIONS);
            }
            command
                .arg("-isystem")
                .arg(self.source.join("benches/peers/rt/include"));
            command
                .arg("-isystem")
                .arg(self.source.join("guests/rt/include"));
            command.arg("-I").arg(self.source.join("guests/rt"));
        } else {
            command.arg("-w");
        }
        command.arg("-I").arg(self.source.join("guests/c"));
        command
    }

    /// Builds a workload and returns the file.
    pub(crate) fn build(&self, workload: &Workload, form: Form) -> Result<PathBuf, String> {
        let source = if workload.name == BIG_CODE {
            let path = self.out.join("bigcode.c");
            if !path.exists() {
                fs::write(&path, big_code()).map_err(|error| error.to_string())?;
            }
            path
        } else {
            self.source.join(format!("guests/c/{}.c", workload.source))
        };
        match form {
            Form::Pvm2 => self.guest(workload, &source),
            Form::Native | Form::NativeBest => self.native(workload, form, &source),
            Form::Wasm | Form::PolkaVm | Form::Ckb => self.elsewhere(workload, form, &source),
            Form::Bpf => self.object(form, &source, self.file(workload.name, form)),
        }
    }

    /// The prebuilt guest where there is one, so that what is measured is what the tree holds.
    fn guest(&self, workload: &Workload, source: &Path) -> Result<PathBuf, String> {
        let prebuilt = self
            .source
            .join(format!("guests/prebuilt/{}.elf", workload.source));
        if prebuilt.exists() {
            return Ok(prebuilt);
        }
        let path = self.out.join(format!("{}.pvm", workload.name));
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        command.arg("cc").arg(source).arg("-w").arg("-o").arg(&path);
        command
            .arg("-I")
            .arg(self.source.join("guests/c"))
            .arg("--no-map");
        run(command)?;
        Ok(path)
    }

    fn native(&self, workload: &Workload, form: Form, source: &Path) -> Result<PathBuf, String> {
        let path = self.file(workload.name, form);
        let mut command = self.compiler(form);
        command
            .arg(source)
            .arg(self.source.join("benches/peers/rt/native.c"));
        command.arg("-o").arg(&path).arg("-lm");
        run(command)?;
        Ok(path)
    }

    fn object(&self, form: Form, source: &Path, object: PathBuf) -> Result<PathBuf, String> {
        let mut command = self.compiler(form);
        command.arg("-c").arg(source).arg("-o").arg(&object);
        run(command)?;
        Ok(object)
    }

    fn elsewhere(&self, workload: &Workload, form: Form, source: &Path) -> Result<PathBuf, String> {
        let Linker::Tool(linker, options) = form.linker() else {
            return Err(format!("{form:?} has no linker"));
        };
        let object = format!("{}.{}.o", workload.name, form.suffix());
        let object = self.object(form, source, self.out.join(object))?;
        let path = self.file(workload.name, form);
        let folder = self.out.join(form.suffix().replace('.', "-"));
        let own = form.own_runtime().iter();
        let own = own.map(|name| folder.join(name).with_extension("o"));
        let library = ["heap.c"].iter().chain(&LIBRARY);
        let library = library.map(|name| folder.join(name).with_extension("o"));
        let mut command = Command::new(self.beside(linker));
        command.args(options).arg(&object).args(own);
        command.arg("--start-lib").args(library).arg("--end-lib");
        command.arg("-o").arg(&path);
        run(command)?;
        Ok(path)
    }
}

/// Runs a tool; its first message if it fails.
fn run(mut command: Command) -> Result<(), String> {
    let name: OsString = command.get_program().to_owned();
    let name = Path::new(&name)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("error"));
    let line = line.or(text.lines().next()).unwrap_or("no message");
    // Folders of this machine say nothing to a reader.
    let line = line.rsplit_once("error: ").map_or(line, |(_, what)| what);
    Err(format!("{name}: {line}"))
}
