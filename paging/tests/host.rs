//! Hosts that lock, merge, limit or fork: gas stays exact or the host is told, never anything else.
//!
//! Every test runs its body in a child process, because all of this is state of a process.
#![cfg(has_windows)]
#![allow(unsafe_code, reason = "tests change the state of their process")]

mod child;
mod common;

use child::passes;
use common::*;
use rivet_paging::*;

const DATA: u64 = 0x2000_0000;
const GAS: u64 = 1 << 40;

fn guest(pool: &WindowPool, tracker: Tracker) -> NativeGuest {
    NativeGuest::new(&mixed_layout(), pool, tracker, GAS)
}

fn at(page: u64) -> GuestAddr {
    GuestAddr::wrapping(DATA + page * PAGE_SIZE as u64)
}

fn store(guest: &mut NativeGuest, page: u64) {
    let done = guest.store(at(page), AccessLen::Double, 7);
    assert_eq!(done, Native::Done { value: 7 });
}

/// The host address of a guest page.
fn host(guest: &NativeGuest, page: u64) -> *mut libc::c_void {
    let base = guest.space.window().unwrap().base();
    base.wrapping_add(at(page).value() as usize).cast()
}

const BYTES: usize = 40 * PAGE_SIZE;

#[test]
fn memory_locked_while_pages_are_open_is_a_host_error_and_no_gas_figure() {
    passes(
        "memory_locked_while_pages_are_open_is_a_host_error_and_no_gas_figure",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            store(&mut guest, 5);
            assert!(guest.space.open_charge() > 0);
            // SAFETY: locking changes no content.
            assert_eq!(unsafe { libc::mlock(host(&guest, 0), BYTES) }, 0);
            assert_eq!(guest.space.settle(Settle::Keep), Err(HostError::Locked));
        },
    );
}

#[test]
fn memory_locked_and_unlocked_in_between_is_found_by_the_tripwire() {
    passes(
        "memory_locked_and_unlocked_in_between_is_found_by_the_tripwire",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            store(&mut guest, 5);
            let page = host(&guest, 0) as usize;
            // From another thread, so that the copies are not faults of this one.
            std::thread::spawn(move || {
                let page: *mut libc::c_void = std::ptr::with_exposed_provenance_mut(page);
                // SAFETY: locking changes no content.
                assert_eq!(unsafe { libc::mlock(page, BYTES) }, 0);
                // SAFETY: as above.
                assert_eq!(unsafe { libc::munlock(page, BYTES) }, 0);
            })
            .join()
            .unwrap();
            let settled = guest.space.settle(Settle::Keep);
            assert!(
                matches!(settled, Err(HostError::Tripwire { .. })),
                "{settled:?}"
            );
        },
    );
}

/// Locks and unlocks the guest's pages, which copies all that are writable.
fn lock_and_unlock(guest: &NativeGuest) {
    // SAFETY: locking changes no content.
    assert_eq!(unsafe { libc::mlock(host(guest, 0), BYTES) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::munlock(host(guest, 0), BYTES) }, 0);
}

#[test]
fn memory_locked_and_unlocked_by_the_guests_own_thread_during_a_call_is_a_host_error() {
    passes(
        "memory_locked_and_unlocked_by_the_guests_own_thread_during_a_call_is_a_host_error",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            store(&mut guest, 5);
            assert_eq!(guest.settle(Settle::Keep), GAS - COST);
            assert_eq!(guest.space.check_untouched(), Ok(()));
            // The faults are this thread's, so counting them does not tell.
            lock_and_unlock(&guest);
            let checked = guest.space.check_untouched();
            assert!(
                matches!(checked, Err(HostError::Tripwire { .. })),
                "{checked:?}"
            );
        },
    );
}

