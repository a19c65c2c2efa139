#!/usr/bin/env bash
# Records what each guest of cases.tsv gives natively, into native-values.tsv.
#
#   guests/record-native.sh            record
#   guests/record-native.sh --check    fail if the recorded values differ
#
# CC chooses the C compiler (default cc), CFLAGS its options (default -O2).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

# GUEST N -> exit, value, page and output as four columns
record() {
    "$build/$1" "$2" 2>"$build/result" >"$build/stdout"
    read -r how what <"$build/result"
    local output
    output=$(od -An -v -c -w1 "$build/stdout" | sed -e 's/^ *//' -e 's/^$/ /' | tr -d '\n')
    case $how in
        halt) printf 'halt\t%s\t-\t%s' "$what" "$output" ;;
        page-fault) printf 'page-fault\t-\t%s\t%s' "$what" "$output" ;;
        *) echo "guests/record-native.sh: $1 $2: $how $what" >&2 && exit 1 ;;
    esac
}

{
    printf '#guest\tn\texit\tvalue\tpage\tstdout\tbench_n\tbench_value\n'
    grep -v '^#' cases.tsv | while IFS=$'\t' read -r guest n bench; do
        if [ -d "rust/$guest" ]; then
            rustc --edition 2024 -O "rust/$guest/src/main.rs" -o "$build/$guest"
        else
            # shellcheck disable=SC2086
            ${CC:-cc} ${CFLAGS:--O2} -std=c17 "c/$guest.c" c/native.c -o "$build/$guest" -lm
        fi
        printf '%s\t%s\t%s' "$guest" "$n" "$(record "$guest" "$n")"
        if [ "$bench" = 0 ]; then
            printf '\t-\t-\n'
        else
            printf '\t%s\t%s\n' "$bench" "$(record "$guest" "$bench" | cut -f2)"
        fi
    done
} >"$build/values.tsv"

if [ "${1:-}" = --check ]; then
    diff native-values.tsv "$build/values.tsv" || exit 1
    echo "guests/record-native.sh: all values are as recorded"
else
    cp "$build/values.tsv" native-values.tsv
fi
