# Recipes; `just` lists them.

_list:
    @just --list --unsorted

# What a change must pass, as continuous integration runs it
check:
    .ci/run

# All tests
test:
    cargo test --workspace

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