#[test]
fn memory_locked_and_unlocked_between_two_runs_is_a_host_error_or_changes_nothing() {
    passes(
        "memory_locked_and_unlocked_between_two_runs_is_a_host_error_or_changes_nothing",
        || {
            // With few runs of open pages the end of a run closes them, with many it does not.
            for stride in [1, 7] {
                let pages = 1200;
                let range = PageRange::from_bytes(DATA, pages * PAGE_SIZE as u64).unwrap();
                let region = Region::ephemeral(range, COST);
                let layout = std::sync::Arc::new(Layout::new(vec![region]).unwrap());
                let pool = WindowPool::default();
                let mut guest = NativeGuest::new(&layout, &pool, Tracker::Windows, GAS);
                (0..pages / 2)
                    .step_by(stride)
                    .for_each(|page| store(&mut guest, page));
                let written = (pages / 2).div_ceil(stride as u64);
                assert_eq!(guest.end(), GAS - written * COST);
                let open = guest.space.open_charge() > 0;
                assert_eq!(open, stride == 7);
                lock_and_unlock(&guest);
                let begun = guest.space.begin_run();
                let refused = matches!(begun, Err(HostError::Tripwire { .. }));
                assert_eq!(refused, open, "{begun:?}");
                if !open {
                    store(&mut guest, pages - 1);
                    assert_eq!(guest.end(), GAS - (written + 1) * COST);
                }
            }
        },
    );
}

/// A page whose entry says swapped although it is not in memory: a marker of the kernel where it
/// has them, which the page tables describe in the same way.
#[test]
fn an_open_page_that_was_written_and_is_swapped_out_at_the_settle_is_charged() {
    const MADV_GUARD_INSTALL: i32 = 102;
    passes(
        "an_open_page_that_was_written_and_is_swapped_out_at_the_settle_is_charged",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            store(&mut guest, 5);
            // No trap: the page is open.
            store(&mut guest, 6);
            assert_eq!((guest.faults, guest.space.private_count()), (1, 1));
            let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
            let real = swaps.lines().count() > 1;
            let advice = if real {
                libc::MADV_PAGEOUT
            } else {
                MADV_GUARD_INSTALL
            };
            // SAFETY: paging out keeps content, and a marked page is not read again.
            let done = unsafe { libc::madvise(host(&guest, 6), PAGE_SIZE, advice) };
            if done != 0 {
                eprintln!("this kernel has neither swap nor markers");
                return;
            }
            assert_eq!(guest.settle(Settle::Keep), GAS - 2 * COST);
            assert_eq!(guest.space.private_count(), 2);
        },
    );
}

#[test]
fn a_window_locked_from_the_start_falls_back_to_traps_and_stays_exact() {
    passes(
        "a_window_locked_from_the_start_falls_back_to_traps_and_stays_exact",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            // SAFETY: locking changes no content.
            assert_eq!(unsafe { libc::mlock(host(&guest, 0), BYTES) }, 0);
            for page in 0..40 {
                store(&mut guest, page);
            }
            let (tracker, why) = guest.space.tracker();
            assert_eq!((tracker, why), (Tracker::Trap, Some(HostError::Locked)));
            assert_eq!(guest.end(), GAS - 40 * COST);
        },
    );
}

/// Runs a machine under `lock`; it must be exact, by whatever tracker.
fn exact_under(lock: i32) {
    let pool = WindowPool::default();
    // SAFETY: locking changes no content.
    if unsafe { libc::mlockall(lock) } != 0 {
        return;
    }
    for tracker in [Tracker::Trap, Tracker::Windows] {
        for _ in 0..3 {
            let mut space = AddressSpace::new(mixed_layout(), MemoryLimits::default());
            // Reserving 4 GiB of locked memory may be refused: then there are no windows.
            if space.attach(&pool, tracker).is_err() {
                continue;
            }
            let mut guest = guest(&pool, tracker);
            for page in (0..64).step_by(3) {
                store(&mut guest, page);
            }
            assert_eq!(guest.end(), GAS - 22 * COST);
            assert_eq!(guest.space.private_count(), 22);
            guest.space.reset().unwrap();
            assert_eq!(guest.space.load(at(3), AccessLen::Byte), Ok(0));
        }
    }
}

#[test]
fn gas_is_exact_when_all_current_memory_is_locked() {
    passes("gas_is_exact_when_all_current_memory_is_locked", || {
        exact_under(libc::MCL_CURRENT)
    });
}

#[test]
fn gas_is_exact_when_all_future_memory_is_locked() {
    passes("gas_is_exact_when_all_future_memory_is_locked", || {
        exact_under(libc::MCL_FUTURE)
    });
}

#[test]
fn gas_is_exact_when_all_future_memory_is_locked_on_fault() {
    passes(
        "gas_is_exact_when_all_future_memory_is_locked_on_fault",
        || {
            exact_under(libc::MCL_FUTURE | libc::MCL_ONFAULT);
        },
    );
}

