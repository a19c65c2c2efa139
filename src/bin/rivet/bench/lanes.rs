//! The configurations that are compared, each a lane of its own in every round.

use super::forms::Form;

/// What a lane does to guest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The C compiler's own code: what the others are measured against.
    Native,
    /// Machine code made when the program is loaded or run.
    Compiled,
    /// No machine code.
    Interpreted,
}

/// Whether a lane charges for what the guest does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metering {
    None,
    /// A flat price per instruction.
    Flat,
    /// A model of the processor's pipeline, priced by block.
    Pipeline,
}

impl Metering {
    /// Word for tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flat => "flat",
            Self::Pipeline => "pipeline",
        }
    }
}

/// Which program serves a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Runner {
    /// The workload's own executable.
    Native,
    /// This command.
    Rivet,
    /// A binary of `benches/peers`: the feature that builds it, the crate whose version counts.
    Peer {
        feature: &'static str,
        package: &'static str,
    },
}

/// One configuration of one engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lane {
    /// Name in tables and files.
    pub(crate) name: &'static str,
    /// What the runner is told.
    pub(crate) mode: &'static str,
    pub(crate) runner: Runner,
    pub(crate) kind: Kind,
    pub(crate) metering: Metering,
    pub(crate) form: Form,
    /// Runs on more than one core at a time, so it is not pinned.
    pub(crate) roams: bool,
    pub(crate) size: Size,
}

/// Which argument of a workload a lane runs. Native lanes run both, so that each lane is compared
/// with native code that did the same work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    Full,
    /// For lanes that would take too long otherwise.
    Small,
}

impl Lane {
    /// Whether the lane is somebody else's engine.
    pub(crate) fn is_peer(&self) -> bool {
        matches!(self.runner, Runner::Peer { .. })
    }
}

/// Name of the lane that is 1.00.
pub(crate) const BASE: &str = "native -O2";
/// Name of the recompiler's lane.
pub(crate) const JIT: &str = "rivet";
/// Name of the interpreter's lane.
pub(crate) const INTERP: &str = "rivet interp";

const fn native(name: &'static str, form: Form) -> Lane {
    Lane {
        name,
        mode: "",
        runner: Runner::Native,
        kind: Kind::Native,
        metering: Metering::None,
        form,
        roams: false,
        size: Size::Full,
    }
}

/// The usual size of a kind.
const fn size(kind: Kind) -> Size {
    match kind {
        Kind::Native | Kind::Compiled => Size::Full,
        Kind::Interpreted => Size::Small,
    }
}

const fn rivet(name: &'static str, mode: &'static str, kind: Kind) -> Lane {
    Lane {
        name,
        mode,
        runner: Runner::Rivet,
        kind,
        metering: Metering::Pipeline,
        form: Form::Pvm2,
        roams: false,
        size: size(kind),
    }
}

const fn wasmtime(name: &'static str, mode: &'static str, metering: Metering) -> Lane {
    Lane {
        name,
        mode,
        runner: Runner::Peer {
            feature: "wasmtime",
            package: "wasmtime",
        },
        kind: Kind::Compiled,
        metering,
        form: Form::Wasm,
        roams: false,
        size: Size::Full,
    }
}

const fn wasmi(name: &'static str, mode: &'static str, metering: Metering) -> Lane {
    Lane {
        name,
        mode,
        runner: Runner::Peer {
            feature: "wasmi",
            package: "wasmi",
        },
        kind: Kind::Interpreted,
        metering,
        form: Form::Wasm,
        roams: false,
        size: Size::Small,
    }
}

const fn polkavm(name: &'static str, mode: &'static str, kind: Kind, metering: Metering) -> Lane {
    Lane {
        name,
        mode,
        runner: Runner::Peer {
            feature: "polkavm",
            package: "polkavm",
        },
        kind,
        metering,
        form: Form::PolkaVm,
        // The linux sandbox is two processes that hand each other the work.
        roams: mode.as_bytes()[0] == b'l',
        size: size(kind),
    }
}

const fn sbpf(name: &'static str, mode: &'static str, kind: Kind, metering: Metering) -> Lane {
    Lane {
        name,
        mode,
        runner: Runner::Peer {
            feature: "sbpf",
            package: "solana-sbpf",
        },
        kind,
        metering,
        form: Form::Bpf,
        roams: false,
        size: Size::Small,
    }
}

/// Every lane, in the order of the rounds.
pub(crate) const LANES: [Lane; 23] = [
    native(BASE, Form::Native),
    native("native -O3", Form::NativeBest),
    rivet(JIT, "jit", Kind::Compiled),
    wasmtime("cranelift", "cranelift", Metering::None),
    wasmtime("cranelift fuel", "cranelift-fuel", Metering::Flat),
    wasmtime("winch", "winch", Metering::None),
    wasmtime("winch fuel", "winch-fuel", Metering::Flat),
    polkavm(
        "polkavm linux",
        "linux-none",
        Kind::Compiled,
        Metering::None,
    ),
    polkavm(
        "polkavm linux sync",
        "linux-sync",
        Kind::Compiled,
        Metering::Flat,
    ),
    polkavm(
        "polkavm linux full",
        "linux-full",
        Kind::Compiled,
        Metering::Pipeline,
    ),
    polkavm(
        "polkavm generic",
        "generic-none",
        Kind::Compiled,
        Metering::None,
    ),
    polkavm(
        "polkavm generic sync",
        "generic-sync",
        Kind::Compiled,
        Metering::Flat,
    ),
    polkavm(
        "polkavm generic full",
        "generic-full",
        Kind::Compiled,
        Metering::Pipeline,
    ),
    sbpf("sbpf", "jit", Kind::Compiled, Metering::None),
    sbpf(
        "sbpf metered",
        "jit-metered",
        Kind::Compiled,
        Metering::Flat,
    ),
    rivet(INTERP, "interp", Kind::Interpreted),
    wasmi("wasmi", "plain", Metering::None),
    wasmi("wasmi fuel", "fuel", Metering::Flat),
    polkavm(
        "polkavm interp",
        "interpreter-none",
        Kind::Interpreted,
        Metering::None,
    ),
    polkavm(
        "polkavm interp sync",
        "interpreter-sync",
        Kind::Interpreted,
        Metering::Flat,
    ),
    polkavm(
        "polkavm interp full",
        "interpreter-full",
        Kind::Interpreted,
        Metering::Pipeline,
    ),
    Lane {
        name: "ckb-vm asm",
        mode: "asm",
        runner: Runner::Peer {
            feature: "ckb",
            package: "ckb-vm",
        },
        kind: Kind::Interpreted,
        metering: Metering::Flat,
        form: Form::Ckb,
        roams: false,
        size: Size::Small,
    },
    sbpf(
        "sbpf interp metered",
        "interpreter-metered",
        Kind::Interpreted,
        Metering::Flat,
    ),
];
