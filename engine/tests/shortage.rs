//! Machines whose window can have no more mappings go on in the interpreter, inside the block they
//! had reached: every result is that of a machine that was interpreted from the start.

#[path = "../../jit/tests/common/maps.rs"]
mod maps;

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, HostError, Limits, Machine,
    MemoryHash, Program, Quote, Raw, Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, GuestAddr, PageIndex, Pc, Regs};

const DATA: u64 = 0x1000_0000;
const PAGES: u64 = 4096;
const AMPLE: u64 = 1 << 40;

/// Three stores to pages far apart in one block, the middle one across a page edge, with
/// arithmetic between and behind them.
const FAR_APART: &str = "
    lui t0, 0x10001
    lui t1, 0x28
    li t2, 9
    fallthrough
    l: addi a0, a0, 3
    sd a0, 8(t0)
    add t0, t0, t1
    addi a1, a1, 5
    sd a1, -4(t0)
    add t0, t0, t1
    xor a2, a2, a0
    sw a2, 16(t0)
    add t0, t0, t1
    ld a3, 16(t0)
    add a4, a4, a3
    addi t2, t2, -1
    bnez t2, l
    trap";

/// Pages written through open windows with gaps left in between, so that closing them needs
/// mappings.
const GAPS: &str = "
    lui t0, 0x10002
    lui t1, 0x2
    li t2, 60
    fallthrough
    l: sb t2, 0(t0)
    add t0, t0, t1
    addi t2, t2, -1
    bnez t2, l
    trap";

/// An address computed by an instruction that the store absorbs, and calls in between.
const CALLS: &str = "
    lui t0, 0x10004
    lui t1, 0x4
    li t2, 12
    fallthrough
    l: addi t2, t2, -1
    sh3add a5, t1, t0
    sd t2, 0(a5)
    sh2add t0, t1, a5
    add a0, t0, t1
    ecalli 7
    add a4, a4, a1
    sh1add t0, t1, t0
    bnez t2, l
    trap";

/// Writes eight bytes across a page edge at a0 and puts a count into a1.
#[derive(Default)]
struct Writer {
    performed: u64,
}

impl Host for Writer {
    fn quote(&self, _: Call, view: &View<'_>) -> Quote {
        Quote::extra(10).writing(target(view.regs()), 8)
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.performed += 1;
        let at = target(context.regs());
        context.write(at, &self.performed.to_le_bytes()).unwrap();
        context.set_reg(rivet_isa::Reg::A1, self.performed);
        Flow::Continue
    }
}

fn target(regs: &Regs) -> GuestAddr {
    GuestAddr::wrapping(regs.get(rivet_isa::Reg::A0) - 4)
}

fn engine(backend: Backend, mappings: u64) -> Engine {
    maps::watch();
    let limits = Limits {
        mappings,
        // A window that was used counts mappings that it may no longer have.
        idle_windows: 0,
        ..Limits::default()
    };
    Engine::new(Config {
        backend,
        limits,
        ..Config::default()
    })
    .unwrap()
}

fn load(engine: &Engine, text: &str) -> Program {
    let content = vec![7; 5 * 4096];
    let raw = Raw::new(assemble(text).unwrap())
        .region(DATA, PAGES * 4096, RegionKind::CopyOnWrite, content)
        .region(DATA + PAGES * 4096, 4096, RegionKind::Pinned, vec![1]);
    engine.load_raw(raw).unwrap()
}

#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    exit: Exit,
    regs: Regs,
    pc: Pc,
    gas: u64,
    performed: u64,
    private: Vec<PageIndex>,
    hash: MemoryHash,
}

fn run(program: &Program, gas: u64) -> (Outcome, Machine) {
    let start = Start::at(0).with_gas(Gas::new(gas).unwrap());
    let mut machine = program.machine(start).unwrap();
    let mut host = Writer::default();
    let exit = machine.run(&mut host).unwrap();
    let outcome = Outcome {
        exit,
        regs: *machine.regs(),
        pc: machine.pc(),
        gas: machine.gas().value(),
        performed: host.performed,
        private: machine.private_pages(),
        hash: machine.memory_hash(),
    };
    (outcome, machine)
}

