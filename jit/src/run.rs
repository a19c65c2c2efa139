//! The door into generated code: filling in the context, entering, and what comes back.

use std::ffi::c_void;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rivet_isa::{Exit, Gas, Pc, Regs};
use rivet_paging::{
    AddressSpace, FaultAction, FaultFrame, FaultScope, FaultSignal, HostAddr, WindowView,
};

use crate::activation::{Activation, LEAVE, Left, RunError, STEPPING_BIAS};
use crate::context::{CONTEXT_SIZE, Context};
use crate::gate::SMALL_RESERVE;
use crate::host::Host;
use crate::program::Program;
use crate::translation::{Entry, Translation};
use crate::{gs, process, stubs, supported};

const _: () = assert!(
    CONTEXT_SIZE <= rivet_paging::CONTEXT_SIZE,
    "it fits below the window"
);
const _: () = assert!(LEAVE == 0, "the stubs test for zero");

/// The registers and gas of a guest, updated in place by a run.
#[derive(Debug)]
pub struct Cpu<'a> {
    /// All fifteen slots.
    pub regs: &'a mut Regs,
    /// Gas left.
    pub gas: &'a mut Gas,
}

/// What the fault handler needs, reachable without a lock.
struct FaultData<'a> {
    translation: &'a Translation,
    context: *mut Context,
    /// Where guest accesses can fault.
    window: Range<HostAddr>,
}

impl Program {
    /// Runs from `pc` until the guest leaves, answering its calls through `host`. Right
    /// afterwards private pages and gas are exact.
    ///
    /// # Errors
    /// [`RunError`]: the host, not the guest, is to blame. Registers and gas are then of no
    /// meaning, except where the error says otherwise.
    ///
    /// # Panics
    /// A panic of `host` is continued here, with the state the host left.
    pub fn run<H: Host>(
        &self,
        cpu: Cpu<'_>,
        pc: Pc,
        memory: &mut AddressSpace,
        host: &mut H,
    ) -> Result<Left, RunError> {
        self.enter(cpu, pc, memory, host, None)
    }

    /// Runs the one block at `pc`, which takes much longer than its share of a [`run`](Self::run):
    /// for comparing engines block by block. [`Left::Stepped`] names the block that is next.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn step<H: Host>(
        &self,
        cpu: Cpu<'_>,
        pc: Pc,
        memory: &mut AddressSpace,
        host: &mut H,
    ) -> Result<Left, RunError> {
        self.enter(cpu, pc, memory, host, Some(1))
    }

    fn enter<H: Host>(
        &self,
        cpu: Cpu<'_>,
        pc: Pc,
        memory: &mut AddressSpace,
        host: &mut H,
        steps: Option<u32>,
    ) -> Result<Left, RunError> {
        supported()?;
        let window = memory.window().ok_or(RunError::NoWindow)?;
        let Cpu { regs, gas } = cpu;
        let mut pc = pc;
        loop {
            let translation = self.translation().ok_or(RunError::NoTable)?;
            let entry = match translation.entry(pc) {
                Entry::Native(address) => u64::from(address),
                Entry::Untranslated => return Ok(Left::Untranslated(pc)),
                Entry::NotAStart => return Ok(Left::Exit(Exit::Panic, pc)),
            };
            let host_gs = gs::get();
            let mut activation = Activation {
                translation,
                signals: self.signals(),
                process: process::id(),
                memory,
                host,
                result: None,
                steps,
                forked_at: None,
                panic: None,
                host_gs: (host_gs != 0).then_some(host_gs),
            };
            let cpu = Cpu { regs, gas };
            match activation.run(cpu, window, entry, host_gs)? {
                Some(left) => return Ok(left),
                None => pc = activation.forked_at.unwrap_or(pc),
            }
        }
    }
}

