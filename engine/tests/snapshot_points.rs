//! Every kind of place where a run can pause (ISA §11.3): saved, carried through bytes to every
//! backend, run to its end there, compared with the run that was not paused.

#[path = "../../jit/tests/common/maps.rs"]
mod maps;
mod snapshots;

use rivet_engine::snapshot::SnapshotError;
use rivet_engine::{Call, Engine, Exit, Flow, Machine, NoHost, Payment, Start};
use rivet_isa::{Gas, GuestAddr, Pc, Reg};
use snapshots::{Adds, DATA, First, Seen, carried, finish, gas, load, machine, page, seen};

/// An engine of each backend, with the process map watched from now on.
fn engines() -> Vec<Engine> {
    maps::watch();
    snapshots::engines()
}

/// Two stores to two pages, three calls, and nothing behind the last one.
const CALLS: &str = "
    lui a1, 0x10000
    sd a1, 0(a1)
    ecalli 5
    addi a0, a0, 1
    ecall.jar
    lui a2, 0x10002
    sd a0, 8(a2)
    ecalli -1";

/// The calls of [`CALLS`] and their own pcs.
const POINTS: [(Call, u64); 3] = [
    (Call::Host { selector: 5 }, 8),
    (Call::Kernel, 16),
    (Call::Host { selector: u32::MAX }, 28),
];

/// What [`CALLS`] leaves behind when nobody pauses it.
fn unpaused(budget: u64) -> (Exit, Seen) {
    finish(&mut machine(&engines()[0], CALLS, budget), 10_000)
}

#[test]
fn a_run_that_has_not_begun_moves_with_its_arguments() {
    for engine in engines() {
        let mut vm = machine(&engine, CALLS, 9000);
        vm.set_reg(Reg::A5, 77);
        for mut moved in carried(&vm, CALLS) {
            let (exit, end) = finish(&mut moved, 0);
            assert_eq!((exit, end.regs[12]), (Exit::Panic, 77));
        }
    }
}

#[test]
fn an_unpaid_call_is_offered_again_and_paid_once() {
    let end = unpaused(9000);
    assert_eq!(
        (end.0, end.1.pc),
        (Exit::Panic, Pc::new(32)),
        "the code ends there"
    );
    for engine in engines() {
        for (answered, (call, own)) in POINTS.into_iter().enumerate() {
            let mut vm = machine(&engine, CALLS, 9000);
            vm.run(&mut First(answered, Flow::Continue)).unwrap();
            let pending = vm.pending().expect("a call is left");
            assert_eq!((pending.call, pending.payment), (call, Payment::Unpaid));
            assert_eq!(vm.pc(), Pc::new(own + 4));
            for mut moved in carried(&vm, CALLS) {
                assert_eq!(finish(&mut moved, 0), end);
            }
        }
    }
}

#[test]
fn a_paid_call_is_neither_offered_nor_paid_again() {
    let end = unpaused(9000);
    for engine in engines() {
        for stops in 1..=POINTS.len() {
            let mut vm = machine(&engine, CALLS, 9000);
            for _ in 0..stops {
                vm.run(&mut Adds(Flow::Suspend)).unwrap();
            }
            let (call, own) = POINTS[stops - 1];
            let pending = vm.pending().expect("a call is left");
            assert_eq!((pending.call, pending.payment), (call, Payment::Paid));
            assert_eq!(vm.pc(), Pc::new(own + 4));
            for mut moved in carried(&vm, CALLS) {
                assert_eq!(finish(&mut moved, 0), end);
            }
        }
    }
}

#[test]
fn the_result_of_a_suspended_call_can_be_set_on_another_machine() {
    let text = "ecalli 9\n addi a0, a0, 1\n trap";
    for engine in engines() {
        let mut vm = machine(&engine, text, 1000);
        let exit = vm.run(&mut Adds(Flow::Suspend)).unwrap();
        let (selector, payment) = (9, Payment::Paid);
        assert_eq!(exit, Exit::HostCall { selector, payment });
        assert_eq!(vm.gas().value(), 1000 - 100 - 7);
        for mut moved in carried(&vm, text) {
            moved.set_reg(Reg::A0, 41);
            assert_eq!(moved.run(&mut NoHost), Ok(Exit::Trap));
            assert_eq!(moved.regs().get(Reg::A0), 42);
        }
    }
}

#[test]
fn out_of_gas_at_a_gate_resumes_in_front_of_the_block() {
    // Cost 22, reserve 2 * 512 (gas §17, G11): 1045 is one short.
    let text = "sd a0, 0(a1)\n sd a0, 8(a1)\n fallthrough\n trap";
    for engine in engines() {
        let mut vm = machine(&engine, text, 1045);
        vm.set_reg(Reg::A1, DATA);
        assert_eq!(vm.run(&mut NoHost), Ok(Exit::OutOfGas));
        assert_eq!((vm.pc(), vm.gas().value()), (Pc::new(0), 1045));
        for mut moved in carried(&vm, text) {
            assert_eq!(moved.run(&mut NoHost), Ok(Exit::OutOfGas));
            moved.set_gas(gas(1046));
            assert_eq!(moved.run(&mut NoHost), Ok(Exit::Trap));
            assert_eq!(moved.gas().value(), 1046 - 22 - 256 - 1);
            assert_eq!(moved.private_pages(), [page(0)]);
        }
    }
}

