//! One chunk of code: decoded once, then emitted block by block.
//!
//! The first pass walks the chunk, notes instructions, block starts and the targets of backward
//! branches; the second prices each block, emits its gate and lowers its instructions. There is
//! no intermediate representation. A chunk owns the blocks that start in it; its last block may
//! run on into the next chunk.

use rivet_isa::gas::{FrameCosts, Pipeline};
use rivet_isa::{BlockStarts, Flow, Pc, decode};

use dynasmrt::{DynasmApi as _, dynasm};

use crate::chunk::{COLD_CALL, SideTables, Site, SiteKind};
use crate::context::field;
use crate::decode_cache::DecodeCache;
use crate::lower::{Constants, Link, Lower, Lowering, Step, Target, Targets, fuse};

/// log2 of a chunk's bytes of guest code.
pub(crate) const CHUNK_SHIFT: u32 = 16;
/// Bytes of guest code whose block starts make a chunk.
pub(crate) const CHUNK_BYTES: u32 = 1 << CHUNK_SHIFT;
/// Longest block that is translated, in bytes; longer ones go to the interpreter.
pub(crate) const MAX_BLOCK_BYTES: u32 = 1 << 20;
/// Loop heads start on a multiple of this, so that no short loop straddles a fetch line.
const LOOP_ALIGNMENT: usize = 32;

const _: () = assert!(
    MAX_BLOCK_BYTES >= CHUNK_BYTES,
    "only a chunk's last block may be too long"
);
const _: () = assert!(
    (MAX_BLOCK_BYTES as u64 / 2) * 255 < 1 << 31,
    "block costs fit 31 bits"
);

/// What is to be translated, and for whom.
pub(crate) struct Request<'a> {
    pub(crate) code: &'a [u8],
    pub(crate) starts: &'a BlockStarts,
    /// Number of the chunk.
    pub(crate) chunk: u32,
    pub(crate) costs: FrameCosts,
    pub(crate) constants: Constants,
    /// Native address of a block of another chunk, if it is translated.
    pub(crate) native: &'a dyn Fn(u32) -> Option<u32>,
    /// Native bytes the chunk may take.
    pub(crate) limit: usize,
}

/// The chunk does not fit its limit; the interpreter runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLarge;

/// Marks of a halfword of the chunk; larger values are buffer offsets plus `EMITTED`.
mod mark {
    pub(super) const NOTHING: u32 = 0;
    pub(super) const START: u32 = 1;
    pub(super) const LOOP_HEAD: u32 = 2;
    pub(super) const EMITTED: u32 = 4;
}

/// Block starts of the chunk and where their code is.
#[derive(Debug, Default)]
struct Marks {
    first: u32,
    marks: Vec<u32>,
}

impl Marks {
    fn reset(&mut self, first: u32, end: u32) {
        self.first = first;
        self.marks.clear();
        self.marks.resize(
            (end.saturating_sub(first) as usize).div_ceil(2),
            mark::NOTHING,
        );
    }

    fn at(&self, pc: u32) -> u32 {
        let index = pc.checked_sub(self.first).map(|offset| offset as usize / 2);
        index
            .and_then(|index| self.marks.get(index))
            .copied()
            .unwrap_or(mark::NOTHING)
    }

    fn set(&mut self, pc: u32, mark: u32) {
        if let Some(place) = self.marks.get_mut((pc - self.first) as usize / 2) {
            *place = mark;
        }
    }
}

/// Where jumps of the chunk may go.
struct Map<'a> {
    request: &'a Request<'a>,
    marks: &'a Marks,
    end: u32,
}

impl Targets for Map<'_> {
    fn find(&self, target: i64) -> Target {
        let Ok(pc) = u32::try_from(target) else {
            return Target::Nowhere;
        };
        if pc % 2 != 0 {
            return Target::Nowhere;
        }
        if (self.marks.first..self.end).contains(&pc) {
            return match self.marks.at(pc) {
                mark::NOTHING => Target::Nowhere,
                mark::START | mark::LOOP_HEAD => Target::Ahead,
                emitted => Target::Behind(emitted - mark::EMITTED),
            };
        }
        if !self.request.starts.contains(Pc::new(u64::from(pc))) {
            return Target::Nowhere;
        }
        (self.request.native)(pc).map_or(Target::Table, Target::Native)
    }
}

/// The working memory of a translation, kept from one to the next.
#[derive(Debug)]
pub(crate) struct Translator {
    steps: Vec<Step>,
    marks: Marks,
    lowering: Lowering,
    /// Blocks of the chunk: code offset and buffer offset.
    entries: Vec<(u32, u32)>,
    sites: Vec<Site>,
    cache: DecodeCache,
}

