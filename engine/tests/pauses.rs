//! Runs that are paused before their end: where they stop, and that nobody can tell afterwards.

#[path = "../../jit/tests/common/maps.rs"]
mod maps;
mod snapshots;

use rivet_engine::snapshot::SnapshotError;
use rivet_engine::{
    Call, CallContext, Engine, Exit, Flow, Host, HostError, Interrupt, Machine, NoHost, Pause,
    Payment, Quote, Ran, Until, View,
};
use rivet_isa::{GuestAddr, Pc, Reg};
use snapshots::{Adds, Seen, carried, finish, gas, machine, seen};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// An engine of each backend, with the process map watched from now on.
fn engines() -> Vec<Engine> {
    maps::watch();
    snapshots::engines()
}

/// Blocks at 0, 12, 24 and 28: a loop of three that writes a fresh page each time around, and calls.
const LOOP: &str = "
    lui a1, 0x10000
    addi a2, zero, 5
    fallthrough
    sd a2, 0(a1)
    addi a2, a2, -1
    fallthrough
    ecalli 6
    lui a3, 1
    add a1, a1, a3
    bnez a2, -24
    ecalli 0";

/// Answers with the gas it sees, so that a guest would notice if it saw another.
struct Tells(Vec<u64>);

impl Host for Tells {
    fn quote(&self, call: Call, view: &View<'_>) -> Quote {
        let _ = view.gas();
        match call {
            Call::Host { selector: 0 } => Quote::floor(),
            _ => Quote::extra(view.gas().value() % 5),
        }
    }

    fn perform(&mut self, call: Call, context: &mut CallContext<'_>) -> Flow {
        self.0.push(context.gas().value());
        context.set_reg(Reg::A0, context.gas().value());
        match call {
            Call::Host { selector: 0 } => Flow::Halt,
            _ => Flow::Continue,
        }
    }
}

/// Every place where the run is in front of a block, with the gas there, one block at a time.
fn steps(vm: &mut Machine, host: &mut dyn Host) -> (Vec<(u64, u64)>, Exit) {
    let mut places = vec![(vm.pc().value(), vm.gas().value())];
    loop {
        let left = gas(vm.gas().value() - 1);
        match vm.run_until(host, &Until::exit().gas_left(left)).unwrap() {
            Ran::Exit(exit) => return (places, exit),
            Ran::Paused(pause) => assert_eq!(pause, Pause::Gas),
        }
        places.push((vm.pc().value(), vm.gas().value()));
    }
}

fn unpaused(text: &str, budget: u64) -> (Exit, Seen, Vec<u64>) {
    let mut vm = machine(&engines()[0], text, budget);
    let mut host = Tells(vec![]);
    let exit = vm.run(&mut host).unwrap();
    (exit, seen(&vm), host.0)
}

#[test]
fn a_run_can_pause_in_front_of_every_block_and_call() {
    for engine in engines() {
        let mut vm = machine(
            &engine,
            "addi a0, zero, 1\n fallthrough\n ecall.jar\n ecalli 5\n trap",
            500,
        );
        let (places, exit) = steps(&mut vm, &mut Adds(Flow::Continue));
        // 1 for the first block, 107 for each call, 1 for the trap.
        assert_eq!(places, [(0, 500), (8, 499), (12, 392), (16, 285)]);
        assert_eq!((exit, vm.gas().value()), (Exit::Trap, 284));
    }
}

#[test]
fn the_gas_at_which_a_run_stops_is_the_same_everywhere_and_changes_nothing() {
    let budget = 12_000;
    let end = unpaused(LOOP, budget);
    assert_eq!(end.0, Exit::Halt);
    let mut host = Tells(vec![]);
    let (places, _) = steps(&mut machine(&engines()[0], LOOP, budget), &mut host);
    assert_eq!(host.0, end.2);
    for engine in engines() {
        for least in (0..budget).rev().step_by(17) {
            let expected = places.iter().find(|(_, left)| *left <= least);
            let mut vm = machine(&engine, LOOP, budget);
            let mut host = Tells(vec![]);
            let until = Until::exit().gas_left(gas(least));
            let ran = vm.run_until(&mut host, &until).unwrap();
            if let Some((pc, left)) = expected {
                assert_eq!(ran, Ran::Paused(Pause::Gas));
                assert_eq!((vm.pc().value(), vm.gas().value()), (*pc, *left));
                // Where the condition holds already nothing happens.
                assert_eq!(vm.run_until(&mut host, &until), Ok(ran));
                let exit = vm.run(&mut host).unwrap();
                assert_eq!((exit, seen(&vm), host.0), end.clone());
            } else {
                assert_eq!((ran, seen(&vm)), (Ran::Exit(end.0), end.1.clone()));
            }
        }
    }
}

