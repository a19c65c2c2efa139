//! Calls: quoting, the one check-and-deduct, performing, suspending, and calls nobody answers.
//! Ledgers are those of gas §17.2 and §18.5.

use rivet_engine::{
    AccessError, Bare, Call, CallContext, Exit, Flow, Host, Machine, NoHost, Payment, Quote, Raw,
    Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, GuestAddr, PageIndex, Pc, Reg, Slot};

const DATA: u64 = 0x1000_0000;

fn machine(text: &str, gas: u64) -> Machine {
    let engine = super::engine();
    let raw = Raw::new(assemble(text).unwrap())
        .region(DATA, 4 * 4096, RegionKind::CopyOnWrite, vec![])
        .region(
            DATA + 8 * 4096,
            4096,
            RegionKind::Pinned,
            b"pinned".to_vec(),
        );
    let program = engine.load_raw(raw).unwrap();
    program
        .machine(Start::at(0).with_gas(Gas::new(gas).unwrap()))
        .unwrap()
}

/// Answers every call with the same quote and flow, and writes the quoted ranges.
struct Fixed {
    work: u64,
    writes: Vec<(u32, u64)>,
    flow: Flow,
    performed: usize,
    results: Vec<Result<(), AccessError>>,
}

impl Fixed {
    fn new(work: u64, flow: Flow) -> Self {
        Self {
            work,
            writes: vec![],
            flow,
            performed: 0,
            results: vec![],
        }
    }
}

impl Host for Fixed {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        self.writes
            .iter()
            .fold(Quote::extra(self.work), |quote, (addr, len)| {
                quote.writing(GuestAddr::new(*addr), *len)
            })
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        self.performed += 1;
        for (addr, len) in &self.writes {
            let bytes = vec![0xAB; *len as usize];
            self.results
                .push(context.write(GuestAddr::new(*addr), &bytes));
        }
        self.flow
    }
}

/// The program of gas §17.2.
const LEDGER: &str = "
    addi a0, zero, 1
    addi a4, zero, 7
    ecall.jar
    addi a0, a0, 1
    ecalli 5
    ecalli -1
    trap";

#[test]
fn the_ledger_of_gas_17_2_needs_exactly_303() {
    for (gas, exit, pc, left) in [
        (303, Exit::Trap, 24, 0),
        (302, Exit::OutOfGas, 24, 0),
        (100, Exit::OutOfGas, 8, 99),
        (0, Exit::OutOfGas, 0, 0),
    ] {
        let mut vm = machine(LEDGER, gas);
        assert_eq!(
            vm.run(&mut Fixed::new(0, Flow::Continue)),
            Ok(exit),
            "gas {gas}"
        );
        assert_eq!(
            (vm.pc(), vm.gas().value()),
            (Pc::new(pc), left),
            "gas {gas}"
        );
        if gas == 100 {
            assert_eq!((vm.regs().get(Reg::A0), vm.regs().get(Reg::A4)), (1, 7));
        }
    }
}

#[test]
fn a_call_that_cannot_be_paid_is_tried_again_from_scratch() {
    let mut vm = machine("ecalli 5\n trap", 104);
    let mut host = Fixed::new(5, Flow::Continue);
    assert_eq!(vm.run(&mut host), Ok(Exit::OutOfGas));
    assert_eq!(
        (vm.pc().value(), vm.gas().value(), host.performed),
        (0, 104, 0)
    );
    vm.set_gas(Gas::new(106).unwrap());
    assert_eq!(vm.run(&mut host), Ok(Exit::Trap));
    assert_eq!((vm.gas().value(), host.performed), (0, 1));
}

#[test]
fn a_suspended_call_is_paid_once_and_resumes_behind_it() {
    let mut vm = machine("ecalli 5\n trap", 1000);
    let mut host = Fixed::new(0, Flow::Suspend);
    let paid = Exit::HostCall {
        selector: 5,
        payment: Payment::Paid,
    };
    assert_eq!(vm.run(&mut host), Ok(paid));
    assert_eq!((vm.pc().value(), vm.gas().value()), (4, 900));
    assert_eq!(vm.run(&mut host), Ok(Exit::Trap));
    assert_eq!(
        (vm.pc().value(), vm.gas().value(), host.performed),
        (4, 899, 1)
    );
}

