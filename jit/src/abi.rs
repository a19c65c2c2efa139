//! Which host register does what while generated code runs.
//!
//! ```text
//!  guest   ra  sp  t0  t1  t2  s0  s1  a0  a1  a2  a3  a4  a5      gp, tp
//!  host    r13 rbp r10 r11 r12 rbx r14 rax rcx rsi rdi r8  r9      context slots 13, 14
//!
//!  rdx     scratch: `mulx` reads it, `div` needs it; dead between guest instructions
//!  r15     gas, biased: the true figure minus the context's `bias`
//!  rsp     the host stack, holding the return addresses of guest calls (`stubs.rs`)
//!  gs      base of the guest's 4 GiB; the context lies just below it
//! ```
//!
//! The registers the compressed encodings can name (s0, s1, a0..a5) sit mostly in host registers
//! that need no prefix; none of the frequent base registers is r12 or r13, which cost a byte more.

use rivet_isa::Reg;

use crate::asm::Host;

/// The scratch register.
pub(crate) const SCRATCH: Host = Host::RDX;

/// The biased gas register.
pub(crate) const GAS: Host = Host::R15;

/// Slots that live in host registers; the rest live in the context.
pub(crate) const HOMED_SLOTS: usize = 13;

/// Host register of each slot below [`HOMED_SLOTS`].
pub(crate) const SLOT_HOMES: [Host; HOMED_SLOTS] = [
    Host::R13, // ra
    Host::RBP, // sp
    Host::R10, // t0
    Host::R11, // t1
    Host::R12, // t2
    Host::RBX, // s0
    Host::R14, // s1
    Host::RAX, // a0
    Host::RCX, // a1
    Host::RSI, // a2
    Host::RDI, // a3
    Host::R8,  // a4
    Host::R9,  // a5
];

/// Where a guest register lives between guest instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    /// x0: nowhere, reads zero.
    Zero,
    /// In a host register.
    Host(Host),
    /// x3 or x4: in the context, at this slot.
    Context(usize),
}

/// Home of every guest register by its number.
const HOMES: [Home; 16] = {
    let mut homes = [Home::Zero; 16];
    let mut slot = 0;
    while slot < rivet_isa::SLOTS {
        let number = match rivet_isa::Slot::new(slot as u8) {
            Some(slot) => slot.reg().number(),
            None => panic!("slots below SLOTS exist"),
        };
        homes[number as usize] = if slot < HOMED_SLOTS {
            Home::Host(SLOT_HOMES[slot])
        } else {
            Home::Context(slot)
        };
        slot += 1;
    }
    homes
};

/// Where `reg` lives.
#[inline(always)]
pub(crate) fn home(reg: Reg) -> Home {
    HOMES[usize::from(reg.number() & 15)]
}

/// No host register.
const NOWHERE: u8 = u8::MAX;

/// The host register of every guest register by its number, or [`NOWHERE`].
const HOSTS: [u8; 16] = {
    let mut hosts = [NOWHERE; 16];
    let mut number = 0;
    while number < hosts.len() {
        if let Home::Host(Host(host)) = HOMES[number] {
            hosts[number] = host;
        }
        number += 1;
    }
    hosts
};

/// Host registers of registers that all have one.
#[inline(always)]
pub(crate) fn hosts<const N: usize>(regs: [Reg; N]) -> Option<[Host; N]> {
    let hosts = regs.map(|reg| HOSTS[usize::from(reg.number() & 15)]);
    // One question about all of them: host registers have numbers below 16.
    let all = hosts.iter().fold(0, |all, host| all | host);
    (all < 16).then_some(hosts.map(Host))
}
