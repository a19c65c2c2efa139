//! A case that begins where another one stands.

use super::subject::{Session, run_of};
use rivet_isa::generate::{Access, Case};
use rivet_isa::{Op, PAGE_SIZE, Pc, decode, encode};

/// Most bytes of content that a mapping of a restarted case may have.
const MOST_CONTENT: u64 = 64 << 20;

/// The case whose first run starts in the session's state with the session's memory; no page of it
/// is private. `None` if pages are not known or too far apart.
pub(super) fn in_front_of(case: &Case, session: &dyn Session) -> Option<Case> {
    let state = session.state();
    let mut map = case.map.clone();
    for page in session.private_pages() {
        let bytes = session.page(page)?;
        let at = u64::from(page.base().value());
        let mapping = map
            .iter_mut()
            .find(|mapping| mapping.start <= at && at - mapping.start < mapping.size)?;
        let start = at - mapping.start;
        let end = start + PAGE_SIZE;
        if end > MOST_CONTENT {
            return None;
        }
        if mapping.content.len() < end as usize {
            mapping.content.resize(end as usize, 0);
        }
        mapping.content[start as usize..end as usize].copy_from_slice(&*bytes);
        if mapping.access == Access::Ephemeral {
            // Equal in every respect but where the first content comes from.
            mapping.access = Access::CopyOnWrite;
        }
    }
    Some(Case {
        code: case.code.clone(),
        map,
        runs: vec![run_of(&state)],
    })
}

/// Offsets of the instructions of the block at `pc`; none if there is no block.
pub(super) fn block(code: &[u8], pc: Pc) -> Vec<Pc> {
    let starts = rivet_isa::BlockStarts::scan(code);
    let Some(block) = starts.block_at(pc) else {
        return Vec::new();
    };
    let mut at = block.start.value();
    let mut out = Vec::new();
    while at < block.end.value() {
        let Some(decoded) = decode(code, at as usize) else {
            break;
        };
        out.push(Pc::new(at));
        at += decoded.len.bytes();
    }
    out
}

/// The case with a `trap` behind the last of these instructions and nothing after it.
pub(super) fn cut_behind(case: &Case, insts: &[Pc]) -> Option<Case> {
    let last = usize::try_from(insts.last()?.value()).ok()?;
    let decoded = decode(&case.code, last)?;
    let end = last + decoded.len.bytes() as usize;
    let mut code = case.code[..end].to_vec();
    code.extend(trap().to_le_bytes());
    Some(Case {
        code,
        ..case.clone()
    })
}

/// The word of `trap`.
pub(super) fn trap() -> u32 {
    let zero = rivet_isa::Reg::ZERO;
    let inst = rivet_isa::Inst::from_parts(Op::Trap, zero, zero, zero, 0);
    encode(inst).expect("invariant: an instruction without operands has an encoding")
}