#[test]
fn an_unanswered_call_costs_nothing_and_waits_for_a_host() {
    let mut vm = machine("ecalli -1\n ecall.jar\n trap", 201);
    let first = Exit::HostCall {
        selector: u32::MAX,
        payment: Payment::Unpaid,
    };
    for _ in 0..2 {
        assert_eq!(vm.run(&mut NoHost), Ok(first));
        assert_eq!((vm.pc().value(), vm.gas().value()), (4, 201));
    }
    assert_eq!(vm.run(&mut Fixed::new(0, Flow::Continue)), Ok(Exit::Trap));
    assert_eq!(vm.gas().value(), 0);
}

#[test]
fn an_unanswered_call_surfaces_even_without_gas() {
    let mut vm = machine("ecalli 7\n trap", 0);
    let exit = Exit::HostCall {
        selector: 7,
        payment: Payment::Unpaid,
    };
    assert_eq!(vm.run(&mut NoHost), Ok(exit));
    assert_eq!((vm.pc().value(), vm.gas().value()), (4, 0));
}

#[test]
fn a_kernel_write_charges_the_pages_it_makes_private_as_in_gas_18_5() {
    let text = "sd zero, 0(a0)\n fallthrough\n ecalli 9\n trap";
    for (gas, exit, left) in [(622, Exit::Trap, 0), (621, Exit::OutOfGas, 621)] {
        let engine = super::engine();
        let raw =
            Raw::new(assemble(text).unwrap()).region(DATA, 4 * 4096, RegionKind::Ephemeral, vec![]);
        let start = Start::at(0).with_gas(Gas::new(10_000).unwrap());
        let start = start.with_slot(Slot::new(7).unwrap(), DATA);
        let mut vm = engine.load_raw(raw).unwrap().machine(start).unwrap();
        assert!(matches!(
            vm.run(&mut NoHost),
            Ok(Exit::HostCall { selector: 9, .. })
        ));
        assert_eq!(vm.private_pages().len(), 1);
        // One more for the gate of `trap`.
        vm.set_gas(Gas::new(gas + u64::from(exit == Exit::Trap)).unwrap());
        let mut host = Fixed::new(10, Flow::Continue);
        host.writes = vec![(DATA as u32 + 100, 2 * 4096 + 8)];
        assert_eq!(vm.run(&mut host), Ok(exit));
        assert_eq!(vm.gas().value(), left);
        let pages = if exit == Exit::Trap { 3 } else { 1 };
        assert_eq!(vm.private_pages().len(), pages);
        if exit == Exit::OutOfGas {
            assert_eq!(vm.pc().value(), 8, "own pc of the call");
            let mut bytes = [1; 8];
            vm.read(GuestAddr::new(DATA as u32 + 100), &mut bytes)
                .unwrap();
            assert_eq!(bytes, [0; 8], "nothing written");
        }
    }
}

#[test]
fn overlapping_quoted_ranges_pay_each_page_once() {
    let mut vm = machine("ecalli 1\n trap", 10_000);
    let mut host = Fixed::new(0, Flow::Continue);
    host.writes = vec![
        (DATA as u32, 4096),
        (DATA as u32 + 8, 16),
        (DATA as u32 + 4090, 12),
    ];
    assert_eq!(vm.run(&mut host), Ok(Exit::Trap));
    assert_eq!(vm.gas().value(), 10_000 - 100 - 2 * 256 - 1);
}

