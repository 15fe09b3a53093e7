#!/usr/bin/env bash
# From molecules to a model of their dipoles and polarizabilities: train, evaluate on
# molecules that the training did not see, export, and plot.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh examples

mtt train options/qm7x.yaml -o qm7x.pt
mtt eval qm7x.pt options/qm7x-eval.yaml -o qm7x-predictions.mts
mtt export qm7x.ckpt -o qm7x-exported.pt

scalar-tensor report --data options/qm7x-eval.yaml -o qm7x-report
