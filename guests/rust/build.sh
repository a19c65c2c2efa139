#!/usr/bin/env bash
# Builds guests/prebuilt/words.elf from guests/rust/words.
#
#   guests/rust/build.sh TOOLCHAIN            rebuild it in place
#   guests/rust/build.sh TOOLCHAIN --check    rebuild elsewhere; fail if a byte differs
#
# RV64E needs `core` and `alloc` built from source by their own compiler. Debian
# has both; TOOLCHAIN is a folder they are unpacked in:
#
#   apt-get download rustc-web libstd-rust-web-dev libstd-rust-web-1.96 rust-web-src
#   for package in *.deb; do dpkg -x "$package" TOOLCHAIN; done
#
# cargo is the one of this repository; the linker is ld.lld-22 (package lld-22).
set -euo pipefail
toolchain=$(realpath "${1:?usage: guests/rust/build.sh TOOLCHAIN [--check]}")
cd "$(dirname "${BASH_SOURCE[0]}")/words"
if ! [ -x "$toolchain/usr/bin/rustc" ]; then
    echo "guests/rust/build.sh: $toolchain/usr/bin/rustc is missing: unpack rustc-web," \
        "libstd-rust-web-dev, libstd-rust-web-1.96 and rust-web-src there" >&2
    exit 3
fi
if ! command -v ld.lld-22 >/dev/null; then
    echo "guests/rust/build.sh: ld.lld-22 is missing: apt-get install lld-22" >&2
    exit 3
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

export LD_LIBRARY_PATH=$toolchain/usr/lib/x86_64-linux-gnu
export RUSTC=$toolchain/usr/bin/rustc RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--remap-path-prefix=$toolchain=/toolchain --remap-path-prefix=$PWD=/words
    -Clink-arg=-T$PWD/../../rt/pvm2.ld -Clink-arg=--no-relax -Clink-arg=--emit-relocs
    -Clink-arg=--build-id=none"
cargo build --release --target-dir "$build" --target ../riscv64emc-pvm2.json \
    -Zjson-target-spec -Zbuild-std=core,alloc,compiler_builtins \
    -Zbuild-std-features=compiler-builtins-mem
result=$build/riscv64emc-pvm2/release/words

if [ "${2:-}" = --check ]; then
    if ! cmp "$result" ../../prebuilt/words.elf; then
        echo "guests/rust/build.sh: prebuilt/words.elf is not what its source builds to" >&2
        exit 1
    fi
    echo "guests/rust/build.sh: prebuilt/words.elf is the same"
else
    cp "$result" ../../prebuilt/words.elf
    chmod 644 ../../prebuilt/words.elf
fi
