#!/usr/bin/env bash
# Builds guests/prebuilt/*.elf from guests/c and guests/rt; all but words.elf,
# which rust/build.sh makes.
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
    --check) check=1 out= ;;
    *) echo "usage: guests/build.sh [--check]" >&2 && exit 2 ;;
esac
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
[ -z "$check" ] || out=$build/elf
mkdir -p "$out"

compile=(clang-22 @rt/compile.args -O2 -std=c17 -Wall -Wextra -Werror
    "-ffile-prefix-map=$PWD=." -Irt/include)
link=(clang-22 @rt/link.args "--ld-path=$(command -v ld.lld-22)" -Wl,-T,rt/pvm2.ld)

for source in rt/*.S rt/*.c; do
    "${compile[@]}" -c "$source" -o "$build/${source#rt/}.o"
done

# NAME SOURCE [FLAG...]
guest() {
    "${compile[@]}" "${@:3}" -c "$2" -o "$build/$1.guest"
    "${link[@]}" "$build/$1.guest" "$build"/*.o -o "$out/$1.elf"
    chmod 644 "$out/$1.elf"
}

for source in c/*.c; do
    name=$(basename "$source" .c)
    [ "$name" = native ] || guest "$name" "$source"
done

# The other two forms of jump tables and of addresses, and debug information.
guest bcvm-medlow c/bcvm.c -mcmodel=medlow
guest bcvm-pic c/bcvm.c -fpic
guest threaded-pic c/threaded.c -fpic
guest linkage-medlow c/linkage.c -mcmodel=medlow
guest linkage-pic c/linkage.c -fpic
guest vcall-medlow c/vcall.c -mcmodel=medlow
guest vcall-debug c/vcall.c -g
guest sort-size c/sort.c -Oz
guest fsm-plain c/fsm.c -O0

if [ -n "$check" ]; then
    status=0
    for name in $(cd "$out" && ls) $(cd prebuilt && ls); do
        [ "$name" != words.elf ] || continue
        cmp -s "prebuilt/$name" "$out/$name" && continue
        echo "guests/build.sh: prebuilt/$name is not what its source builds to" >&2
        status=1
    done
    [ $status -eq 0 ] && echo "guests/build.sh: all of $(ls "$out" | wc -l) files are the same"
    exit $status
fi
ls -l "$out"
