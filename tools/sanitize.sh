#!/usr/bin/env bash
# The core under AddressSanitizer and UndefinedBehaviorSanitizer: builds it into a venv of its own, runs the tests that
# reach the kernels on every instruction set.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
. "$work/venv/bin/activate"
pip install --quiet ".[all,test]" -Ccmake.define.ESTEP_SANITIZE=ON -Cbuild-dir="$work/build"
nm -D "$work"/venv/lib/python3.*/site-packages/estep/kernels/_core*.so | grep __asan_ >/dev/null || {
    echo "sanitize: the core was not built with sanitizers"
    exit 1
}
asan=$(${CXX:-c++} -print-file-name=libasan.so)
ubsan=$(${CXX:-c++} -print-file-name=libubsan.so)
stdcpp=$(${CXX:-c++} -print-file-name=libstdc++.so)
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LD_PRELOAD="$asan $ubsan $stdcpp"
python tests/fuzz.py --fits 500
pytest tests/test_safety.py -p no:cacheprovider -k "kernels or symbols or another_model or densities"
pytest tests/test_kernels.py tests/test_laws.py tests/test_numerics.py tests/test_stretches.py tests/test_sift.py \
    tests/test_paths.py \
    tests/test_families.py tests/test_algorithms.py tests/test_missing.py tests/test_labels.py tests/test_product.py \
    tests/test_regression.py -p no:cacheprovider \
    -k "not without_a_core" "$@"
