//! One chunk of code: decoded once, then emitted block by block.
//!
//! The first pass walks the chunk, notes and prices its blocks and marks the targets of backward
//! branches; the second emits each block's gate and lowers its instructions. There is no
//! intermediate representation. A chunk owns the blocks that start in it; its last block may
//! run on into the next chunk.

use rivet_isa::gas::{BlockCost, FrameCosts, Pipeline};
use rivet_isa::{BlockStarts, Flow, Pc, decode};
use rivet_mutants::mutant;

use dynasmrt::{DynasmApi as _, dynasm};

use crate::chunk::{COLD_GROUP, SideTables, Site, SiteKind};
use crate::context::field;
use crate::lower::{Constants, Link, Lower, Lowering, Step, Target, Targets, fuse_as, fusible};
use crate::program::Gates;

/// log2 of a chunk's bytes of guest code.
pub(crate) const CHUNK_SHIFT: u32 = 16;
/// Bytes of guest code whose block starts make a chunk.
pub(crate) const CHUNK_BYTES: u32 = 1 << CHUNK_SHIFT;
/// Longest block that is translated, in bytes; longer ones go to the interpreter.
pub(crate) const MAX_BLOCK_BYTES: u32 = 1 << 20;
/// Offsets of the branches that close a short loop; for longer ones a fetch line more or less is
/// not worth the padding.
const SHORT_LOOP: std::ops::RangeInclusive<i32> = -256..=0;
/// Heads of short loops start on a multiple of this, so that none straddles a fetch line.
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
    pub(crate) gates: Gates,
    pub(crate) constants: Constants,
    /// Native address of a block of another chunk, if it is translated.
    pub(crate) native: &'a dyn Fn(u32) -> Option<u32>,
    /// Native bytes the chunk may take.
    pub(crate) limit: usize,
}

/// The chunk does not fit its limit; the interpreter runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLarge;

/// A block of the chunk.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Its code offset.
    pc: u32,
    /// Offset of its code in the buffer, once it is emitted.
    offset: u32,
    /// Its instructions among the steps begin here and end with those of the next block.
    steps: usize,
    /// What its gate charges; `None` if it is a call.
    numbers: Option<BlockCost>,
}

/// Which of the chunk's block starts are targets of backward branches: a bit per halfword.
#[derive(Debug, Default)]
struct LoopHeads {
    first: u32,
    bits: Vec<u64>,
}

impl LoopHeads {
    fn reset(&mut self, first: u32, end: u32) {
        self.first = first;
        self.bits.clear();
        let halves = (end.saturating_sub(first) as usize).div_ceil(2);
        self.bits.resize(halves.div_ceil(64), 0);
    }

    /// Notes a target, which may lie anywhere.
    fn note(&mut self, target: i64) {
        let Some(half) = usize::try_from(target - i64::from(self.first))
            .ok()
            .map(|at| at / 2)
        else {
            return;
        };
        if let Some(bits) = self.bits.get_mut(half / 64) {
            *bits |= 1 << (half % 64);
        }
    }

    fn contains(&self, pc: u32) -> bool {
        let half = (pc - self.first) as usize / 2;
        self.bits
            .get(half / 64)
            .is_some_and(|bits| bits >> (half % 64) & 1 == 1)
    }
}

/// Where jumps of the chunk may go.
struct Map<'a> {
    request: &'a Request<'a>,
    /// Buffer offsets of the blocks emitted so far, by halfword of the chunk.
    offsets: &'a [u32],
    first: u32,
    end: u32,
    /// The block that is being emitted.
    current: u32,
}

impl Targets for Map<'_> {
    fn find(&self, target: i64) -> Target {
        let Ok(pc) = u32::try_from(target) else {
            return Target::Nowhere;
        };
        if !self.request.starts.contains(Pc::new(u64::from(pc))) {
            return Target::Nowhere;
        }
        if !(self.first..self.end).contains(&pc) {
            return (self.request.native)(pc).map_or(Target::Table, Target::Native);
        }
        // All starts of the chunk are its blocks, emitted in ascending order.
        if pc > self.current {
            return Target::Ahead;
        }
        Target::Behind(self.offsets[(pc - self.first) as usize / 2])
    }
}