impl Default for Translator {
    fn default() -> Self {
        let lowering = Lowering::new();
        let (steps, marks) = (Vec::new(), Marks::default());
        Self {
            steps,
            marks,
            lowering,
            entries: Vec::new(),
            sites: Vec::new(),
            cache: DecodeCache::default(),
        }
    }
}

/// The complete instruction at `at`, if there is one (ISA §5).
#[inline(always)]
fn fetch(code: &[u8], at: u32, cache: &mut DecodeCache) -> Option<Step> {
    let half = code
        .get(at as usize..)?
        .first_chunk::<2>()
        .map(|b| u16::from_le_bytes(*b))?;
    if half & 3 != 3 {
        return Some(Step {
            inst: cache.expand(half),
            pc: at,
            len: 2,
        });
    }
    let decoded = decode(code, at as usize)?;
    Some(Step {
        inst: decoded.inst,
        pc: at,
        len: decoded.len.bytes() as u8,
    })
}

/// How the walk of a chunk ended.
enum Stop {
    /// At the next chunk's first start.
    Start(u32),
    /// Where the code's walk ends.
    End(u32),
    /// In a block that is too long; it starts here.
    TooLong(u32),
}

impl Translator {
    /// Translates a chunk. The result stays in the translator until the next call.
    pub(crate) fn translate(&mut self, request: &Request<'_>) -> Result<(), TooLarge> {
        self.entries.clear();
        self.sites.clear();
        self.lowering.reset(request.constants);
        let first = request.chunk << CHUNK_SHIFT;
        let end = first
            .saturating_add(CHUNK_BYTES)
            .min(request.code.len() as u32);
        self.marks.reset(first, end);
        let stop = self.walk(request, first, end);
        self.emit_blocks(request, end)?;
        self.emit_tail(request, end, &stop)?;
        self.emit_cold(request, end)
    }

    /// First pass: instructions, starts and loop heads.
    fn walk(&mut self, request: &Request<'_>, first: u32, end: u32) -> Stop {
        self.steps.clear();
        let start = request.starts.from(Pc::new(u64::from(first))).next();
        let Some(start) = start.and_then(|pc| u32::try_from(pc.value()).ok()) else {
            return Stop::End(request.starts.end().value() as u32);
        };
        let (mut at, mut block, mut fresh) = (start, start, true);
        let mut block_step = 0;
        while let Some(step) = fetch(request.code, at, &mut self.cache) {
            let flow = step.inst.flow();
            if fresh || flow.is_call() {
                if at >= end {
                    return Stop::Start(at);
                }
                self.marks.set(at, mark::START);
                (block, block_step) = (at, self.steps.len());
            } else if at - block > MAX_BLOCK_BYTES {
                self.steps.truncate(block_step);
                return Stop::TooLong(block);
            }
            if matches!(flow, Flow::Branch | Flow::Jump) && step.inst.imm() <= 0 {
                self.mark_loop_head(i64::from(at) + i64::from(step.inst.imm()));
            }
            self.steps.push(step);
            fresh = flow.is_terminator();
            at = step.next_pc();
        }
        Stop::End(at)
    }

    fn mark_loop_head(&mut self, target: i64) {
        if let Ok(pc) = u32::try_from(target)
            && pc % 2 == 0
            && self.marks.at(pc) == mark::START
        {
            self.marks.set(pc, mark::LOOP_HEAD);
        }
    }

    /// Second pass.
    fn emit_blocks(&mut self, request: &Request<'_>, end: u32) -> Result<(), TooLarge> {
        let mut at = 0;
        while at < self.steps.len() {
            let mut pipeline = Pipeline::new(request.costs);
            let mut next = at;
            loop {
                pipeline.push(self.steps[next].inst);
                next += 1;
                let ended = self
                    .steps
                    .get(next)
                    .is_none_or(|step| self.marks.at(step.pc) != mark::NOTHING && step.pc < end);
                if ended {
                    break;
                }
            }
            self.open_block(self.steps[at].pc, request.limit)?;
            if !self.steps[at].inst.flow().is_call() {
                self.lowering.gate(self.steps[at].pc, pipeline.finish());
            }
            let map = Map {
                request,
                marks: &self.marks,
                end,
            };
            let mut block = &self.steps[at..next];
            while let [step, ..] = block {
                if !self.lowering.asm.code.reserve(request.limit) {
                    return Err(TooLarge);
                }
                let fused = fuse(&mut self.lowering, block, &map);
                if fused == 0 {
                    self.lowering.lower(*step, &map);
                }
                block = &block[fused.max(1)..];
            }
            at = next;
        }
        Ok(())
    }

