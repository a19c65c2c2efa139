//! Native code as text, block by block.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter};
use rivet::engine::NativeCode;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where the native code of a block is: its chunk and offsets in it.
struct Place {
    chunk: usize,
    range: Range<usize>,
}

/// The native code of a program by block.
pub(crate) struct Native {
    chunks: Vec<NativeCode>,
    places: BTreeMap<u64, Place>,
    /// Per chunk, the blocks by offset.
    heads: Vec<BTreeMap<u64, u64>>,
}

/// One native instruction.
pub(crate) struct Line {
    /// Offset in its chunk.
    pub(crate) at: u64,
    pub(crate) text: String,
    /// The block that it jumps to.
    pub(crate) target: Option<u64>,
}

impl Native {
    pub(crate) fn of(chunks: Vec<NativeCode>) -> Self {
        let mut places = BTreeMap::new();
        let mut heads = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let offsets = chunk
                .blocks
                .iter()
                .map(|(pc, at)| (u64::from(*at), pc.value()));
            let by_offset: BTreeMap<u64, u64> = offsets.collect();
            let ends = by_offset.keys().skip(1).copied();
            let ends = ends.chain([u64::from(chunk.cold)]);
            for ((start, pc), end) in by_offset.iter().zip(ends) {
                let range = *start as usize..end.min(chunk.code.len() as u64) as usize;
                let chunk = number;
                places.insert(*pc, Place { chunk, range });
            }
            heads.push(by_offset);
        }
        Self {
            chunks,
            places,
            heads,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Native bytes of the block at an offset; `None` if it is not translated.
    pub(crate) fn len(&self, pc: u64) -> Option<usize> {
        self.places.get(&pc).map(|place| place.range.len())
    }

    /// The instructions of the block at an offset, at most so many.
    pub(crate) fn lines(&self, pc: u64, most: usize) -> Vec<Line> {
        let Some(place) = self.places.get(&pc) else {
            return Vec::new();
        };
        let chunk = &self.chunks[place.chunk];
        let code = chunk.code.get(place.range.clone()).unwrap_or_default();
        let start = place.range.start as u64;
        let mut formatter = IntelFormatter::new();
        formatter.options_mut().set_hex_prefix("0x");
        formatter.options_mut().set_hex_suffix("");
        formatter.options_mut().set_uppercase_hex(false);
        formatter.options_mut().set_branch_leading_zeros(false);
        formatter
            .options_mut()
            .set_space_after_operand_separator(true);
        let decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
        let line = |inst: Instruction| {
            let mut text = String::new();
            formatter.format(&inst, &mut text);
            let direct = matches!(
                inst.flow_control(),
                FlowControl::UnconditionalBranch
                    | FlowControl::ConditionalBranch
                    | FlowControl::Call
            );
            let to = direct.then(|| inst.near_branch_target());
            let heads = &self.heads[place.chunk];
            Line {
                at: inst.ip(),
                text,
                target: to.and_then(|to| heads.get(&to).copied()),
            }
        };
        decoder.into_iter().take(most).map(line).collect()
    }
}
