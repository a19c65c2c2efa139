//! What a program of bare code may ask for as its regions, on every backend.

use rivet_engine::{Backend, Config, Engine, LoadError, Raw};
use rivet_image::RegionKind;
use rivet_isa::GuestAddr;
use rivet_isa::asm::assemble;

const START: u64 = 0x1000_0000;

/// What becomes of a program with one region of two pages.
fn loaded(kind: RegionKind, content: Vec<u8>) -> Vec<Result<(), LoadError>> {
    let code = assemble("ecalli 0").expect("it assembles");
    let backends = [
        Backend::Auto,
        Backend::Jit,
        Backend::Interp,
        Backend::Checked,
    ];
    let engines = backends.into_iter().filter_map(|backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        Engine::new(config).ok()
    });
    engines
        .map(|engine| {
            let raw = Raw::new(code.clone()).region(START, 0x2000, kind, content.clone());
            engine.load_raw(raw).map(drop)
        })
        .collect()
}

#[test]
fn ephemeral_regions_with_content_are_refused() {
    let last_byte = [vec![0; 0x1fff], vec![1]].concat();
    for content in [vec![1], last_byte, vec![7; 0x3000]] {
        let results = loaded(RegionKind::Ephemeral, content);
        assert!(!results.is_empty());
        for result in results {
            let error = result.expect_err("an ephemeral region begins as zeros");
            let expected = GuestAddr::wrapping(START);
            assert!(
                matches!(error, LoadError::EphemeralContent { start } if start == expected),
                "{error}"
            );
            assert!(error.to_string().contains("0x10000000"), "{error}");
        }
    }
}

#[test]
fn ephemeral_regions_without_content_or_with_zeros_are_loaded() {
    for content in [Vec::new(), vec![0], vec![0; 0x2000]] {
        for result in loaded(RegionKind::Ephemeral, content) {
            result.expect("zeros are what an ephemeral region begins as");
        }
    }
}

#[test]
fn other_regions_may_have_content_up_to_their_size() {
    for kind in [RegionKind::Pinned, RegionKind::CopyOnWrite] {
        for result in loaded(kind, vec![1; 0x2000]) {
            result.expect("the content fits");
        }
        for result in loaded(kind, vec![1; 0x2001]) {
            let error = result.expect_err("a byte too many");
            assert!(matches!(error, LoadError::ContentTooLong { .. }), "{error}");
        }
    }
}
