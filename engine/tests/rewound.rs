//! A machine that starts over in place is as a new one, on every backend.

use rivet_engine::{Backend, Config, Engine, Machine, NoHost, Raw, Start};
use rivet_image::RegionKind;
use rivet_interp::State;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, GuestAddr, Pc, Regs};

const START: u64 = 0x1000_0000;
const GAS: u64 = 1_000_000;

/// Stores into the second of three pages, then ends.
const PROGRAM: &str = "
    lui a0, 0x10001
    addi a1, zero, 77
    sd a1, 8(a0)
    ecalli 0
";

fn machines() -> Vec<Machine> {
    let backends = [Backend::Jit, Backend::Interp, Backend::Checked];
    let machine = |backend| {
        let config = Config {
            backend,
            ..Config::default()
        };
        let engine = Engine::new(config).ok()?;
        let code = assemble(PROGRAM).expect("it assembles");
        let raw = Raw::new(code).region(START, 0x3000, RegionKind::CopyOnWrite, vec![1; 0x3000]);
        let program = engine.load_raw(raw).expect("it loads");
        let gas = Gas::new(GAS).expect("below 2^63");
        Some(
            program
                .machine(Start::at(0).with_gas(gas))
                .expect("a start"),
        )
    };
    let machines: Vec<_> = backends.into_iter().filter_map(machine).collect();
    assert!(!machines.is_empty());
    machines
}

fn bytes(machine: &Machine, addr: u64) -> [u8; 2] {
    let mut out = [0; 2];
    let read = machine.read(GuestAddr::wrapping(addr), &mut out);
    read.expect("it is mapped");
    out
}

#[test]
fn what_was_placed_and_written_is_gone_and_the_second_run_pays_what_the_first_paid() {
    for mut machine in machines() {
        let gas = Gas::new(GAS).expect("below 2^63");
        machine
            .place(GuestAddr::wrapping(START), &[9, 9])
            .expect("it is mapped");
        machine
            .place(GuestAddr::wrapping(START + 0x1000), &[9, 9])
            .expect("it is mapped");
        let exit = machine.run(&mut NoHost).expect("the host is fine");
        let paid = machine.gas();
        assert_eq!(machine.private_pages().len(), 1);
        assert_eq!(bytes(&machine, START + 0x1008), [77, 0]);
        let state = State {
            regs: Regs::default(),
            pc: Pc::new(0),
            gas,
        };
        machine.rewind(state).expect("memory can be had");
        assert_eq!(machine.private_pages(), [], "{}", machine.backend());
        for addr in [START, START + 0x1000, START + 0x1008] {
            assert_eq!(bytes(&machine, addr), [1, 1], "{}", machine.backend());
        }
        assert_eq!(machine.run(&mut NoHost), Ok(exit));
        assert_eq!(machine.gas(), paid, "{}", machine.backend());
    }
}