#[test]
fn out_of_gas_at_a_call_resumes_at_the_call_itself() {
    let text = "addi a0, zero, 1\n ecalli 5\n trap";
    for engine in engines() {
        // The call costs its floor and 7.
        let mut vm = machine(&engine, text, 1 + 106);
        assert_eq!(vm.run(&mut Adds(Flow::Continue)), Ok(Exit::OutOfGas));
        assert_eq!(
            (vm.pc(), vm.gas().value(), vm.pending()),
            (Pc::new(4), 106, None)
        );
        for mut moved in carried(&vm, text) {
            moved.set_gas(gas(108));
            assert_eq!(moved.run(&mut Adds(Flow::Continue)), Ok(Exit::Trap));
            assert_eq!((moved.gas().value(), moved.regs().get(Reg::A0)), (0, 6));
        }
    }
}

#[test]
fn an_unpaid_call_that_cannot_be_paid_later_leaves_the_pc_at_the_call() {
    for engine in engines() {
        let mut vm = machine(&engine, "ecall.jar\n trap", 50);
        vm.run(&mut NoHost).unwrap();
        for mut moved in carried(&vm, "ecall.jar\n trap") {
            assert_eq!(moved.run(&mut Adds(Flow::Continue)), Ok(Exit::OutOfGas));
            assert_eq!((moved.pc(), moved.gas().value()), (Pc::new(0), 50));
            carried(&moved, "ecall.jar\n trap");
        }
    }
}

#[test]
fn base_pages_move_uncharged_and_become_private_when_written() {
    let text = "ld a0, 0(a1)\n fallthrough\n sd a0, 8(a1)\n ecalli 0";
    for engine in engines() {
        let mut vm = machine(&engine, text, 10_000);
        vm.set_reg(Reg::A1, DATA + 3 * 4096);
        vm.place(GuestAddr::new(DATA as u32 + 3 * 4096), &[7; 16])
            .unwrap();
        vm.place(GuestAddr::new(DATA as u32 + 5 * 4096 - 4), &[8; 8])
            .unwrap();
        let snapshot = vm.snapshot().unwrap();
        let base: Vec<_> = snapshot.base_pages().iter().map(|(page, _)| page).collect();
        assert_eq!(base, [page(3), page(4), page(5)]);
        for mut moved in carried(&vm, text) {
            moved.run(&mut NoHost).unwrap();
            assert_eq!(moved.private_pages(), [page(3)]);
            assert_eq!(moved.regs().get(Reg::A0), u64::from_le_bytes([7; 8]));
            let after = moved.snapshot().unwrap();
            let base: Vec<_> = after.base_pages().iter().map(|(page, _)| page).collect();
            assert_eq!(base, [page(4), page(5)]);
            assert_eq!(after.private_pages().len(), 1);
            carried(&moved, text);
        }
    }
}

#[test]
fn pages_placed_with_what_they_had_are_no_difference() {
    for engine in engines() {
        let plain = machine(&engine, CALLS, 5).snapshot().unwrap();
        let mut vm = machine(&engine, CALLS, 5);
        vm.place(GuestAddr::new(DATA as u32 + 4096), &[0x5A; 904])
            .unwrap();
        vm.place(GuestAddr::new(DATA as u32 + 9 * 4096), &[0; 4096])
            .unwrap();
        assert_eq!(vm.snapshot().unwrap().encode(), plain.encode());
    }
}

#[test]
fn a_fork_and_the_machine_it_comes_from_have_the_same_snapshot_until_one_goes_on() {
    for engine in engines() {
        let mut vm = machine(&engine, CALLS, 9000);
        vm.run(&mut NoHost).unwrap();
        let mut fork = vm.fork().unwrap();
        let before = vm.snapshot().unwrap();
        assert_eq!(fork.snapshot().unwrap(), before);
        fork.run(&mut First(2, Flow::Continue)).unwrap();
        assert_ne!(fork.snapshot().unwrap(), before);
        assert_eq!(vm.snapshot().unwrap(), before);
    }
}

#[test]
fn the_machine_a_snapshot_was_taken_from_goes_on_without_changing_it() {
    let end = unpaused(9000);
    for engine in engines() {
        let mut vm = machine(&engine, CALLS, 9000);
        vm.run(&mut First(1, Flow::Continue)).unwrap();
        let snapshot = vm.snapshot().unwrap();
        let bytes = snapshot.encode();
        let mut resumed = load(&engine, CALLS).resume(&snapshot).unwrap();
        assert_eq!(finish(&mut vm, 0), end);
        assert_eq!(finish(&mut resumed, 0), end);
        assert_eq!(snapshot.encode(), bytes);
    }
}

#[test]
fn what_cannot_go_on_has_no_snapshot() {
    for engine in engines() {
        let ended = |text, exit| {
            let mut vm: Machine = machine(&engine, text, 1000);
            assert_eq!(vm.run(&mut NoHost), Ok(exit));
            assert_eq!(vm.snapshot(), Err(SnapshotError::Ended { exit }));
        };
        ended("trap", Exit::Trap);
        ended(".half 0", Exit::Panic);
        for bad in [2, 4, 1 << 40] {
            let start = Start::at(bad).with_gas(Gas::MAX);
            let vm = load(&engine, "trap").machine(start).unwrap();
            let pc = Pc::new(bad);
            assert_eq!(vm.snapshot(), Err(SnapshotError::Pc { pc }));
            assert_eq!(seen(&vm).pc, pc);
        }
    }
}
