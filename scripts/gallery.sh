#!/usr/bin/env bash
# Draw the pictures of docs/gallery.md: predictions of models that are fitted in seconds, for
# every kind of target.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh examples

mkdir -p docs/images/gallery
for name in molecules nmr hyperpolarizability density hamiltonian; do
    mtt train "options/$name.yaml" -o "gallery-$name.pt" -r architecture.training.num_epochs=0
    scalar-tensor report -o "gallery-$name-report"
    cp "gallery-$name-report/parity.png" "docs/images/gallery/$name.png"
done
