#!/usr/bin/env bash
# Style of Python and C++, spelling, types, and the linkage of the kernels.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
codespell
mypy
find core -name "*.[hc]pp" -exec clang-format --dry-run --Werror {} +
tools/linkage.sh
echo "lint: all passed"