/// The working memory of a translation, kept from one to the next.
#[derive(Debug)]
pub(crate) struct Translator {
    steps: Vec<Step>,
    blocks: Vec<Block>,
    heads: LoopHeads,
    /// Buffer offsets of emitted blocks, by halfword of the chunk; what others hold is left over.
    offsets: Vec<u32>,
    lowering: Lowering,
}

impl Default for Translator {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            blocks: Vec::new(),
            heads: LoopHeads::default(),
            offsets: Vec::new(),
            lowering: Lowering::new(),
        }
    }
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
        self.blocks.clear();
        self.steps.clear();
        self.lowering.reset(request.constants);
        let first = request.chunk << CHUNK_SHIFT;
        let end = first
            .saturating_add(CHUNK_BYTES)
            .min(request.code.len() as u32);
        self.heads.reset(first, end);
        let halves = (end.saturating_sub(first) as usize).div_ceil(2);
        self.offsets.resize(halves.max(self.offsets.len()), 0);
        self.steps.reserve(halves);
        let stop = self.walk(request, first, end);
        self.lowering.reserve(self.steps.len(), self.blocks.len());
        self.emit_blocks(request, end)?;
        self.emit_tail(request, end, &stop)?;
        self.emit_cold(request)
    }

    /// First pass: instructions, blocks with their prices, and loop heads. A function of its own,
    /// so that the loop over instructions has the registers to itself.
    #[inline(never)]
    fn walk(&mut self, request: &Request<'_>, first: u32, end: u32) -> Stop {
        let walk_end = request.starts.end().value() as u32;
        let starts = request.starts.from(Pc::new(u64::from(first)));
        let mut starts = starts.map_while(|pc| u32::try_from(pc.value()).ok());
        let Some(mut pc) = starts.next() else {
            return Stop::End(walk_end);
        };
        while pc < end {
            let next = starts.next().unwrap_or(walk_end);
            if next - pc > MAX_BLOCK_BYTES {
                return Stop::TooLong(pc);
            }
            let steps = self.steps.len();
            let numbers = self.walk_block(request, pc, next);
            let last = self.steps[self.steps.len() - 1];
            let flow = last.inst.flow();
            if matches!(flow, Flow::Branch | Flow::Jump) && SHORT_LOOP.contains(&last.inst.imm()) {
                self.heads
                    .note(i64::from(last.pc) + i64::from(last.inst.imm()));
            }
            self.blocks.push(Block {
                pc,
                offset: 0,
                steps,
                numbers: (!flow.is_call()).then_some(numbers),
            });
            if next == walk_end {
                return Stop::End(walk_end);
            }
            pc = next;
        }
        Stop::Start(pc)
    }

    /// Walks the block from `pc` to `next` and prices it; a call's price means nothing.
    #[inline(always)]
    fn walk_block(&mut self, request: &Request<'_>, pc: u32, next: u32) -> BlockCost {
        let mut pipeline = Pipeline::new(request.costs);
        let mut at = pc;
        while at < next {
            let decoded = decode(request.code, at as usize)
                .expect("invariant: the starts are those of the code, so its walk gets here");
            pipeline.push(decoded.inst);
            let len = decoded.len.bytes() as u8;
            self.steps.push(Step {
                inst: decoded.inst,
                pc: at,
                len,
            });
            at += u32::from(len);
        }
        pipeline.finish()
    }

    /// Second pass.
    fn emit_blocks(&mut self, request: &Request<'_>, end: u32) -> Result<(), TooLarge> {
        for index in 0..self.blocks.len() {
            let Block {
                pc, steps, numbers, ..
            } = self.blocks[index];
            self.blocks[index].offset = self.open_block(pc, request.limit)?;
            if let Some(numbers) = numbers
                && request.gates == Gates::Exact
            {
                self.lowering.gate(pc, numbers);
            }
            let map = Map {
                request,
                offsets: &self.offsets,
                first: self.heads.first,
                end,
                current: pc,
            };
            let next = self.blocks.get(index + 1);
            let next = next.map_or(self.steps.len(), |block| block.steps);
            let mut at = steps;
            while at < next {
                if !self.lowering.asm.code.reserve(request.limit) {
                    return Err(TooLarge);
                }
                let fused = match fusible(&self.steps[at..]) {
                    Some(shape) => fuse_as(shape, &mut self.lowering, &self.steps[at..next], &map),
                    None => 0,
                };
                if fused == 0 {
                    self.lowering.lower(self.steps[at], &map);
                }
                at += fused.max(1);
            }
        }
        Ok(())
    }

    /// Places the head of the block at `pc` here, and says where that is.
    fn open_block(&mut self, pc: u32, limit: usize) -> Result<u32, TooLarge> {
        let asm = &mut self.lowering.asm;
        if !asm.code.reserve(limit) {
            return Err(TooLarge);
        }
        if self.heads.contains(pc) {
            let offset = asm.code.len();
            asm.pad(offset.next_multiple_of(LOOP_ALIGNMENT) - offset);
        }
        let offset = asm.code.len() as u32;
        self.offsets[(pc - self.heads.first) as usize / 2] = offset;
        Ok(offset)
    }

    /// What follows the last block.
    fn emit_tail(&mut self, request: &Request<'_>, end: u32, stop: &Stop) -> Result<(), TooLarge> {
        if let Stop::TooLong(block) = stop {
            let (pc, steps) = (*block, self.steps.len());
            let offset = self.open_block(pc, request.limit)?;
            self.blocks.push(Block {
                pc,
                offset,
                steps,
                numbers: None,
            });
            self.lowering
                .jump_cold(Site::plain(SiteKind::Interpret, pc));
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
            Stop::End(pc) => self.lowering.jump_cold(Site::plain(
                SiteKind::Panic,
                mutant!(JitEndPc, *pc, last.pc),
            )),
            Stop::Start(pc) => {
                let map = Map {
                    request,
                    offsets: &self.offsets,
                    first: self.heads.first,
                    end,
                    current: last.pc,
                };
                Lower::new(&mut self.lowering, &map).jump_to(i64::from(*pc));
            }
            Stop::TooLong(_) => {}
        }
        Ok(())
    }

    /// Far jumps, the thunk and the cold sites; then everything inside the chunk is bound.
    fn emit_cold(&mut self, request: &Request<'_>) -> Result<(), TooLarge> {
        let Self {
            lowering,
            offsets,
            heads,
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
        for group in lowering.cold.chunks(COLD_GROUP as usize) {
            if !lowering.asm.code.reserve(request.limit) {
                return Err(TooLarge);
            }
            for hole in group {
                let here = lowering.asm.code.len() as u32;
                lowering.asm.bind_to(*hole, here);
                lowering.asm.push_rsp();
            }
            let call = lowering.asm.call();
            lowering.asm.bind_to(call, thunk);
        }
        lowering.cold.clear();
        for Link { hole, to } in lowering.ahead.drain(..) {
            let offset = offsets[(to - heads.first) as usize / 2];
            lowering.asm.bind_to(hole, offset);
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
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.blocks.iter().map(|block| (block.pc, block.offset))
    }

    /// The side tables of the chunk.
    pub(crate) fn tables(&self) -> SideTables {
        let from = self.steps.first().map_or(0, |step| step.pc);
        let to = self.steps.last().map_or(0, Step::next_pc);
        SideTables {
            cold: self.lowering.cold_start,
            sites: self.lowering.sites.as_slice().into(),
            traps: self.lowering.traps.as_slice().into(),
            guest_bytes: to - from,
            instructions: self.steps.len() as u32,
        }
    }
}
