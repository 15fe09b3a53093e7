#!/usr/bin/env bash
# Build the documentation: docs/_build/html/index.html. A warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh docs

python -m sphinx -W --keep-going --builder html docs docs/_build/html "$@"
echo "Documentation: docs/_build/html/index.html"