#[test]
fn paused_states_move_and_end_alike() {
    let end = finish(&mut machine(&engines()[0], LOOP, 12_000), 0);
    for engine in engines() {
        let mut vm = machine(&engine, LOOP, 12_000);
        let mut stops = 0;
        loop {
            let until = Until::exit().gas_left(gas(vm.gas().value() - 1));
            let ran = vm.run_until(&mut Adds(Flow::Continue), &until).unwrap();
            if let Ran::Exit(exit) = ran {
                assert_eq!((exit, seen(&vm)), end);
                break;
            }
            for mut moved in carried(&vm, LOOP) {
                assert_eq!(finish(&mut moved, 0), end);
            }
            stops += 1;
        }
        assert!(stops > 10);
    }
}

#[test]
fn a_block_is_reached_each_time_around_and_the_first_does_not_count() {
    for engine in engines() {
        let mut vm = machine(&engine, LOOP, 12_000);
        let until = Until::exit().block(Pc::new(12));
        let mut counts = Vec::new();
        while let Ran::Paused(pause) = vm.run_until(&mut Tells(vec![]), &until).unwrap() {
            assert_eq!((pause, vm.pc()), (Pause::Block, Pc::new(12)));
            counts.push(vm.regs().get(Reg::A2));
        }
        assert_eq!(counts, [5, 4, 3, 2, 1]);
        assert_eq!(seen(&vm), unpaused(LOOP, 12_000).1);
    }
}

#[test]
fn a_call_is_left_pending_and_answered_when_the_run_goes_on() {
    for engine in engines() {
        let mut vm = machine(&engine, LOOP, 12_000);
        let mut host = Tells(vec![]);
        let mut calls = Vec::new();
        let until = Until::exit().call();
        while let Ran::Paused(pause) = vm.run_until(&mut host, &until).unwrap() {
            let pending = vm.pending().expect("a call");
            assert_eq!((pause, pending.payment), (Pause::Call, Payment::Unpaid));
            calls.push(pending.call);
        }
        let (six, zero) = (Call::Host { selector: 6 }, Call::Host { selector: 0 });
        assert_eq!(calls, [six, six, six, six, six, zero]);
        let end = unpaused(LOOP, 12_000);
        assert_eq!((seen(&vm), host.0), (end.1, end.2));
    }
}

#[test]
fn a_pending_call_that_the_host_declines_is_an_exit_and_no_pause() {
    for engine in engines() {
        let mut vm = machine(&engine, "ecalli 5\n trap", 1000);
        let until = Until::exit().call();
        let paused = Ran::Paused(Pause::Call);
        assert_eq!(vm.run_until(&mut NoHost, &until), Ok(paused));
        let (selector, payment) = (5, Payment::Unpaid);
        let exit = Exit::HostCall { selector, payment };
        assert_eq!(vm.run_until(&mut NoHost, &until), Ok(Ran::Exit(exit)));
        assert_eq!(vm.run(&mut Adds(Flow::Continue)), Ok(Exit::Trap));
    }
}

/// Panics when it is asked to do something.
struct Breaks;

impl Host for Breaks {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        panic!("the host breaks")
    }
}

#[test]
fn a_host_that_breaks_during_a_paused_run_leaves_nothing_to_save() {
    for engine in engines() {
        let mut vm = machine(&engine, "ecalli 5\n trap", 1000);
        let until = Until::exit().gas_left(gas(5));
        let ran = catch_unwind(AssertUnwindSafe(|| vm.run_until(&mut Breaks, &until)));
        assert!(ran.is_err());
        assert_eq!(vm.snapshot(), Err(SnapshotError::Poisoned));
        assert_eq!(vm.run_until(&mut NoHost, &until), Err(HostError::Poisoned));
    }
}

#[test]
fn out_of_gas_is_still_out_of_gas() {
    for engine in engines() {
        for budget in [0, 1, 100, 700, 800, 1500] {
            let (exit, end, _) = unpaused(LOOP, budget);
            assert_eq!(exit, Exit::OutOfGas);
            let never = Interrupt::new();
            let watched = [
                Until::exit(),
                Until::exit()
                    .interrupted(&never)
                    .within(Duration::from_secs(3600)),
                Until::exit().block(Pc::new(0)),
            ];
            for until in watched {
                let mut vm = machine(&engine, LOOP, budget);
                let ran = vm.run_until(&mut Tells(vec![]), &until).unwrap();
                assert_eq!((ran, seen(&vm)), (Ran::Exit(exit), end.clone()));
            }
        }
    }
}

