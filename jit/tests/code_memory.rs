//! Code memory: protection, reuse, limits, forks, many threads.

mod common;

use std::sync::Arc;

use common::{costs, memory, program, program_in, run};
use rivet_isa::{BlockStarts, DATA_BASE, Exit, Pc, Reg, Regs};
use rivet_jit::{Call, CodeCache, CodeCacheConfig, Flow, Left, NoHost, Program};

const GAS: u64 = 1 << 40;

fn asm(source: &str) -> Vec<u8> {
    rivet_isa::asm::assemble(source).unwrap()
}

/// Adds `number` to a0 and traps.
fn adding(number: i32) -> Vec<u8> {
    asm(&format!("addi a0, a0, {number}\ntrap"))
}

fn result_of(program: &Program, code: &[u8]) -> u64 {
    let ended = run(
        program,
        &mut memory(code),
        0,
        Regs::default(),
        GAS,
        &mut NoHost,
    );
    assert_eq!(ended.left, Left::Exit(Exit::Trap, Pc::new(4)));
    ended.regs.get(Reg::A0)
}

/// Mappings of this process: start, protection, file.
fn mappings() -> Vec<(u64, String, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let start = fields.next()?.split('-').next()?;
        let protection = fields.next()?.to_owned();
        let file = fields.nth(3).unwrap_or("").to_owned();
        Some((u64::from_str_radix(start, 16).ok()?, protection, file))
    };
    maps.lines().filter_map(parse).collect()
}

fn assert_nothing_is_writable_and_executable() {
    for (start, protection, file) in mappings() {
        let both = protection.contains('w') && protection.contains('x');
        assert!(!both, "{start:#x} {protection} {file}");
        if file.contains("rivet-code") {
            assert_eq!(
                &protection[..3],
                "r-x",
                "{start:#x}: the only mapping of code memory"
            );
        }
    }
}

#[test]
fn code_memory_is_never_mapped_writable() {
    let code = asm("sd a0, 0(a1)\necalli 0\naddi a0, a0, 1\necalli 1\ntrap");
    let (program, mut memory) = (program(&code), memory(&code));
    let mut regs = Regs::default();
    regs.set(Reg::A1, DATA_BASE);
    let mut seen = 0;
    let mut host = |_: Call<'_>| {
        assert_nothing_is_writable_and_executable();
        seen += mappings()
            .iter()
            .filter(|(_, _, file)| file.contains("rivet-code"))
            .count();
        Flow::Continue
    };
    run(&program, &mut memory, 0, regs, GAS, &mut host);
    assert!(seen >= 2, "the map shows code memory under its name");
    assert_nothing_is_writable_and_executable();
}

#[test]
fn reused_code_memory_runs_the_new_code() {
    let config = CodeCacheConfig {
        limit: 4 << 20,
        ..CodeCacheConfig::default()
    };
    let cache = CodeCache::new(config);
    // Each program takes a fixed place in the one segment the limit allows, and leaves it again:
    // far more programs than fit at once.
    let filler = asm("addi a1, a1, 1\n").repeat(6000);
    for number in 0..2000 {
        let code = [adding(number % 2000), filler.clone()].concat();
        assert_eq!(
            result_of(&program_in(&code, &cache), &code),
            number as u64 % 2000
        );
    }
    assert_eq!(cache.reserved_bytes(), 4 << 20);
}

#[test]
fn a_full_pool_leaves_blocks_to_the_interpreter() {
    let cache = CodeCache::new(CodeCacheConfig {
        limit: 0,
        ..CodeCacheConfig::default()
    });
    let code = adding(1);
    let refused = program_in(&code, &cache);
    let ended = run(
        &refused,
        &mut memory(&code),
        0,
        Regs::default(),
        GAS,
        &mut NoHost,
    );
    assert_eq!(
        (ended.left, ended.gas),
        (Left::Untranslated(Pc::new(0)), GAS)
    );
    assert_eq!(refused.totals().refused_chunks, 1);
    assert!(!refused.prepare(Pc::new(0)));
}

