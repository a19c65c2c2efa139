//! Why an executable cannot become an image: one variant per reason, each with what it concerns.
//!
//! Every refusal answers three questions. *What* is the `Display` text; *where* is the [`Site`]
//! (section, offset, symbol, instruction); *how to fix it* is [`LinkError::remedy`] in
//! `diagnostic.rs`, which also renders all three together.

use std::fmt;

use crate::elf::reloc::Kind;

/// Where in the executable a refusal applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Name of the section, or of the header or table.
    pub section: String,
    /// Byte offset within the section, if there is one.
    pub offset: Option<u64>,
    /// Address as linked, if there is one.
    pub address: Option<u64>,
    /// The enclosing function or object.
    pub symbol: Option<String>,
    /// Text of the instruction.
    pub instruction: Option<String>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.section)?;
        if let Some(offset) = self.offset {
            write!(f, "+{offset:#x}")?;
        }
        if let Some(address) = self.address {
            write!(f, " (address {address:#x})")?;
        }
        if let Some(symbol) = &self.symbol {
            write!(f, " in `{symbol}`")?;
        }
        Ok(())
    }
}

/// A part of the file format, for messages about its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The 64 bytes at the start of the file.
    Header,
    /// The table of program headers.
    Segments,
    /// The table of section headers.
    Sections,
    /// The content of a section.
    Section,
    /// The content of a segment.
    Segment,
    /// The symbol table.
    Symbols,
    /// A relocation table.
    Relocations,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "file header",
            Self::Segments => "program header table",
            Self::Sections => "section header table",
            Self::Section => "section content",
            Self::Segment => "segment content",
            Self::Symbols => "symbol table",
            Self::Relocations => "relocation table",
        })
    }
}

/// What the flags of the ELF header promise that PVM2 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagFault {
    /// The RVE bit is missing: code may use x16 to x31.
    NotEmbedded,
    /// Arguments are passed in floating-point registers.
    FloatAbi,
    /// A bit without known meaning.
    Unknown,
}

/// A rule of the proof on the finished image; see `proof.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The walk of ISA §5 visits exactly the instructions that were placed.
    Walk,
    /// An instruction that was not re-encoded equals its source.
    Unmoved,
    /// A re-encoded instruction does what its source did, to the moved target.
    Moved,
    /// A branch, call, code pointer or endpoint reaches a block start.
    Start,
    /// A word of data that holds an address holds the moved address.
    Pointer,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Walk => "the linear walk meets an instruction that was not placed here",
            Self::Unmoved => "an instruction without a reference differs from its source",
            Self::Moved => "a re-encoded instruction does not refer to what its source refers to",
            Self::Start => "a control-flow target is not a block start",
            Self::Pointer => "a pointer in data does not follow what it points to",
        })
    }
}

