#!/usr/bin/env bash
# The kernels of one instruction set may show nothing but their table: a weak symbol shared between objects compiled
# for different instruction sets ends up as the wrong copy. Warnings are errors here.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=${CXX:-c++}
if ! command -v "$compiler" >/dev/null || [ "$(uname -m)" != x86_64 ]; then
    echo "linkage: skipped, no compiler for x86-64"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for level in baseline:x86-64 v3:x86-64-v3 v4:x86-64-v4; do
    name=${level%%:*}
    for single in "" -DESTEP_SINGLE; do
        "$compiler" -std=c++20 -O3 -fPIC -fvisibility=hidden -fno-math-errno -fno-trapping-math -ffp-contract=fast \
            -Wall -Wextra -Wconversion -Wno-sign-conversion -Wno-psabi -Werror "-march=${level##*:}" $single \
            "-DESTEP_LEVEL=$name" -c core/kernels.cpp -o "$work/$name.o"
        table=estep_kernels_$name${single:+_single}
        shared=$(nm "$work/$name.o" | awk '$2 ~ /^[TWVuBDR]$/ {print $3}' | grep -v -e "^$table\$" -e '^DW\.ref\.' || true)
        if [ -n "$shared" ]; then
            echo "linkage: $name shows more than its table:" && echo "$shared"
            exit 1
        fi
    done
done
echo "linkage: only the tables are shared"
