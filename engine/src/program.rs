//! A loaded program: code, regions, costs and entry points, shared by all its machines.

use crate::checked::Pair;
use crate::config::{CheckEvery, Config};
use crate::engine::Chosen;
use crate::error::{LoadError, StartError};
use crate::identity::{CostModelId, Identity};
use crate::machine::{Machine, Reach, Store};
use crate::memory::sparse;
use crate::native::{NativeCode, NativeProgram, Translation};
use rivet_mutants::mutant;

use rivet_image::{Data, EndpointDef, Image, ImageError, Key, Region, RegionKind};
use rivet_interp::{SparseMemory, State};
use rivet_isa::gas::{BlockCost, FrameCosts, block_cost};
use rivet_isa::{
    ADDRESS_SPACE, Block, BlockStarts, CODE_BASE, DATA_BASE, Gas, GuestAddr, MAX_CODE_SIZE,
    PAGE_SIZE, Pc, Regs, Slot,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bare code with the regions it may use, for programs that have no image.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    code: Vec<u8>,
    regions: Vec<(u64, u64, RegionKind, Vec<u8>)>,
}

impl Raw {
    /// Code without any data region.
    pub fn new(code: Vec<u8>) -> Self {
        Self {
            code,
            regions: Vec::new(),
        }
    }

    /// Adds a region of `size` bytes from `start` on that begins with `content`; what the content
    /// does not cover is zero. Checked when the program is loaded.
    #[must_use]
    pub fn region(mut self, start: u64, size: u64, kind: RegionKind, content: Vec<u8>) -> Self {
        self.regions.push((start, size, kind, content));
        self
    }
}

/// One block of a program with its two static numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// First and one-past-last offset.
    pub block: Block,
    /// Cost and reserve in this program's frame; both 0 for a call (gas §4.5).
    pub cost: BlockCost,
}

/// How a machine starts: entry, registers, gas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    endpoint: Option<Key>,
    pc: Option<Pc>,
    regs: Vec<(Slot, u64)>,
    gas: Gas,
}

impl Start {
    /// Starts at a pc, with every slot 0. A pc that is no block start panics when it runs.
    pub fn at(pc: u64) -> Self {
        Self {
            endpoint: None,
            pc: Some(Pc::new(pc)),
            regs: Vec::new(),
            gas: Gas::ZERO,
        }
    }

    /// Starts at an endpoint of the image with its initial registers.
    pub fn endpoint(key: Key) -> Self {
        Self {
            endpoint: Some(key),
            pc: None,
            regs: Vec::new(),
            gas: Gas::ZERO,
        }
    }

    /// Starts at another pc, with the registers as they are.
    #[must_use]
    pub fn entering_at(mut self, pc: Pc) -> Self {
        self.pc = Some(pc);
        self
    }

    /// Gas at the start; none unless said.
    #[must_use]
    pub fn with_gas(mut self, gas: Gas) -> Self {
        self.gas = gas;
        self
    }

    /// Sets a slot after the endpoint's initial registers; the last value for a slot wins.
    #[must_use]
    pub fn with_slot(mut self, slot: Slot, value: u64) -> Self {
        self.regs.push((slot, value));
        self
    }
}

pub(crate) struct Inner {
    pub(crate) code: Arc<[u8]>,
    pub(crate) regions: Arc<[Region]>,
    pub(crate) costs: FrameCosts,
    pub(crate) interp: rivet_interp::Program,
    pub(crate) identity: Identity,
    endpoints: Vec<(Key, EndpointDef)>,
    memory: Origin,
    /// How far a checked machine runs between two comparisons.
    pub(crate) check_every: Reach,
}

/// Where machines get their memory from, and what they run on.
enum Origin {
    Interp(Template),
    Jit(NativeProgram),
    Checked(NativeProgram, Template),
}

/// Untouched memory that machines of the interpreter start from.
struct Template(Mutex<SparseMemory>);

impl Template {
    fn fork(&self) -> SparseMemory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }
}

impl Inner {
    /// The recompiler's side of the program, if machines use it.
    pub(crate) fn native(&self) -> Option<&NativeProgram> {
        match &self.memory {
            Origin::Interp(_) => None,
            Origin::Jit(native) | Origin::Checked(native, _) => Some(native),
        }
    }