#[test]
fn code_that_grows_too_much_is_left_to_the_interpreter() {
    // Two-byte branches take twelve times their size and more, and as much again in side tables;
    // the program may take eight times.
    let code = [0x11, 0xE1].repeat(1 << 20);
    let program = program(&code);
    let starts = BlockStarts::scan(&code);
    let chunks = code.len().div_ceil(1 << 16) as u64;
    let mut translated = 0;
    for chunk in 0..chunks {
        let first = starts.from(Pc::new(chunk << 16)).next().unwrap();
        translated += u64::from(program.prepare(first));
    }
    let totals = program.totals();
    assert_eq!(translated + totals.refused_chunks, chunks);
    assert!(totals.refused_chunks > 0 && translated > 0);
    let most = (4 << 20) + 8 * code.len() as u64;
    assert!(
        totals.native_bytes + totals.side_bytes <= most + (2 << 20),
        "one chunk's tables over"
    );
}

#[test]
fn a_program_outlives_the_cache_handle_and_frees_its_memory() {
    let code = adding(3);
    let program = {
        let cache = CodeCache::new(CodeCacheConfig::default());
        let starts = Arc::new(BlockStarts::scan(&code));
        Program::new(code.as_slice().into(), starts, costs(), &cache).unwrap()
    };
    assert_eq!(result_of(&program, &code), 3);
}

#[test]
fn code_longer_than_the_code_area_is_refused_with_its_length() {
    let code = vec![1; rivet_isa::MAX_CODE_SIZE as usize + 1];
    let starts = Arc::new(BlockStarts::scan(&[]));
    let cache = CodeCache::new(CodeCacheConfig::default());
    let refused = Program::new(code.into(), starts, costs(), &cache).unwrap_err();
    assert!(refused.to_string().contains("264241153"), "{refused}");
}

/// Runs `child` in a forked process and asserts that it returns true there.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child only runs the closure and leaves without running destructors or exit
    // handlers of the parent.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: leaves the process at once.
        unsafe { libc::_exit(i32::from(!passed.unwrap_or(false))) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above; the kernel writes one word.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(status, 0, "the child succeeded");
}

#[test]
fn a_forked_child_translates_for_itself_and_disturbs_nobody() {
    let cache = CodeCache::new(CodeCacheConfig::default());
    let codes: Vec<Vec<u8>> = (0..20).map(adding).collect();
    let programs: Vec<_> = codes.iter().map(|code| program_in(code, &cache)).collect();
    for (n, program) in programs.iter().enumerate() {
        assert_eq!(result_of(program, &codes[n]), n as u64);
    }
    in_child(|| {
        let same = |n: usize| result_of(&programs[n], &codes[n]) == n as u64;
        let old = (0..programs.len()).all(same);
        // Enough new code to overwrite the parent's, if it went to the same memory.
        let new = (100..1100).all(|n| {
            let code = adding(n);
            result_of(&program_in(&code, &cache), &code) == n as u64
        });
        old && new && (0..programs.len()).all(same)
    });
    for (n, program) in programs.iter().enumerate() {
        assert_eq!(result_of(program, &codes[n]), n as u64);
    }
}

#[test]
fn a_host_that_forks_in_a_call_goes_on_in_both_processes() {
    let code = asm("addi a0, a0, 1\necalli 0\naddi a0, a0, 2\nsd a0, 0(a1)\necalli 1\ntrap");
    let (program, mut memory) = (program(&code), memory(&code));
    let mut regs = Regs::default();
    regs.set(Reg::A1, DATA_BASE);
    let mut child = None;
    let mut host = |call: Call<'_>| {
        if call.next_pc == Pc::new(8) {
            // SAFETY: the child leaves below by `_exit`.
            child = Some(unsafe { libc::fork() });
        }
        Flow::Continue
    };
    let ended = run(&program, &mut memory, 0, regs, GAS, &mut host);
    let right = ended.left == Left::Exit(Exit::Trap, Pc::new(20)) && ended.regs.get(Reg::A0) == 3;
    let pid = child.unwrap();
    if pid == 0 {
        // SAFETY: leaves the process at once.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above; the kernel writes one word.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(right && status == 0, "parent {right}, child {status}");
}

#[test]
fn threads_that_load_run_and_drop_programs_share_one_pool() {
    let cache = CodeCache::new(CodeCacheConfig {
        limit: 4 << 20,
        ..CodeCacheConfig::default()
    });
    let threads: Vec<_> = (0..64)
        .map(|thread| {
            let cache = Arc::clone(&cache);
            std::thread::spawn(move || {
                for round in 0..100 {
                    let number = thread * 16 + round % 16;
                    let code = adding(number);
                    assert_eq!(result_of(&program_in(&code, &cache), &code), number as u64);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_nothing_is_writable_and_executable();
}
