//! A loaded program as a case.

use super::subject::run_of;
use crate::program::Program;
use rivet_image::{Region, RegionKind};
use rivet_interp::State;
use rivet_isa::generate::{Access, Case, Mapping};

/// Code and mappings of a program, started in `start`.
pub fn case_of(program: &Program, start: &State) -> Case {
    Case {
        code: program.code().to_vec(),
        map: program.regions().iter().map(mapping).collect(),
        runs: vec![run_of(start)],
    }
}

fn mapping(region: &Region) -> Mapping {
    let mut content = Vec::new();
    for page in region.source.pages() {
        let start = page.index as usize * rivet_isa::PAGE_SIZE as usize;
        content.resize(start, 0);
        content.extend_from_slice(page.bytes);
    }
    Mapping {
        start: u64::from(region.start().value()),
        size: region.size(),
        access: match region.kind {
            RegionKind::Pinned => Access::Pinned,
            RegionKind::CopyOnWrite => Access::CopyOnWrite,
            RegionKind::Ephemeral => Access::Ephemeral,
        },
        content,
    }
}
