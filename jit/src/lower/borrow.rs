//! Operands that have no host register of their own: x0, x3 and x4.
//!
//! Templates are written for host registers only. Where an operand has none, a host register
//! that the instruction does not name is lent to it: its value is put aside in the context, the
//! operand loaded, the template run, the result stored, the value put back. None of this can
//! fault, so nobody ever sees the register away from home.

use rivet_isa::Reg;
use rivet_mutants::mutant;

use crate::abi::{Home, home};
use crate::asm::{Asm, Host};
use crate::context::{aside_field, slot_field};

/// Registers to lend, in order of preference. Not rax, rcx or rdx, which templates use by name.
const LENDABLE: [Host; 6] = [
    Host::RBX,
    Host::RSI,
    Host::RDI,
    Host::R8,
    Host::R9,
    Host::R10,
];

/// The loans of one instruction.
struct Loans {
    /// Guest register and the host register lent to it.
    lent: [Option<(Reg, Host)>; 3],
    /// Host registers the instruction names itself.
    named: [Option<Host>; 3],
}

impl Loans {
    fn new(regs: [Reg; 3]) -> Self {
        let named = regs.map(|reg| match home(reg) {
            Home::Host(host) => Some(host),
            Home::Zero | Home::Context(_) => None,
        });
        Self {
            lent: [None; 3],
            named,
        }
    }

    /// The host register that stands for `reg`, lending one if it has none.
    fn host(&mut self, reg: Reg) -> Host {
        if let Home::Host(host) = home(reg) {
            return host;
        }
        if let Some((_, host)) = self.lent.iter().flatten().find(|(guest, _)| *guest == reg) {
            return *host;
        }
        let taken = |host: &Host| {
            self.named.contains(&Some(*host)) || self.lent.iter().flatten().any(|(_, h)| h == host)
        };
        let free = LENDABLE.into_iter().find(|host| !taken(host));
        let host = free.expect("three operands cannot occupy six registers");
        let place = self.lent.iter_mut().find(|loan| loan.is_none());
        *place.expect("three operands need at most three loans") = Some((reg, host));
        host
    }
}

/// Runs `body` with host registers for rd, rs1, rs2, of which at least one has none.
#[cold]
pub(super) fn with_loans(
    asm: &mut Asm,
    [rd, rs1, rs2]: [Reg; 3],
    body: impl FnOnce(&mut Asm, Host, Host, Host),
) {
    let mut loans = Loans::new([rd, rs1, rs2]);
    let (d, a, b) = (loans.host(rd), loans.host(rs1), loans.host(rs2));
    for (index, (reg, host)) in loans.lent.iter().flatten().enumerate() {
        asm.store_context(aside_field(index), *host);
        match home(*reg) {
            Home::Context(slot) => asm.load_context(*host, slot_field(slot)),
            Home::Zero | Home::Host(_) => asm.mov_imm(*host, 0),
        }
    }
    body(asm, d, a, b);
    if let Home::Context(slot) = home(rd)
        && mutant!(JitSpilledResult, true, false)
    {
        asm.store_context(slot_field(slot), d);
    }
    for (index, (_, host)) in loans.lent.iter().flatten().enumerate() {
        asm.load_context(*host, aside_field(index));
    }
}
