//! A guest of real machine instructions: stores and loads that fault into the access rule.
#![allow(dead_code, reason = "each test file uses another part")]
#![allow(
    unsafe_code,
    reason = "tests run real memory instructions against a window"
)]

use std::arch::asm;
use std::ffi::c_void;
use std::sync::Arc;

use rivet_paging::*;

#[path = "../random/mod.rs"]
mod random;
pub(crate) use random::Random;

pub(crate) const COST: u64 = 256;
/// What the gas register is biased by apart from open pages.
pub(crate) const SMALL: u64 = 1 << 16;

pub(crate) fn pages(start: u64, count: u64) -> PageRange {
    PageRange::from_bytes(start, count * PAGE_SIZE as u64).unwrap()
}

/// Code, pinned, copy-on-write with a short source, and ephemeral regions, some adjacent.
pub(crate) fn mixed_layout() -> Arc<Layout> {
    let code = PageSource::from_bytes(&[0x0b; 5000]).unwrap();
    let pinned = PageSource::from_bytes(&[0x11; 4096]).unwrap();
    let data = PageSource::from_bytes(&[0x22; 3 * 4096 + 10]).unwrap();
    let regions = vec![
        Region::read_only(pages(0x40_0000, 2), code),
        Region::read_only(pages(0x1000_0000, 2), pinned),
        Region::copy_on_write(pages(0x1000_2000, 6), data, COST),
        Region::ephemeral(pages(0x1000_8000, 5), 3 * COST),
        Region::ephemeral(pages(0x2000_0000, 64), COST),
        Region::ephemeral(pages(0x3000_0000, 1), COST),
        Region::ephemeral(pages(0x3000_2000, 2), COST),
        Region::ephemeral(pages(0xffff_f000, 1), 5 * COST),
    ];
    Arc::new(Layout::new(regions).unwrap())
}

/// What a native access did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Native {
    Done { value: u64 },
    Fault(PageIndex),
    Host(HostError),
}

struct Attempt {
    space: *mut AddressSpace,
    addr: GuestAddr,
    len: AccessLen,
    access: Access,
    landing: HostAddr,
    /// Gas with no open page paid.
    gas: u64,
    denied: Option<Denied>,
    faults: u64,
}

unsafe extern "C" fn on_fault(data: *mut c_void, frame: &mut FaultFrame) -> FaultAction {
    // SAFETY: `attempt` passed a pointer to its own local, which outlives the scope.
    let attempt = unsafe { &mut *data.cast::<Attempt>() };
    // SAFETY: the space outlives the attempt, and nobody else uses it while the instruction runs.
    let space = unsafe { &mut *attempt.space };
    attempt.faults += 1;
    let granted = space.access_opening(attempt.addr, attempt.len, attempt.access, attempt.gas);
    let denied = match granted {
        Ok(granted) => {
            attempt.gas -= granted.charge;
            match granted.change {
                Change::Pages => return FaultAction::Resume,
                Change::Nothing => Denied::Host(HostError::Unexplained {
                    page: attempt.addr.page(),
                }),
            }
        }
        Err(denied) => denied,
    };
    attempt.denied = Some(denied);
    frame.set_pc(attempt.landing);
    FaultAction::Resume
}

/// A machine in a window whose accesses are real instructions.
pub(crate) struct NativeGuest {
    pub(crate) space: AddressSpace,
    pub(crate) gas: u64,
    pub(crate) faults: u64,
}

impl NativeGuest {
    pub(crate) fn new(layout: &Arc<Layout>, pool: &WindowPool, tracker: Tracker, gas: u64) -> Self {
        Self::with_limits(layout, pool, tracker, gas, &MemoryLimits::default())
    }

    pub(crate) fn with_limits(
        layout: &Arc<Layout>,
        pool: &WindowPool,
        tracker: Tracker,
        gas: u64,
        limits: &MemoryLimits,
    ) -> Self {
        let mut space = AddressSpace::new(Arc::clone(layout), limits.clone());
        space.attach(pool, tracker).unwrap();
        space.begin_run().unwrap();
        Self {
            space,
            gas,
            faults: 0,
        }
    }

    /// A guest of memory that is in a window already.
    pub(crate) fn of(space: AddressSpace, gas: u64) -> Self {
        Self {
            space,
            gas,
            faults: 0,
        }
    }

    /// Settles and returns the exact gas.
    pub(crate) fn settle(&mut self, how: Settle) -> u64 {
        self.gas -= self.space.settle(how).unwrap();
        self.gas
    }

