#!/usr/bin/env bash
# Builds guests/prebuilt/*.elf from guests/c and guests/rt.
#
#   guests/build.sh            rebuild them in place
#   guests/build.sh --check    rebuild elsewhere; fail if a byte differs
#
# The compiler is pinned: clang-22 and lld-22.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    echo "guests/build.sh: $1 is missing: apt-get install $2" >&2
    exit 3
}
need clang-22 clang-22
need ld.lld-22 lld-22

case "${1:-}" in
    "") check= out=prebuilt ;;
    --check) check=1 out=$(mktemp -d) && trap 'rm -rf "$out"' EXIT ;;
    *) echo "usage: guests/build.sh [--check]" >&2 && exit 2 ;;
esac
mkdir -p "$out"

target=(--target=riscv64-unknown-elf -march=rv64emc_zba_zbb_zbs_zicond -mabi=lp64e
    -mno-strict-align)
compile=(-O2 -std=c17 -ffreestanding -nostdlibinc -ffunction-sections -fdata-sections
    -Wall -Wextra -Werror "-ffile-prefix-map=$PWD=." -Irt/include)
link=(-nostdlib -static "--ld-path=$(command -v ld.lld-22)" -Wl,-T,rt/pvm2.ld
    -Wl,--gc-sections -Wl,--no-relax -Wl,--emit-relocs -Wl,--build-id=none)
runtime=(rt/*.S rt/*.c)

# NAME MODEL SOURCE [FLAG...]
guest() {
    clang-22 "${target[@]}" "$2" "${compile[@]}" "${@:4}" "$3" "${runtime[@]}" "${link[@]}" \
        -o "$out/$1.elf"
    chmod 644 "$out/$1.elf"
}

for source in c/*.c; do
    name=$(basename "$source" .c)
    [ "$name" = native ] || guest "$name" -mcmodel=medany "$source"
done

# The other two forms of jump tables and of addresses, and debug information.
guest bcvm-medlow -mcmodel=medlow c/bcvm.c
guest bcvm-pic -mcmodel=medany c/bcvm.c -fpic
guest threaded-pic -mcmodel=medany c/threaded.c -fpic
guest linkage-medlow -mcmodel=medlow c/linkage.c
guest linkage-pie -mcmodel=medany c/linkage.c -fpie
guest vcall-medlow -mcmodel=medlow c/vcall.c
guest vcall-debug -mcmodel=medany c/vcall.c -g
guest sort-size -mcmodel=medany c/sort.c -Oz
guest fsm-plain -mcmodel=medany c/fsm.c -O0

if [ -n "$check" ]; then
    status=0
    for file in prebuilt/*.elf "$out"/*.elf; do
        name=$(basename "$file")
        cmp -s "prebuilt/$name" "$out/$name" && continue
        echo "guests/build.sh: prebuilt/$name is not what its source builds to" >&2
        status=1
    done
    [ $status -eq 0 ] && echo "guests/build.sh: all of $(ls "$out" | wc -l) files are the same"
    exit $status
fi
ls -l "$out"
