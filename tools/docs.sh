#!/usr/bin/env bash
# Builds the documentation; warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
sphinx-build -W --keep-going -q -b html docs docs/_build/html
echo "docs: docs/_build/html/index.html"
