//! Paused machines hold no window once they are many: none of them is refused one for it, and they
//! commit little.

use rivet_engine::{
    Backend, Config, Engine, Exit, Flow, Host, Machine, NoHost, Payment, Quote, Raw, Start,
};
use rivet_image::RegionKind;
use rivet_isa::Gas;
use rivet_isa::asm::assemble;
use std::sync::Mutex;

/// Memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const GAS: u64 = 1 << 40;

/// Writes two pages, and another one after the call.
const TEXT: &str = "
    lui t0, 0x10002
    sd t2, 0(t0)
    lui t0, 0x80000
    sd t0, 0(t0)
    ecalli 3
    ld t1, 0(t0)
    lui t0, 0x80001
    sd t1, 8(t0)
    trap";

fn paused(count: usize) -> Vec<Machine> {
    let engine = Engine::new(Config {
        backend: Backend::Auto,
        ..Config::default()
    });
    let raw = Raw::new(assemble(TEXT).unwrap())
        .region(
            0x1000_0000,
            64 << 20,
            RegionKind::CopyOnWrite,
            vec![7; 9000],
        )
        .region(0x8000_0000, 64 << 20, RegionKind::Ephemeral, vec![]);
    let program = engine.unwrap().load_raw(raw).unwrap();
    let start = || Start::at(0).with_gas(Gas::new(GAS).unwrap());
    let mut machines: Vec<Machine> = (0..count)
        .map(|_| program.machine(start()).unwrap())
        .collect();
    for machine in &mut machines {
        let exit = machine.run(&mut NoHost).unwrap();
        let payment = Payment::Unpaid;
        assert_eq!(
            exit,
            Exit::HostCall {
                selector: 3,
                payment
            }
        );
        assert_eq!(machine.private_pages().len(), 2);
    }
    machines
}

/// Answers every call.
struct Answers;

impl Host for Answers {
    fn quote(&self, _: rivet_engine::Call, _: &rivet_engine::View<'_>) -> Quote {
        Quote::extra(0)
    }

    fn perform(&mut self, _: rivet_engine::Call, _: &mut rivet_engine::CallContext<'_>) -> Flow {
        Flow::Continue
    }
}

#[test]
fn thousands_of_paused_machines_all_run_on_in_the_engine_they_started_in() {
    let _alone = ALONE.lock();
    let mut machines = paused(7_000);
    let backend = machines[0].backend();
    for machine in &mut machines {
        assert_eq!(machine.fallback(), None);
        assert_eq!(machine.run(&mut Answers).unwrap(), Exit::Trap);
        assert_eq!(machine.backend(), backend);
        assert_eq!(machine.private_pages().len(), 3);
        let mut word = [0; 8];
        let at = rivet_isa::GuestAddr::wrapping(0x8000_1008);
        machine.read(at, &mut word).unwrap();
        assert_eq!(u64::from_le_bytes(word) as u32, 0x8000_0000);
    }
    let hash = machines[0].memory_hash();
    assert!(machines.iter().all(|m| m.memory_hash() == hash));
    let gas = machines[0].gas();
    assert!(machines.iter().all(|m| m.gas() == gas));
}

/// Resident memory and page tables of this process, in bytes.
#[cfg(target_os = "linux")]
fn committed() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap() * 1024
    };
    field("VmRSS:") + field("VmPTE:")
}

#[test]
#[cfg(target_os = "linux")]
fn a_paused_machine_commits_at_most_64_kib_page_tables_included() {
    let _alone = ALONE.lock();
    let first = paused(200);
    let before = committed();
    let machines = paused(3000);
    let each = committed().saturating_sub(before) / 3000;
    assert!(each <= 64 << 10, "{each} bytes for a paused machine");
    drop((first, machines));
}
