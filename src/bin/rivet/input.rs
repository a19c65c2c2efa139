//! Reading programs: ELF executables, `.pvm` images, bare code.

use crate::failure::Failure;
use crate::number::MapArg;
use crate::symbols::{Symbol, Symbols};
use rivet::engine::{Backend, Config, Engine, Program, Raw, Start};
use rivet::image::{Image, Key, NoImages, RegionKind};
use rivet::loader::{CodeSymbol, LinkOptions, Sidecar, link};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest file that is read: above any program the machine can hold, below what hurts.
const MAX_FILE: u64 = 1 << 30;

/// With `--raw`: the regions to map.
pub(crate) struct RawArgs<'a> {
    pub(crate) maps: &'a [MapArg],
}

/// A program that has been read and, if it was an executable, linked.
pub(crate) enum Source {
    Image { image: Image, symbols: Symbols },
    Raw(Raw),
}

/// A program in an engine.
pub(crate) struct Loaded {
    pub(crate) program: Program,
    pub(crate) symbols: Symbols,
}

/// Reads a whole regular file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |error| Failure::file("read", path, error);
    let meta = std::fs::metadata(path).map_err(fail)?;
    let refuse = |what: &str| {
        let path = path.display();
        Err(Failure::message(format!("cannot read `{path}`: {what}")))
    };
    if meta.is_dir() {
        return refuse("it is a directory, a program is a file");
    }
    if !meta.is_file() {
        return refuse("it is a pipe or device; write it to a file first");
    }
    if meta.len() > MAX_FILE {
        return refuse("it is larger than 1 GiB, which no program is");
    }
    let mut out = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(MAX_FILE).read_to_end(&mut out).map_err(fail)?;
    Ok(out)
}

/// Reads a program.
pub(crate) fn read(path: &Path, raw: Option<RawArgs<'_>>) -> Result<Source, Failure> {
    let content = bytes(path)?;
    if let Some(RawArgs { maps }) = raw {
        return Ok(Source::Raw(raw_program(content, maps)?));
    }
    if content.is_empty() {
        let path = path.display();
        return Err(Failure::message(format!(
            "`{path}` is empty, not an ELF file or an image"
        )));
    }
    if content.starts_with(b"\x7fELF") {
        let linked = link(&content, &LinkOptions::default()).map_err(|error| {
            Failure::Rendered(error.diagnostic(&path.to_string_lossy()).to_string())
        })?;
        let symbols = symbols(linked.symbols);
        return Ok(Source::Image {
            image: linked.image,
            symbols,
        });
    }
    let image = Image::decode(&content, &NoImages).map_err(|error| {
        Failure::message(format!("`{}` is not a valid image: {error}", path.display()))
            .help("rivet takes RV64E ELF executables and images written by `rivet link`; bare code needs --raw")
    })?;
    let symbols = sidecar(path, &image)?;
    Ok(Source::Image { image, symbols })
}

/// Reads a program to look at, not to run.
pub(crate) fn inspect(path: &Path, raw: bool) -> Result<Loaded, Failure> {
    let config = Config {
        backend: Backend::Interp,
        ..Config::default()
    };
    let source = read(path, raw.then_some(RawArgs { maps: &[] }))?;
    source.load(&Engine::new(config)?)
}

/// Where the sidecar of an image lies: `prog.pvm` has `prog.pvm.map`.
pub(crate) fn sidecar_path(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".map");
    name.into()
}

/// Symbols from the sidecar, none if there is no sidecar or it belongs to another image.
fn sidecar(path: &Path, image: &Image) -> Result<Symbols, Failure> {
    let path = sidecar_path(path);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Symbols::default()),
        Err(error) => return Err(Failure::file("read", &path, error)),
    };
    match Sidecar::decode(&content) {
        Ok(sidecar) if sidecar.image == image.address() => Ok(symbols(sidecar.symbols)),
        Ok(_) => {
            eprintln!(
                "warning: `{}` belongs to another image and is ignored",
                path.display()
            );
            Ok(Symbols::default())
        }
        Err(error) => {
            eprintln!("warning: `{}` is ignored: {error}", path.display());
            Ok(Symbols::default())
        }
    }
}

/// What is known of a program's source: its address map and debug information, if there are any.
pub(crate) fn source_map(path: &Path) -> Result<Option<Sidecar>, Failure> {
    let content = bytes(path)?;
    if content.starts_with(b"\x7fELF") {
        let linked = link(&content, &LinkOptions::default()).map_err(|error| {
            Failure::Rendered(error.diagnostic(&path.to_string_lossy()).to_string())
        })?;
        return Ok(Some(linked.sidecar()));
    }
    let Ok(image) = Image::decode(&content, &NoImages) else {
        return Ok(None);
    };
    // What is wrong with the sidecar has been said when the symbols were read.
    let sidecar = std::fs::read(sidecar_path(path)).ok();
    let sidecar = sidecar.and_then(|content| Sidecar::decode(&content).ok());
    Ok(sidecar.filter(|sidecar| sidecar.image == image.address()))
}

fn symbols(symbols: Vec<CodeSymbol>) -> Symbols {
    let symbol = |s: CodeSymbol| Symbol {
        name: s.name,
        pc: s.pc.value(),
        size: s.size,
    };
    Symbols::new(symbols.into_iter().map(symbol).collect())
}

fn raw_program(code: Vec<u8>, maps: &[MapArg]) -> Result<Raw, Failure> {
    let mut raw = Raw::new(code);
    for map in maps {
        let content = map.file.as_deref().map(bytes).transpose()?;
        let kind = match (map.read_only, &content) {
            (true, _) => RegionKind::Pinned,
            (false, Some(_)) => RegionKind::CopyOnWrite,
            (false, None) => RegionKind::Ephemeral,
        };
        raw = raw.region(map.start, map.size, kind, content.unwrap_or_default());
    }
    Ok(raw)
}

impl Source {
    /// Loads the program into an engine.
    pub(crate) fn load(self, engine: &Engine) -> Result<Loaded, Failure> {
        match self {
            Self::Image { image, symbols } => Ok(Loaded {
                program: engine.load(&image)?,
                symbols,
            }),
            Self::Raw(raw) => Ok(Loaded {
                program: engine.load_raw(raw)?,
                symbols: Symbols::default(),
            }),
        }
    }
}

impl Loaded {
    /// The start that the image's first endpoint describes.
    pub(crate) fn default_start(&self) -> Result<Start, Failure> {
        let key = Key::endpoint(0);
        if self
            .program
            .endpoints()
            .iter()
            .any(|(name, _)| *name == key)
        {
            return Ok(Start::endpoint(key));
        }
        Err(
            Failure::message("the image has no endpoint [00], which is where programs start")
                .help("name a code offset with --entry"),
        )
    }
}