/// Ends at out of gas only; stores walk over the pages.
const ENDLESS: &str = "
    fallthrough
    addi a0, a0, 1
    slli a2, a0, 3
    slli a3, a2, 48
    srli a3, a3, 48
    lui a1, 0x10000
    add a1, a1, a3
    sd a0, 0(a1)
    jal zero, -28";

/// The machine of [`ENDLESS`] run without other pauses to the block at which this gas is left.
fn undisturbed(engine: &Engine, left: u64) -> Seen {
    let mut vm = machine(engine, ENDLESS, 1 << 60);
    let until = Until::exit().gas_left(gas(left));
    assert_eq!(
        vm.run_until(&mut NoHost, &until),
        Ok(Ran::Paused(Pause::Gas))
    );
    seen(&vm)
}

#[test]
fn another_thread_stops_an_endless_run_without_a_trace() {
    for engine in engines() {
        let mut vm = machine(&engine, ENDLESS, 1 << 60);
        let interrupt = Interrupt::new();
        let until = Until::exit().interrupted(&interrupt);
        for _ in 0..3 {
            let before = vm.gas();
            let ran = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(1));
                    interrupt.raise();
                });
                vm.run_until(&mut NoHost, &until).unwrap()
            });
            interrupt.clear();
            assert_eq!(ran, Ran::Paused(Pause::Interrupted));
            assert!(vm.program().starts().contains(vm.pc()));
            assert!(vm.gas() <= before);
        }
        assert_eq!(seen(&vm), undisturbed(&engine, vm.gas().value()));
    }
}

#[test]
fn a_deadline_stops_a_run_without_a_trace() {
    for engine in engines() {
        let mut vm = machine(&engine, ENDLESS, 1 << 60);
        let at_once = Until::exit().within(Duration::ZERO);
        let paused = Ok(Ran::Paused(Pause::Deadline));
        assert_eq!(vm.run_until(&mut NoHost, &at_once), paused);
        assert_eq!(vm.gas().value(), 1 << 60);
        let until = Until::exit().within(Duration::from_millis(1));
        for _ in 0..3 {
            assert_eq!(vm.run_until(&mut NoHost, &until), paused);
        }
        assert!(vm.gas().value() < 1 << 60);
        assert_eq!(seen(&vm), undisturbed(&engine, vm.gas().value()));
    }
}

/// Raises an interrupt in its third call and takes gas away, as a kernel may.
struct Kernel(Interrupt, usize);

impl Host for Kernel {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor()
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.1 += 1;
        if self.1 == 3 {
            self.0.raise();
        }
        let left = if self.1 == 2 {
            5_000_000
        } else {
            context.gas().value() - 3
        };
        context.set_gas(gas(left));
        let mut word = [0; 8];
        context
            .read(GuestAddr::new(0x1000_0000), &mut word)
            .unwrap();
        Flow::Continue
    }
}

#[test]
fn an_interrupt_during_a_call_stops_behind_it_and_gas_that_a_host_moves_is_kept() {
    let text = "ecalli 1\n ecalli 2\n ecalli 3\n ecalli 4\n trap";
    for engine in engines() {
        let interrupt = Interrupt::new();
        let until = Until::exit().interrupted(&interrupt);
        let mut vm = machine(&engine, text, 3_000_000);
        let mut host = Kernel(interrupt.clone(), 0);
        let ran = vm.run_until(&mut host, &until).unwrap();
        assert_eq!(
            (ran, vm.pc()),
            (Ran::Paused(Pause::Interrupted), Pc::new(12))
        );
        assert_eq!((vm.gas().value(), vm.pending()), (5_000_000 - 103, None));
        assert_eq!(
            vm.run_until(&mut host, &until),
            Ok(ran),
            "it is still raised"
        );
        interrupt.clear();
        assert_eq!(vm.run_until(&mut host, &until), Ok(Ran::Exit(Exit::Trap)));
        assert_eq!(vm.gas().value(), 5_000_000 - 103 - 103 - 1);
    }
}

#[test]
fn a_suspended_call_survives_a_pause_that_comes_at_once() {
    for engine in engines() {
        let text = "ecalli 9";
        let mut vm = machine(&engine, text, 1000);
        vm.run(&mut Adds(Flow::Suspend)).unwrap();
        let pending = vm.pending();
        let until = Until::exit().gas_left(gas(1000));
        assert_eq!(
            vm.run_until(&mut NoHost, &until),
            Ok(Ran::Paused(Pause::Gas))
        );
        assert_eq!(vm.pending(), pending);
        for mut moved in carried(&vm, text) {
            assert_eq!(
                moved.run(&mut NoHost),
                Ok(Exit::Panic),
                "the code ends there"
            );
        }
    }
}
