#!/usr/bin/env bash
# Builds the documentation, running all of its code; warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
said="traitlets|IPKernelApp|INFO estep|^$"  # what notebooks say while they run
MPLBACKEND=Agg sphinx-build -W --keep-going -q -b html docs docs/_build/html 2> >(grep -vE "$said" >&2)
rm -f examples/*.png  # which the gallery's scripts leave
echo "docs: docs/_build/html/index.html"
