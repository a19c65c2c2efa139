//! The context: what generated code, the stubs and the Rust side share.
//!
//! It occupies the last bytes below the window's base, so a field is `gs:[field − size]`:
//!
//! ```text
//!   … inaccessible │ Context │ guest address 0 … 2^32 │ guard
//!                  └ gs:[-size]                        gs base
//! ```

use rivet_isa::Regs;

/// The shared state of one activation. `repr(C)`: the stubs know the offsets.
#[repr(C)]
pub(crate) struct Context {
    /// Spilled registers; slots 13 and 14 live here all the time.
    pub(crate) regs: Regs,
    /// Gas minus `bias`, spilled from its register.
    pub(crate) gas: i64,
    /// What the gas register leaves out: enough that a non-negative register passes any gate.
    pub(crate) bias: i64,
    /// The part of the bias that does not depend on open pages.
    pub(crate) least_bias: u64,
    /// Room for values a template has to put aside within one guest instruction.
    pub(crate) aside: [u64; 4],
    /// Stub that the cold thunk of a chunk jumps to.
    pub(crate) service_stub: u64,
    /// Stub that `ecalli` and `ecall.jar` call.
    pub(crate) call_stub: u64,
    /// Index that stands for every out-of-range jump in the dispatch table.
    pub(crate) clamp: u64,
    /// Stub that a return goes to when the host's return stack and the guest disagree.
    pub(crate) return_stub: u64,
    /// Stub at the bottom of the return stack.
    pub(crate) bottom_stub: u64,
    /// Address of the dispatch table.
    pub(crate) table: u64,
    /// Stack pointer of `enter`'s frame.
    pub(crate) host_rsp: u64,
    /// Stack pointer of generated code while it is not running.
    pub(crate) guest_rsp: u64,
    /// The stack pointer of generated code with an empty return stack.
    pub(crate) top_rsp: u64,
    /// Rust side of a return that the table does not know; the own pc is in `scratch`.
    pub(crate) returned: Service,
    /// Rust side of the cold calls: context to native address to go on at, or 0 to leave.
    pub(crate) service: Service,
    /// Rust side of host and kernel calls: 0 to leave.
    pub(crate) call: CallService,
    /// Rust side of a fault: as `service`.
    pub(crate) fault: Service,
    /// Scratch register at a fault or at a failed return.
    pub(crate) scratch: u64,
    /// Flags at a fault.
    pub(crate) flags: u64,
    /// xmm0 at a fault.
    pub(crate) vector: [u64; 2],
    /// Native address: behind the cold call being serviced, or of the faulting instruction.
    pub(crate) site: u64,
    /// How many addresses of their own place the cold site being serviced had pushed.
    pub(crate) pushes: u64,
    /// Number of the chunk being serviced.
    pub(crate) chunk: u64,
    /// Base of the guest window, which is what the GS base must hold.
    pub(crate) window: u64,
    /// The activation on the stack of `enter`, of a type only the three services know.
    pub(crate) activation: *mut (),
    /// Address of this context.
    pub(crate) own: u64,
}

/// A service that says where to go on.
pub(crate) type Service = unsafe extern "sysv64" fn(*mut Context) -> u64;

/// The service of calls; the second argument is the own pc.
pub(crate) type CallService = unsafe extern "sysv64" fn(*mut Context, u32) -> u32;

/// Size of the context.
pub(crate) const CONTEXT_SIZE: usize = size_of::<Context>();

const _: () = assert!(
    size_of::<Regs>() == 8 * rivet_isa::SLOTS,
    "slots are eight bytes each"
);

/// Displacement from the GS base of a byte `offset` into the context.
pub(crate) const fn displacement(offset: usize) -> i32 {
    offset as i32 - CONTEXT_SIZE as i32
}

/// Displacement of the field holding `slot`.
pub(crate) const fn slot_field(slot: usize) -> i32 {
    displacement(core::mem::offset_of!(Context, regs) + 8 * slot)
}

/// Displacement of entry `index` of the aside fields.
pub(crate) const fn aside_field(index: usize) -> i32 {
    displacement(core::mem::offset_of!(Context, aside) + 8 * index)
}

/// Displacement of a named field.
macro_rules! field {
    ($name:ident) => {
        $crate::context::displacement(core::mem::offset_of!($crate::context::Context, $name))
    };
}
pub(crate) use field;
