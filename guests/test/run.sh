#!/usr/bin/env bash
# Compares the runtime's arithmetic and formatting with the machine at hand:
#
#   guests/test/run.sh [ROUNDS]       default 100000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rounds=${1:-100000}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cc=${CC:-cc}

# Integer and floating-point builtins: every symbol gets the prefix soft_.
for part in softfloat int128; do
    $cc -O2 -fno-builtin -c "../rt/$part.c" -o "$build/$part.o"
    objcopy --prefix-symbols=soft_ "$build/$part.o"
    objcopy --redefine-sym soft_memcpy=memcpy "$build/$part.o"
done
$cc -O1 -ffp-contract=off softfloat.c "$build/softfloat.o" "$build/int128.o" -o "$build/softfloat"
"$build/softfloat" "$rounds"

# Formatting and parsing: the public functions get the prefix.
rename=()
for name in strtod strtof atof {,v}{,s,sn,f}printf; do
    rename+=("-D$name=soft_$name")
done
for part in decimal format; do
    $cc -O2 -fno-builtin -U_FORTIFY_SOURCE -D__NO_INLINE__ "${rename[@]}" -c "../rt/$part.c" \
        -o "$build/$part.o"
done
$cc -O1 -fno-builtin -w decimal.c "$build/decimal.o" "$build/format.o" -o "$build/decimal"
"$build/decimal" $((rounds / 100))
