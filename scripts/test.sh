#!/usr/bin/env bash
# Install, check and test. Arguments are passed on to pytest: scripts/test.sh -k dipole
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh test

ruff format --check
ruff check
mypy
python -m pytest "$@"