#[test]
fn locking_everything_while_pages_are_open_is_a_host_error() {
    passes(
        "locking_everything_while_pages_are_open_is_a_host_error",
        || {
            let mut guest = guest(&WindowPool::default(), Tracker::Windows);
            store(&mut guest, 5);
            // SAFETY: locking changes no content.
            assert_eq!(unsafe { libc::mlockall(libc::MCL_CURRENT) }, 0);
            assert_eq!(guest.space.settle(Settle::Close), Err(HostError::Locked));
        },
    );
}

#[test]
fn merging_of_the_whole_process_turns_windows_off() {
    passes("merging_of_the_whole_process_turns_windows_off", || {
        const PR_SET_MEMORY_MERGE: i32 = 67;
        // SAFETY: the option sets a flag of the process.
        if unsafe { libc::prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) } != 0 {
            return;
        }
        let mut guest = guest(&WindowPool::default(), Tracker::Windows);
        for page in 0..20 {
            store(&mut guest, page);
        }
        assert_eq!(
            guest.space.tracker(),
            (Tracker::Trap, Some(HostError::Merging))
        );
        assert_eq!(guest.end(), GAS - 20 * COST);
    });
}

#[test]
fn huge_pages_do_not_change_what_is_charged() {
    passes("huge_pages_do_not_change_what_is_charged", || {
        let pages = 2048;
        let bytes = pages * PAGE_SIZE as u64;
        let range = PageRange::from_bytes(DATA, bytes).unwrap();
        let layout =
            std::sync::Arc::new(Layout::new(vec![Region::ephemeral(range, COST)]).unwrap());
        for tracker in [Tracker::Trap, Tracker::Windows] {
            let pool = WindowPool::default();
            let mut guest = NativeGuest::new(&layout, &pool, tracker, GAS);
            // SAFETY: advice about page sizes changes no content. A kernel without them refuses.
            unsafe { libc::madvise(host(&guest, 0), bytes as usize, libc::MADV_HUGEPAGE) };
            for page in (0..pages).step_by(7) {
                store(&mut guest, page);
            }
            assert_eq!(guest.end(), GAS - pages.div_ceil(7) * COST, "{tracker:?}");
        }
    });
}

#[test]
fn both_sides_of_a_process_fork_go_on_with_live_machines() {
    passes(
        "both_sides_of_a_process_fork_go_on_with_live_machines",
        || {
            for tracker in [Tracker::Trap, Tracker::Windows] {
                let pool = WindowPool::default();
                let mut guest = guest(&pool, tracker);
                for page in 0..10 {
                    store(&mut guest, page);
                }
                // SAFETY: the child uses only what a child of a single thread may use.
                let child = unsafe { libc::fork() };
                let mine = if child == 0 { 20..40 } else { 10..25 };
                let count = mine.end - mine.start;
                for page in mine.clone() {
                    let done = guest.store(at(page), AccessLen::Double, count);
                    assert_eq!(done, Native::Done { value: count });
                }
                assert_eq!(guest.end(), GAS - (10 + count) * COST);
                for page in 10..45 {
                    let expected = if mine.contains(&page) { count } else { 0 };
                    assert_eq!(guest.space.load(at(page), AccessLen::Double), Ok(expected));
                }
                let mut other = self::guest(&pool, tracker);
                store(&mut other, 1);
                assert_eq!(other.end(), GAS - COST);
                if child == 0 {
                    std::process::exit(0);
                }
                let mut status = 0;
                // SAFETY: waits for the child made above.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert_eq!(status, 0, "the child failed");
            }
        },
    );
}

fn limit(what: libc::__rlimit_resource_t, to: u64) {
    let limit = libc::rlimit {
        rlim_cur: to,
        rlim_max: to,
    };
    // SAFETY: the structure is valid.
    assert_eq!(unsafe { libc::setrlimit(what, &raw const limit) }, 0);
}

#[test]
fn without_address_space_there_is_no_window_and_software_works() {
    passes(
        "without_address_space_there_is_no_window_and_software_works",
        || {
            limit(libc::RLIMIT_AS, 2 << 30);
            let pool = WindowPool::default();
            let error = pool.probe().unwrap_err();
            assert!(error.to_string().contains("ulimit -v"), "{error}");
            let mut space = AddressSpace::new(mixed_layout(), MemoryLimits::default());
            assert!(space.attach(&pool, Tracker::Windows).is_err());
            assert_eq!(space.store(at(1), AccessLen::Byte, 3), Ok(COST));
            assert_eq!(space.load(at(1), AccessLen::Byte), Ok(3));
        },
    );
}

