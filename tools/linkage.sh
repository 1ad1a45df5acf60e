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
check() { # level march [-DESTEP_SINGLE]
    local table=estep_kernels_$1${3:+_single} shared
    "$compiler" -std=c++20 -O3 -fPIC -fvisibility=hidden -fno-math-errno -fno-trapping-math -ffp-contract=fast \
        -Wall -Wextra -Wconversion -Wno-sign-conversion -Wno-psabi -Werror "-march=$2" ${3:-} \
        "-DESTEP_LEVEL=$1" -Icore -c core/level.cpp -o "$work/$table.o"
    shared=$(nm "$work/$table.o" | awk '$2 ~ /^[TWVuBDR]$/ {print $3}' | grep -v -e "^$table\$" -e '^DW\.ref\.' || true)
    if [ -n "$shared" ]; then
        echo "linkage: $table shows more than its table:" && echo "$shared"
        return 1
    fi
}
for level in baseline:x86-64 v3:x86-64-v3 v4:x86-64-v4; do
    check "${level%%:*}" "${level##*:}" & # both precisions at a time
    check "${level%%:*}" "${level##*:}" -DESTEP_SINGLE
    wait $!
done
echo "linkage: only the tables are shared"