/// Why [`link`](fn@crate::link) refused an executable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The file does not begin like an ELF file.
    #[error("this is not an ELF file: it has {len} bytes and begins with {first:02x?}")]
    NotElf {
        /// Length of the file.
        len: usize,
        /// Its first bytes, at most four.
        first: Vec<u8>,
    },
    /// A part of the file lies beyond its end.
    #[error("the {part} at offset {offset:#x} takes {size:#x} bytes, but the file has {file:#x}")]
    Truncated {
        /// What is cut off.
        part: Part,
        /// Where it begins in the file.
        offset: u64,
        /// Its size in bytes.
        size: u64,
        /// Size of the file.
        file: u64,
    },
    /// A table has entries of a size that ELF64 does not have, or no whole number of them.
    #[error("the {part} has entries of {found} bytes where ELF64 has {expected}")]
    EntrySize {
        /// Which table.
        part: Part,
        /// Size of an entry as declared.
        found: u64,
        /// Size of an entry in ELF64.
        expected: u64,
    },
    /// Not the 64-bit class.
    #[error("the file is of ELF class {found}, not 2 (64-bit)")]
    WrongClass {
        /// `EI_CLASS`.
        found: u8,
    },
    /// Not little-endian.
    #[error("the file has data encoding {found}, not 1 (little-endian)")]
    WrongEndian {
        /// `EI_DATA`.
        found: u8,
    },
    /// An ELF version other than 1.
    #[error("the file has ELF version {found}, not 1")]
    WrongVersion {
        /// `EI_VERSION` or `e_version`.
        found: u32,
    },
    /// Not for RISC-V.
    #[error("the file is for machine {found}, not 243 (RISC-V)")]
    WrongMachine {
        /// `e_machine`.
        found: u16,
    },
    /// Not an executable: an object, a shared object or position-independent executable, a core.
    #[error("the file is of type {found}, not 2 (static executable)")]
    WrongType {
        /// `e_type`.
        found: u16,
    },
    /// The flags promise another register file or calling convention.
    #[error("the ELF flags {flags:#x} do not describe RV64E code of ABI lp64e")]
    WrongFlags {
        /// `e_flags`.
        flags: u32,
        /// What is wrong with them.
        fault: FlagFault,
    },
    /// Needs a dynamic loader.
    #[error("the executable is dynamic: it has {what}")]
    Dynamic {
        /// The header that says so.
        what: &'static str,
    },
    /// Uses thread-local storage.
    #[error("{at} uses thread-local storage")]
    Tls {
        /// Where.
        at: Box<Site>,
    },
    /// Uses an indirect function.
    #[error("{at} is an indirect function (IFUNC)")]
    Ifunc {
        /// Where.
        at: Box<Site>,
    },
    /// Code that can be written.
    #[error("{at} is writable and executable")]
    WritableCode {
        /// Which section or segment.
        at: Box<Site>,
    },
    /// Two parts of memory overlap.
    #[error("{first} and {second} overlap at address {address:#x}")]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
        /// First shared address.
        address: u64,
    },
    /// A section or segment does not fit the 32-bit address space.
    #[error("{at} takes {size:#x} bytes and does not end below 2^32")]
    OutsideAddressSpace {
        /// Which one.
        at: Box<Site>,
        /// Its size in bytes.
        size: u64,
    },
    /// A segment has more bytes in the file than in memory.
    #[error("{at} has {file:#x} bytes in the file and only {memory:#x} in memory")]
    SegmentSize {
        /// Which one.
        at: Box<Site>,
        /// `p_filesz`.
        file: u64,
        /// `p_memsz`.
        memory: u64,
    },
    /// Sections and segments tell different stories.
    #[error("{at} is not part of a loadable segment at the same address and file offset")]
    NotLoaded {
        /// Which section.
        at: Box<Site>,
    },
    /// The executable has no section headers.
    #[error("the executable has no section headers")]
    NoSections,
    /// The executable has no code.
    #[error("the executable has no executable section with content")]
    NoCode,
    /// A section of code has no content in the file.
    #[error("{at} is executable but has no content in the file")]
    EmptyCode {
        /// Which section.
        at: Box<Site>,
    },
    /// More code than a program may have.
    #[error("the code has {size:#x} bytes; a program may have {limit:#x}")]
    CodeTooLarge {
        /// Size in bytes.
        size: u64,
        /// MAX_CODE_SIZE of ISA §4.
        limit: u64,
    },
    /// More data than the address space holds.
    #[error("data, heap and stack need {needed:#x} bytes above {base:#x}, past 2^32")]
    NoRoom {
        /// Bytes wanted.
        needed: u64,
        /// From where.
        base: u64,
    },
    /// A count or size that no real program has.
    #[error("{what}: {found} where at most {limit} are accepted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// Section alignment beyond what moving the data can keep.
    #[error("{at} wants an alignment of {align:#x}")]
    Alignment {
        /// Which section.
        at: Box<Site>,
        /// `sh_addralign`.
        align: u64,
    },
    /// A header refers to a section or symbol that does not exist or is of another kind.
    #[error("{at} refers to {what} {index}, which does not exist")]
    BadIndex {
        /// Whose reference.
        at: Box<Site>,
        /// What kind of thing.
        what: &'static str,
        /// The index.
        index: u64,
    },
    /// A symbol that nothing defines.
    #[error("{at} refers to `{name}`, which is not defined")]
    Undefined {
        /// Who refers to it.
        at: Box<Site>,
        /// The symbol.
        name: String,
    },
    /// A symbol whose value lies in no section.
    #[error("{at} refers to {target}, which lies outside every section")]
    SymbolOutside {
        /// Who refers to it.
        at: Box<Site>,
        /// Symbol and addend.
        target: String,
    },
    /// The executable has lost its relocations.
    #[error("{at} depends on where code lies, and the executable has no relocations")]
    RelocationsMissing {
        /// The first instruction that shows it.
        at: Box<Site>,
    },
    /// One `auipc` without relocation.
    #[error("{at}: this auipc has no relocation, so what it refers to is unknown")]
    AuipcWithoutRelocation {
        /// Where.
        at: Box<Site>,
    },
    /// Code assembled with `-mno-relax` that depends on a distance the assembler has fixed.
    #[error("{at} was assembled with -mno-relax and depends on a folded distance between labels")]
    NoRelaxObject {
        /// The function and the instruction that shows it.
        at: Box<Site>,
    },
    /// A jump through distances between labels, some of which the assembler has folded.
    #[error("{at} jumps by distances between labels in {table} that have no relocation")]
    FoldedDifference {
        /// The indirect jump.
        at: Box<Site>,
        /// The table, or what could be one.
        table: String,
    },
    /// A relocation type this linker does not know or want.
    #[error("{at}: relocation type {kind} cannot be linked")]
    UnsupportedRelocation {
        /// Where.
        at: Box<Site>,
        /// Its type.
        kind: Kind,
    },
    /// The bytes are not what the relocation says.
    #[error("{at}: {kind} to {target} asks for {expected:#x}, but the bytes hold {found:#x}")]
    RelocationMismatch {
        /// Where.
        at: Box<Site>,
        /// Type of the relocation.
        kind: Kind,
        /// Symbol and addend.
        target: String,
        /// Value by the relocation.
        expected: u64,
        /// Value found.
        found: u64,
    },
    /// A relocation at a place it cannot apply to.
    #[error("{at}: {kind} does not apply to what is here")]
    MisplacedRelocation {
        /// Where.
        at: Box<Site>,
        /// Type of the relocation.
        kind: Kind,
    },
    /// Two relocations claim the same immediate.
    #[error("{at} has two relocations for one address")]
    RelocatedTwice {
        /// Where.
        at: Box<Site>,
    },
    /// A low part without its high part, or a GOT access without its low part.
    #[error("{at}: {kind} has no partner at {partner:#x}")]
    OrphanPart {
        /// Where.
        at: Box<Site>,
        /// Type of the relocation.
        kind: Kind,
        /// Address where the partner should be.
        partner: u64,
    },
    /// Code refers to data by its distance from the global pointer.
    #[error("{at} is relative to the global pointer")]
    GpRelaxed {
        /// Where.
        at: Box<Site>,
    },
    /// Something reads the unwinding tables.
    #[error("{at} refers to the unwinding table {table}")]
    UnwindingUsed {
        /// Where.
        at: Box<Site>,
        /// The section referred to.
        table: String,
    },
    /// A code address that is not the start of an instruction.
    #[error("{at} refers to {target}, which is not the start of an instruction")]
    InsideInstruction {
        /// Where.
        at: Box<Site>,
        /// Symbol and addend, or address.
        target: String,
    },
    /// A jump to something that is not code.
    #[error("{at} goes to {target}, which is not code")]
    TargetNotCode {
        /// Where.
        at: Box<Site>,
        /// Symbol and addend, or address.
        target: String,
    },
    /// Execution runs into data in a code section.
    #[error("{at}: execution runs into data at {data:#x}")]
    FallsIntoData {
        /// The last instruction before the data.
        at: Box<Site>,
        /// Address of the data.
        data: u64,
    },
    /// Code ends in the middle of an instruction.
    #[error("{at}: the code ends inside this instruction")]
    PartialInstruction {
        /// Where.
        at: Box<Site>,
    },
    /// A target that no encoding reaches after the code has grown.
    #[error("{at}: {target} is {distance} bytes away, out of reach")]
    OutOfReach {
        /// Where.
        at: Box<Site>,
        /// What it refers to.
        target: String,
        /// Distance in bytes.
        distance: i64,
    },
    /// No place to start.
    #[error("there is no entry: neither a symbol `{wanted}` nor an entry address in code")]
    NoEntry {
        /// The symbol looked for.
        wanted: String,
    },
    /// An endpoint whose symbol does not exist or is not code.
    #[error("endpoint `{name}` is not a symbol at the start of an instruction")]
    BadEndpoint {
        /// The symbol.
        name: String,
    },
    /// An absolute symbol names memory that has to move.
    #[error("{at} refers to {target} by absolute value, but the memory there has to move")]
    AbsoluteMoved {
        /// Where.
        at: Box<Site>,
        /// The symbol.
        target: String,
    },
    /// The stack or heap symbols contradict the layout.
    #[error("`{name}` = {value:#x} does not lie where memory can be mapped")]
    BadMemorySymbol {
        /// The symbol.
        name: String,
        /// Its value.
        value: u64,
    },
    /// The image was refused by its own rules.
    #[error("the image cannot be built")]
    Image(#[from] rivet_image::ImageError),
    /// The content of a slot was refused by its own rules.
    #[error("the data of the image cannot be built")]
    Data(#[from] rivet_image::DataError),
    /// The proof on the output failed: a fault of this linker, not of the program.
    #[error("{at}: proof failed: {rule}")]
    Proof {
        /// Where.
        at: Box<Site>,
        /// The rule that does not hold.
        rule: Rule,
    },
}
