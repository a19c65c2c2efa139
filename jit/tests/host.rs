//! Host calls inside a run: what the host may change, panics, nesting, GS, threads.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::{DATA_LEN, memory, memory_with, program, program_in, run, writable};
use rivet_isa::{DATA_BASE, Exit, Gas, Pc, Reg, Regs};
use rivet_jit::{Call, CallKind, CodeCache, Cpu, Flow, Left, NoHost, Program};
use rivet_paging::GuestAddr;

const GAS: u64 = 1 << 40;

fn asm(source: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(source).unwrap()
}

#[test]
fn a_host_sees_and_changes_registers_gas_and_memory() {
    let code = asm("sd a0, 0(a1)\necalli -3\nld a2, 8(a1)\necall.jar\nadd a3, a0, a2\ntrap");
    let mut memory = memory(&code);
    let mut regs = Regs::new(core::array::from_fn(|slot| 100 + slot as u64));
    regs.set(Reg::A1, DATA_BASE);
    let gp = Reg::new(3).unwrap();
    let mut kinds = Vec::new();
    let mut host = |mut call: Call<'_>| {
        kinds.push((call.kind, call.next_pc.value(), call.gas.value()));
        if call.kind == CallKind::Kernel {
            return Flow::Continue;
        }
        let mut stored = [0; 8];
        call.memory
            .read(GuestAddr::wrapping(DATA_BASE), &mut stored)
            .unwrap();
        assert_eq!(u64::from_le_bytes(stored), 107);
        assert_eq!((call.regs.get(gp), call.regs.slots()[14]), (113, 114));
        call.memory
            .write(GuestAddr::wrapping(DATA_BASE + 8), &7u64.to_le_bytes())
            .unwrap();
        call.regs.set(Reg::A0, 1000);
        call.regs.set(gp, 42);
        *call.gas = Gas::new(5000).unwrap();
        Flow::Continue
    };
    let ended = run(&program(&code), &mut memory, 0, regs, GAS, &mut host);
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(20)));
    assert_eq!(ended.regs.get(Reg::A3), 1007);
    assert_eq!(ended.regs.get(gp), 42);
    // The store costs 22 and its page 256; then 5000 less a load (22), and an add with the trap.
    let expected = [
        (CallKind::Host(0xFFFF_FFFD), 8, GAS - 22 - 256),
        (CallKind::Kernel, 16, 5000 - 22),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(ended.gas, 5000 - 22 - 1);
}

#[test]
fn gas_moved_across_the_bias_by_a_host_stays_exact() {
    let code = asm("loop:\necalli 1\naddi a0, a0, 1\nj loop");
    let edges = [
        0,
        1,
        11,
        12,
        13,
        65_535,
        65_536,
        65_537,
        65_548,
        1 << 32,
        i64::MAX as u64,
    ];
    for from in edges {
        for to in edges {
            let mut given = Some(to);
            let mut host = |call: Call<'_>| match given.take() {
                Some(gas) => {
                    *call.gas = Gas::new(gas).unwrap();
                    Flow::Continue
                }
                None => Flow::Stop(Exit::Halt, call.next_pc),
            };
            let ended = run(
                &program(&code),
                &mut memory(&code),
                0,
                Regs::default(),
                from,
                &mut host,
            );
            // addi and j: decode 2, `j` finishes at 15; less 3.
            if to < 12 {
                assert_eq!(
                    (ended.left, ended.gas),
                    (Left::Exit(Exit::OutOfGas, Pc::new(4)), to)
                );
            } else {
                assert_eq!(
                    (ended.left, ended.gas),
                    (Left::Exit(Exit::Halt, Pc::new(4)), to - 12)
                );
            }
        }
    }
}

#[test]
fn a_host_may_stop_with_any_exit_and_offset() {
    let code = asm("ecalli 0\ntrap");
    for (exit, pc) in [(Exit::Halt, 4), (Exit::OutOfGas, 0)] {
        let mut host = |_: Call<'_>| Flow::Stop(exit, Pc::new(pc));
        let ended = run(
            &program(&code),
            &mut memory(&code),
            0,
            Regs::default(),
            GAS,
            &mut host,
        );
        assert_eq!(
            (ended.left, ended.gas),
            (Left::Exit(exit, Pc::new(pc)), GAS)
        );
    }
}

#[test]
fn a_panic_of_the_host_reaches_the_caller_of_the_run() {
    let code = asm("addi a0, a0, 1\necalli 0\ntrap");
    let (program, mut memory) = (program(&code), memory(&code));
    for _ in 0..3 {
        let mut host = |_: Call<'_>| -> Flow { panic!("the host had enough") };
        let payload = catch_unwind(AssertUnwindSafe(|| {
            run(&program, &mut memory, 0, Regs::default(), GAS, &mut host)
        }));
        assert_eq!(
            payload.unwrap_err().downcast_ref(),
            Some(&"the host had enough")
        );
        let ended = run(&program, &mut memory, 8, Regs::default(), GAS, &mut NoHost);
        assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(8)));
    }
}