    /// Untouched memory for a machine.
    pub(crate) fn store(&self) -> Store {
        match &self.memory {
            Origin::Interp(template) => Store::Sparse(template.fork()),
            Origin::Jit(native) => Store::Paged(Box::new(native.memory())),
            Origin::Checked(native, template) => {
                let (leader, follower) = (native.memory(), template.fork());
                Store::Checked(Box::new(Pair { leader, follower }))
            }
        }
    }
}

/// A loaded program. Cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Program(pub(crate) Arc<Inner>);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("code_len", &self.0.code.len())
            .field("regions", &self.0.regions.len())
            .field("costs", &self.0.costs)
            .finish_non_exhaustive()
    }
}

impl Program {
    pub(crate) fn of_image(
        config: &Config,
        chosen: &Chosen,
        image: &Image,
    ) -> Result<Self, LoadError> {
        let regions = image.layout()?;
        Self::build(
            config,
            chosen,
            image.code_shared(),
            None,
            regions,
            image.endpoints().to_vec(),
            Identity::new(&config.cost_model, Some(image)),
        )
    }

    pub(crate) fn of_raw(config: &Config, chosen: &Chosen, raw: Raw) -> Result<Self, LoadError> {
        let mut regions = Vec::with_capacity(raw.regions.len());
        for (start, size, kind, content) in raw.regions {
            regions.push(raw_region(start, size, kind, &content)?);
        }
        regions.sort_by_key(|region| region.first);
        let identity = Identity::new(&config.cost_model, None);
        let code = raw.code.into();
        Self::build(config, chosen, code, None, regions, Vec::new(), identity)
    }

    /// Bare code that another engine has loaded, on this one: its block starts are shared.
    #[cfg(feature = "diff")]
    pub(crate) fn beside(
        config: &Config,
        chosen: &Chosen,
        other: &Self,
    ) -> Result<Self, LoadError> {
        let inner = &*other.0;
        let identity = Identity::new(&config.cost_model, None);
        let (code, starts) = (Arc::clone(&inner.code), Arc::clone(inner.interp.starts()));
        let regions = inner.regions.to_vec();
        Self::build(
            config,
            chosen,
            code,
            Some(starts),
            regions,
            Vec::new(),
            identity,
        )
    }