#[test]
fn the_limit_of_open_files_is_named() {
    passes("the_limit_of_open_files_is_named", || {
        limit(libc::RLIMIT_NOFILE, 40);
        let mut slabs = Vec::new();
        let error = loop {
            match Slab::new(&[1]) {
                Ok(slab) => slabs.push(slab),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        drop(slabs);
        assert!(Slab::new(&[1]).is_ok());
    });
}

#[test]
fn nobody_can_change_or_truncate_a_slab() {
    passes("nobody_can_change_or_truncate_a_slab", || {
        let slab = Slab::new(&[7; 2 * PAGE_SIZE]).unwrap().unwrap();
        let mut found = 0;
        for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
            let path = entry.unwrap().path();
            let target = std::fs::read_link(&path).unwrap_or_default();
            if !target.to_string_lossy().contains("rivet-slab") {
                continue;
            }
            found += 1;
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            assert!(file.set_len(0).is_err());
            assert!(file.set_len(1 << 20).is_err());
            assert!(std::os::unix::fs::FileExt::write_at(&file, &[1], 0).is_err());
        }
        assert_eq!(found, 1);
        assert_eq!(slab.page(1), Some(&[7; PAGE_SIZE]));
    });
}

#[test]
fn isolated_pages_by_trap_stop_at_the_mapping_limit_and_go_on_in_software() {
    passes(
        "isolated_pages_by_trap_stop_at_the_mapping_limit_and_go_on_in_software",
        || {
            let range = PageRange::from_bytes(DATA, 1 << 29).unwrap();
            let layout =
                std::sync::Arc::new(Layout::new(vec![Region::ephemeral(range, COST)]).unwrap());
            let pool = WindowPool::new(4, 1000);
            let mut guest = NativeGuest::new(&layout, &pool, Tracker::Trap, GAS);
            let mut written = 0;
            let error = loop {
                match guest.store(at(2 * written), AccessLen::Byte, 1) {
                    Native::Done { .. } => written += 1,
                    Native::Host(error) => break error,
                    other => panic!("{other:?}"),
                }
            };
            assert!(matches!(error, HostError::MappingsShort { .. }), "{error}");
            assert!(written > 400, "{written}");
            assert_eq!(guest.end(), GAS - written * COST);
            guest.space.detach().unwrap();
            assert_eq!(
                guest.space.store(at(2 * written), AccessLen::Byte, 1),
                Ok(COST)
            );
            assert_eq!(u64::from(guest.space.private_count()), written + 1);
            assert!(pool.mappings() < 20, "{}", pool.mappings());
        },
    );
}

#[test]
fn a_machine_reset_after_many_isolated_pages_starts_over_in_its_window() {
    let range = PageRange::from_bytes(DATA, 1 << 24).unwrap();
    let content = PageSource::from_bytes(&[9; 100]).unwrap();
    let regions = vec![Region::copy_on_write(range, content, COST)];
    let layout = std::sync::Arc::new(Layout::new(regions).unwrap());
    for tracker in [Tracker::Trap, Tracker::Windows] {
        let mut guest = NativeGuest::new(&layout, &WindowPool::default(), tracker, GAS);
        guest.space.place(at(1), &[4]).unwrap();
        for round in 1..4 {
            for page in (0..2000).step_by(2) {
                store(&mut guest, page);
            }
            assert_eq!(guest.end(), GAS - round * 1000 * COST);
            guest.space.reset().unwrap();
            guest.space.begin_run().unwrap();
            let nines = u64::from_le_bytes([9; 8]);
            assert_eq!(
                guest.load(at(0), AccessLen::Double),
                Native::Done { value: nines }
            );
            assert_eq!(
                guest.load(at(1), AccessLen::Byte),
                Native::Done { value: 4 }
            );
            assert_eq!(
                guest.load(at(8), AccessLen::Byte),
                Native::Done { value: 0 }
            );
        }
    }
}

#[test]
fn adjacent_pages_by_trap_do_not_use_up_mappings() {
    passes("adjacent_pages_by_trap_do_not_use_up_mappings", || {
        let range = PageRange::from_bytes(DATA, 1 << 24).unwrap();
        let layout =
            std::sync::Arc::new(Layout::new(vec![Region::ephemeral(range, COST)]).unwrap());
        let pool = WindowPool::new(4, 100);
        let mut guest = NativeGuest::new(&layout, &pool, Tracker::Trap, GAS);
        for page in 0..1000 {
            store(&mut guest, page);
        }
        assert_eq!(guest.end(), GAS - 1000 * COST);
    });
}

#[test]
fn limits_of_machine_and_engine_are_host_errors_and_are_given_back() {
    for tracker in [Tracker::Trap, Tracker::Windows] {
        let engine = std::sync::Arc::new(EngineQuota::new(30));
        let limits = MemoryLimits {
            machine_pages: 20,
            engine: engine.clone(),
        };
        let pool = WindowPool::default();
        let mut guests: Vec<NativeGuest> = (0..2)
            .map(|_| NativeGuest::with_limits(&mixed_layout(), &pool, tracker, GAS, &limits))
            .collect();
        for page in 0..20 {
            store(&mut guests[0], page);
        }
        let refused = guests[0].store(at(20), AccessLen::Byte, 1);
        assert_eq!(
            refused,
            Native::Host(HostError::MachineMemory { limit: 20 })
        );
        for page in 0..10 {
            store(&mut guests[1], page);
        }
        let refused = guests[1].store(at(30), AccessLen::Byte, 1);
        assert_eq!(refused, Native::Host(HostError::EngineMemory { limit: 30 }));
        assert!(guests[1].space.fork().is_err());
        assert_eq!(guests[0].end(), GAS - 20 * COST);
        guests[0].space.reset().unwrap();
        guests[1].end();
        assert_eq!(engine.used(), 10);
        drop(guests);
        assert_eq!(engine.used(), 0);
    }
}

#[test]
fn base_pages_stay_closed_and_leave_their_neighbours_to_windows() {
    let mut space = AddressSpace::new(mixed_layout(), MemoryLimits::default());
    let content = vec![6; 3 * PAGE_SIZE];
    space.place(at(20), &content).unwrap();
    space
        .attach(&WindowPool::default(), Tracker::Windows)
        .unwrap();
    space.begin_run().unwrap();
    let mut guest = NativeGuest::of(space, GAS);
    for page in 0..63 {
        store(&mut guest, page);
    }
    assert_eq!(guest.space.tracker(), (Tracker::Windows, None));
    // The first page, one for each of the windows, the three base pages.
    assert!(guest.faults < 12, "{} faults", guest.faults);
    assert_eq!(guest.end(), GAS - 63 * COST);
    assert_eq!(
        guest
            .space
            .load(GuestAddr::new(at(21).value() + 8), AccessLen::Byte),
        Ok(6)
    );
    guest.space.reset().unwrap();
    assert_eq!(guest.space.load(at(22), AccessLen::Byte), Ok(6));
}

#[test]
fn a_machine_with_open_pages_is_forked_and_detached_only_when_settled() {
    let mut guest = guest(&WindowPool::default(), Tracker::Windows);
    store(&mut guest, 5);
    // No trap: the page is open.
    store(&mut guest, 6);
    assert_eq!(guest.faults, 1);
    assert_eq!(guest.space.fork().err(), Some(HostError::NotSettled));
    assert_eq!(guest.space.detach(), Err(HostError::NotSettled));
    assert_eq!(guest.settle(Settle::Keep), GAS - 2 * COST);
    assert!(guest.space.open_charge() > 0);
    let twin = guest.space.fork().unwrap();
    assert_eq!(twin.private_count(), 2);
    assert_eq!(twin.load(at(6), AccessLen::Double), Ok(7));
    guest.space.detach().unwrap();
    assert_eq!(guest.space.load(at(6), AccessLen::Double), Ok(7));
    assert_eq!(guest.space.private_count(), 2);
}

#[test]
fn idle_machines_commit_little() {
    passes("idle_machines_commit_little", || {
        let resident = || {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE_SIZE as u64
        };
        let pool = WindowPool::default();
        let layout = mixed_layout();
        let make = || {
            let mut guest = NativeGuest::new(&layout, &pool, Tracker::Windows, GAS);
            for page in 0..3 {
                store(&mut guest, page);
            }
            guest.end();
            guest.space.detach().unwrap();
            guest
        };
        let mut machines = vec![make()];
        // The rest of the process may grow meanwhile: the best of three counts.
        let each = (0..3).map(|_| {
            let before = resident();
            machines.extend((0..500).map(|_| make()));
            resident().saturating_sub(before) / 500
        });
        let each = each.min().unwrap();
        assert!(
            each <= 64 << 10,
            "{each} bytes for an idle machine with three private pages"
        );
    });
}
