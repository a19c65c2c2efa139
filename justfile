# Recipes; `just` lists them.

_list:
    @just --list --unsorted

# What a change must pass, as continuous integration runs it
check:
    .ci/run

# All tests
test:
    cargo test --workspace

# The tests that are too long for every change: minutes to an hour
agree:
    cargo test --release --workspace -- --ignored
    RIVET_AGREE_SCALE=10 cargo test --release -p rivet --test differential --test diff_wrong --test journeys --test qemu --test metamorphic
    RIVET_FUZZ_ROUNDS=100000 cargo test --release -p rivet --test fuzz
    cargo run --release --bin rivet -- vectors run conformance-vectors
    cargo run --release --bin rivet -- diff --random 10000000
    cargo run --release --bin rivet -- diff --random 1000000 --every-block --seed 1000000007
    cargo run --release --bin rivet -- diff --random 1000000 --hostile
    cargo run --release --bin rivet -- diff --random 1000000 --neighbours
    cargo run --release --bin rivet -- diff --journeys 200000
    cargo run -p rivet-mutants --bin mutant-gate

# Plants historical bugs one at a time and writes which test reports each; ten minutes
mutants *NAMES:
    cargo run -p rivet-mutants --bin mutant-gate -- {{NAMES}}

# A sample of the mutants on the vectors, part of `.ci/run`
mutants-smoke:
    cargo run -p rivet-mutants --bin mutant-gate -- --smoke

# The bodies of the fuzz targets on corpora and many mutations, without other tools
fuzz-smoke ROUNDS="20000":
    RIVET_FUZZ_ROUNDS={{ROUNDS}} cargo test --release -p rivet --test fuzz

# Guest faults belong to the engine's own handler and signal stack, hence the sanitizer's options.
# A fuzz target under coverage: decode, link, image, snapshot, delta, trace, vectors, raw (needs cargo-fuzz, nightly)
fuzz TARGET *ARGS:
    ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:use_sigaltstack=0 cargo +nightly fuzz run {{TARGET}} -- {{ARGS}}

# All fuzz targets in turn, for this many seconds each
fuzz-all SECONDS="120":
    for target in $(cargo +nightly fuzz list); do just fuzz $target -max_total_time={{SECONDS}} || exit 1; done

# The page manager's software twin and its own tests with real windows, then the recompiler and the
# engine. Guest faults belong to the engine's own handler and signal stack, hence the options; little
# of what was freed is kept, because a test watches the resident size. A forked child of several
# threads cannot allocate under the sanitizer, so the two tests that fork stay out; so does one that
# locks memory, which does nothing under it.
# The suites of unsafe code under AddressSanitizer (needs a nightly toolchain)
sanitize:
    RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --target-dir target/sanitize -p rivet-paging --features software
    ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:use_sigaltstack=0 RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --target-dir target/sanitize -p rivet-paging --lib
    ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:use_sigaltstack=0:quarantine_size_mb=8 RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --target-dir target/sanitize -p rivet-jit -p rivet-engine --tests --no-fail-fast -- --skip forked_child --skip forks_in_a_call --skip locks_and_unlocks

# The standard library is built for it too, or its locks would be unknown to the sanitizer. What stays
# out: tests that lock memory (the sanitizer makes that do nothing) or limit and count what a process
# holds (it holds much itself), tests that stand in for the C library, and those that fork.
# The suites of unsafe code under ThreadSanitizer (needs a nightly toolchain with rust-src)
sanitize-threads:
    TSAN_OPTIONS=exitcode=66 RUSTFLAGS=-Zsanitizer=thread cargo +nightly test -Zbuild-std --target x86_64-unknown-linux-gnu --target-dir target/sanitize-threads -p rivet-paging -p rivet-jit -p rivet-engine --tests --no-fail-fast -- --skip locked --skip locking_everything --skip locks_and_unlocks --skip idle_machines_commit --skip a_paused_machine_commits --skip without_address_space --skip forked_child --skip forks_in_a_call

# Rewrite the native code of the recompiler's filetests; read the difference like code
bless:
    RIVET_BLESS=1 cargo test -p rivet-jit --test filetests

# All benchmarks, with ratios and targets
bench:
    cargo bench --workspace

# Every goal of the recompiler with its figure; options as in benches/benches/goals.rs
goals *ARGS:
    cargo bench -p rivet-benches --bench goals -- {{ARGS}}

# Instructions of fixed pieces of work against benches/counts.tsv; --update records them
counts *ARGS:
    cargo run --release -p rivet-benches --bin counts -- {{ARGS}}

# This engine against native code and all peers, with a report
peers *ARGS:
    cargo run --release --bin rivet -- bench --peers --html report.html {{ARGS}}

# Documentation of all crates
doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# Rebuild the prebuilt guests and record their native values
guests:
    guests/build.sh
    guests/record-native.sh

# Licences, bans and advisories (needs cargo-deny)
deny:
    cargo deny check
