//! The door into generated code: four pieces of assembly that are part of this library's text.
//!
//! ```text
//!   enter ──▶ generated code ──cold call──▶ service ─┬─▶ generated code
//!                   │  ▲                             │
//!                   │  └──── ret ──── call ◀─ ecalli └─▶ leave: return from `enter`
//!                   └──signal──▶ fault ──▶ as service
//! ```
//!
//! On every way out the thirteen register homes and the gas register are written to the context;
//! on the way back they are read from it.
//!
//! Generated code uses the host's stack for nothing but return addresses: a guest call is a host
//! call, a guest return a host return, and the place it comes to compares the guest's own return
//! address before it goes on. So the return predictor sees calls and returns, and nothing the
//! guest does to its stack matters. At most 4 KiB are used, at addresses with bit 12 set:
//!
//! ```text
//!   enter's frame │ up to 8 KiB │ address of `bottom` │ return addresses … │ Rust code, aligned
//!                  alignment     ▲ top_rsp              bit 12 set           runs below
//! ```
//!
//! A call that finds bit 12 clear starts again at the top; the returns that are lost then go
//! through the dispatch table, as do those that find `bottom`.

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::context::{Context, displacement};

const REGS: usize = offset_of!(Context, regs);
const GAS: usize = offset_of!(Context, gas);

/// Registers to the context. rbx goes first, through GS, to make room for a pointer: stores
/// through a segment take twice as long on some processors.
macro_rules! spill {
    () => {
        "mov gs:[{rbx}], rbx
         mov rbx, gs:[{own}]
         mov [rbx + {at}], r13
         mov [rbx + {at} + 8], rbp
         mov [rbx + {at} + 16], r10
         mov [rbx + {at} + 24], r11
         mov [rbx + {at} + 32], r12
         mov [rbx + {at} + 48], r14
         mov [rbx + {at} + 56], rax
         mov [rbx + {at} + 64], rcx
         mov [rbx + {at} + 72], rsi
         mov [rbx + {at} + 80], rdi
         mov [rbx + {at} + 88], r8
         mov [rbx + {at} + 96], r9
         mov [rbx + {gas_at}], r15"
    };
}

/// The reverse, from the context that rbx points to; rbx itself comes last.
macro_rules! reload {
    () => {
        "mov r13, [rbx + {at}]
         mov rbp, [rbx + {at} + 8]
         mov r10, [rbx + {at} + 16]
         mov r11, [rbx + {at} + 24]
         mov r12, [rbx + {at} + 32]
         mov r14, [rbx + {at} + 48]
         mov rax, [rbx + {at} + 56]
         mov rcx, [rbx + {at} + 64]
         mov rsi, [rbx + {at} + 72]
         mov rdi, [rbx + {at} + 80]
         mov r8, [rbx + {at} + 88]
         mov r9, [rbx + {at} + 96]
         mov r15, [rbx + {gas_at}]
         mov rbx, [rbx + {at} + 40]"
    };
}

/// Returns from `enter`, whose frame is where rsp points.
macro_rules! leave {
    () => {
        "mov rsp, [rbx + {host_rsp}]
         add rsp, 8
         pop r15
         pop r14
         pop r13
         pop r12
         pop rbx
         pop rbp
         ret"
    };
}

/// Runs generated code at `target` until it leaves.
///
/// # Safety
/// `context` lies just below the GS base, is filled in, and nobody else uses it; `target` is the
/// native address of a block of a program that stays alive.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn enter(context: *mut Context, target: u64) {
    naked_asm!(
        "push rbp
         push rbx
         push r12
         push r13
         push r14
         push r15
         sub rsp, 8
         mov [rdi + {host_rsp}], rsp
         test dword ptr [rsp - 4096], eax
         test dword ptr [rsp - 8192], eax
         test dword ptr [rsp - 12288], eax
         and rsp, -8192
         sub rsp, 8
         push qword ptr [rdi + {bottom}]
         mov [rdi + {top_rsp}], rsp
         mov rdx, rsi
         mov rbx, rdi",
        reload!(),
        "jmp rdx",
        host_rsp = const offset_of!(Context, host_rsp),
        top_rsp = const offset_of!(Context, top_rsp),
        bottom = const offset_of!(Context, bottom_stub),
        at = const REGS,
        gas_at = const GAS,
    )
}

/// Where the thunk of a chunk jumps: on top of the stack is the return address of a cold call,
/// below it what the cold site pushed (`chunk.rs`). That is counted and dropped; what follows is
/// a native return address, never an address on the stack.
///
/// # Safety
/// Not callable from Rust; its address goes into the context.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn service() {
    naked_asm!(
        spill!(),
        "pop qword ptr [rbx + {site}]
         xor edx, edx
         3:
         lea rax, [rsp + 8]
         cmp [rsp], rax
         jne 4f
         mov rsp, rax
         inc edx
         jmp 3b
         4:
         mov [rbx + {pushes}], rdx
         mov [rbx + {guest_rsp}], rsp
         and rsp, -16
         mov rdi, rbx
         call qword ptr [rbx + {service}]
         test rax, rax
         jz 2f
         mov rsp, [rbx + {guest_rsp}]
         mov rdx, rax",
        reload!(),
        "jmp rdx
         2:",
        leave!(),
        rbx = const displacement(REGS + 40),
        own = const displacement(offset_of!(Context, own)),
        host_rsp = const offset_of!(Context, host_rsp),
        guest_rsp = const offset_of!(Context, guest_rsp),
        site = const offset_of!(Context, site),
        pushes = const offset_of!(Context, pushes),
        service = const offset_of!(Context, service),
        at = const REGS,
        gas_at = const GAS,
    )
}