    fn build(
        config: &Config,
        chosen: &Chosen,
        code: Arc<[u8]>,
        starts: Option<Arc<BlockStarts>>,
        regions: Vec<Region>,
        endpoints: Vec<(Key, EndpointDef)>,
        identity: Identity,
    ) -> Result<Self, LoadError> {
        let len = code.len() as u64;
        if len > MAX_CODE_SIZE {
            return Err(LoadError::CodeTooLong { len });
        }
        let neighbours = regions.iter().zip(regions.iter().skip(1));
        for (first, second) in neighbours {
            if first.end() > u64::from(second.start().value()) {
                let (first, second) = (first.start(), second.start());
                return Err(LoadError::Overlap { first, second });
            }
        }
        let footprint = regions
            .iter()
            .filter(|r| mutant!(FootprintWritable, true, r.kind != RegionKind::Pinned))
            .map(|region| u64::from(region.pages))
            .sum();
        let writable = regions
            .iter()
            .filter(|region| region.kind != RegionKind::Pinned);
        let costs = config
            .cost_model
            .frame(footprint, writable.map(|r| u64::from(r.pages)));
        let starts = starts.unwrap_or_else(|| Arc::new(BlockStarts::scan(&code)));
        let interp = rivet_interp::Program::with_starts(Arc::clone(&code), starts, costs);
        let template = || {
            sparse::template(config, &code, &regions)
                .map(Mutex::new)
                .map(Template)
        };
        let native = |native| NativeProgram::new(native, config, &interp, &regions);
        let memory = match chosen {
            Chosen::Interp => Origin::Interp(template()?),
            Chosen::Jit(shared) => Origin::Jit(native(shared)?),
            Chosen::Checked(shared) => Origin::Checked(native(shared)?, template()?),
        };
        let regions = regions.into();
        let inner = Inner {
            code,
            regions,
            costs,
            interp,
            identity,
            endpoints,
            memory,
            check_every: match config.check_every {
                CheckEvery::Exit => Reach::Exit,
                CheckEvery::Block => Reach::Block,
            },
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The code bytes.
    pub fn code(&self) -> &[u8] {
        &self.0.code
    }

    /// Address range of the code with its zero padding (ISA §4).
    pub fn code_range(&self) -> std::ops::Range<u64> {
        CODE_BASE..CODE_BASE + (self.0.code.len() as u64).next_multiple_of(PAGE_SIZE)
    }

    /// The data regions in ascending order.
    pub fn regions(&self) -> &[Region] {
        &self.0.regions
    }

    /// What block costs depend on besides the code.
    pub fn costs(&self) -> FrameCosts {
        self.0.costs
    }

    /// Block starts of the code.
    pub fn starts(&self) -> &BlockStarts {
        self.0.interp.starts()
    }

    /// All blocks with cost and reserve, in ascending order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockInfo> + '_ {
        let Inner { code, costs, .. } = &*self.0;
        self.starts().blocks().map(|block| {
            let cost = block_cost(code, block, *costs);
            BlockInfo { block, cost }
        })
    }

    /// What translation has done so far; nothing where machines are interpreted.
    pub fn translation(&self) -> Translation {
        self.0
            .native()
            .map_or_else(Translation::default, NativeProgram::translation)
    }

    /// The image of this program: the one it was loaded from, or for bare code one with the same
    /// code and regions, made at the first call. Its address is what snapshots name.
    ///
    /// # Errors
    /// [`ImageError`] for bare code with more regions than an image may have.
    pub fn image(&self) -> Result<&Image, ImageError> {
        self.0.identity.image(&self.0.code, &self.0.regions)
    }

    /// Identity of the cost parameters it is charged by.
    pub fn cost_model(&self) -> CostModelId {
        self.0.identity.cost_model
    }

    /// Translates the block at `pc` ahead of its first use, with its neighbourhood of 64 KiB; `false`
    /// where it stays with the interpreter, or no block starts.
    pub fn translate(&self, pc: Pc) -> bool {
        let native = self.0.native();
        native.is_some_and(|native| native.translate(pc))
    }

    /// Copies of the native code there is so far, for tools; none where machines are interpreted.
    pub fn translated(&self) -> Vec<NativeCode> {
        self.0
            .native()
            .map_or_else(Vec::new, NativeProgram::translated)
    }

    /// The endpoints of the image this program was loaded from.
    pub fn endpoints(&self) -> &[(Key, EndpointDef)] {
        &self.0.endpoints
    }

    /// A machine ready to run. Costs nothing that depends on the declared size of its memory.
    ///
    /// # Errors
    /// [`StartError::NoEndpoint`] if the entry names an endpoint that the image lacks.
    pub fn machine(&self, start: Start) -> Result<Machine, StartError> {
        Ok(Machine::new(self.clone(), self.state(start)?))
    }

    /// The state that a start describes.
    pub(crate) fn state(&self, start: Start) -> Result<State, StartError> {
        let mut regs = Regs::default();
        let mut pc = Pc::default();
        if let Some(key) = start.endpoint {
            let found = self.0.endpoints.iter().find(|(name, _)| *name == key);
            let Some((_, def)) = found else {
                return Err(StartError::NoEndpoint { key });
            };
            for reg in &def.initial_regs {
                regs.slots_mut()[reg.reg.index()] = reg.value;
            }
            pc = def.entry_pc;
        }
        let pc = start.pc.unwrap_or(pc);
        for (slot, value) in start.regs {
            regs.slots_mut()[slot.index()] = value;
        }
        let gas = start.gas;
        Ok(State { regs, pc, gas })
    }
}

fn raw_region(
    start: u64,
    size: u64,
    kind: RegionKind,
    content: &[u8],
) -> Result<Region, LoadError> {
    let end = start.checked_add(size).filter(|end| *end <= ADDRESS_SPACE);
    let aligned = start.is_multiple_of(PAGE_SIZE) && size.is_multiple_of(PAGE_SIZE);
    if end.is_none() || !aligned || size == 0 || start < DATA_BASE {
        return Err(LoadError::Region { start, size });
    }
    let at = GuestAddr::wrapping(start);
    if kind == RegionKind::Ephemeral && content.iter().any(|byte| *byte != 0) {
        return Err(LoadError::EphemeralContent { start: at });
    }
    let source_size = (content.len() as u64).next_multiple_of(PAGE_SIZE);
    let too_long = || LoadError::ContentTooLong {
        start: at,
        size,
        content: content.len() as u64,
    };
    if source_size > size {
        return Err(too_long());
    }
    let source = Data::from_bytes(source_size, content).map_err(|_| too_long())?;
    Ok(Region {
        first: at.page(),
        pages: (size / PAGE_SIZE) as u32,
        kind,
        source,
    })
}
