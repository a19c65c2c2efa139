//! Guests at the sizes for benchmarks, and the same C compiled for the machine at hand.

use rivet_engine::{Bare, Engine, Exit, Start};
use rivet_image::{Image, Key};
use rivet_isa::{Gas, Reg};
use rivet_loader::{LinkOptions, link};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Guests whose native form does other work: floating point in hardware, calls that do nothing,
/// pages that the host hands out in bulk.
pub const APART: [&str; 3] = ["floats", "hostping", "touch"];

/// The compiler of the native programs.
const COMPILER: &str = "clang-22";

/// A guest with its argument and what it gives.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Name of its source and its executable.
    pub name: String,
    /// Argument for benchmarks.
    pub arg: u64,
    /// What the same C gives natively.
    pub value: u64,
    /// Its image.
    pub image: Image,
}

/// The root of the source tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The image of a prebuilt guest.
///
/// # Panics
/// There is no such guest.
pub fn image(name: &str) -> Image {
    let elf = std::fs::read(root().join(format!("guests/prebuilt/{name}.elf")));
    let linked = link(
        &elf.expect("prebuilt guests are there"),
        &LinkOptions::default(),
    );
    linked.expect("prebuilt guests link").image
}

/// Guests of these names with a size for benchmarks, or all of them.
///
/// # Panics
/// `guests/native-values.tsv` is not what `guests/record-native.sh` writes.
pub fn guests(wanted: &[String]) -> Vec<Guest> {
    let table = std::fs::read_to_string(root().join("guests/native-values.tsv"));
    let table = table.expect("the table of native values is there");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let guests = rows.filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, arg, value) = (columns[0], columns[6], columns[7]);
        let unwanted = !wanted.is_empty() && !wanted.iter().any(|want| want == name);
        let arg = arg.parse().ok().filter(|_| !unwanted)?;
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16);
        Some(Guest {
            name: name.to_owned(),
            arg,
            value: value.expect("values are hexadecimal"),
            image: image(name),
        })
    });
    guests.collect()
}

/// Native programs, in a folder that goes with them.
#[derive(Debug)]
pub struct Natives {
    folder: PathBuf,
}

impl Natives {
    /// An empty folder.
    ///
    /// # Errors
    /// The folder cannot be made, or clang is missing.
    pub fn new() -> io::Result<Self> {
        Command::new(COMPILER)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .map_err(|error| {
                let text = format!("{COMPILER}: {error}: apt-get install {COMPILER}");
                io::Error::new(error.kind(), text)
            })?;
        let folder = std::env::temp_dir().join(format!("rivet-natives-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Compiles the C of a guest with `clang -O2`; nothing if it has none.
    ///
    /// # Panics
    /// The compiler refuses it.
    pub fn compile(&self, guest: &Guest) -> Option<Native> {
        let source = root().join(format!("guests/c/{}.c", guest.name));
        if !source.exists() {
            return None;
        }
        let path = self.folder.join(&guest.name);
        let status = Command::new(COMPILER)
            .args(["-O2", "-w"])
            .args([source, root().join("guests/c/native.c")])
            .arg("-o")
            .arg(&path)
            .arg("-lm")
            .status();
        let done = status.is_ok_and(|status| status.success());
        assert!(done, "{} compiles natively", guest.name);
        Some(Native(path))
    }
}

impl Drop for Natives {
    fn drop(&mut self) {
        // Nothing is lost if it stays.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A native program.
#[derive(Debug)]
pub struct Native(PathBuf);

impl Native {
    /// Time of the program as a process, its start included.
    ///
    /// # Panics
    /// The program fails.
    pub fn time(&self, arg: u64) -> Duration {
        let start = Instant::now();
        let status = Command::new(&self.0)
            .arg(arg.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        start.elapsed()
    }
}

/// Time of one run of a guest and the value it gave; translation is not counted.
///
/// # Panics
/// The guest does not halt.
pub fn run(engine: &Engine, guest: &Guest, arg: u64) -> (Duration, u64) {
    let program = engine.load(&guest.image).expect("guests load");
    let a0 = Reg::A0.slot().expect("a0 has a slot");
    let start = Start::endpoint(Key::endpoint(0))
        .with_gas(Gas::MAX)
        .with_slot(a0, arg);
    let mut machine = program.machine(start).expect("guests start");
    let clock = Instant::now();
    let exit = machine
        .run(&mut Bare::new(io::sink()))
        .expect("the host works");
    let time = clock.elapsed();
    assert_eq!(exit, Exit::Halt, "{}", guest.name);
    let translating = Duration::from_nanos(program.translation().nanoseconds);
    (
        time.saturating_sub(translating),
        machine.regs().get(Reg::A0),
    )
}