    /// Places the head of the block at `pc` here.
    fn open_block(&mut self, pc: u32, limit: usize) -> Result<(), TooLarge> {
        let asm = &mut self.lowering.asm;
        if !asm.code.reserve(limit) {
            return Err(TooLarge);
        }
        if self.marks.at(pc) == mark::LOOP_HEAD {
            let offset = asm.code.len();
            asm.pad(offset.next_multiple_of(LOOP_ALIGNMENT) - offset);
        }
        let offset = asm.code.len() as u32;
        self.marks.set(pc, mark::EMITTED + offset);
        self.entries.push((pc, offset));
        Ok(())
    }

    /// What follows the last block.
    fn emit_tail(&mut self, request: &Request<'_>, end: u32, stop: &Stop) -> Result<(), TooLarge> {
        if let Stop::TooLong(block) = stop {
            self.open_block(*block, request.limit)?;
            self.lowering
                .jump_cold(Site::plain(SiteKind::Interpret, *block));
            return Ok(());
        }
        let Some(last) = self.steps.last() else {
            return Ok(());
        };
        if matches!(
            last.inst.flow(),
            Flow::Jump | Flow::JumpIndirect | Flow::Trap | Flow::Reserved
        ) {
            return Ok(());
        }
        match stop {
            Stop::End(pc) => self.lowering.jump_cold(Site::plain(SiteKind::Panic, *pc)),
            Stop::Start(pc) => {
                let map = Map {
                    request,
                    marks: &self.marks,
                    end,
                };
                Lower::new(&mut self.lowering, &map).jump_to(i64::from(*pc));
            }
            Stop::TooLong(_) => {}
        }
        Ok(())
    }

    /// Far jumps, the thunk and the cold calls; then everything inside the chunk is bound.
    fn emit_cold(&mut self, request: &Request<'_>, end: u32) -> Result<(), TooLarge> {
        let Self {
            lowering,
            marks,
            sites,
            ..
        } = self;
        let mut far = std::mem::take(&mut lowering.far);
        for Link { hole, to } in far.drain(..) {
            if !lowering.asm.code.reserve(request.limit) {
                return Err(TooLarge);
            }
            let here = lowering.asm.code.len() as u32;
            lowering.asm.bind_to(hole, here);
            lowering.jump_through_table(to);
        }
        lowering.far = far;
        if !lowering.asm.code.reserve(request.limit) {
            return Err(TooLarge);
        }
        let thunk = lowering.asm.code.len() as u32;
        let chunk = request.chunk as i32;
        dynasm!(lowering.asm.code
            ; .arch x64
            ; gs mov QWORD [DWORD field!(chunk)], chunk
            ; gs jmp QWORD [DWORD field!(service_stub)]
        );
        let returns = lowering.asm.code.len() as u32;
        dynasm!(lowering.asm.code ; .arch x64 ; gs jmp QWORD [DWORD field!(return_stub)]);
        for hole in lowering.returns.drain(..) {
            lowering.asm.bind_to(hole, returns);
        }
        lowering.cold_start = lowering.asm.code.len() as u32;
        for Link { hole, to } in lowering.cold.drain(..) {
            if !lowering.asm.code.reserve(request.limit) {
                return Err(TooLarge);
            }
            let here = lowering.asm.code.len() as u32;
            lowering.asm.bind_to(hole, here);
            let call = lowering.asm.call();
            lowering.asm.bind_to(call, thunk);
            debug_assert_eq!(lowering.asm.code.len() as u32 - here, COLD_CALL);
            sites.push(to);
        }
        for Link { hole, to } in lowering.ahead.drain(..) {
            debug_assert!(
                to < end && marks.at(to) >= mark::EMITTED,
                "starts are all emitted"
            );
            lowering.asm.bind_to(hole, marks.at(to) - mark::EMITTED);
        }
        Ok(())
    }

    /// Bytes of the translated chunk.
    pub(crate) fn len(&self) -> u32 {
        self.lowering.asm.code.len() as u32
    }

    /// The translated chunk, finished for the address it is going to have.
    pub(crate) fn finish(&mut self, address: u32) -> &[u8] {
        let lowering = &mut self.lowering;
        for Link { hole, to } in lowering.outside.drain(..) {
            lowering.asm.bind_to(hole, to.wrapping_sub(address));
        }
        lowering.asm.code.bytes()
    }

    /// Blocks of the chunk with their offsets in its code.
    pub(crate) fn entries(&self) -> &[(u32, u32)] {
        &self.entries
    }

    /// The side tables of the chunk.
    pub(crate) fn tables(&self) -> SideTables {
        let guest: u32 = self.steps.iter().map(|step| u32::from(step.len)).sum();
        SideTables {
            cold: self.lowering.cold_start,
            sites: self.sites.as_slice().into(),
            traps: self.lowering.traps.as_slice().into(),
            guest_bytes: guest,
            instructions: self.steps.len() as u32,
        }
    }
}