#[test]
fn a_quoted_range_with_a_bad_page_costs_nothing_and_is_refused_whole() {
    for (addr, len, bad) in [
        (DATA as u32 + 3 * 4096, 4097, DATA as u32 + 4 * 4096),
        (DATA as u32 + 8 * 4096, 8, DATA as u32 + 8 * 4096),
        (0xFFFF_FFFF, 2, 0xFFFF_F000),
    ] {
        let mut vm = machine("ecalli 1\n trap", 1000);
        let mut host = Fixed::new(0, Flow::Continue);
        host.writes = vec![(addr, len)];
        assert_eq!(vm.run(&mut host), Ok(Exit::Trap));
        assert_eq!(vm.gas().value(), 1000 - 100 - 1);
        let page = PageIndex::new(bad >> 12).unwrap();
        assert_eq!(host.results, [Err(AccessError::Inaccessible { page })]);
        assert!(vm.private_pages().is_empty());
    }
}

#[test]
fn writing_what_was_not_quoted_is_refused() {
    struct Sneaky(Option<AccessError>);
    impl Host for Sneaky {
        fn quote(&self, _: Call, _: &View<'_>) -> Quote {
            Quote::floor().writing(GuestAddr::new(DATA as u32), 8)
        }
        fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
            self.0 = context
                .write(GuestAddr::new(DATA as u32 + 4), &[0; 8])
                .err();
            Flow::Halt
        }
    }
    let mut vm = machine("ecalli 1", 1000);
    let mut host = Sneaky(None);
    assert_eq!(vm.run(&mut host), Ok(Exit::Halt));
    let addr = GuestAddr::new(DATA as u32 + 4);
    assert_eq!(host.0, Some(AccessError::NotQuoted { addr, len: 8 }));
}

#[test]
fn a_quote_beyond_64_bits_is_out_of_gas() {
    let mut vm = machine("ecalli 1", i64::MAX as u64);
    assert_eq!(
        vm.run(&mut Fixed::new(u64::MAX, Flow::Continue)),
        Ok(Exit::OutOfGas)
    );
    assert_eq!((vm.pc().value(), vm.gas()), (0, Gas::MAX));
}

#[test]
fn a_final_exit_is_repeated() {
    let mut vm = machine("trap", 5);
    assert_eq!(vm.run(&mut NoHost), Ok(Exit::Trap));
    assert_eq!(vm.run(&mut NoHost), Ok(Exit::Trap));
    assert_eq!(vm.gas().value(), 4);
}

#[test]
fn the_bare_host_writes_counts_and_finishes() {
    let text = "
        li a1, 6
        fallthrough
        ecalli -1
        ecalli -2
        ecalli 0";
    let mut vm = machine(text, 1000);
    vm.place(GuestAddr::new(DATA as u32), b"hello\n").unwrap();
    let mut host = Bare::new(Vec::new());
    let unplaced = vm.regs().get(Reg::A0);
    assert_eq!(unplaced, 0, "a0 = 0 cannot be read: nothing is written");
    assert_eq!(vm.run(&mut host), Ok(Exit::Halt));
    assert_eq!(host.finish().unwrap(), b"");
    assert_eq!(
        vm.regs().get(Reg::A0),
        1000 - 1 - 100 - 100,
        "gas left after the own floor"
    );
    assert_eq!((vm.gas().value(), vm.pc().value()), (1000 - 1 - 300, 20));

    let engine = super::engine();
    let code = assemble("ecalli -1\n ecalli 0").unwrap();
    let raw = Raw::new(code).region(DATA, 4096, RegionKind::Pinned, b"hello\nrest".to_vec());
    let program = engine.load_raw(raw).unwrap();
    // Addresses count modulo 2^32.
    for (a0, a1, output) in [
        (DATA, 6, &b"hello\n"[..]),
        (DATA + (7 << 32), 6, b"hello\n"),
        (DATA + 4090, 7, b""),
        (DATA, 0, b""),
        (DATA, (16 << 20) + 1, b""),
        (DATA, u64::MAX, b""),
    ] {
        let start = Start::at(0)
            .with_gas(Gas::new(200).unwrap())
            .with_slot(Slot::new(7).unwrap(), a0)
            .with_slot(Slot::new(8).unwrap(), a1);
        let mut vm = program.machine(start).unwrap();
        let mut host = Bare::new(Vec::new());
        assert_eq!(vm.run(&mut host), Ok(Exit::Halt));
        assert_eq!(host.finish().unwrap(), output, "{a0:#x} {a1:#x}");
        assert_eq!(vm.regs().get(Reg::A0), a0, "no register changes");
        assert_eq!(vm.gas().value(), 0);
    }
}

