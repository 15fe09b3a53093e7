#!/usr/bin/env bash
# From molecules to a model of their dipoles and polarizabilities: train, evaluate,
# export and plot. Everything it makes is in quickstart/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh examples

rm -rf quickstart
mkdir quickstart

mtt train options/qm7x.yaml -o quickstart/model.pt -e quickstart/extensions
mtt eval quickstart/model.pt options/qm7x-eval.yaml -e quickstart/extensions \
    -o quickstart/predictions.mts
mtt export quickstart/model.ckpt -o quickstart/exported.pt -e quickstart/exported-extensions

python scripts/parity.py data/qm7x_test.xyz quickstart/predictions \
    mtt::mu=mu mtt::alpha=alpha \
    --units "e Å" "bohr³" --output quickstart/parity.png