    /// Ends the run and returns the exact gas.
    pub(crate) fn end(&mut self) -> u64 {
        self.gas -= self.space.end_run().unwrap();
        self.gas
    }

    /// The gate of generated code, `SMALL` covering cost and reserve of any block.
    pub(crate) fn gate(&mut self, cost: u64, reserve: u64) -> bool {
        let register = self.gas as i64 - (SMALL + self.space.open_charge()) as i64;
        let passes = register >= cost as i64 || self.settle(Settle::Close) >= cost + reserve;
        if passes {
            self.gas -= cost;
        }
        passes
    }

    pub(crate) fn store(&mut self, addr: GuestAddr, len: AccessLen, value: u64) -> Native {
        self.attempt(addr, len, Access::Write, value)
    }

    pub(crate) fn load(&mut self, addr: GuestAddr, len: AccessLen) -> Native {
        self.attempt(addr, len, Access::Read, 0)
    }

    fn attempt(&mut self, addr: GuestAddr, len: AccessLen, access: Access, value: u64) -> Native {
        let view = self.space.window().expect("attached");
        let target = view.base().wrapping_add(addr.value() as usize);
        let mut attempt = Attempt {
            space: &raw mut self.space,
            addr,
            len,
            access,
            landing: HostAddr::new(0),
            gas: self.gas,
            denied: None,
            faults: 0,
        };
        let code = HostAddr::new(0)..HostAddr::new(usize::MAX);
        let data = (&raw mut attempt).cast();
        // SAFETY: `on_fault` gets the pointer it expects; resuming repeats the instruction or
        // goes to the label after it.
        let scope = unsafe { FaultScope::new(code, view.fault_range(), on_fault, data) };
        let landing = (&raw mut attempt.landing).cast();
        // SAFETY: the target lies in the window, whose faults the scope handles.
        let body = || unsafe { instruction(target, len, access, value, landing) };
        let result = scope.run(SignalCheck::EveryEntry, body);
        let value = result.unwrap();
        self.gas = attempt.gas;
        self.faults += attempt.faults;
        match attempt.denied {
            None => Native::Done { value },
            Some(Denied::Fault(fault)) => Native::Fault(fault.page),
            Some(Denied::Host(error)) => Native::Host(error),
        }
    }
}

/// One memory instruction. A handler that cannot let it happen continues at the address this
/// writes to `landing`.
#[inline(never)]
unsafe fn instruction(
    at: *mut u8,
    len: AccessLen,
    access: Access,
    value: u64,
    landing: *mut usize,
) -> u64 {
    let mut v = value;
    macro_rules! guest {
        ($text:literal) => {
            // SAFETY: one access to memory no reference points into, one write to `landing`.
            unsafe {
                asm!(
                    "lea {t}, [rip + 2f]",
                    "mov [{landing}], {t}",
                    $text,
                    "2:",
                    t = out(reg) _,
                    landing = in(reg) landing,
                    at = in(reg) at,
                    v = inout(reg) v,
                )
            }
        };
    }
    match (access, len) {
        (Access::Write, AccessLen::Byte) => guest!("mov byte ptr [{at}], {v:l}"),
        (Access::Write, AccessLen::Half) => guest!("mov word ptr [{at}], {v:x}"),
        (Access::Write, AccessLen::Word) => guest!("mov dword ptr [{at}], {v:e}"),
        (Access::Write, AccessLen::Double) => guest!("mov qword ptr [{at}], {v}"),
        (Access::Read, AccessLen::Byte) => guest!("movzx {v:e}, byte ptr [{at}]"),
        (Access::Read, AccessLen::Half) => guest!("movzx {v:e}, word ptr [{at}]"),
        (Access::Read, AccessLen::Word) => guest!("mov {v:e}, dword ptr [{at}]"),
        (Access::Read, AccessLen::Double) => guest!("mov {v}, qword ptr [{at}]"),
    }
    v
}

/// Memory as plain maps: the oracle, written from the rules alone.
#[derive(Clone, Default)]
pub(crate) struct Oracle {
    /// page -> (writable, cost)
    pub(crate) class: Arc<std::collections::BTreeMap<u32, (bool, u64)>>,
    pub(crate) written: std::collections::BTreeMap<u32, u8>,
    pub(crate) initial: Arc<std::collections::BTreeMap<u32, u8>>,
    pub(crate) private: std::collections::BTreeSet<u32>,
    pub(crate) gas: u64,
}