impl<H: Host> Activation<'_, H> {
    /// Enters generated code at a native address. `None`: the process forked, go on elsewhere.
    fn run(
        &mut self,
        cpu: Cpu<'_>,
        window: WindowView,
        entry: u64,
        host_gs: u64,
    ) -> Result<Option<Left>, RunError> {
        self.memory.begin_run()?;
        let mut frame = self.frame(&cpu, window);
        let context = context_of(window);
        // SAFETY: the window's context bytes are writable and belong to whoever borrows the
        // memory, which is this activation.
        unsafe { context.write(frame) };
        // SAFETY: the context is filled in below the window's base; the translation is borrowed,
        // so its code stays; the activation outlives the call.
        let entered = unsafe { self.guarded(window, context, entry, host_gs) };
        // SAFETY: generated code has left; the context is this activation's alone.
        frame = unsafe { context.read() };
        let settled = self.memory.end_run().map(|charge| {
            let gas = frame.gas_left().wrapping_sub(charge);
            frame.set_gas(gas, self.memory.open_charge());
        });
        *cpu.regs = frame.regs;
        let gas = Gas::new(frame.gas_left());
        if let Some(gas) = gas {
            *cpu.gas = gas;
        }
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        entered?;
        settled?;
        if gas.is_none() {
            return Err(RunError::Gas {
                gas: frame.gas_left() as i64,
            });
        }
        let nothing = RunError::UnknownSite {
            chunk: frame.chunk,
            address: frame.site,
        };
        match self.result.take() {
            Some(result) => result.map(Some),
            None if self.forked_at.is_some() => Ok(None),
            None => Err(nothing),
        }
    }

    fn frame(&mut self, cpu: &Cpu<'_>, window: WindowView) -> Context {
        let mut frame = Context {
            regs: *cpu.regs,
            gas: 0,
            bias: 0,
            least_bias: if self.steps.is_some() {
                STEPPING_BIAS
            } else {
                SMALL_RESERVE
            },
            aside: [0; 4],
            service_stub: stubs::service as *const () as u64,
            call_stub: stubs::call as *const () as u64,
            return_stub: stubs::mismatched_return as *const () as u64,
            bottom_stub: stubs::bottom as *const () as u64,
            table: self.translation.table_address(),
            host_rsp: 0,
            guest_rsp: 0,
            top_rsp: 0,
            returned: returned::<H>,
            clamp: self.translation.clamp(),
            service: service::<H>,
            call: call::<H>,
            fault: fault::<H>,
            scratch: 0,
            flags: 0,
            vector: [0; 2],
            site: 0,
            pushes: 0,
            chunk: 0,
            window: window.base().expose_provenance() as u64,
            activation: std::ptr::from_mut(self).cast(),
            own: context_of(window).expose_provenance() as u64,
        };
        frame.set_gas(cpu.gas.value(), self.memory.open_charge());
        frame
    }

    /// Enters generated code with its faults going to the fault stub.
    ///
    /// # Safety
    /// As for [`stubs::enter`], with the window's base as the GS base; `host_gs` is the thread's.
    unsafe fn guarded(
        &self,
        window: WindowView,
        context: *mut Context,
        target: u64,
        host_gs: u64,
    ) -> Result<(), RunError> {
        let data = FaultData {
            translation: self.translation,
            context,
            window: window.fault_range(),
        };
        // The handler looks closer: it also answers for the probe of the GS base.
        let anywhere = HostAddr::new(0)..HostAddr::new(usize::MAX);
        let pointer = (&raw const data).cast_mut().cast::<c_void>();
        // SAFETY: `on_fault` gets what it expects, and only reads atomics and writes a field of
        // the context; the fault stub, where it lets execution go on, expects exactly the state
        // of generated code at a guest access.
        let scope = unsafe { FaultScope::new(anywhere.clone(), anywhere, on_fault, pointer) };
        scope.run(self.signals, || {
            // SAFETY: the previous base is put back below; what runs in between is generated
            // code, or the host, which gets its own base (see `call`).
            unsafe { gs::set(window.base().addr() as u64) };
            // SAFETY: by the contract of this function.
            unsafe { stubs::enter(context, target) };
            // SAFETY: this is the base the thread came with.
            unsafe { gs::set(host_gs) };
        })?;
        Ok(())
    }
}

/// The context's place: the last bytes below the window's base.
fn context_of(window: WindowView) -> *mut Context {
    window.base().wrapping_sub(CONTEXT_SIZE).cast()
}

/// Called in the signal handler: notes where a fault of generated code was and goes on in the
/// fault stub.
unsafe extern "C" fn on_fault(data: *mut c_void, frame: &mut FaultFrame) -> FaultAction {
    // SAFETY: `guarded` passed its data, which lives as long as the scope.
    let data = unsafe { &*data.cast::<FaultData<'_>>() };
    let pc = frame.pc().value();
    if frame.pc() == HostAddr::of(stubs::context_through_gs as *const ()) {
        frame.set_pc(HostAddr::of(stubs::unreadable as *const ()));
        return FaultAction::Resume;
    }
    let in_window = data.window.contains(&frame.fault_address());
    let stray = frame.signal() == FaultSignal::Fpe;
    if !(in_window || stray) || !data.translation.owns(pc as u64) {
        return FaultAction::NotOurs;
    }
    // SAFETY: the context is alive, and the interrupted generated code uses this field only
    // through the stubs, which are not generated code.
    unsafe { (*data.context).site = pc as u64 };
    frame.set_pc(HostAddr::of(stubs::fault as *const ()));
    FaultAction::Resume
}

/// The two halves of a context that a service works with.
///
/// # Safety
/// `context` is the running one of an activation with a host of type `H`, and nobody else uses
/// either until the service returns.
unsafe fn parts<'a, H>(context: *mut Context) -> (&'a mut Context, &'a mut Activation<'a, H>) {
    // SAFETY: by the contract of this function.
    let context = unsafe { &mut *context };
    // SAFETY: `run::<H>` stored it and waits for this service.
    let activation = unsafe { &mut *context.activation.cast::<Activation<'a, H>>() };
    (context, activation)
}

unsafe extern "sysv64" fn service<H: Host>(context: *mut Context) -> u64 {
    // SAFETY: called by the stub with the running context, whose `service` names this type.
    let (context, activation) = unsafe { parts::<H>(context) };
    activation.service(context)
}

unsafe extern "sysv64" fn returned<H: Host>(context: *mut Context) -> u64 {
    // SAFETY: called by the stub with the running context, whose `returned` names this type.
    let (context, activation) = unsafe { parts::<H>(context) };
    activation.returned(context)
}

unsafe extern "sysv64" fn fault<H: Host>(context: *mut Context) -> u64 {
    // SAFETY: called by the stub with the running context, whose `fault` names this type.
    let (context, activation) = unsafe { parts::<H>(context) };
    activation.fault(context)
}

unsafe extern "sysv64" fn call<H: Host>(context: *mut Context, pc: u32) -> u32 {
    // SAFETY: called by the stub with the running context, whose `call` names this type.
    let (context, activation) = unsafe { parts::<H>(context) };
    if let Some(base) = activation.host_gs {
        // SAFETY: the host gets the base it had; ours is set again below.
        unsafe { gs::set(base) };
    }
    let flow = catch_unwind(AssertUnwindSafe(|| activation.call(context, pc)));
    // SAFETY: `guarded` is running, and its handler knows the function.
    if unsafe { stubs::context_through_gs() } != context.own {
        // SAFETY: the base generated code needs; `guarded` puts the host's back at the end.
        unsafe { gs::set(context.window) };
    }
    let go_on = flow.unwrap_or_else(|panic| {
        activation.panic = Some(panic);
        false
    });
    u32::from(go_on)
}
