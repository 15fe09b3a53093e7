#!/usr/bin/env bash
# Install, check and test, on two cores. Arguments are passed on to pytest:
# scripts/test.sh -k dipole
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh test

ruff format --check
ruff check
mypy
# whole files for each of two processes: their fixtures are made once
OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile "$@"
