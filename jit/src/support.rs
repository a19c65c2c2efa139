//! Whether this machine can run generated code.

use std::sync::OnceLock;

/// Why the recompiler cannot run here; the interpreter can.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsupported {
    /// A processor feature that generated code uses is missing.
    #[error("the processor lacks {0}, which generated code uses: use the interpreter")]
    Cpu(&'static str),
    /// Setting the GS base has no effect.
    #[error("the GS base of a thread cannot be set here: use the interpreter")]
    Gs,
}

/// Checks once whether generated code can run on this machine.
///
/// # Errors
/// Says what is missing.
pub fn supported() -> Result<(), Unsupported> {
    static ANSWER: OnceLock<Result<(), Unsupported>> = OnceLock::new();
    *ANSWER.get_or_init(|| cpu().and_then(|()| gs()))
}

fn cpu() -> Result<(), Unsupported> {
    let features = [
        ("BMI1", std::arch::is_x86_feature_detected!("bmi1")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
        ("LZCNT", std::arch::is_x86_feature_detected!("lzcnt")),
        ("POPCNT", std::arch::is_x86_feature_detected!("popcnt")),
        ("SSE4.1", std::arch::is_x86_feature_detected!("sse4.1")),
    ];
    match features.into_iter().find(|(_, present)| !present) {
        Some((name, _)) => Err(Unsupported::Cpu(name)),
        None => Ok(()),
    }
}

fn gs() -> Result<(), Unsupported> {
    let planted: [u64; 1] = [0x7269_7665_7421];
    let before = crate::gs::get();
    // SAFETY: put back three lines below; nothing in between uses GS but the probe.
    unsafe { crate::gs::set(planted.as_ptr().expose_provenance() as u64) };
    let works = crate::gs::get() == planted.as_ptr().expose_provenance() as u64;
    let mut word = 0;
    if works {
        // SAFETY: the base was just seen to point at `planted`.
        word = unsafe { crate::gs::word() };
    }
    // SAFETY: this is the base the thread came with.
    unsafe { crate::gs::set(before) };
    if word == planted[0] {
        Ok(())
    } else {
        Err(Unsupported::Gs)
    }
}