#[test]
fn runs_nest_in_host_calls_with_faults_in_both() {
    let outer = asm("sd a0, 0(a1)\necalli 0\nsd a0, 1024(a1)\nld a2, 0(a1)\ntrap");
    let inner = asm("sd a0, 0(a1)\nld a3, 0(a1)\nld a3, 0(zero)");
    let cache = CodeCache::new(Default::default());
    let (outer_program, inner_program) = (program_in(&outer, &cache), program_in(&inner, &cache));
    let mut regs = Regs::default();
    regs.set(Reg::A1, DATA_BASE);
    regs.set(Reg::A0, 11);
    let mut host = |call: Call<'_>| {
        let mut inner_regs = regs;
        inner_regs.set(Reg::A0, 22);
        let ended = run(
            &inner_program,
            &mut memory(&inner),
            0,
            inner_regs,
            GAS,
            &mut NoHost,
        );
        assert!(matches!(ended.left, Left::Exit(Exit::PageFault { .. }, _)));
        call.regs.set(Reg::A0, ended.regs.get(Reg::A3));
        Flow::Continue
    };
    let ended = run(&outer_program, &mut memory(&outer), 0, regs, GAS, &mut host);
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(16)));
    assert_eq!((ended.regs.get(Reg::A0), ended.regs.get(Reg::A2)), (22, 11));
}

fn gs_base() -> u64 {
    const ARCH_GET_GS: i32 = 0x1004;
    let mut base = 0u64;
    // SAFETY: the kernel writes one word, to a variable of that size.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut base) };
    base
}

fn set_gs_base(base: u64) {
    const ARCH_SET_GS: i32 = 0x1001;
    // SAFETY: this process uses GS only in this test, on this thread.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
}

#[test]
fn a_host_that_uses_gs_finds_its_own_and_may_change_it() {
    let code = asm("sd a0, 0(a1)\necalli 0\nld a2, 0(a1)\ntrap");
    let readable = Box::new([0u64; 512]);
    let elsewhere = readable.as_ptr().expose_provenance() as u64 + 4096;
    let cases = [
        (0, 0x7777_0000),
        (0x1234_5000, 0x7777_0000),
        (0, elsewhere),
        (0, 0),
    ];
    for (own, changed) in cases {
        std::thread::spawn({
            let code = code.clone();
            move || {
                set_gs_base(own);
                let mut regs = Regs::new([9; 15]);
                regs.set(Reg::A1, DATA_BASE);
                let mut host = |_: Call<'_>| {
                    if own != 0 {
                        assert_eq!(gs_base(), own);
                    }
                    set_gs_base(changed);
                    Flow::Continue
                };
                let ended = run(&program(&code), &mut memory(&code), 0, regs, GAS, &mut host);
                assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(12)));
                assert_eq!(ended.regs.get(Reg::A2), 9);
                assert_eq!(gs_base(), own);
            }
        })
        .join()
        .unwrap();
    }
}

/// The same program again, in memory of its own.
fn nested(program: &Program, code: &[u8], n: u64) -> common::Ended {
    let mut memory = memory(code);
    let mut regs = Regs::default();
    regs.set(Reg::A1, DATA_BASE + 4096 * n);
    regs.set(Reg::A3, 2);
    run(program, &mut memory, 0, regs, GAS, &mut |_: Call<'_>| {
        Flow::Continue
    })
}

#[test]
fn many_threads_run_one_program_with_faults_calls_and_nested_runs() {
    let code =
        asm("fallthrough\naddi a2, a2, 1\nsd a2, 0(a1)\necalli 0\nbne a2, a3, -12\nld a4, 0(zero)");
    let cache = CodeCache::new(Default::default());
    let program = Arc::new(program_in(&code, &cache));
    let threads: Vec<_> = (0..64u64)
        .map(|n| {
            let (program, code) = (Arc::clone(&program), code.clone());
            std::thread::spawn(move || {
                let mut memory = memory_with(&code, [writable(DATA_BASE, DATA_LEN)]);
                for round in 0..1000 {
                    let mut regs = Regs::default();
                    regs.set(Reg::A1, DATA_BASE + 4096 * ((n + round) % 256));
                    regs.set(Reg::A3, 5);
                    let mut calls = 0;
                    let mut host = |call: Call<'_>| {
                        calls += 1;
                        assert_eq!(call.regs.get(Reg::A2), calls);
                        if round % 100 == 0 && calls == 1 {
                            let ended = nested(&program, &code, n);
                            assert!(matches!(ended.left, Left::Exit(Exit::PageFault { .. }, _)));
                        }
                        Flow::Continue
                    };
                    let ended = run(&program, &mut memory, 0, regs, GAS, &mut host);
                    assert!(matches!(ended.left, Left::Exit(Exit::PageFault { .. }, _)));
                    assert_eq!(calls, 5);
                }
                memory.private_count()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 256);
    }
}

#[test]
fn a_machine_without_a_window_is_refused() {
    let code = asm("trap");
    let mut memory = memory(&code);
    memory.detach().unwrap();
    let (mut regs, mut gas) = (Regs::default(), Gas::MAX);
    let cpu = Cpu {
        regs: &mut regs,
        gas: &mut gas,
    };
    let refused = program(&code).run(cpu, Pc::new(0), &mut memory, &mut NoHost);
    assert!(matches!(refused, Err(rivet_jit::RunError::NoWindow)));
}