fn recompiles() -> bool {
    engine(Backend::Auto, 60_000).backend() == Backend::Jit
}

/// Runs `text` under every limit of `mappings` and many budgets; returns how often the interpreter
/// took over.
fn compare(text: &str, mappings: std::ops::Range<u64>) -> usize {
    let reference = load(&engine(Backend::Interp, 0), text);
    let (whole, _) = run(&reference, AMPLE);
    let used = AMPLE - whole.gas;
    let budgets = (0..=used).step_by(used as usize / 13).chain([AMPLE]);
    let budgets = budgets.chain((0..6).map(|n| (1 << 16) + used / 6 * n));
    let expected: Vec<_> = budgets.map(|gas| (gas, run(&reference, gas).0)).collect();
    let mut taken_over = 0;
    for limit in mappings {
        let program = load(&engine(Backend::Auto, limit), text);
        for (gas, expected) in &expected {
            let (found, machine) = run(&program, *gas);
            assert_eq!(found, *expected, "{limit} mappings, {gas} gas");
            let fallback = machine.fallback();
            taken_over += usize::from(fallback.is_some());
            let backend = if fallback.is_some() {
                Backend::Interp
            } else {
                Backend::Jit
            };
            assert_eq!(machine.backend(), backend);
        }
    }
    taken_over
}

#[test]
fn a_store_that_finds_no_mapping_is_done_by_the_interpreter_in_the_middle_of_its_block() {
    if recompiles() {
        assert!(compare(FAR_APART, 9..70) > 100);
    }
}

#[test]
fn a_gate_that_cannot_close_pages_leaves_the_rest_to_the_interpreter() {
    if recompiles() {
        assert!(compare(GAPS, 9..70) > 100);
    }
}

#[test]
fn a_call_that_finds_no_mapping_for_what_it_writes_is_performed_once_and_paid_once() {
    if recompiles() {
        assert!(compare(CALLS, 9..70) > 100);
    }
}

#[test]
fn a_machine_that_outgrew_its_window_can_be_given_gas_forked_and_reset() {
    if !recompiles() {
        return;
    }
    let reference = load(&engine(Backend::Interp, 0), FAR_APART);
    let (expected, _) = run(&reference, AMPLE);
    let used = AMPLE - expected.gas;
    let program = load(&engine(Backend::Jit, 26), FAR_APART);
    let (short, mut machine) = run(&program, used * 3 / 4);
    assert_eq!(short.exit, Exit::OutOfGas);
    assert!(machine.fallback().is_some());
    assert!(
        machine.tracking().contains("mappings"),
        "{}",
        machine.tracking()
    );
    let mut twin = machine.fork().unwrap();
    for machine in [&mut twin, &mut machine] {
        machine.set_gas(Gas::new(AMPLE).unwrap());
        assert_eq!(machine.run(&mut Writer::default()).unwrap(), expected.exit);
        assert_eq!(machine.memory_hash(), expected.hash);
        assert_eq!(machine.private_pages(), expected.private);
        assert_eq!(
            AMPLE - machine.gas().value() + used * 3 / 4 - short.gas,
            used
        );
    }
    machine
        .reset(Start::at(0).with_gas(Gas::new(AMPLE).unwrap()))
        .unwrap();
    assert_eq!(machine.fallback(), None);
    assert_eq!(machine.run(&mut Writer::default()).unwrap(), expected.exit);
    assert_eq!(machine.memory_hash(), expected.hash);
}

#[test]
fn a_recompiler_asked_for_by_name_without_a_window_is_an_error_that_names_the_cause() {
    if !recompiles() {
        return;
    }
    for backend in [Backend::Jit, Backend::Checked] {
        // Enough to reserve a window, too few to map this program into it.
        let program = load(&engine(backend, 6), FAR_APART);
        let mut machine = program.machine(Start::at(0)).unwrap();
        let error = machine.run(&mut Writer::default()).unwrap_err();
        assert!(matches!(error, HostError::NoWindow(_)), "{error}");
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
    }
    let program = load(&engine(Backend::Auto, 6), FAR_APART);
    let (_, machine) = run(&program, AMPLE);
    assert_eq!(machine.backend(), Backend::Interp);
    assert!(machine.fallback().is_some());
}