/// What `ecalli` and `ecall.jar` call, with the own pc in edx; returns to the code behind them.
///
/// # Safety
/// Not callable from Rust; its address goes into the context.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn call() {
    naked_asm!(
        spill!(),
        "mov [rbx + {guest_rsp}], rsp
         and rsp, -16
         mov rdi, rbx
         mov esi, edx
         call qword ptr [rbx + {call}]
         test eax, eax
         jz 2f
         mov rsp, [rbx + {guest_rsp}]",
        reload!(),
        "ret
         2:",
        leave!(),
        rbx = const displacement(REGS + 40),
        own = const displacement(offset_of!(Context, own)),
        host_rsp = const offset_of!(Context, host_rsp),
        guest_rsp = const offset_of!(Context, guest_rsp),
        call = const offset_of!(Context, call),
        at = const REGS,
        gas_at = const GAS,
    )
}

/// Where the signal handler continues after a guest access faulted. Everything the interrupted
/// code could be using is kept, so that the access can be repeated.
///
/// # Safety
/// Not callable from Rust; the fault handler goes on here, with the registers as at the fault.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn fault() {
    naked_asm!(
        "mov gs:[{scratch}], rdx",
        spill!(),
        "pushfq
         pop qword ptr [rbx + {flags}]
         mov [rbx + {guest_rsp}], rsp
         and rsp, -16
         movups [rbx + {vector}], xmm0
         mov rdi, rbx
         call qword ptr [rbx + {fault}]
         test rax, rax
         jz 2f
         mov [rbx + {site}], rax
         movups xmm0, [rbx + {vector}]
         mov rdx, [rbx + {scratch_at}]
         push qword ptr [rbx + {flags}]
         popfq
         mov rsp, [rbx + {guest_rsp}]",
        reload!(),
        "jmp qword ptr gs:[{site_gs}]
         2:",
        leave!(),
        rbx = const displacement(REGS + 40),
        own = const displacement(offset_of!(Context, own)),
        host_rsp = const offset_of!(Context, host_rsp),
        guest_rsp = const offset_of!(Context, guest_rsp),
        scratch = const displacement(offset_of!(Context, scratch)),
        scratch_at = const offset_of!(Context, scratch),
        flags = const offset_of!(Context, flags),
        vector = const offset_of!(Context, vector),
        fault = const offset_of!(Context, fault),
        site = const offset_of!(Context, site),
        site_gs = const displacement(offset_of!(Context, site)),
        at = const REGS,
        gas_at = const GAS,
    )
}

/// Where a return goes that came to a place it does not belong to: on through the dispatch table.
/// Its own pc is in rdx, the guest's return address in the home of ra.
///
/// # Safety
/// Not callable from Rust; its address goes into the context.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn mismatched_return() {
    naked_asm!(
        "mov gs:[{scratch}], rdx
         lea edx, [r13 - {code_base}]
         and edx, -2
         cmp edx, gs:[{clamp}]
         cmovae rdx, gs:[{clamp}]
         add rdx, rdx
         add rdx, gs:[{table}]
         mov edx, [rdx]
         test edx, edx
         jz 3f
         jmp rdx
         3:",
        spill!(),
        "mov [rbx + {guest_rsp}], rsp
         and rsp, -16
         mov rdi, rbx
         call qword ptr [rbx + {returned}]
         test rax, rax
         jz 2f
         mov rsp, [rbx + {guest_rsp}]
         mov rdx, rax",
        reload!(),
        "jmp rdx
         2:",
        leave!(),
        scratch = const displacement(offset_of!(Context, scratch)),
        clamp = const displacement(offset_of!(Context, clamp)),
        table = const displacement(offset_of!(Context, table)),
        code_base = const rivet_isa::CODE_BASE,
        rbx = const displacement(REGS + 40),
        own = const displacement(offset_of!(Context, own)),
        host_rsp = const offset_of!(Context, host_rsp),
        guest_rsp = const offset_of!(Context, guest_rsp),
        returned = const offset_of!(Context, returned),
        at = const REGS,
        gas_at = const GAS,
    )
}

/// Bottom of the return stack: stays there, and sends the return through the dispatch table.
///
/// # Safety
/// Not callable from Rust; its address goes into the context.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn bottom() {
    naked_asm!(
        "push qword ptr gs:[{bottom}]
         jmp {mismatched}",
        bottom = const displacement(offset_of!(Context, bottom_stub)),
        mismatched = sym mismatched_return,
    )
}

/// What the context holds as its own address, read through GS: right exactly if the GS base is.
/// A host that has set the base to somewhere unmapped makes this fault; the handler then goes on
/// in [`unreadable`]. Reading the base itself would take longer than the rest of a host call.
///
/// # Safety
/// The thread is in a fault scope whose handler knows this function.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn context_through_gs() -> u64 {
    naked_asm!(
        "mov rax, gs:[{own}]
         ret",
        own = const displacement(offset_of!(Context, own)),
    )
}

/// The answer of [`context_through_gs`] where it cannot read.
///
/// # Safety
/// Entered only in place of that function.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn unreadable() -> u64 {
    naked_asm!("xor eax, eax", "ret")
}