#[test]
fn placed_pages_are_neither_charged_nor_private() {
    let mut vm = machine("ld a1, 0(a0)\n sd a1, 8(a0)\n trap", 5000);
    vm.place(GuestAddr::new(DATA as u32), &7u64.to_le_bytes())
        .unwrap();
    assert!(vm.private_pages().is_empty());
    let hash = vm.memory_hash();
    let mut other = machine("trap", 5000);
    assert_ne!(
        other.memory_hash(),
        hash,
        "placed contents are part of the hash"
    );
    other
        .place(GuestAddr::new(DATA as u32), &7u64.to_le_bytes())
        .unwrap();
    assert_eq!(other.memory_hash(), hash);
    assert!(
        vm.place(GuestAddr::new(DATA as u32 + 8 * 4096), b"x")
            .is_err(),
        "pinned"
    );
}

/// Adds 1 to the first word of each page in turn, then traps.
const COUNTER: &str = "
    li a1, 4
    lui a2, 1
    fallthrough
    l: ld a3, 0(a0)
    addi a3, a3, 1
    sd a3, 0(a0)
    add a0, a0, a2
    addi a1, a1, -1
    bnez a1, l
    trap";

fn counting(gas: u64) -> Machine {
    let raw = Raw::new(assemble(COUNTER).unwrap()).region(
        DATA,
        4 * 4096,
        RegionKind::CopyOnWrite,
        vec![7],
    );
    let start = Start::at(0).with_gas(Gas::new(gas).unwrap());
    let program = super::engine().load_raw(raw).unwrap();
    program
        .machine(start.with_slot(Slot::new(7).unwrap(), DATA))
        .unwrap()
}

#[test]
fn a_fork_goes_on_as_the_original_would_and_neither_sees_the_other() {
    let mut whole = counting(100_000);
    assert_eq!(whole.run(&mut NoHost), Ok(Exit::Trap));
    let mut first = counting(1300);
    assert_eq!(first.run(&mut NoHost), Ok(Exit::OutOfGas));
    let before = (first.private_pages(), first.memory_hash());
    assert!((1..4).contains(&before.0.len()), "paused between the pages");
    let mut second = first.fork().unwrap();
    let left = 100_000 - 1300 + first.gas().value();
    second.set_gas(Gas::new(left).unwrap());
    assert_eq!(second.run(&mut NoHost), Ok(Exit::Trap));
    assert_eq!((first.private_pages(), first.memory_hash()), before);
    first.set_gas(Gas::new(left).unwrap());
    assert_eq!(first.run(&mut NoHost), Ok(Exit::Trap));
    for vm in [&first, &second] {
        assert_eq!(vm.memory_hash(), whole.memory_hash());
        assert_eq!(vm.private_pages(), whole.private_pages());
        assert_eq!(
            (vm.regs(), vm.gas(), vm.pc()),
            (whole.regs(), whole.gas(), whole.pc())
        );
    }
}

#[test]
fn a_reset_machine_is_like_a_new_one() {
    let mut vm = counting(100_000);
    let fresh = vm.memory_hash();
    vm.place(GuestAddr::new(DATA as u32 + 4096), b"placed")
        .unwrap();
    assert_eq!(vm.run(&mut NoHost), Ok(Exit::Trap));
    let start = Start::at(0).with_gas(Gas::new(100_000).unwrap());
    vm.reset(start.with_slot(Slot::new(7).unwrap(), DATA))
        .unwrap();
    assert_eq!((vm.memory_hash(), vm.private_pages().len()), (fresh, 0));
    assert_eq!(vm.run(&mut NoHost), Ok(Exit::Trap));
    let mut other = counting(100_000);
    assert_eq!(other.run(&mut NoHost), Ok(Exit::Trap));
    assert_eq!(vm.memory_hash(), other.memory_hash());
    assert_eq!((vm.regs(), vm.gas()), (other.regs(), other.gas()));
}
