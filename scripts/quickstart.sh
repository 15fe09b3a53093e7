#!/usr/bin/env bash
# From structures to spectra: fit a model of energies, forces, dipoles and polarizabilities,
# compare it with structures that the fit did not see, and draw its vibrational spectra.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh examples

mtt train options/molecules.yaml -o molecules.pt
scalar-tensor report -o molecules-report
python examples/quickstart/spectra.py molecules.pt -o molecules-spectra.png
