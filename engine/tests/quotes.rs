//! What a quote sees and what it promises, on every backend (gas §9, §12).

use rivet_engine::{
    Backend, Call, CallContext, Config, Engine, Exit, Flow, Host, Machine, NoHost, Payment, Quote,
    Raw, Start, View,
};
use rivet_image::RegionKind;
use rivet_isa::asm::assemble;
use rivet_isa::{Gas, GuestAddr, PageIndex};
use std::cell::Cell;

const DATA: u32 = 0x1000_0000;

/// A machine of each backend that runs here, on two writable pages.
fn machines(text: &str, gas: u64) -> impl Iterator<Item = Machine> {
    let code = assemble(text).unwrap();
    let backends = [Backend::Interp, Backend::Jit, Backend::Checked];
    let engines = backends.map(|backend| {
        Engine::new(Config {
            backend,
            ..Config::default()
        })
    });
    engines.into_iter().flatten().map(move |engine| {
        let raw = Raw::new(code.clone());
        let raw = raw.region(u64::from(DATA), 8192, RegionKind::Ephemeral, vec![]);
        let start = Start::at(0).with_gas(Gas::new(gas).unwrap());
        engine.load_raw(raw).unwrap().machine(start).unwrap()
    })
}

/// Quotes two pages and writes to the first.
struct WritesLess;

impl Host for WritesLess {
    fn quote(&self, _: Call, _: &View<'_>) -> Quote {
        Quote::floor().writing(GuestAddr::new(DATA), 4097)
    }

    fn perform(&mut self, _: Call, context: &mut CallContext<'_>) -> Flow {
        context.write(GuestAddr::new(DATA), &[1]).unwrap();
        Flow::Continue
    }
}

#[test]
fn a_page_that_was_quoted_is_private_and_paid_even_if_nothing_is_written_to_it() {
    // A call of 100 and two pages of 256; then a block of 1, which asks for 512 more.
    let text = "ecalli 1\n lui a0, 0x10001\n sd a0, 0(a0)\n trap";
    for mut vm in machines(text, 10_000) {
        assert_eq!(
            vm.run(&mut WritesLess),
            Ok(Exit::Trap),
            "{:?}",
            vm.backend()
        );
        let pages = [DATA, DATA + 4096].map(|at| PageIndex::new(at >> 12).unwrap());
        assert_eq!(vm.private_pages(), pages, "{:?}", vm.backend());
        // lui, then a store that waits for it: 1 + 25 cycles, less the credit of 3.
        assert_eq!(vm.gas().value(), 10_000 - 100 - 2 * 256 - 23);
    }
}

/// Notes what a view says.
#[derive(Default)]
struct Looks {
    gas: Cell<u64>,
    fits: Cell<[bool; 4]>,
}

impl Host for Looks {
    fn quote(&self, _: Call, view: &View<'_>) -> Quote {
        self.gas.set(view.gas().value());
        let last = GuestAddr::new(DATA + 8191);
        self.fits.set([
            view.check_write(last, 1).is_ok(),
            view.check_write(last, 2).is_ok(),
            view.check_read(last, 1).is_ok(),
            view.check_read(last, 2).is_ok(),
        ]);
        Quote::floor()
    }

    fn perform(&mut self, _: Call, _: &mut CallContext<'_>) -> Flow {
        Flow::Halt
    }
}

#[test]
fn a_quote_sees_gas_before_its_charge_and_ranges_to_their_last_byte() {
    for mut vm in machines("ecalli 1", 777) {
        let mut host = Looks::default();
        assert_eq!(vm.run(&mut host), Ok(Exit::Halt));
        assert_eq!(host.gas.get(), 777);
        assert_eq!(host.fits.get(), [true, false, true, false]);
        assert_eq!(vm.gas().value(), 677);
    }
}

#[test]
fn an_open_call_that_cannot_be_paid_stays_open() {
    for mut vm in machines("ecalli 1\n trap", 99) {
        let (selector, payment) = (1, Payment::Unpaid);
        let open = Ok(Exit::HostCall { selector, payment });
        assert_eq!(vm.run(&mut NoHost), open);
        assert_eq!(vm.run(&mut Looks::default()), Ok(Exit::OutOfGas));
        assert_eq!((vm.pc().value(), vm.gas().value()), (0, 99));
        vm.set_gas(Gas::new(100).unwrap());
        assert_eq!(vm.run(&mut Looks::default()), Ok(Exit::Halt));
        assert_eq!(vm.gas().value(), 0);
    }
}