impl Oracle {
    pub(crate) fn new(layout: &Layout, gas: u64) -> Self {
        let (mut class, mut initial) = (
            std::collections::BTreeMap::new(),
            std::collections::BTreeMap::new(),
        );
        for region in layout.regions() {
            let writable = region.class() == RegionClass::ReadWrite;
            for page in region.range().iter() {
                class.insert(page.value(), (writable, region.cow_cost()));
                let index = page.value() - region.range().start();
                if let Some(content) = region.source().page(index) {
                    let nonzero = content.iter().enumerate().filter(|(_, b)| **b != 0);
                    for (i, &b) in nonzero {
                        initial.insert(page.base().value() + i as u32, b);
                    }
                }
            }
        }
        Self {
            class: Arc::new(class),
            initial: Arc::new(initial),
            gas,
            ..Self::default()
        }
    }

    /// The same machine with other gas and nothing written.
    pub(crate) fn afresh(&self, gas: u64) -> Self {
        Self {
            class: Arc::clone(&self.class),
            initial: Arc::clone(&self.initial),
            gas,
            ..Self::default()
        }
    }

    fn byte(&self, at: u32) -> u8 {
        let written = self.written.get(&at).or_else(|| self.initial.get(&at));
        written.copied().unwrap_or(0)
    }

    fn touched(addr: u32, len: u32) -> Vec<u32> {
        let mut pages: Vec<u32> = (0..len).map(|i| addr.wrapping_add(i) >> 12).collect();
        pages.dedup();
        pages
    }

    pub(crate) fn store(&mut self, addr: u32, len: u32, value: u64) -> Result<(), u32> {
        let pages = Self::touched(addr, len);
        for p in &pages {
            match self.class.get(p) {
                Some((true, _)) => {}
                _ => return Err(*p),
            }
        }
        for p in &pages {
            if self.private.insert(*p) {
                self.gas -= self.class[p].1;
            }
        }
        for i in 0..len {
            let byte = (value >> (8 * i)) as u8;
            self.written.insert(addr.wrapping_add(i), byte);
        }
        Ok(())
    }

    pub(crate) fn load(&self, addr: u32, len: u32) -> Result<u64, u32> {
        for p in Self::touched(addr, len) {
            if !self.class.contains_key(&p) {
                return Err(p);
            }
        }
        Ok((0..len).fold(0, |v, i| {
            let byte = self.byte(addr.wrapping_add(i));
            v | u64::from(byte) << (8 * i)
        }))
    }

    /// Compares the sets of private pages.
    pub(crate) fn check_private(&self, space: &AddressSpace) {
        let private: Vec<u32> = space.private_pages().map(PageIndex::value).collect();
        let expected: Vec<u32> = self.private.iter().copied().collect();
        assert_eq!(private, expected);
    }

    /// Compares private pages and every byte of all mapped pages.
    pub(crate) fn check(&self, space: &AddressSpace) {
        self.check_private(space);
        let mut bytes = vec![0; PAGE_SIZE];
        for &page in self.class.keys() {
            let base = page << 12;
            space.read(GuestAddr::new(base), &mut bytes).unwrap();
            let last = base + (PAGE_SIZE as u32 - 1);
            let mut expected = vec![0; PAGE_SIZE];
            for stored in [&*self.initial, &self.written] {
                for (at, &b) in stored.range(base..=last) {
                    expected[(at - base) as usize] = b;
                }
            }
            assert!(bytes == expected, "page {page:#x}");
        }
    }
}

/// Addresses around the edges of the regions, with a few anywhere.
pub(crate) fn interesting_address(random: &mut Random, layout: &Layout) -> u32 {
    let regions = layout.regions();
    let region = &regions[random.below(regions.len() as u64) as usize];
    let first = (region.range().start()) << 12;
    let last = ((u64::from(region.range().end()) << 12) & 0xffff_ffff) as u32;
    let near = random.below(24) as u32;
    match random.below(6) {
        0 => first.wrapping_add(near).wrapping_sub(12),
        1 => last.wrapping_add(near).wrapping_sub(12),
        2..=3 => {
            let page = random.below(u64::from(region.range().count().value())) as u32;
            (first + (page << 12)).wrapping_add(near).wrapping_sub(12)
        }
        4 => first.wrapping_add(random.below(region.range().count().bytes()) as u32),
        _ => random.next() as u32,
    }
}

pub(crate) fn any_len(random: &mut Random) -> AccessLen {
    AccessLen::from_bytes(1 << random.below(4)).unwrap()
}
